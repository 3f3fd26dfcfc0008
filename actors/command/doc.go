// Package command owns one run of lithos_cmd: its container, the signals for
// it, its clean-up and its exit code (requirements R3, N14).
//
// It is not supervised: what ends has ended. The container is started by the
// same spawner as the daemon's, from the same resolved instance.
//
// Choices of ours: HUP and QUIT ask to stop like TERM does; of several requests
// the first counts, PID 1 forwards one only. The exit code is the program's,
// 128+N if signal N ended it, 137 if it had to be killed after its kill-timeout,
// and 125 ([CodeNotRun]) if there was no program to have one. normal-exit-codes
// is not looked at: the caller wants to know the code, not whether it is good.
package command
