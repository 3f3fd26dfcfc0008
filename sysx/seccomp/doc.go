// Package seccomp compiles a list of rules to the program that seccomp(2)
// takes: classic BPF, by which the kernel decides about each system call.
//
//	architecture other than ours ── BadArch
//	number ─► binary search ─► action of the rule, or the default
//	                           or tests of arguments, and one of two actions
//
// Only the low 32 bits of an argument are tested: those of the arguments that
// matter (flags, a request, an address family) are all that the kernel looks
// at, and a test of 64 bits could be passed by by setting the others.
//
// Scope: the compiler. Out of scope: the choice of calls.
package seccomp
