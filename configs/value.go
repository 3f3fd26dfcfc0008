package configs

import (
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// value is one value of a file, present or not, that knows where it stands.
type value struct {
	c    *collector
	node *yaml.Node // aliases resolved; nil = absent
	// up is what the value is in and key how it is reached from there,
	// from which the path is made when there is a problem to tell.
	up  *value
	key string
}

// rootValue is the whole of a document; node may be nil.
func rootValue(c *collector, node *yaml.Node) value {
	return value{c: c, node: resolveAlias(node)}
}

// resolveAlias follows aliases; parseYAML has refused circular ones.
func resolveAlias(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// path is such as "web.instances" or "allow-users[2]".
func (v value) path() string {
	if v.up == nil {
		return v.key
	}
	up := v.up.path()
	if up == "" || strings.HasPrefix(v.key, "[") {
		return up + v.key
	}
	return up + "." + v.key
}

// place is where the value stands, or where it is missing.
func (v value) place() place {
	at := place{path: v.path()}
	for w := &v; w != nil; w = w.up {
		if w.node != nil {
			at.line, at.column = w.node.Line, w.node.Column
			break
		}
	}
	return at
}

func (v value) errorf(format string, args ...any) { v.c.errorAt(v.place(), format, args...) }
func (v value) warnf(format string, args ...any)  { v.c.warnAt(v.place(), format, args...) }

// null tells whether the value is absent or one of YAML's nulls.
func (v value) null() bool {
	if v.node == nil {
		return true
	}
	if v.node.Kind != yaml.ScalarNode || quoted(v.node) {
		return false
	}
	switch v.node.Value {
	case "", "~", "null", "Null", "NULL":
		return true
	}
	return false
}

// empty tells whether the value is absent, null, or a list or mapping without
// elements.
func (v value) empty() bool {
	return v.null() || v.node.Kind != yaml.ScalarNode && len(v.node.Content) == 0
}

func quoted(n *yaml.Node) bool {
	return n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
}

// tag returns the value's own tag, such as "!Tmpfs", or "".
func (v value) tag() string {
	if v.node == nil || strings.HasPrefix(v.node.Tag, "!!") {
		return ""
	}
	return v.node.Tag
}

// untagged reports a tag where none has a meaning.
func (v value) untagged() bool {
	if v.node == nil || v.node.Style&yaml.TaggedStyle == 0 {
		return true
	}
	switch v.node.Tag {
	case "!!str", "!!int", "!!float", "!!bool", "!!null", "!!map", "!!seq":
		return true
	}
	v.errorf("unexpected tag %s", v.node.Tag)
	return false
}

// withoutTag is the value as it would be without its own tag.
func (v value) withoutTag() value {
	if v.tag() != "" {
		n := *v.node
		n.Tag, n.Style = "", n.Style&^yaml.TaggedStyle
		v.node = &n
	}
	return v
}

// what names the kind of value for an error.
func (v value) what() string {
	switch {
	case v.null():
		return "nothing"
	case v.node.Kind == yaml.MappingNode:
		return "a mapping"
	case v.node.Kind == yaml.SequenceNode:
		return "a list"
	}
	return strconv.Quote(clip(v.node.Value))
}

// clip shortens what is quoted in an error.
func clip(s string) string {
	const most = 100
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// entry is one key of a mapping with its value.
type entry struct {
	name  string
	at    *yaml.Node // the key
	value value
	twice bool // the key is there again, which was reported
}

// entries returns the keys of a mapping in the order of the file, merge keys
// (`<<`) applied. Absence and null are an empty mapping. Keys are as written.
func (v value) entries() ([]entry, bool) {
	if v.null() {
		return nil, true
	}
	if v.node.Kind != yaml.MappingNode {
		v.errorf("expected a mapping, got %s", v.what())
		return nil, false
	}
	if !v.untagged() {
		return nil, false
	}
	list, ok := v.ownEntries()
	have := make(map[string]bool, len(list))
	for _, e := range list {
		have[e.name] = true
	}
	for _, source := range v.merged() {
		for _, e := range source {
			if !have[e.name] {
				have[e.name] = true
				list = append(list, e)
			}
		}
	}
	return list, ok
}

// ownEntries are the keys that the mapping itself has.
func (v value) ownEntries() ([]entry, bool) {
	content, ok := v.node.Content, true
	list := make([]entry, 0, len(content)/2)
	seen := make(map[string]int, len(content)/2) // index in list
	for i := 0; i+1 < len(content); i += 2 {
		k := resolveAlias(content[i])
		if k.Tag == "!!merge" {
			continue
		}
		if k.Kind != yaml.ScalarNode {
			v.c.errorAt(place{k.Line, k.Column, v.path()}, "a key must be a plain word")
			ok = false
			continue
		}
		e := entry{name: k.Value, at: content[i], value: value{c: v.c, node: resolveAlias(content[i+1]), up: &v, key: k.Value}}
		if first, twice := seen[k.Value]; twice {
			v.c.errorAt(e.keyPlace(), "duplicate key, it was given in line %d already", list[first].at.Line)
			list[first].twice, ok = true, false
			continue
		}
		seen[k.Value] = len(list)
		list = append(list, e)
	}
	return list, ok
}

// merged returns the entries of what the merge keys of the mapping name, the
// first of equal ones being the one that counts.
func (v value) merged() [][]entry {
	var all [][]entry
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		if resolveAlias(v.node.Content[i]).Tag != "!!merge" {
			continue
		}
		source := resolveAlias(v.node.Content[i+1])
		nodes := []*yaml.Node{source}
		if source.Kind == yaml.SequenceNode {
			nodes = source.Content
		}
		for _, n := range nodes {
			from := value{c: v.c, node: resolveAlias(n), up: v.up, key: v.key}
			if from.node.Kind != yaml.MappingNode {
				from.errorf("`<<` takes a mapping or a list of mappings, got %s", from.what())
				continue
			}
			if list, ok := from.entries(); ok {
				all = append(all, list)
			}
		}
	}
	return all
}

// keyPlace is where the key of the entry stands.
func (e entry) keyPlace() place { return place{e.at.Line, e.at.Column, e.value.path()} }

// quiet is the value with its problems told to nobody, for a look ahead at
// what is read in full elsewhere.
func (v value) quiet() value {
	v.c, v.up = &collector{}, nil
	return v
}

// has tells whether the value is a mapping that has a key.
func (v value) has(key string) bool {
	list, _ := v.quiet().entries()
	return slices.ContainsFunc(list, func(e entry) bool { return e.name == key })
}

// object is a mapping with a fixed set of keys.
type object struct {
	value
	fields map[string]value // by the key's name in kebab-case
}

// object reads a mapping whose keys are among those known, in kebab-case or
// snake_case; keys that begin with an underscore are ignored. A known key of
// the form "new=old" makes old another spelling of new.
func (v value) object(known []string) (object, bool) {
	o := object{value: v, fields: map[string]value{}}
	list, ok := v.entries()
	for _, e := range list {
		if strings.HasPrefix(e.name, "_") {
			continue
		}
		name := canonical(e.name, known)
		if name == "" {
			v.c.errorAt(e.keyPlace(), "unknown key%s", v.c.didYouMean(e.name, spellings(known)))
			ok = false
			continue
		}
		if first, twice := o.fields[name]; twice {
			v.c.errorAt(e.keyPlace(), "the same as `%s`, which is given too", first.key)
			ok = false
			continue
		}
		o.fields[name] = e.value
	}
	return o, ok
}

// canonical returns the key's name in kebab-case, or "" if it is not known.
func canonical(key string, known []string) string {
	kebab := strings.ReplaceAll(key, "_", "-")
	for _, k := range known {
		name, other, _ := strings.Cut(k, "=")
		if kebab == name || kebab == other {
			return name
		}
	}
	return ""
}

func spellings(known []string) []string {
	var list []string
	for _, k := range known {
		name, other, two := strings.Cut(k, "=")
		list = append(list, name)
		if two {
			list = append(list, other)
		}
	}
	return list
}

// get returns the value of a key, which may be absent.
func (o *object) get(name string) value {
	if v, ok := o.fields[name]; ok {
		return v
	}
	return value{c: o.c, up: &o.value, key: name}
}

// items returns the elements of a list. Absence and null are an empty list.
func (v value) items() ([]value, bool) {
	if v.null() {
		return nil, true
	}
	if v.node.Kind != yaml.SequenceNode {
		v.errorf("expected a list, got %s", v.what())
		return nil, false
	}
	list := make([]value, 0, len(v.node.Content))
	for i, n := range v.node.Content {
		list = append(list, value{c: v.c, node: resolveAlias(n), up: &v, key: "[" + strconv.Itoa(i) + "]"})
	}
	return list, v.untagged()
}

// oneOf reads a word out of a list of words.
func (v value) oneOf(def string, words ...string) string {
	s := v.str(def)
	if s != def && !slices.Contains(words, s) {
		v.errorf("%q is not one of %s%s", clip(s), strings.Join(words, ", "), v.c.didYouMean(s, words))
		return def
	}
	return s
}
