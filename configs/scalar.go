package configs

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// scalar returns the text of a scalar; ok is false for absence and null, and
// for what is no scalar, which is reported.
func (v value) scalar(wanted string) (string, bool) {
	if v.node == nil || !v.untagged() {
		return "", false
	}
	if v.null() {
		return "", false
	}
	if v.node.Kind != yaml.ScalarNode {
		v.errorf("expected %s, got %s", wanted, v.what())
		return "", false
	}
	if strings.IndexByte(v.node.Value, 0) >= 0 {
		v.errorf("has a NUL byte in it, which no name or argument can have")
		return "", false
	}
	return v.node.Value, true
}

// str reads any scalar as the text that it was written as: `60` is "60".
func (v value) str(def string) string {
	s, ok := v.scalar("a string")
	if !ok {
		return def
	}
	return s
}

// text reads a scalar that must be there: an element of a list, a value of a
// free mapping.
func (v value) text() (string, bool) {
	if v.null() {
		v.errorf("expected a string, got nothing; an empty one is written \"\"")
		return "", false
	}
	return v.scalar("a string")
}

// required reports absence.
func (v value) required() bool {
	if v.null() {
		v.errorf("is required")
		return false
	}
	return true
}

// boolean reads `true` or `false`; YAML's other spellings are errors.
func (v value) boolean(def bool) bool {
	s, ok := v.scalar("true or false")
	switch {
	case !ok:
		return def
	case s == "true":
		return true
	case s == "false":
		return false
	}
	v.errorf("expected true or false, got %q%s", clip(s), nilHint(s))
	return def
}

// optionalBoolean reads a boolean whose absence means something of its own.
func (v value) optionalBoolean() *bool {
	if v.null() {
		return nil
	}
	b := v.boolean(false)
	return &b
}

// nilHint helps with the manual's way to write null.
func nilHint(s string) string {
	if s == "nil" || s == "none" {
		return "; for none write null, or leave the key out"
	}
	return ""
}

// integer reads a number between least and most.
func (v value) integer(def, least, most int64) int64 {
	s, ok := v.scalar("a number")
	if !ok {
		return def
	}
	n, err := parseInteger(s)
	switch {
	case err != nil:
		v.errorf("%q is not a number: %s%s", clip(s), err, nilHint(s))
		return def
	case n < least && most == math.MaxInt64:
		v.errorf("%s is less than %d", clip(s), least)
		return def
	case n < least || n > most:
		v.errorf("%s is not in %d to %d", clip(s), least, most)
		return def
	}
	if len(s) > 1 && s[0] == '0' && s[1] >= '0' && s[1] <= '9' {
		v.warnf("%s is the decimal number %d; an octal one is written 0o%s", clip(s), n, clip(strings.TrimLeft(s, "0")))
	}
	return n
}

// maxID is the largest user or group id: -1 stands for "none" in the kernel.
const maxID = math.MaxUint32 - 1

