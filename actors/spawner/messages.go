package spawner

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"lithos/actors/services/fair"
	"lithos/spawn"
)

// StartContainer asks for one fork. The answer is [ContainerForked] or
// [ForkFailed], to ReplyTo, with the same Gen.
type StartContainer struct {
	Gen     uint32
	Request *spawn.Request
	ReplyTo *actor.PID
	// Pace is the number of its recent starts. The one with the fewest is forked
	// first.
	Pace fair.Pace
	// Cancelled may be set by who asks, until the fork is begun; the answer is
	// then [ErrCancelled]. A message could not overtake the forks that are
	// queued, and these may be hundreds when the daemon is told to stop.
	// nil = never.
	Cancelled *atomic.Bool
}

// ErrCancelled is why a start that nobody wants any more was not begun.
var ErrCancelled = errors.New("the start was cancelled")

// ContainerForked says that PID 1 of a container runs. It goes to the process
// actor and then to the root.
type ContainerForked struct {
	Gen   uint32
	Name  string
	Child *spawn.Child
	// Before is when the fork was begun: a death of the same pid that was
	// seen earlier was another process's.
	Before time.Time
	Owner  *actor.PID
	// KillTimeout is what PID 1 gives its program.
	KillTimeout time.Duration
}

// ForkFailed says that there is no container.
type ForkFailed struct {
	Gen uint32
	Err error
}

// PrepareContainer asks for the standby of a request, see [spawn.Standby], when no
// start waits; the answer is [ContainerPrepared], to ReplyTo, with the
// same Gen.
type PrepareContainer struct {
	Gen     uint32
	Request *spawn.Request
	ReplyTo *actor.PID
}

// ContainerPrepared says that PID 1 of a standby is there, or why it is not. It
// goes to who asked, and to nobody else: it is no container yet.
type ContainerPrepared struct {
	Gen uint32 // of the request
	Err error
}

// FlushForks asks for [ForksFlushed]: by then every fork that was begun
// before has been reported.
type FlushForks struct{ Token uint32 }

// HoldForks ends the forking for good, because another program is about to take
// this process over; the answer is [ForksHeld]. Later requests for a start get no
// answer.
type HoldForks struct{}

// ForksHeld answers [HoldForks], to the root: every fork that was begun has been
// reported.
type ForksHeld struct{}

// ForksFlushed answers [FlushForks], to the root.
type ForksFlushed struct{ Token uint32 }

// forkNext has the next fork made.
type forkNext struct{}
