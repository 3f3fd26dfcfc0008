// Package wire is the protocol of the supervisor and PID 1 of a container: [Spec]
// with its encoding (supervisor to PID 1, in a sealed memfd), the lines of the
// record file (PID 1 to supervisor), the numbers of the inherited descriptors,
// the exit codes.
//
//	supervisor                                 PID 1 (lithos_knot)
//	----------                                 -------------------
//	{"created":…} ──► record file
//	Encode ─────────► memfd, fd 3 ───────────► Decode
//	fork, {"forked":…} ► record file, fd 4 ◄── AppendStarted, AppendExited, …
//
// PID 1 stays small, so this package must not import encoding/json, fmt, reflect,
// os or a package that does; a test checks it. Package spawn has the same names
// for the supervisor's side.
package wire
