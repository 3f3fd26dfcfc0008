package spawn

import (
	"os"
	"time"
)

// Child is a PID 1 that was started.
type Child struct {
	PID   int
	PIDFD *os.File
	// Started is when, on the wall clock and with a monotonic reading.
	Started time.Time
	Waited  bool // it was a standby
	// Degraded has a sentence for each limit that could not be applied.
	Degraded []string
	// Notice is the supervisor's end of the channel by which the program tells
	// that it is ready, nil = it has none. See package readiness.
	Notice *os.File
}
