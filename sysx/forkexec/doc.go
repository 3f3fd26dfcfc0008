// Package forkexec starts a program by clone3 and execve, with a prepared list
// of raw system calls in between.
//
// # Why not os/exec
//
// What a container needs between fork and exec (joining cgroups by inherited
// descriptors, steering the next pid of the namespace, capability sets,
// no_new_privs, a chosen pid, the own pid in the environment) is not to be had
// from the standard library, and a second program that does it would cost
// another exec and another runtime in each container.
//
// # How it works
//
// The caller writes down what the child has to do as data, a [Plan]. The child
// shares the parent's memory (CLONE_VM) while the parent's thread is suspended
// (CLONE_VFORK), so nothing is copied and the index and errno of a failing
// step come back through memory. Nothing is allocated in the child, no stack
// grows, no lock is taken, no pointer is written.
//
//	parent                            child
//	------                            -----
//	Plan, descriptors, argv, envp
//	block signals, clone3 ──────────► signal mask of the parent; handlers were
//	   (suspended)                      cleared by CLONE_CLEAR_SIGHAND
//	                                  Attr.Steps (the parent's descriptor numbers)
//	                                  descriptors in their places, the rest closed
//	                                  RLIMIT_NOFILE as it was before Go raised it
//	                                  Attr.Last (the program's descriptor numbers)
//	                                  own pid into the environment
//	   (resumed) ◄──────────────────  execve, or errno and exit
//	unblock signals
//
// Ignored signals stay ignored, as with os/exec; [Plan.DefaultSignals] changes
// that.
//
// Until its execve the child has no exit signal: wait4(-1) elsewhere in the
// process doesn't see a child that failed before, it is reaped here. The
// execve makes it an ordinary child.
//
// A step that changes user or group ids makes the memory of the parent
// undumpable too, for it is the same memory (prctl(2), PR_SET_DUMPABLE); so
// does the standard library's SysProcAttr.Credential.
//
// What belongs here: the fork, steps that are one system call each. What does
// not: which steps a container needs.
package forkexec
