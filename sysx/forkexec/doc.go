// Package forkexec starts a program by clone3 and execve, with a prepared list
// of raw system calls in between.
//
// # Why not os/exec
//
// The standard library lacks the steps between fork and exec that a container
// needs: joining cgroups by inherited descriptors, choosing the next pid of the
// namespace, capability sets, no_new_privs, the own pid in the environment. A
// helper program would cost each container another exec and another runtime.
//
// # How it works
//
// A [Plan] is the list of the child's steps, as data. The child shares the
// parent's memory (CLONE_VM) while the parent's thread is suspended
// (CLONE_VFORK): nothing is copied, and the index and errno of a failed step come
// back through memory. The child allocates nothing, grows no stack, takes no lock
// and writes no pointer.
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
// Until its execve the child has no exit signal, so that wait4(-1) elsewhere in
// the process does not see a failed child. It is reaped here. The execve makes it
// an ordinary child.
//
// A step that changes user or group ids makes the memory of the parent
// undumpable too, for it is the same memory (prctl(2), PR_SET_DUMPABLE); so
// does the standard library's SysProcAttr.Credential.
//
// Scope: the fork, steps that are one system call each. Out of scope:
// which steps a container needs.
package forkexec
