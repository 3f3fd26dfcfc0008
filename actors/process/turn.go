package process

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/scheduler"

	"lithos/actors"
)

// turn has the means of the actor's parts while one message is handled.
type turn struct {
	ctx  actor.Context
	env  *Env
	name string
	at   State
}

// now is an event that is not late now.
func (t turn) now(k Kind) Event { return Event{Kind: k, Gen: t.at.gen(k)} }

// async does slow work on a goroutine of its own, which answers with the event and
// the error of the work.
func (t turn) async(what string, event Event, work func() error) {
	log, name, self, send := t.env.Log, t.name, t.ctx.Self(), t.ctx.ActorSystem().Root.Send
	go func() {
		defer func() { send(self, &answer{event}) }()
		defer actors.Recover(log, what+" of "+name, func(err error) { event.Err = err })
		event.Err = work()
	}()
}

// timer brings an event about later, unless it is stopped. One that was stopped may
// have fired already: its event is late then, by the generation.
type timer struct{ cancel scheduler.CancelFunc }

func (r *timer) start(t turn, d time.Duration, k Kind) {
	r.stop()
	r.cancel = t.env.Timers.SendOnce(d, t.ctx.Self(), &elapsed{t.now(k)})
}

func (r *timer) stop() {
	if r.cancel != nil {
		r.cancel()
		r.cancel = nil
	}
}
