package option

import (
	"strings"

	"lithos/configs/document"
)

// Doc is what is said of an option beside its key and its type.
type Doc struct {
	Old     string // another spelling that means the same
	Default string // as in YAML; "" = none, what then happens is in Text
	Example string // as in YAML, the value alone
	Manual  string // chapter of the manual of lithos 0.18; "" = ours
	Missing string // the error if the option is not given; "" = it need not be
	Text    string // one or more sentences of Markdown
}

// Required is the usual error for an option that is missing.
const Required = "is required"

// Info describes an option.
type Info struct {
	Key string
	Type
	Doc
}

// Option is a key of a mapping that is read into a T.
type Option[T any] struct {
	Info
	read func(v document.Value, to *T) // nil: it is read together with others
	// absent gives the field the value of what is not there; nil: it stays.
	absent func(to *T)
	show   func(of *T) string // nil: there are no words for it
	def    string             // the words for its default
}

// Of declares an option and the field that it is read into. Without a default
// an absent option leaves the field as it is.
func Of[T, F any](key string, kind Kind[F], field func(*T) *F, doc Doc) Option[T] {
	o := Option[T]{Info: Info{key, kind.Type, doc}}
	o.read = func(v document.Value, to *T) {
		f := field(to)
		*f = kind.Read(v, *f)
	}
	def, ok := kind.parse(doc.Default)
	switch {
	case ok:
		o.read = func(v document.Value, to *T) { *field(to) = kind.Read(v, def) }
		o.absent = func(to *T) { *field(to) = def }
	case kind.Absent:
		o.absent = func(to *T) { o.read(document.Value{}, to) }
	}
	if kind.Show != nil {
		o.show = func(of *T) string { return kind.Show(*field(of)) }
		if ok {
			o.def = kind.Show(def)
		}
	}
	return o
}

// Described declares an option that is read together with others.
func Described[T any](key string, t Type, doc Doc) Option[T] {
	return Option[T]{Info: Info{key, t, doc}}
}

// parse is the value of a default; ok is false without one, and for lists and
// mappings, whose default is that they are empty.
func (k Kind[F]) parse(text string) (def F, ok bool) {
	if text == "" || strings.ContainsAny(text[:1], "[{") {
		return def, false
	}
	v := document.Scalar(strings.Trim(text, `"`))
	def = k.Read(v, def)
	if v.Collector().Broken() {
		panic("option: a default is not accepted: " + v.Collector().List[0].Text)
	}
	return def, true
}

// Table are the options of one mapping, in the order of its page.
type Table[T any] struct {
	options []Option[T]
	keys    *document.Keys
}

// NewTable makes a table of options.
func NewTable[T any](options ...Option[T]) *Table[T] {
	t := &Table[T]{options: options, keys: document.NewKeys()}
	for _, o := range options {
		t.keys.Add(o.Key, o.Old)
	}
	return t
}

// Foreign gives the words of other tools for these options, see [document.Keys].
func (t *Table[T]) Foreign(words map[string]string) *Table[T] {
	t.keys.Foreign(words)
	return t
}

// Object reads the keys of a mapping, and none of the options.
func (t *Table[T]) Object(v document.Value) (document.Object, bool) { return v.Object(t.keys) }

// Read reads the options of a mapping, in the order of the table.
func (t *Table[T]) Read(v document.Value, to *T) (document.Object, bool) {
	o, ok := t.Object(v)
	t.ReadAll(&o, to)
	return o, ok
}

// ReadAll reads the options of a mapping whose keys were read.
func (t *Table[T]) ReadAll(o *document.Object, to *T) {
	for i := range t.options {
		t.options[i].from(o, to)
	}
}

// Defaults gives all options the values that they have in an empty mapping.
func (t *Table[T]) Defaults(to *T) {
	for i := range t.options {
		if absent := t.options[i].absent; absent != nil {
			absent(to)
		}
	}
}

// ReadOne reads one option of a mapping.
func (t *Table[T]) ReadOne(key string, o *document.Object, to *T) {
	for i := range t.options {
		if t.options[i].Key == key {
			t.options[i].from(o, to)
		}
	}
}

func (o *Option[T]) from(in *document.Object, to *T) {
	v := in.Get(o.Key)
	switch {
	case o.Missing != "" && (v.Null() || o.list && v.Empty()):
		v.Errorf("%s", o.Missing)
	case o.read != nil && !v.Absent():
		o.read(v, to)
	case o.absent != nil:
		o.absent(to)
	}
}

// Infos describe the options.
func (t *Table[T]) Infos() []Info {
	infos := make([]Info, len(t.options))
	for i, o := range t.options {
		infos[i] = o.Info
	}
	return infos
}

// Keys are the names of the options.
func (t *Table[T]) Keys() []string {
	keys := make([]string, len(t.options))
	for i, o := range t.options {
		keys[i] = o.Key
	}
	return keys
}

// Show writes a mapping as a config may have it, without options that have their
// default.
func (t *Table[T]) Show(of *T, more ...string) string {
	words := more
	for i := range t.options {
		o := &t.options[i]
		if o.show == nil {
			continue
		}
		if text := o.show(of); text != o.def && text != "" {
			words = append(words, o.Key+": "+text)
		}
	}
	return "{" + strings.Join(words, ", ") + "}"
}
