package reference

// Option is one key of a config.
type Option struct {
	Name    string
	Old     string // another spelling that means the same
	Type    Type
	Default string // as in YAML; "" = none, what then happens is in Text
	Example string // as in YAML, the value alone
	Manual  string // chapter of the manual of lithos 0.18; "" = ours
	Text    string // one or more sentences of Markdown
	Need    bool   // required
	NoNull  bool   // null means something of its own
}

// Type is what values an option takes.
type Type struct {
	Name   string // in the page, with the unit
	Schema Schema
	Fields []Option // of a mapping with fixed keys
	Group  string   // how configs.Keys calls these
}

// Schema is a JSON Schema.
type Schema map[string]any

// The scalars. A config reads any scalar as the text that it was written as, so
// that 60 is a string, too, where one is asked for.
var (
	text     = Type{Name: "string", Schema: Schema{"type": []string{"string", "number", "boolean"}}}
	path     = Type{Name: "path", Schema: Schema{"type": "string"}}
	absolute = Type{Name: "absolute path", Schema: Schema{"type": "string", "pattern": "^/"}}
	boolean  = Type{Name: "`true` or `false`", Schema: Schema{"enum": []any{true, false, "true", "false"}}}
	seconds  = Type{Name: "seconds, 0 to 86400, fractions allowed", Schema: anyOf(
		Schema{"type": "number", "minimum": 0, "maximum": 86400}, Schema{"type": "string", "pattern": "^[0-9.eE+-]+$"})}
	address   = Type{Name: "IP address", Schema: Schema{"type": "string", "pattern": "^[0-9a-fA-F.:]+$"}}
	id        = number("user or group id, 0 to 4294967294", 0, 4294967294)
	sizeType  = number("bytes, with `k` `M` `G` (powers of 1000) or `ki` `Mi` `Gi` (of 1024)", 1, nil)
	mode      = number("permissions, octal as `0o755`", 0, 0o1777)
	anything  = Type{Name: "anything", Schema: Schema{}}
	processor = Type{Name: "processors, 0.01 and more", Schema: anyOf(
		Schema{"type": "number", "minimum": 0.01}, Schema{"type": "string", "pattern": "^[0-9.]+$"})}
	rangePattern = Schema{"type": []string{"integer", "string"}, "pattern": "^ *[0-9]+ *(- *[0-9]+ *)?$", "minimum": 0}
)

// fraction is a number that may have a decimal point.
func fraction(name string, least, most float64) Type {
	return Type{Name: name, Schema: anyOf(
		Schema{"type": "number", "minimum": least, "maximum": most}, Schema{"type": "string", "pattern": "^[0-9.eE+-]+$"})}
}

func anyOf(list ...Schema) Schema { return Schema{"anyOf": list} }

// number is an integer; a string is one with a unit, a base or underscores.
func number(name string, least, most any) Type {
	n := Schema{"type": "integer"}
	if least != nil {
		n["minimum"] = least
	}
	if most != nil {
		n["maximum"] = most
	}
	return Type{Name: name, Schema: anyOf(n, Schema{
		"type": "string", "pattern": "^[+-]?(0x[0-9a-fA-F_]+|0o[0-7_]+|0b[01_]+|[0-9][0-9_]*) *(ki|Mi|Gi|k|M|G|m|g)?$",
	})}
}

func oneOf(words ...string) Type {
	name, list := "", []any{}
	for i, w := range words {
		if i > 0 {
			name += ", "
		}
		name += "`" + w + "`"
		list = append(list, w)
	}
	return Type{Name: "one of " + name, Schema: Schema{"enum": list}}
}

func list(of Type) Type {
	return Type{Name: "list: " + of.Name, Schema: Schema{"type": "array", "items": of.Schema}}
}

func mapping(what string, of Type) Type {
	return Type{Name: "mapping " + what, Schema: Schema{"type": "object", "additionalProperties": of.Schema}}
}

// object is a mapping with fixed keys.
func object(group string, fields ...Option) Type {
	return Type{Name: "mapping, see below", Fields: fields, Group: group, Schema: objectSchema(fields)}
}

func ranges(of string) Type {
	t := list(Type{Schema: rangePattern})
	t.Name = "list of " + of + " and ranges such as `1000-2000`"
	return t
}
