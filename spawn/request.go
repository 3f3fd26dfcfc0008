package spawn

import (
	"fmt"
	"io"
	"os"
	"time"

	"lithos/sysx/cgroup"
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
	// Secrets are variables beside those of Spec.Env, none of which has one
	// of their names. The start wipes them.
	Secrets []Secret
	// Limits are the limits of the container's cgroup.
	Limits Limits
	// Stdio is 0, 1, 2 of an interactive container; nil entries are /dev/null.
	Stdio [3]*os.File
}

// Secret is a variable whose value must not be shown.
type Secret struct {
	Name  string
	Value []byte
}

// Format gives a placeholder, for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.Name+"=[secret]") }

// Limits are what a container's cgroup is to enforce.
type Limits struct {
	Memory    int64  // bytes, swap included; 0 = none
	CPUShares uint64 // 1024 is the default share
	CPUQuota  int64  // thousandths of a processor; 0 = none
	CPUs      string // processors as the kernel lists them; "" = all
	PIDs      int64  // processes and threads; 0 = none
	Devices   []DeviceLimit
}

// DeviceLimit is the most that a container may do to a block device, a second;
// 0 = no limit.
type DeviceLimit = cgroup.DeviceLimit

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
