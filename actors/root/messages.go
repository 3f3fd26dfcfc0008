package root

import (
	"os"
	"time"

	"lithos/actors"
	"lithos/configs"
)

// SignalReceived is a signal to the daemon, SIGCHLD too.
type SignalReceived struct{ Signal os.Signal }

// leftoversFound is what a dead daemon left: what continues, and what is to end. Of
// the latter so many live, with the longest kill-timeout of them.
type leftoversFound struct {
	adopted  []adoptable
	unwanted []actors.Leftover
	living   int
	longest  time.Duration
}

// leftoversCleared says that what was to end is gone.
type leftoversCleared struct{}

// orphanExited is the death of an adopted container.
type orphanExited struct{ exit actors.Exit }

// beQuiet asks for an end of all work, see [Daemon.Quiet].
type beQuiet struct{ done chan struct{} }

// planLoaded is the end of a reload's reading.
type planLoaded struct {
	plan     *configs.Plan
	problems configs.Problems
	err      error
}

// childrenListed is a list of all living children; those that are not known
// when the forks of that time have been reported are nobody's.
type childrenListed struct {
	token    uint32
	children []actors.Child
	err      error
}

// strayTimeoutElapsed ends the patience with an unidentified child.
type strayTimeoutElapsed struct{ child actors.Child }

// loadOverdue says that a reload, by its number, has been read for so long.
type loadOverdue struct {
	load  uint32
	since time.Duration
}

// stopDeadlineElapsed and stopAbandoned end the patience of the daemon's stop.
type stopDeadlineElapsed struct{}
type stopAbandoned struct{}
