// Package reference writes the pages docs/config-*.md and the JSON Schemas
// docs/schemas/*.json from the declarations of the options in configs; after a
// change of one:
//
//	go test ./configs/reference -update
//
// Its tests hold the words to the parser: each default means the same as nothing,
// and each example is accepted.
//
// Scope: how a page and a schema look. Out of scope: a word about one option, which
// stands where it is declared. No program links it.
package reference
