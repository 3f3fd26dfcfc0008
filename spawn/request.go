package spawn

import (
	"os"
	"time"
)

// Descriptors of a fresh PID 1. 0 is /dev/null, 1 and 2 are the record (so
// that a crash of PID 1 itself is read there) unless the Spec is interactive.
// Sockets follow from FDSockets on, the cgroup descriptors after them.
const (
	FDSpec    = 3 // sealed memfd with the Spec
	FDRecord  = 4 // record file, O_APPEND
	FDSockets = 5
)

// Exit codes of lithos_knot (checklist N6).
const (
	ExitNormal   = 0 // asked to stop, or a normal exit code
	ExitSetup    = 1 // the container could not be built
	ExitAbnormal = 2 // the program died of itself
	ExitKilled   = 3 // the program did not die within its kill-timeout
)

// Request is one start.
type Request struct {
	Spec *Spec
	// Argv is the command line of PID 1: lithos_knot --name NAME --master
	// FILE --config JSON, in that order, for pgrep (seeds/000 §9.5.1).
	Argv []string
	// Record is the path of the container's record file, see [Record].
	Record string
	// RecordHead is what the supervisor wants to find again in the record.
	RecordHead Created
	// Sockets are the listening sockets of Spec.Sockets, in that order.
	// They stay the caller's.
	Sockets []*os.File
	// Limits are the limits of the container's cgroup.
	Limits Limits
	// Stdio is 0, 1, 2 of an interactive container; nil entries are /dev/null.
	Stdio [3]*os.File
}

// Limits are what a container's cgroup is to enforce.
type Limits struct {
	Memory    int64  // bytes, swap included; 0 = none
	CPUShares uint64 // 1024 is the default share
}

// Child is a PID 1 that was started.
type Child struct {
	PID   int
	PIDFD *os.File
	// Started is when, on the wall clock and with a monotonic reading.
	Started time.Time
	// Degraded has a sentence for each limit that could not be applied
	// (checklist M3).
	Degraded []string
}
