// Package sighold keeps signals from another process, for the time in which it
// could not take them, and sends them afterwards.
//
// A program that becomes another one by execve has such a time: what the old
// one's handlers have taken is gone with it, and the new one has no handlers
// yet. Blocking the signals is no help: Go's runtime unblocks those that end a
// program, before any of the program's own code runs. So another process, the
// holder, looks at the signals by ptrace(2): each that is to be delivered stops
// the thread that would get it, and is taken away. When the holder ends, in
// whatever way, the kernel lets go of all threads.
//
// What belongs here: the holding. What does not: for whom, and when.
package sighold
