package knot

import (
	"unsafe"

	"lithos/spawn/wire"
)

// The quick path: PID 1 without a Go runtime.
//
// Most of the time between the death of a program and the first instruction of
// its successor was the start of Go's runtime in PID 1 (0.9 of 1.0 ms until
// main, and 600 kB of memory that stay), and nothing of it is needed to make
// some hundred system calls and wait. So the supervisor, which has a runtime,
// writes down these calls as a list ([Compile]), and lithos_knot is linked with
// an entry point of its own, which carries the list out, starts the program
// and waits for it, in Go code that needs no runtime ([quickMain]).
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
// Where the list can't be carried out, the process goes on to the entry point
// that any Go program has: [Main] takes over with what quickState says, comes to
// the same error, and explains it. So there is one place for explanations, and
// containers that need more than the quick path has are made by the general
// one; [Compile] chooses.
//
// Code that runs without a runtime keeps these rules; TestQuickNeedsNoRuntime
// looks at the machine code. No allocation (so: no map, closure, interface,
// string concatenation, append beyond a capacity), no defer, no panic, no
// goroutine, no lock, no variable that an init function sets. Linked without the
// entry point (plain `go build`, other machines than amd64) all containers are
// made by the general path.

// quickBase is where the list is in PID 1's memory: it has absolute addresses
// in it. Far from the program (below 4 GiB), from Go's heap (from 768 GiB on)
// and from what the kernel places (below 128 TiB).
const quickBase = 64 << 30

const (
	// quickMagic ends with a number that changes with every change of the list's
	// layout: a supervisor may start a lithos_knot that was installed after it.
	quickMagic = 'L' | 'K'<<8 | 'Q'<<16 | 2<<24
	quickPage  = 4096 // what is kept of the memory while the program runs
	quickRegs  = 64
	quickBuf   = 2048 // more than a line of the record or a log, bytes
)

// quickHead is at the beginning of the list's memory. Addresses are absolute.
type quickHead struct {
	magic uint64
	size  uint64 // of all

	build, buildLen uint64 // steps that make the container
	attached        uint64 // from this step on something is on mount-dir
	pivoted         uint64 // and from this one on the host is gone
	start, startLen uint64 // steps of the program's process, the last an execve
	clone           uint64 // its clone_args

	log     uint64 // descriptor of StdioLog; those from FDSockets+sockets to it are closed
	sockets uint64
	standby uint64 // descriptor to wait at before the program is started, 0 = none

	killTimeout int64     // ns
	normal      [4]uint64 // exit codes, a bit each

	// Texts of the lines in StdioLog; the last two are in the first page.
	starting, process, killing quickText
}

type quickText struct{ addr, len uint64 }

// quickStep is one system call.
type quickStep struct {
	trap    uint32
	into    uint8 // register for the result, 0 = none
	skip    uint8 // how many more steps to leave out after an error in tolerate
	from    [6]uint8
	_       [4]byte
	want    uint64 // the result that it has to have, 0 = any
	allowed uint64 // errors that are none, a bit each
	args    [6]uint64
}

// quickKind is a step of our own: args[0] is a descriptor, args[1] has a bit
// for each type of file that it may be of (S_IFMT>>12). Else it is EINVAL.
const quickKind = 1 << 20

// quickAnyError as allowed: no error matters.
const quickAnyError = ^uint64(0)

// quickNever as want: the step may only fail, by an error that is allowed.
const quickNever = 1 << 62

// quickState tells Main how far the quick path came.
var quickState struct {
	tried    bool
	attached bool // something is mounted on mount-dir
	pivoted  bool // the host is gone, but the container is not there
	errno    uintptr
	built    bool // the container is there, but the program could not be started
	awaited  bool // and it is due: the supervisor has said so
	log      int  // the open StdioLog, if built

	failed bool    // the program's process could not execute it
	mapped uintptr // bytes at quickBase
}

// quickAt is the memory at an address of the list.
func quickAt(addr uint64) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&addr)) }

// firstFreeFD is the first descriptor that PID 1 has not inherited.
func firstFreeFD(spec *wire.Spec) int {
	if spec.Standby {
		return standbyFD(spec) + 1
	}
	return standbyFD(spec)
}
