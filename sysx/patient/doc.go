// Package patient limits the wait for system calls that may never return.
//
// Two kinds are known. A file system whose server is gone does not answer, and
// its callers cannot be ended even by SIGKILL. And most files of /proc/PID block
// while that process executes a program, which may take for ever if it closes a
// descriptor on such a file system. That wait ends with the caller.
//
// An abandoned call continues in a thread of its own. Until it returns, nobody
// repeats it for the same object. A process that has to exit in any case needs a
// helper process for calls on file systems.
package patient
