// Package patient waits for calls of the kernel that may never return, and not
// longer than is good.
//
// Two kinds of them are known. A file system whose server is gone does not answer,
// and who waits for it can't be ended even by SIGKILL. And most of what /proc tells
// of a process waits while that process executes a program: a descriptor on such a
// file system that is closed by that has it take for ever. That wait ends with the
// one who waits.
//
// A call that is given up goes on in a thread of its own, and nobody calls again for
// the same thing before it has returned. Who has to end all the same, and may wait
// for a file system, needs a process for such calls.
package patient
