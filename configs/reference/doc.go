// Package reference describes every option of the four configs: its type, unit,
// default, an example, where the manual speaks of it, and whether it is ours.
//
// From the tables (master.go, sandbox.go, process.go, container.go) come the
// pages docs/config-*.md and the JSON Schemas docs/schemas/*.json; after a change
// of a table:
//
//	go test ./configs/reference -update
//
// Its tests compare the tables with the parser: both know the same keys, each
// default is the parser's, and each example is accepted.
//
// Scope: texts about options. Out of scope: the options' meaning, which is
// configs'. No program links it.
package reference
