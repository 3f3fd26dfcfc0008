package knot

import "lithos/spawn/wire"

// PID 1 without a Go runtime, "bare".
//
// The start of Go's runtime takes 0.9 ms, and 600 kB of memory that stay. No
// part of it is needed to make some hundred system calls and wait. So the
// supervisor, which has a runtime, writes down these calls as a list
// ([Compile]), and lithos_knot is linked with an entry point of its own, which
// carries the list out, starts the program and waits for it, in Go code that
// needs no runtime ([bareMain]).
//
//	supervisor                       lithos_knot
//	----------                       -----------
//	Spec ──► Compile ──► memfd ────► lithosKnotEntry
//	                                   no list, or a call of it fails?
//	                                     └─► Go's own entry ─► Main: the general path
//	                                   mount namespace, pivot_root
//	                                   clone3, execve of the program
//	                                   wait, forward, report ─► exit
//
// Where the list can't be carried out, the process continues to the entry point
// that any Go program has: [Main] continues from bareState, comes to the same
// error, and explains it. So there is one place for explanations, and containers
// that need more than a bare PID 1 can do are made by the general path;
// [Compile] chooses.
//
// Code that runs without a runtime keeps these rules; TestBareNeedsNoRuntime
// looks at the machine code. No allocation (so: no map, closure, interface,
// string concatenation, append beyond a capacity), no defer, no panic, no
// goroutine, no lock, no variable that an init function sets. Linked without the
// entry point (plain `go build`, other machines than amd64) all containers are
// made by the general path.

// bareState tells Main how far a bare PID 1 came.
var bareState struct {
	tried    bool
	attached bool // something is mounted on mount-dir
	pivoted  bool // the host is gone, but the container is not there
	errno    uintptr
	built    bool // the container is there, but the program could not be started
	awaited  bool // and it is due: the supervisor has said so
	log      int  // the open StdioLog, if built

	failed bool    // the program's process could not execute it
	mapped uintptr // bytes at listBase
}

// firstFreeFD is the first descriptor that PID 1 has not inherited.
func firstFreeFD(spec *wire.Spec) int {
	if spec.Standby {
		return standbyFD(spec) + 1
	}
	return standbyFD(spec)
}
