// Package wire is what the supervisor and PID 1 of a container say to each
// other: [Spec] with its encoding (supervisor to PID 1, in a sealed memfd), the
// lines of the record file (PID 1 to supervisor), the numbers of the inherited
// descriptors, the exit codes.
//
//	supervisor                                 PID 1 (lithos_knot)
//	----------                                 -------------------
//	{"created":…} ──► record file
//	Encode ─────────► memfd, fd 3 ───────────► Decode
//	fork, {"forked":…} ► record file, fd 4 ◄── AppendStarted, AppendExited, …
//
// PID 1 has to stay small, so nothing here may import encoding/json, fmt,
// reflect, os or anything that does; a test holds it. Package spawn has the
// same names for those on the supervisor's side.
package wire
