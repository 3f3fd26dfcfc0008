// Package deadline gives system calls that may never return a deadline.
//
// Two kinds of them are known. A file system whose server is gone does not answer,
// and a thread that waits for it can't be ended even by SIGKILL. And most files of
// /proc about a process wait while that process executes a program: if a descriptor
// on such a file system is closed by that, they wait for ever. That wait ends with
// the thread that waits.
//
// A call that is given up goes on in a thread of its own, and nobody calls again for
// the same thing before it has returned. A program that has to end all the same, and
// may wait for a file system, needs a process for such calls.
package deadline
