package command

import "os"

// SignalReceived is a signal for lithos_cmd; see [Signals].
type SignalReceived struct{ Signal os.Signal }

// ChildEnded says that there may be a dead child (SIGCHLD).
type ChildEnded struct{}

// killTimeoutElapsed says that PID 1 did not end by itself either.
type killTimeoutElapsed struct{}

// containerRemoved says that nothing is left, or what is.
type containerRemoved struct{ err error }
