package document

import (
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Value is one value of a file, present or not, that knows where it stands.
type Value struct {
	c    *Collector
	node *yaml.Node // aliases resolved; nil = absent
	// up is what the value is in and key how it is reached from there,
	// from which the path is made when there is a problem to tell.
	up  *Value
	key string
}

// rootValue is the whole of a document; node may be nil.
func rootValue(c *Collector, node *yaml.Node) Value {
	return Value{c: c, node: resolveAlias(node)}
}

// Scalar is a value that stands in no file.
func Scalar(text string) Value {
	return Value{c: &Collector{}, node: &yaml.Node{Kind: yaml.ScalarNode, Value: text}}
}

// resolveAlias follows aliases; parse has refused circular ones.
func resolveAlias(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// Path is such as "web.instances" or "allow-users[2]".
func (v Value) Path() string {
	if v.up == nil {
		return v.key
	}
	up := v.up.Path()
	if up == "" || strings.HasPrefix(v.key, "[") {
		return up + v.key
	}
	return up + "." + v.key
}

// Place is where the value stands, or where it is missing.
func (v Value) Place() Place {
	at := Place{Path: v.Path()}
	for w := &v; w != nil; w = w.up {
		if w.node != nil {
			at.Line, at.Column = w.node.Line, w.node.Column
			break
		}
	}
	return at
}

// Errorf reports an error of the value.
func (v Value) Errorf(format string, args ...any) { v.c.ErrorAt(v.Place(), format, args...) }

// Warnf reports a warning about the value.
func (v Value) Warnf(format string, args ...any) { v.c.WarnAt(v.Place(), format, args...) }

// Absent tells whether there is no value at all, which null is.
func (v Value) Absent() bool { return v.node == nil }

// Null tells whether the value is absent or one of YAML's nulls.
func (v Value) Null() bool {
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

// Collector gathers the problems of the value's file.
func (v Value) Collector() *Collector { return v.c }

// IsMapping tells whether the value is a mapping.
func (v Value) IsMapping() bool { return !v.Null() && v.node.Kind == yaml.MappingNode }

// IsList tells whether the value is a list.
func (v Value) IsList() bool { return !v.Null() && v.node.Kind == yaml.SequenceNode }

// Empty tells whether the value is absent, null, or a list or mapping without
// elements.
func (v Value) Empty() bool {
	return v.Null() || v.node.Kind != yaml.ScalarNode && len(v.node.Content) == 0
}

func quoted(n *yaml.Node) bool {
	return n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
}

// Tag returns the value's own tag, such as "!Tmpfs", or "".
func (v Value) Tag() string {
	if v.node == nil || strings.HasPrefix(v.node.Tag, "!!") {
		return ""
	}
	return v.node.Tag
}

// untagged reports a tag where none has a meaning.
func (v Value) untagged() bool {
	if v.node == nil || v.node.Style&yaml.TaggedStyle == 0 {
		return true
	}
	switch v.node.Tag {
	case "!!str", "!!int", "!!float", "!!bool", "!!null", "!!map", "!!seq":
		return true
	}
	if v.node.Kind == yaml.ScalarNode {
		v.Warnf("the tag %s means nothing here", Clip(v.node.Tag))
		return true
	}
	v.Errorf("unexpected tag %s", v.node.Tag)
	return false
}

// WithoutTag is the value as it would be without its own tag.
func (v Value) WithoutTag() Value {
	if v.Tag() != "" {
		n := *v.node
		n.Tag, n.Style = "", n.Style&^yaml.TaggedStyle
		v.node = &n
	}
	return v
}

// Describe names the kind of value for an error.
func (v Value) Describe() string {
	switch {
	case v.Null():
		return "nothing"
	case v.node.Kind == yaml.MappingNode:
		return "a mapping"
	case v.node.Kind == yaml.SequenceNode:
		return "a list"
	}
	return strconv.Quote(Clip(v.node.Value))
}

// Clip shortens what is quoted in an error.
func Clip(s string) string {
	const most = 100
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// Entry is one key of a mapping with its value.
type Entry struct {
	Name  string
	Value Value
	Twice bool // the key is there again, which was reported
	at    *yaml.Node
}

// Entries returns the keys of a mapping in the order of the file, merge keys
// (`<<`) applied. Absence and null are an empty mapping. Keys are as written.
func (v Value) Entries() ([]Entry, bool) {
	if v.Null() {
		return nil, true
	}
	if v.node.Kind != yaml.MappingNode {
		v.Errorf("expected a mapping, got %s", v.Describe())
		return nil, false
	}
	if !v.untagged() {
		return nil, false
	}
	list, ok := v.ownEntries()
	have := make(map[string]bool, len(list))
	for _, e := range list {
		have[e.Name] = true
	}
	for _, source := range v.merged() {
		for _, e := range source {
			if !have[e.Name] {
				have[e.Name] = true
				list = append(list, e)
			}
		}
	}
	return list, ok
}

// ownEntries are the keys that the mapping itself has.
func (v Value) ownEntries() ([]Entry, bool) {
	content, ok := v.node.Content, true
	list := make([]Entry, 0, len(content)/2)
	seen := make(map[string]int, len(content)/2) // index in list
	for i := 0; i+1 < len(content); i += 2 {
		k := resolveAlias(content[i])
		if k.Tag == "!!merge" {
			continue
		}
		if k.Kind != yaml.ScalarNode {
			v.c.ErrorAt(Place{k.Line, k.Column, v.Path()}, "a key must be a plain word")
			ok = false
			continue
		}
		e := Entry{Name: k.Value, at: content[i], Value: Value{c: v.c, node: resolveAlias(content[i+1]), up: &v, key: k.Value}}
		if first, twice := seen[k.Value]; twice {
			v.c.ErrorAt(e.KeyPlace(), "duplicate key, it was given in line %d already", list[first].at.Line)
			list[first].Twice, ok = true, false
			continue
		}
		seen[k.Value] = len(list)
		list = append(list, e)
	}
	return list, ok
}

// merged returns the entries of what the merge keys of the mapping name, the
// first of equal ones being the one that counts.
func (v Value) merged() [][]Entry {
	var all [][]Entry
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
			from := Value{c: v.c, node: resolveAlias(n), up: v.up, key: v.key}
			if from.node.Kind != yaml.MappingNode {
				from.Errorf("`<<` takes a mapping or a list of mappings, got %s", from.Describe())
				continue
			}
			if list, ok := from.Entries(); ok {
				all = append(all, list)
			}
		}
	}
	return all
}

// Errorf reports an error of the key.
func (e Entry) Errorf(format string, args ...any) { e.Value.c.ErrorAt(e.KeyPlace(), format, args...) }

// Warnf reports a warning about the key.
func (e Entry) Warnf(format string, args ...any) { e.Value.c.WarnAt(e.KeyPlace(), format, args...) }

// KeyPlace is where the key of the entry stands.
func (e Entry) KeyPlace() Place { return Place{e.at.Line, e.at.Column, e.Value.Path()} }

// TagAsWord is the value `!word` as if it had been written `word`.
func (v Value) TagAsWord() Value {
	word, tagged := strings.CutPrefix(v.Tag(), "!")
	if tagged && v.WithoutTag().Null() {
		n := *v.node
		n.Value, n.Tag, n.Style = word, "!!str", 0
		v.node = &n
	}
	return v
}

// Quiet is the value with its problems dropped, for a look ahead at a value that
// is read in full elsewhere.
func (v Value) Quiet() Value {
	v.c = &Collector{}
	return v
}

// Has tells whether the value is a mapping that has a key.
func (v Value) Has(key string) bool {
	list, _ := v.Quiet().Entries()
	return slices.ContainsFunc(list, func(e Entry) bool { return e.Name == key })
}

// Object is a mapping with a fixed set of keys.
type Object struct {
	Value
	fields []field // in the order of the file
}

// field is a value by its key's name in kebab-case.
type field struct {
	name  string
	value Value
}

// Keys are the known keys of a mapping: a name in kebab-case, which may be written
// in snake_case, and other spellings of it.
type Keys struct {
	names   []string // each spelling, for suggestions
	byName  map[string]string
	foreign map[string]string
}

// NewKeys makes a set of keys.
func NewKeys(names ...string) *Keys {
	k := &Keys{byName: map[string]string{}}
	for _, name := range names {
		k.Add(name, "")
	}
	return k
}

// Add adds a key, and another spelling if that is not "".
func (k *Keys) Add(name, other string) {
	for _, spelling := range []string{name, other} {
		if spelling != "" {
			k.names = append(k.names, spelling)
			k.byName[spelling] = name
		}
	}
}

// Foreign has words that other container tools use for what is here called as the
// map says, a sentence's end.
func (k *Keys) Foreign(words map[string]string) { k.foreign = words }

// meant is what an unknown key was probably meant to be, as the end of a sentence.
func (k *Keys) meant(key string, c *Collector) string {
	if here, ok := k.foreign[strings.ReplaceAll(strings.ToLower(key), "_", "-")]; ok {
		return ": lithos calls it " + here
	}
	return c.DidYouMean(key, k.names)
}

// name is a key's name in kebab-case, or "" if it is not known.
func (k *Keys) name(key string) string {
	if name, ok := k.byName[key]; ok {
		return name
	}
	return k.byName[strings.ReplaceAll(key, "_", "-")]
}

// Object reads a mapping whose keys are among those known. Keys that begin with an
// underscore are ignored.
func (v Value) Object(known *Keys) (Object, bool) {
	list, ok := v.Entries()
	o := Object{Value: v, fields: make([]field, 0, min(len(list), len(known.names)))}
	for _, e := range list {
		if strings.HasPrefix(e.Name, "_") {
			continue
		}
		name := known.name(e.Name)
		if name == "" {
			e.Errorf("unknown key%s", known.meant(e.Name, v.c))
			ok = false
			continue
		}
		if i := slices.IndexFunc(o.fields, func(f field) bool { return f.name == name }); i >= 0 {
			e.Warnf("the same as `%s`, which is given too; this one counts", o.fields[i].value.key)
			o.fields[i].value = e.Value
			continue
		}
		o.fields = append(o.fields, field{name, e.Value})
	}
	return o, ok
}

// Given tells whether the key is there, if only with null.
func (o *Object) Given(name string) bool {
	return slices.ContainsFunc(o.fields, func(f field) bool { return f.name == name })
}

// Usable tells whether the value was a mapping with at least one known key.
func (o *Object) Usable() bool { return len(o.fields) > 0 }

// Get returns the value of a key, which may be absent.
func (o *Object) Get(name string) Value {
	for i := range o.fields {
		if o.fields[i].name == name {
			return o.fields[i].value
		}
	}
	return Value{c: o.c, up: &o.Value, key: name}
}

// Items returns the elements of a list. Absence and null are an empty list.
func (v Value) Items() ([]Value, bool) {
	if v.Null() {
		return nil, true
	}
	if v.node.Kind != yaml.SequenceNode {
		v.Errorf("expected a list, got %s", v.Describe())
		return nil, false
	}
	list := make([]Value, 0, len(v.node.Content))
	for i, n := range v.node.Content {
		list = append(list, Value{c: v.c, node: resolveAlias(n), up: &v, key: "[" + strconv.Itoa(i) + "]"})
	}
	return list, v.untagged()
}

// OneOf reads a word out of a list of words.
func (v Value) OneOf(def string, words ...string) string {
	s := v.Str(def)
	if s != def && !slices.Contains(words, s) {
		v.Errorf("%q is not one of %s%s", Clip(s), strings.Join(words, ", "), v.c.DidYouMean(s, words))
		return def
	}
	return s
}

// Places are where a mapping and its values stand.
type Places struct {
	root Place
	list []keyPlace
}

type keyPlace struct {
	key          string
	line, column int
}

// Places are where the values of the keys that are there stand.
func (o *Object) Places() Places {
	p := Places{root: o.Value.Place(), list: make([]keyPlace, len(o.fields))}
	for i, f := range o.fields {
		p.list[i] = keyPlace{f.name, f.value.node.Line, f.value.node.Column}
	}
	return p
}

// PlacesOf are where the values of a mapping with free keys stand.
func PlacesOf(v Value) Places {
	p := Places{root: v.Place()}
	if v.Null() {
		return p
	}
	list, _ := v.Quiet().Entries()
	p.list = make([]keyPlace, 0, len(list))
	for _, e := range list {
		p.Set(e.Name, e.Value)
	}
	return p
}

// At is where the value of a key stands, or the mapping where the key is missing.
func (p *Places) At(key string) Place {
	at := p.root
	if at.Path != "" {
		at.Path += "."
	}
	at.Path += key
	for _, k := range p.list {
		if k.key == key {
			at.Line, at.Column = k.line, k.column
		}
	}
	return at
}

// Set adds the place of a value that is there.
func (p *Places) Set(key string, v Value) {
	p.list = append(p.list, keyPlace{key, v.node.Line, v.node.Column})
}
