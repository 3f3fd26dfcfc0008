package command

import "os"

// SignalReceived is a signal for lithos_cmd; see [Signals].
type SignalReceived struct{ Signal os.Signal }

// ChildEnded says that there may be a dead child (SIGCHLD).
type ChildEnded struct{}

// killTimeoutElapsed says that PID 1 did not end by itself either.
type killTimeoutElapsed struct{}

// containerRemoved reports the end of the clean-up, or its error.
type containerRemoved struct{ err error }