// optionalID reads a user or group id.
func (v value) optionalID() *uint32 {
	if v.null() {
		return nil
	}
	id := v.integer(-1, 0, maxID)
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

// parseInteger reads a number: base 10, 0x, 0o or 0b, digits grouped by
// underscores, a unit after it, blanks between (checklist A6).
func parseInteger(s string) (int64, error) {
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

type constError string

func (e constError) Error() string { return string(e) }

const (
	errNotANumber = constError("write digits, 0x, 0o or 0b, and one of the units k M G ki Mi Gi")
	errTooLarge   = constError("it does not fit 64 bits")
)

// seconds reads a time in seconds, 0..86400, fractions allowed (checklist E6).
func (v value) seconds(def time.Duration) time.Duration {
	s, ok := v.scalar("a number of seconds")
	if !ok {
		return def
	}
	d, err := parseSeconds(s)
	if err != nil {
		v.errorf("%q is not a number of seconds: %s", clip(s), err)
		return def
	}
	return d
}

func parseSeconds(s string) (time.Duration, error) {
	if strings.Trim(s, "0123456789.eE+-") != "" {
		return 0, constError("write it without a unit, such as 1.5")
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) {
		return 0, constError("write it such as 1.5")
	}
	if f < 0 || f > 86400 {
		return 0, constError("it is not in 0 to 86400")
	}
	return time.Duration(math.Round(f * float64(time.Second))), nil
}

// ranges reads a list of `N` and `N-M` (checklist A13).
func (v value) ranges(most uint32) []Range {
	items, _ := v.items()
	list := make([]Range, 0, len(items))
	for _, item := range items {
		s, ok := item.text()
		if !ok {
			continue
		}
		r, err := parseRange(s, most)
		if err != nil {
			item.errorf("%q is not a range: %s", clip(s), err)
			continue
		}
		list = append(list, r)
	}
	return list
}

// parseRange reads `N` or `N-M`.
func parseRange(s string, most uint32) (Range, error) {
	first, last, two := strings.Cut(s, "-")
	if !two {
		last = first
	}
	a, errA := strconv.ParseUint(strings.TrimSpace(first), 10, 64)
	b, errB := strconv.ParseUint(strings.TrimSpace(last), 10, 64)
	switch {
	case errA != nil || errB != nil:
		return Range{}, constError("write a number or two of them, such as 1000-2000")
	case a > b:
		return Range{}, constError("the first number is larger than the last")
	case b > uint64(most):
		return Range{}, fmt.Errorf("%d is the largest number here", most)
	}
	return Range{uint32(a), uint32(b)}, nil
}

// Contains tells whether n is in the range.
func (r Range) Contains(n uint32) bool { return r.First <= n && n <= r.Last }

func inRanges(list []Range, n uint32) bool {
	return slices.ContainsFunc(list, func(r Range) bool { return r.Contains(n) })
}

// formatRanges writes ranges as they are written in a config.
func formatRanges(list []Range) string {
	words := make([]string, len(list))
	for i, r := range list {
		words[i] = strconv.FormatUint(uint64(r.First), 10)
		if r.Last != r.First {
			words[i] += "-" + strconv.FormatUint(uint64(r.Last), 10)
		}
	}
	return "[" + strings.Join(words, ", ") + "]"
}

// address reads an IP address, v4 or v6; names are not looked up.
func (v value) address(def netip.Addr) netip.Addr {
	s, ok := v.scalar("an IP address")
	if !ok {
		return def
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		v.errorf("%q is not an IP address; host names and zones are not looked up", clip(s))
		return def
	}
	return a.Unmap()
}

// strings reads a list of scalars.
func (v value) strings() []string {
	items, _ := v.items()
	var list []string
	for _, item := range items {
		if s, ok := item.text(); ok {
			list = append(list, s)
		}
	}
	return list
}

// absolutePath reads a path that must begin with a slash and returns it
// cleaned.
func (v value) absolutePath(def string) string {
	s, ok := v.scalar("a path")
	if !ok {
		return def
	}
	if !path.IsAbs(s) {
		v.errorf("%q must be an absolute path", clip(s))
		return def
	}
	return path.Clean(s)
}

// insidePath reads an absolute path inside a container or of the virtual
// directories of a sandbox: `..` is refused, the rest is cleaned.
func (v value) insidePath(def string) string {
	s, ok := v.scalar("a path")
	if !ok {
		return def
	}
	clean, err := cleanInside(s)
	if err != nil {
		v.errorf("%q %s", clip(s), err)
		return def
	}
	return clean
}

func cleanInside(s string) (string, error) {
	if !path.IsAbs(s) {
		return "", constError("must be an absolute path")
	}
	if slices.Contains(strings.Split(s, "/"), "..") {
		return "", constError("must not have `..` in it")
	}
	return path.Clean(s), nil
}

// pathBelow reads a path that is relative to base unless it is absolute.
func (v value) pathBelow(base, def string) string {
	s := v.str(def)
	if s == "" {
		v.errorf("must not be empty")
		s = def
	}
	if path.IsAbs(s) {
		return path.Clean(s)
	}
	return path.Join(base, s)
}

// sortedBy orders a list by a key.
func sortedBy[T any, K cmp.Ordered](list []T, key func(T) K) []T {
	slices.SortFunc(list, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
	return list
}
