// Package reference describes every option of the four configs: its type, unit,
// default, an example, where the manual speaks of it, and whether it is ours.
//
// From the tables (master.go, sandbox.go, process.go, container.go) come the
// pages docs/config-*.md and the JSON Schemas docs/schemas/*.json; after a change
// of a table:
//
//	go test ./configs/reference -update
//
// Its tests hold the tables to the parser: each key that is known is described
// and the other way round, each default is what the parser takes when the key is
// missing, and each example is accepted.
//
// What belongs here: words about options. What does not: the options' meaning,
// which is configs'. No program links it.
package reference
