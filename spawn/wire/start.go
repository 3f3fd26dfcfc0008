package wire

import "time"

// Descriptors of a fresh PID 1. 0 is /dev/null, 1 and 2 are the record (so
// that a crash of PID 1 itself is read there) unless the Spec is interactive.
// The sockets of Spec.Sockets follow from FDSockets on, the Spec.CgroupFDs
// descriptors after them, then those of Spec.UserNS and Spec.NetNS, and where
// there is an address in Spec.Network the socket that hears others who have it,
// and that of Spec.Standby.
const (
	FDSpec    = 3 // sealed memfd with the Spec; read it with pread from 0
	FDRecord  = 4 // record file, O_APPEND, readable
	FDSockets = 5
)

// Exit codes of lithos_knot (requirement N6).
const (
	ExitNormal   = 0 // asked to stop, or a normal exit code
	ExitSetup    = 1 // the container could not be built
	ExitAbnormal = 2 // the program died of itself
	ExitKilled   = 3 // the program did not die within its kill-timeout
)

// ProgramPID is the pid that a program has inside its container where the
// kernel lets us choose (requirement K2).
const ProgramPID = 2

// StopSignal (SIGPWR) asks PID 1 to stop like TERM, but cannot be lost and does
// not count as an abnormal end, however early it comes (requirement N5): it is
// [Blocked] from before the exec of PID 1 until PID 1 handles it. TERM cannot be
// blocked like this: a Go program unblocks it before it has a handler, and the
// first process of a namespace ignores signals without a handler. So the
// supervisor sends this one.
const StopSignal = 30

// Blocked is the signal mask that PID 1 is executed with, bit n-1 for signal n.
const Blocked = 1 << (StopSignal - 1)

// ClaimPatience is how long others have to say that an address is theirs. On a
// bridge an answer takes well below a millisecond.
const ClaimPatience = 30 * time.Millisecond

// FlagName is in front of the name on PID 1's command line, FlagNext while it
// waits for its program to be due (Spec.Standby): who looks for a container is not
// to find that. They are of one length, since PID 1 writes one over the other.
const (
	FlagName = "--name"
	FlagNext = "--next"
)
