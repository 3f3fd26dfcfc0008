package process

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"lithos/actors"
	"lithos/actors/spawner"
	"lithos/configs"
	"lithos/spawn"
)

// The option standby: while the container runs, the next one is built and waits.
// Whether it is taken is decided at the start that it is for: package spawn takes
// it if it is the very same as what it would make, and makes that otherwise. So all
// that is here is a matter of being there in time, and of leaving nothing behind.
//
// It is there only for a restart that is due at once: where the next start has to
// wait, for restart-timeout or restart-budget, a millisecond is of no interest,
// and it is discarded.

const (
	// standbyDelay is how long after its start a container that needs no
	// restart-timeout any more has to run: what dies at once again and again is
	// not to cost twice as much.
	standbyDelay = 100 * time.Millisecond
	// setupPoll is when a container that is still being made is looked at again.
	setupPoll = time.Second
	// standbyRetry is when another is built for one that could not be, or died.
	standbyRetry = time.Minute
)

// standby is the next container. One that was given to a start, or discarded, may
// be there for a moment longer.
type standby struct {
	next             *spawn.Standby // nil = none
	forked, built    bool           // next: its PID 1 is there, and it waits
	given, discarded *spawn.Standby
	outdated         error  // why the given one was none
	fault            string // why there was none, as it was logged last
	timer            timer
}

// arm has it built after a wait, if the option says so.
func (s *standby) arm(t turn, c *configs.Container, wait time.Duration) {
	s.timer.stop()
	if c.Standby {
		s.timer.start(t, wait, StandbyDue)
	}
}

// survey begins to build it: first comes a look at what it is to be made from.
func (s *standby) survey(t turn, spec *spawn.Spec) {
	place := &spawn.Standby{}
	s.next, s.forked, s.built = place, false, false
	survey := t.env.Kernel.SurveyStandby
	t.async("standby", t.now(StandbySurveyed), func() error { return survey(place, spec) })
}

// fork asks for its PID 1.
func (s *standby) fork(t turn, request *spawn.Request) {
	request.Standby = s.next
	t.ctx.Send(t.env.Spawner, &spawner.PrepareContainer{Gen: t.at.Standby, Request: request, ReplyTo: t.ctx.Self()})
}

// await waits until it is built, and then until it is no more.
func (s *standby) await(t turn) {
	s.forked = true
	place, wait := s.next, t.env.Kernel.AwaitStandby
	built, self, send := t.now(StandbyBuilt), t.ctx.Self(), t.ctx.ActorSystem().Root.Send
	t.async("standby", t.now(StandbyLost), func() error {
		if err := wait(place); err != nil {
			return err
		}
		send(self, &answer{built})
		return wait(place)
	})
}

// noteBuilt notes that it is built.
func (s *standby) noteBuilt() { s.built, s.fault = true, "" }

// lost logs why there is none. The same reason is logged once.
func (s *standby) lost(t turn, err error) {
	if text := err.Error(); text != s.fault && !errors.Is(err, spawn.ErrDiscarded) {
		s.fault = text
		t.env.Log.Error().Str("event", "standby").Str("container", t.name).
			Msgf("No container waits to follow %q, the next start is an ordinary one: %v", t.name, err)
	}
}

// drop discards it.
func (s *standby) drop(t turn) {
	if s.next != nil {
		s.discard(t, s.next)
		s.next, s.forked, s.built = nil, false, false
	}
}

// discard removes it on a goroutine of its own. Only the last one is remembered
// for waiting, because there is one at a time.
func (s *standby) discard(t turn, place *spawn.Standby) {
	s.discarded = place
	discard, log, name := t.env.Kernel.Discard, t.env.Log, t.name
	self, send := t.ctx.Self(), t.ctx.ActorSystem().Root.Send
	go func() {
		defer send(self, &standbyGone{place})
		defer actors.Recover(log, "standby of "+name, nil)
		discard(place)
	}()
}

