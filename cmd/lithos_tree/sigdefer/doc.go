// Package sigdefer defers signals of a process over its execve, and sends them
// afterwards.
//
// A program that becomes another one by execve can't take signals for a while:
// those that the old program's handlers have taken are gone with it, and the new
// one has no handlers yet. To block the signals is no help: Go's runtime unblocks
// those that end a program, before any of the program's own code runs. So another
// process, the holder, takes the signals by ptrace(2): each that is to be
// delivered stops the thread that would get it, and is taken away. When the holder
// ends, in whatever way, the kernel detaches all threads.
//
// The deferring belongs here. For which process, and when, is the caller's.
package sigdefer
