// Package records reads and writes the record of a container: a small file in
// `<runtime-dir>/containers` to which the supervisor and PID 1 append what
// happens. A supervisor finds in it the containers of the one before it.
//
// What belongs here: the form of the file. PID 1's own lines are encoded in
// package wire, since lithos_knot can't link a JSON package.
package records
