// Package option declares the options of a config, each once: its key, its type
// with unit and bounds, its default, a sentence about it, and the field that it
// is read into.
//
// A [Kind] is a type of values: how one is read, how it is shown, and how a page
// and a JSON Schema describe it. [Of] binds a key and a kind to a field. A
// [Table] are the options of one mapping; it reads them, knows their spellings,
// and tells what configs/reference writes into the pages.
//
// Scope: kinds of values that any config may have. Out of scope: an option of
// lithos.
package option
