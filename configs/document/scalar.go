package document

import (
	"fmt"
	"math"
	"math/bits"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// Scalar returns the text of a scalar; ok is false for absence and null, and
// for what is no scalar, which is reported.
func (v Value) Scalar(wanted string) (string, bool) {
	if v.node == nil || !v.untagged() {
		return "", false
	}
	if v.Null() {
		return "", false
	}
	if v.onlyColons() {
		return v.node.Content[0].Value + ":", true
	}
	if v.node.Kind != yaml.ScalarNode {
		v.Errorf("expected %s, got %s", wanted, v.Describe())
		return "", false
	}
	if strings.IndexByte(v.node.Value, 0) >= 0 {
		v.Errorf("has a NUL byte in it, which no name or argument can have")
		return "", false
	}
	return v.node.Value, true
}

// onlyColons tells whether the value is written `::`, which is a word in the
// original and for the library a mapping with the key `:`.
func (v Value) onlyColons() bool {
	if v.node.Kind != yaml.MappingNode || len(v.node.Content) != 2 {
		return false
	}
	key, value := v.node.Content[0], v.node.Content[1]
	return key.Kind == yaml.ScalarNode && !quoted(key) && strings.Trim(key.Value, ":") == "" && key.Value != "" &&
		value.Kind == yaml.ScalarNode && value.Value == "" && !quoted(value)
}

// Str reads any scalar as the text that it was written as: `60` is "60".
func (v Value) Str(def string) string {
	s, ok := v.Scalar("a string")
	if !ok {
		return def
	}
	return s
}

// Text reads a scalar that must be there: an element of a list, a value of a
// free mapping.
func (v Value) Text() (string, bool) {
	if v.node != nil && !quoted(v.node) && (v.node.Value == "Null" || v.node.Value == "NULL") {
		return v.node.Value, true // words in the original
	}
	if v.Null() {
		v.Errorf("expected a string, got nothing; an empty one is written \"\"")
		return "", false
	}
	return v.Scalar("a string")
}

// Required reports absence.
func (v Value) Required() bool {
	if v.Null() {
		v.Errorf("is required")
		return false
	}
	return true
}

// Boolean reads `true` or `false`; YAML's other spellings are errors.
func (v Value) Boolean(def bool) bool {
	s, ok := v.Scalar("true or false")
	switch {
	case !ok:
		return def
	case s == "true":
		return true
	case s == "false":
		return false
	}
	v.Errorf("expected true or false, got %q%s", Clip(s), NilHint(s))
	return def
}

// OptionalBoolean reads a boolean whose absence means something of its own.
func (v Value) OptionalBoolean() *bool {
	if v.Null() {
		return nil
	}
	b := v.Boolean(false)
	return &b
}

// NilHint helps with the manual's way to write null.
func NilHint(s string) string {
	if s == "nil" || s == "none" {
		return "; for none write null, or leave the key out"
	}
	return ""
}

// Integer reads a number between least and most.
func (v Value) Integer(def, least, most int64) int64 {
	s, ok := v.Scalar("a number")
	if !ok {
		return def
	}
	n, err := ParseInteger(s)
	switch {
	case err != nil:
		v.Errorf("%q is not a number: %s%s", Clip(s), notANumber(s, err), NilHint(s))
		return def
	case n < least && most == math.MaxInt64:
		v.Errorf("%s is less than %d", Clip(s), least)
		return def
	case n < least || n > most:
		v.Errorf("%s is not in %d to %d", Clip(s), least, most)
		return def
	}
	if len(s) > 1 && s[0] == '0' && s[1] >= '0' && s[1] <= '9' {
		v.Warnf("%s is the decimal number %d; an octal one is written 0o%s", Clip(s), n, Clip(strings.TrimLeft(s, "0")))
	}
	return n
}

// MaxID is the largest user or group id: -1 stands for "none" in the kernel.
const MaxID = math.MaxUint32 - 1

// OptionalID reads a user or group id.
func (v Value) OptionalID() *uint32 {
	if v.Null() {
		return nil
	}
	id := v.Integer(-1, 0, MaxID)
	if id < 0 {
		return nil
	}
	u := uint32(id)
	return &u
}

// units are the suffixes of numbers. The small m and g are not of the
// original's parser but of its manual's first examples.
var units = []struct {
	suffix string
	factor uint64
}{
	{"ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30},
	{"k", 1e3}, {"M", 1e6}, {"G", 1e9}, {"m", 1e6}, {"g", 1e9},
}

// ParseInteger reads a number: base 10, 0x, 0o or 0b, digits grouped by
// underscores, a unit after it, blanks between (requirement A6).
func ParseInteger(s string) (int64, error) {
	digits, negative := strings.CutPrefix(s, "-")
	if !negative {
		digits = strings.TrimPrefix(s, "+")
	}
	factor := uint64(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(digits, u.suffix); ok {
			digits, factor = strings.TrimRight(rest, " "), u.factor
			break
		}
	}
	base := 10
	if len(digits) > 2 && digits[0] == '0' {
		switch digits[1] {
		case 'x':
			digits, base = digits[2:], 16
		case 'o':
			digits, base = digits[2:], 8
		case 'b':
			digits, base = digits[2:], 2
		}
	}
	if digits == "" || digits[0] == '_' || digits[len(digits)-1] == '_' || digits[0] == '+' || digits[0] == '-' {
		return 0, errNotANumber
	}
	n, err := strconv.ParseUint(strings.ReplaceAll(digits, "_", ""), base, 64)
	if err != nil {
		if e, ok := err.(*strconv.NumError); ok && e.Err == strconv.ErrRange {
			return 0, errTooLarge
		}
		return 0, errNotANumber
	}
	high, low := bits.Mul64(n, factor)
	if high != 0 || low > math.MaxInt64 {
		return 0, errTooLarge
	}
	if negative {
		return -int64(low), nil
	}
	return int64(low), nil
}

// meantInteger is how a number is written that has a unit as other tools write it:
// "1Ki", "128MB", "" if it is none.
func meantInteger(s string) string {
	digits := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	unit := strings.TrimSuffix(strings.ToLower(s[len(digits):]), "b")
	for _, u := range units {
		if strings.ToLower(u.suffix) != unit {
			continue
		}
		meant := strings.TrimRight(digits, " ") + u.suffix
		if _, err := ParseInteger(meant); err == nil && meant != s {
			return meant
		}
	}
	return ""
}

// notANumber says what is wrong with a number, and how it was probably meant.
func notANumber(s string, err error) string {
	if meant := meantInteger(s); err == errNotANumber && meant != "" {
		return err.Error() + ", did you mean " + meant + "?"
	}
	return err.Error()
}

// Error is an error that is a constant.
type Error string

func (e Error) Error() string { return string(e) }

const (
	errNotANumber = Error("write digits, 0x, 0o or 0b, and one of the units k M G ki Mi Gi")
	errTooLarge   = Error("it does not fit 64 bits")
)

// Seconds reads a time in seconds, 0..86400, fractions allowed (requirement E6).
func (v Value) Seconds(def time.Duration) time.Duration {
	s, ok := v.Scalar("a number of seconds")
	if !ok {
		return def
	}
	d, err := ParseSeconds(s)
	if err != nil {
		v.Errorf("%q is not a number of seconds: %s", Clip(s), err)
		return def
	}
	return d
}

// ParseSeconds reads a number of seconds.
func ParseSeconds(s string) (time.Duration, error) {
	if strings.Trim(s, "0123456789.eE+-") != "" {
		return 0, Error("write it without a unit, such as 1.5")
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) {
		return 0, Error("write it such as 1.5")
	}
	if f < 0 || f > 86400 {
		return 0, Error("it is not in 0 to 86400")
	}
	return time.Duration(math.Round(f * float64(time.Second))), nil
}

// Range is an inclusive range of numbers.
type Range struct{ First, Last uint32 }

// Ranges reads a list of `N` and `N-M` (requirement A13).
func (v Value) Ranges(most uint32) []Range {
	items, _ := v.Items()
	list := make([]Range, 0, len(items))
	for _, item := range items {
		s, ok := item.Text()
		if !ok {
			continue
		}
		r, err := ParseRange(s, math.MaxUint32)
		if err == nil && r.First <= most && r.Last > most {
			item.Warnf("%d is the largest number here", most)
			r.Last = most
		}
		if err == nil && r.Last > most {
			err = fmt.Errorf("%d is the largest number here", most)
		}
		if err != nil {
			item.Errorf("%q is not a range: %s", Clip(s), err)
			continue
		}
		list = append(list, r)
	}
	return list
}

// ParseRange reads `N` or `N-M`.
func ParseRange(s string, most uint32) (Range, error) {
	first, last, two := strings.Cut(s, "-")
	if !two {
		last = first
	}
	a, errA := strconv.ParseUint(strings.TrimSpace(first), 10, 64)
	b, errB := strconv.ParseUint(strings.TrimSpace(last), 10, 64)
	switch {
	case errA != nil || errB != nil:
		return Range{}, Error("write a number or two of them, such as 1000-2000")
	case a > b:
		return Range{}, Error("the first number is larger than the last")
	case b > uint64(most):
		return Range{}, fmt.Errorf("%d is the largest number here", most)
	}
	return Range{uint32(a), uint32(b)}, nil
}

// Contains tells whether n is in the range.
func (r Range) Contains(n uint32) bool { return r.First <= n && n <= r.Last }

// InRanges tells whether one of the ranges holds n.
func InRanges(list []Range, n uint32) bool {
	return slices.ContainsFunc(list, func(r Range) bool { return r.Contains(n) })
}

// FormatRanges writes ranges as they are written in a config.
func FormatRanges(list []Range) string {
	words := make([]string, len(list))
	for i, r := range list {
		words[i] = strconv.FormatUint(uint64(r.First), 10)
		if r.Last != r.First {
			words[i] += "-" + strconv.FormatUint(uint64(r.Last), 10)
		}
	}
	return "[" + strings.Join(words, ", ") + "]"
}

// Address reads an IP address, v4 or v6; names are not looked up.
func (v Value) Address(def netip.Addr) netip.Addr {
	s, ok := v.Scalar("an IP address")
	if !ok {
		return def
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		v.Errorf("%q is not an IP address; host names and zones are not looked up", Clip(s))
		return def
	}
	return a.Unmap()
}

// Strings reads a list of scalars.
func (v Value) Strings() []string {
	items, _ := v.Items()
	var list []string
	for _, item := range items {
		if s, ok := item.Text(); ok {
			list = append(list, s)
		}
	}
	return list
}

// DaemonPath reads a path that must begin with a slash: a daemon with a mistaken
// directory would replace what runs by what can't.
func (v Value) DaemonPath(def string) string {
	if s, ok := v.Quiet().Scalar("a path"); ok && s != "" && !path.IsAbs(s) {
		v.Errorf("%q must be an absolute path", Clip(s))
		return def
	}
	return v.AbsolutePath(def)
}

// AbsolutePath reads a path from the root, cleaned. Without a slash at its beginning
// it is from the root, too, with a warning.
func (v Value) AbsolutePath(def string) string {
	s, ok := v.Scalar("a path")
	if !ok {
		return def
	}
	if s == "" {
		v.Errorf("must not be empty")
		return def
	}
	if !path.IsAbs(s) {
		v.Warnf("%q is no absolute path, it is taken as %s", Clip(s), Clip(path.Join("/", s)))
	}
	return path.Join("/", s)
}

// InsidePath reads an absolute path inside a container or of the virtual
// directories of a sandbox: `..` is refused, the rest is cleaned.
func (v Value) InsidePath(def string) string {
	s, ok := v.Scalar("a path")
	if !ok {
		return def
	}
	clean, err := CleanInside(s)
	if err != nil {
		v.Errorf("%q %s", Clip(s), err)
		return def
	}
	return clean
}

// CleanInside cleans an absolute path that has no `..` in it.
func CleanInside(s string) (string, error) {
	if !path.IsAbs(s) {
		return "", Error("must be an absolute path")
	}
	if slices.Contains(strings.Split(s, "/"), "..") {
		return "", Error("must not have `..` in it")
	}
	return path.Clean(s), nil
}

// Below is a path that is relative to base unless it is absolute.
func Below(base, name string) string {
	if path.IsAbs(name) {
		return path.Clean(name)
	}
	return path.Join(base, name)
}

// Fraction reads a number between least and most, fractions allowed.
func (v Value) Fraction(def, least, most float64) float64 {
	s, ok := v.Scalar("a number")
	if !ok {
		return def
	}
	f, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil || math.IsNaN(f) || strings.Trim(s, "0123456789.eE+-") != "":
		v.Errorf("%q is not a number such as 1.5%s", Clip(s), NilHint(s))
		return def
	case f < least || f > most:
		v.Errorf("%s is not in %s to %s", Clip(s), Decimal(least), Decimal(most))
		return def
	}
	return f
}

// Decimal writes a number without an exponent.
func Decimal(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// Quote is a string in quotes, shortened.
func Quote(s string) string { return strconv.Quote(Clip(s)) }
