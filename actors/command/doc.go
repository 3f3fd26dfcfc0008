// Package command owns one run of lithos_cmd: its container, the signals for
// it, its clean-up and its exit code (requirements R3, N14).
//
// A command is not restarted. The daemon's spawner starts its container, from the
// same resolved instance.
//
// Choices of ours: HUP and QUIT ask to stop like TERM. Only the first of several
// requests is forwarded by PID 1. The exit code is the program's, 128+N if signal
// N ended it, 137 if it was killed after its kill-timeout, and 125 ([CodeNotRun])
// if no program ran. normal-exit-codes does not apply: the caller wants the code
// itself.
package command
