package option

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"lithos/configs/document"
)

// Type describes the values of an option.
type Type struct {
	Name string // in the page, with the unit
	// Schema is the JSON Schema of a value. [FieldsSchema] in it stands for that of a
	// mapping with the keys of Fields.
	Schema string
	Fields []Info // the keys of a mapping with fixed ones
	// Elsewhere says that the page shows the fields in a section of its own.
	Elsewhere bool
	list      bool // empty is missing
}

// FieldsSchema stands in [Type].Schema for the schema of a mapping with Fields.
const FieldsSchema = `"$fields"`

// Kind is a type of values that are read into an F.
type Kind[F any] struct {
	Type
	// Read reads a value, def if it is absent or wrong.
	Read func(v document.Value, def F) F
	// Absent says that Read is asked for an absent value, too. Otherwise the field
	// gets the option's default then, or is left as it is.
	Absent bool
	// Show writes a value as a config may have it.
	Show func(F) string
}

func kindOf[F any](t Type, read func(v document.Value, def F) F, show func(F) string) Kind[F] {
	return Kind[F]{Type: t, Read: read, Show: show}
}

// Named is the kind under another name.
func (k Kind[F]) Named(name string) Kind[F] {
	k.Name = name
	return k
}

const (
	anyScalar   = `{"type": ["string", "number", "boolean"]}`
	anyDecimal  = `{"type": "string", "pattern": "^[0-9.eE+-]+$"}`
	anyInteger  = `{"type": "string", "pattern": "^[+-]?(0x[0-9a-fA-F_]+|0o[0-7_]+|0b[01_]+|[0-9][0-9_]*) *(ki|Mi|Gi|k|M|G|m|g)?$"}`
	rangeSchema = `{"type": ["integer", "string"], "pattern": "^ *[0-9]+ *(- *[0-9]+ *)?$", "minimum": 0}`
)

func same(s string) string { return s }

// The scalars. A config reads any scalar as the text that it was written as, so
// that 60 is a string, too, where one is asked for.
var (
	Text = kindOf(Type{Name: "string", Schema: anyScalar}, document.Value.Str, same)
	// Path is relative to a directory that the option names.
	Path       = kindOf(Type{Name: "path", Schema: `{"type": "string"}`}, readPath, same)
	Absolute   = kindOf(Type{Name: "absolute path", Schema: `{"type": "string", "pattern": "^/"}`}, document.Value.AbsolutePath, same)
	DaemonPath = kindOf(Type{Name: "absolute path", Schema: `{"type": "string", "pattern": "^/"}`}, document.Value.DaemonPath, same)
	Boolean    = kindOf(Type{Name: "`true` or `false`", Schema: `{"enum": [true, false, "true", "false"]}`},
		document.Value.Boolean, strconv.FormatBool)
	// Maybe is a boolean whose absence means something of its own.
	Maybe = kindOf(Type{Name: "`true`, `false` or `null`", Schema: Boolean.Schema},
		func(v document.Value, _ *bool) *bool { return v.OptionalBoolean() }, showMaybe)
	Seconds = kindOf(Type{Name: "seconds, 0 to 86400, fractions allowed",
		Schema: AnyOf(bounded("number", 0, 86400), anyDecimal)}, document.Value.Seconds, showSeconds)
	Address = kindOf(Type{Name: "IP address", Schema: `{"type": "string", "pattern": "^[0-9a-fA-F.:]+$"}`},
		document.Value.Address, showAddress)
	Anything = Type{Name: "anything"}
	Texts    = kindOf(List(Text.Type), func(v document.Value, _ []string) []string { return v.Strings() }, showList)

	ID = Number[uint32](0, document.MaxID).Named("user or group id, 0 to 4294967294")
	// OptionalID is an id whose absence means something of its own.
	OptionalID = kindOf(ID.Type, func(v document.Value, _ *uint32) *uint32 { return v.OptionalID() }, nil)
	Size       = sizes(1, math.MaxInt64)
)

func readPath(v document.Value, def string) string {
	s := v.Str(def)
	if s == "" && !v.Absent() {
		v.Errorf("must not be empty")
		return def
	}
	return s
}

func showSeconds(d time.Duration) string { return document.Decimal(d.Seconds()) }

func showMaybe(b *bool) string {
	if b == nil {
		return ""
	}
	return strconv.FormatBool(*b)
}

