// Package sighold keeps signals from another process, for the time in which it
// could not take them, and sends them afterwards.
//
// A program loses signals at an execve: those that the old handlers took are
// gone, and the new program has no handlers yet. Blocking them does not help,
// because Go's runtime unblocks fatal signals before any code of the program
// runs. So another process, the holder, traces the threads by ptrace(2): each
// signal stops its thread before delivery, and the holder takes it. When the
// holder ends, for any reason, the kernel detaches all threads.
//
// Scope: holding signals. Out of scope: of which process, and when.
package sighold
