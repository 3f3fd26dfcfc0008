// Package records reads and writes the record of a container: a small file in
// `<runtime-dir>/containers` to which the supervisor and PID 1 append events. The
// next supervisor finds its containers by it.
//
// Scope: the format of the file. Package wire encodes PID 1's own lines, because
// lithos_knot cannot link a JSON package.
package records