func showAddress(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func showList(list []string) string {
	if len(list) == 0 {
		return ""
	}
	quoted := make([]string, len(list))
	for i, s := range list {
		if quoted[i] = s; s == "" || strings.ContainsAny(s, " ,[]{}\"'#:\n\t") {
			quoted[i] = strconv.Quote(s)
		}
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// Open says that the page and the schema name no upper bound.
const Open = math.MaxInt64

// Number is an integer; a string is one with a unit, a base or underscores.
func Number[I ~int | ~int64 | ~uint32 | ~uint64](least, most int64) Kind[I] {
	name := strconv.FormatInt(least, 10) + " to " + strconv.FormatInt(most, 10)
	if most == Open || most == math.MaxInt32 {
		name = strconv.FormatInt(least, 10) + " and more"
	}
	return kindOf(
		Type{Name: name, Schema: AnyOf(bounded("integer", float64(least), float64(most)), anyInteger)},
		func(v document.Value, def I) I { return I(v.Integer(int64(def), least, most)) },
		func(n I) string { return strconv.FormatInt(int64(n), 10) },
	)
}

// Sizes is a number of bytes, which most bounds without a word in the page.
func Sizes(least, most int64) Kind[int64] {
	k := sizes(least, most)
	k.Name = "bytes, " + strconv.FormatInt(least, 10) + " and more, with" + strings.TrimPrefix(k.Name, "bytes, with")
	return k
}

func sizes(least, most int64) Kind[int64] {
	k := Number[int64](least, Open).Named("bytes, with `k` `M` `G` (powers of 1000) or `ki` `Mi` `Gi` (of 1024)")
	k.Read = func(v document.Value, def int64) int64 { return v.Integer(def, least, most) }
	k.Show = showSize
	return k
}

// showSize writes bytes with the largest unit that leaves a whole number.
func showSize(n int64) string {
	for _, u := range []struct {
		suffix string
		factor int64
	}{{"Gi", 1 << 30}, {"Mi", 1 << 20}, {"ki", 1 << 10}, {"G", 1e9}, {"M", 1e6}, {"k", 1e3}} {
		if n != 0 && n%u.factor == 0 {
			return strconv.FormatInt(n/u.factor, 10) + u.suffix
		}
	}
	return strconv.FormatInt(n, 10)
}

// Fraction is a number that may have a decimal point.
func Fraction(least, most float64) Kind[float64] {
	return kindOf(
		Type{Name: document.Decimal(least) + " to " + document.Decimal(most) + ", fractions allowed",
			Schema: AnyOf(bounded("number", least, most), anyDecimal)},
		func(v document.Value, def float64) float64 { return v.Fraction(def, least, most) },
		document.Decimal,
	)
}

// Between is a time in seconds with bounds of its own.
func Between(least, most time.Duration) Kind[time.Duration] {
	low, high := document.Decimal(least.Seconds()), document.Decimal(most.Seconds())
	return kindOf(
		Type{Name: "seconds, " + low + " to " + high, Schema: AnyOf(bounded("number", least.Seconds(), most.Seconds()), anyDecimal)},
		func(v document.Value, def time.Duration) time.Duration {
			d := v.Seconds(def)
			if (d < least || d > most) && !v.Null() {
				v.Errorf("%s s is not in %s to %s", document.Decimal(d.Seconds()), low, high)
			}
			return d
		},
		showSeconds,
	)
}

// OneOf is one of some words.
func OneOf[S ~string](words ...S) Kind[S] {
	list := make([]string, len(words))
	quoted := make([]string, len(words))
	for i, w := range words {
		list[i], quoted[i] = string(w), strconv.Quote(string(w))
	}
	return kindOf(
		Type{Name: "one of `" + strings.Join(list, "`, `") + "`", Schema: `{"enum": [` + strings.Join(quoted, ", ") + `]}`},
		func(v document.Value, def S) S { return S(v.OneOf(string(def), list...)) },
		func(s S) string { return string(s) },
	)
}

// Ranges are numbers and ranges of them.
func Ranges(of string, most uint32) Kind[[]document.Range] {
	t := List(Type{Schema: rangeSchema})
	t.Name = "list of " + of + " and ranges such as `1000-2000`"
	k := kindOf(t, func(v document.Value, _ []document.Range) []document.Range { return v.Ranges(most) }, document.FormatRanges)
	k.Absent = true
	return k
}

// List is the type of a list.
func List(of Type) Type {
	return Type{Name: "list: " + of.Name, Schema: `{"type": "array", "items": ` + of.Schema + `}`, list: true}
}

// Mapping is the type of a mapping with free keys.
func Mapping(what string, of Type) Type {
	return Type{Name: "mapping " + what, Schema: `{"type": "object", "additionalProperties": ` + of.Schema + `}`,
		Fields: of.Fields, Elsewhere: of.Elsewhere}
}

// Object is the type of a mapping with fixed keys.
func Object(fields []Info) Type {
	return Type{Name: "mapping, see below", Schema: FieldsSchema, Fields: fields}
}

// AnyOf is the schema of what one of several accepts.
func AnyOf(schemas ...string) string { return `{"anyOf": [` + strings.Join(schemas, ", ") + `]}` }

// bounded is the schema of a number; a most of [Open] is none.
func bounded(kind string, least, most float64) string {
	s := `{"type": "` + kind + `", "minimum": ` + document.Decimal(least)
	if most < Open {
		s += `, "maximum": ` + document.Decimal(most)
	}
	return s + "}"
}