// gone forgets a discarded one, and tells whether it was the last.
func (s *standby) gone(place *spawn.Standby) bool {
	if place == nil || s.discarded != place {
		return false
	}
	s.discarded = nil
	return true
}

// give gives it to the start that it is for.
func (s *standby) give() *spawn.Standby {
	s.given, s.next, s.forked, s.built = s.next, nil, false, false
	return s.given
}

// takeBack is for a start that came to no process: the given one may be there still.
func (s *standby) takeBack(t turn) {
	if s.given != nil {
		s.discard(t, s.given)
		s.given = nil
	}
}

// ready is the one that can follow, nil = none.
func (s *standby) ready() *spawn.Standby {
	if !s.forked {
		return nil
	}
	return s.next
}

// used says what became of it at the start, for the log.
func (s *standby) used(taken bool) string {
	switch {
	case taken:
		return ", which was built before and waited"
	case s.given == nil:
		return ""
	case s.outdated != nil:
		return fmt.Sprintf(", without the one that waited: %v", s.outdated)
	}
	return ", without the one that waited: it was of another config, or its PID 1 was dead"
}

// words is its state for readers.
func (s *standby) words() string {
	switch {
	case s.next == nil:
		return ""
	case s.built:
		return "waiting"
	}
	return "building"
}

// outdatedStandby tells whether a standby of the one instance is none of the other.
func outdatedStandby(before, after *configs.Instance, was, is Paths) bool {
	return (before.Container.Standby || after.Container.Standby) &&
		(before.JSON != after.JSON || was != is || !reflect.DeepEqual(before.Container, after.Container))
}

// survey has a standby built if it is time for that: else StandbyDue or SocketsShown
// follows.
func (p *Process) survey(t turn) {
	c := p.desired.Container
	if !c.Standby || p.standby.next != nil || c.Ready != nil && p.health.ready.IsZero() {
		return // ready, it becomes due
	}
	switch settingUp, err := p.env.Kernel.SettingUp(p.env.RecordOf(p.name)); {
	case err != nil:
		p.standby.arm(t, c, standbyRetry)
		return
	case settingUp: // it has all of the host's attention, and makes its log, say
		p.standby.arm(t, c, setupPoll)
		return
	}
	if wanted := Sockets(c); len(wanted) != len(p.lease.files) {
		p.lease.show(t, wanted)
		return
	}
	spec, err := buildSpec(p.desired, p.env)
	if err != nil {
		p.raise(StandbyLost, err)
		return
	}
	p.standby.survey(t, spec)
}

// armStandby has it built when a restart would be due at once.
func (p *Process) armStandby(t turn) {
	c := p.desired.Container
	p.standby.arm(t, c, max(0, time.Until(p.restart.next(c)))+standbyDelay)
}

// forkStandby has it forked, unless its survey failed.
func (p *Process) forkStandby(t turn, err error) {
	var request *spawn.Request
	if err == nil {
		request, err = BuildRequest(p.desired, p.env, p.lease.files, p.restart.starts)
	}
	if err != nil {
		p.raise(StandbyLost, err)
		return
	}
	giveNotice(request, p.desired.Container.Ready)
	p.standby.fork(t, request)
}

// awaitStandby waits for it, unless it could not be forked.
func (p *Process) awaitStandby(t turn, err error) {
	if err != nil {
		p.raise(StandbyLost, err)
		return
	}
	p.standby.await(t)
}

// keepStandby keeps it, and its sockets, for a restart that may follow at once.
func (p *Process) keepStandby() {
	if p.standby.ready() == nil {
		p.raise(StandbyOutdated, nil)
	}
}

// standbyGone returns the sockets if that waited for a discarded standby.
func (p *Process) standbyGone(ctx actor.Context, place *spawn.Standby) {
	if p.standby.gone(place) && p.lease.deferred {
		p.returnSockets(p.turn(ctx))
	}
}
