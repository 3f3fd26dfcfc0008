package actors

import "slices"

// Cause is why a container ended, or who asked for it.
type Cause uint8

// The causes of a death. An end by lithos differs from one by others: a TERM sent
// by hand is an operator's, a TERM of a reload is a replacement.
const (
	CauseItself      Cause = iota // the program exited, or crashed
	CauseOperator                 // a signal that lithos did not send: kill by hand, or by the program itself
	CauseReplaced                 // its config changed
	CauseRemoved                  // it is not in the configs any more
	CauseShutdown                 // lithos_tree was told to stop
	CauseKillTimeout              // it did not end within its kill-timeout
	CauseOOM                      // the kernel killed the program for want of memory
	CauseSetup                    // the container, or the program, could not be started
	CauseHealth                   // its healthcheck failed
	CauseInternal                 // its PID 1 crashed, or left no record
	CauseCount
)

var causeNames = [CauseCount]string{
	"itself", "operator", "replaced", "removed", "shutdown", "kill-timeout", "oom", "setup", "healthcheck", "internal",
}

func (c Cause) String() string { return causeNames[c] }

// CauseNamed is the cause of that name; one that is unknown here is internal.
func CauseNamed(name string) Cause {
	if i := slices.Index(causeNames[:], name); i >= 0 {
		return Cause(i)
	}
	return CauseInternal
}
