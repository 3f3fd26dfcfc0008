package knot

import (
	"os"
	"os/signal"
	"syscall"

	"lithos/spawn/wire"
)

// signals are what PID 1 reacts to.
type signals struct {
	// term (TERM and powerSignal) and intr get a signal that asks to stop,
	// and keep the first until it is read.
	term, intr chan os.Signal
	// child says that there may be something to reap.
	child chan os.Signal
}

// catchSignals takes over all signals that can be caught: what the kernel or
// the Go runtime does by default, ending PID 1, is for none of them right. The
// program gets its defaults back, see newStart.
func catchSignals() *signals {
	s := &signals{term: make(chan os.Signal, 1), intr: make(chan os.Signal, 1), child: make(chan os.Signal, 1)}
	signal.Notify(s.term, syscall.SIGTERM, powerSignal)
	signal.Notify(s.intr, syscall.SIGINT)
	signal.Notify(s.child, syscall.SIGCHLD)
	others := make([]os.Signal, 0, lastSignal)
	for n := syscall.Signal(1); n <= lastSignal; n++ {
		switch n {
		case syscall.SIGTERM, powerSignal, syscall.SIGINT, syscall.SIGCHLD, syscall.SIGURG, syscall.SIGKILL, syscall.SIGSTOP:
			// URG is the Go scheduler's own.
		default:
			others = append(others, n)
		}
	}
	signal.Ignore(others...)
	return s
}

const (
	lastSignal  = 64
	powerSignal = syscall.Signal(wire.StopSignal)
)

// stop tells whether a signal that asks to stop has come.
func (s *signals) stop() bool {
	select {
	case <-s.term:
	case <-s.intr:
	default:
		return false
	}
	return true
}

// hangUp makes the end of the terminal a request to stop.
func (s *signals) hangUp() { signal.Notify(s.term, syscall.SIGHUP) }
