package root

import (
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"lithos/actors/sandbox"
	"lithos/actors/spawner"
)

// quietPatience is what work that is under way gets before another program
// takes over.
const quietPatience = 5 * time.Second

// Quiet ends all work, for good: another program is about to take this process
// over, and to continue from the records as after a kill. Nothing is forked from
// here on and no child is waited for, so that whoever dies is the next one's to
// learn of; what was waited for has been noted. It tells whether that was done
// within the limit.
func (d *Daemon) Quiet(limit time.Duration) bool {
	m := &beQuiet{done: make(chan struct{})}
	d.system.Root.Send(d.pid, m)
	select {
	case <-m.done:
		return true
	case <-time.After(limit):
		return false
	}
}

// dropDuringTakeover drops messages that would begin new work, or record an
// event that the next program has to record; it reports whether it did.
func (r *Root) dropDuringTakeover(ctx actor.Context) bool {
	switch ctx.Message().(type) {
	case *SignalReceived, *planLoaded, *leftoversFound, *leftoversCleared, *orphanExited, *childrenListed, *stopDeadlineElapsed:
		return true
	case *spawner.ForksHeld:
		var all sync.WaitGroup
		for _, c := range r.sandboxes {
			all.Add(1)
			ctx.Send(c.pid, &sandbox.Flush{Group: &all})
		}
		go func() {
			all.Wait()
			close(r.quiet.done)
		}()
		return true
	}
	return false
}
