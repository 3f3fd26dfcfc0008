package process

import (
	"errors"
	"reflect"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"lithos/actors"
	"lithos/actors/listener"
	"lithos/actors/spawner"
	"lithos/configs"
	"lithos/spawn"
)

// The option standby: while the container runs, the next one is built and waits.
// Whether it is taken is decided at the start that it is for: package spawn takes
// it if it is the very same as what it would make, and makes that otherwise. So all that is
// here is a matter of being there in time, and of leaving nothing behind.
//
// It is there only for a restart that is due at once: where the next start has to
// wait, for restart-timeout or restart-budget, a millisecond is of no interest,
// and it is discarded.

const (
	// standbyDelay is how long after its start a container that needs no
	// restart-timeout any more has to run: what dies at once again and again is
	// not to cost twice as much.
	standbyDelay = 100 * time.Millisecond
	// setupPoll is when one that is still being made is looked at again.
	setupPoll = time.Second
	// standbyRetry is when another is built for one that could not be, or died.
	standbyRetry = time.Minute
)

// standby is the next container.
type standby struct {
	place    *spawn.Standby
	prepared bool // its PID 1 is there
	waits    bool // and it is built
}

// armStandby has it built when a restart would be due at once.
func (p *Process) armStandby(ctx actor.Context) {
	p.standbyIn(ctx, max(0, time.Until(p.attempt.Add(p.wait())))+standbyDelay)
}

func (p *Process) standbyIn(ctx actor.Context, wait time.Duration) {
	p.cancel(&p.standbyTimer)
	if p.desired.Container.Standby {
		p.standbyTimer = p.env.After(wait, ctx.Self(), &standbyDue{p.state.Check})
	}
}

// prepare begins to build it: first comes a look, on a goroutine of its own, at
// what it is to be made from.
func (p *Process) prepare(ctx actor.Context) {
	c := p.desired.Container
	if !c.Standby || p.standby != nil || c.Ready != nil && p.checks.ready.IsZero() {
		return // what becomes ready has this done then
	}
	switch settingUp, err := p.env.Kernel.SettingUp(p.env.RecordOf(p.name)); {
	case err != nil:
		p.standbyIn(ctx, standbyRetry)
		return
	case settingUp: // it has all of the host's attention, and makes its log, say
		p.standbyIn(ctx, setupPoll)
		return
	}
	if wanted := Sockets(c); len(wanted) != len(p.sockets) {
		// Those of an adopted container are known to the listener.
		ctx.Send(p.env.Listener, &listener.ShowSockets{Owner: p.name, Gen: p.state.Start, Sockets: wanted, ReplyTo: ctx.Self()})
		return
	}
	place := &spawn.Standby{}
	p.standby = &standby{place: place}
	spec, err := buildSpec(p.desired, p.env)
	if err != nil {
		p.noStandby(ctx, err)
		return
	}
	env, self, send, name := p.env, ctx.Self(), ctx.ActorSystem().Root.Send, p.name
	go func() {
		m := &standbySurveyed{Place: place}
		defer func() { send(self, m) }()
		defer actors.Recover(env.Log, "standby of "+name, func(err error) { m.Err = err })
		m.Err = env.Kernel.SurveyStandby(place, spec)
	}()
}

// surveyed has it forked.
func (p *Process) surveyed(ctx actor.Context, m *standbySurveyed) {
	if p.standby == nil || p.standby.place != m.Place {
		return
	}
	if m.Err != nil {
		p.noStandby(ctx, m.Err)
		return
	}
	request, err := BuildRequest(p.desired, p.env, p.sockets, p.restarts)
	if err != nil {
		p.noStandby(ctx, err)
		return
	}
	giveNotice(request, p.desired.Container.Ready)
	request.Standby = m.Place
	ctx.Send(p.env.Spawner, &spawner.PrepareContainer{Request: request, ReplyTo: ctx.Self()})
}

// prepared waits for it, on a goroutine of its own, until it is no more.
func (p *Process) prepared(ctx actor.Context, m *spawner.ContainerPrepared) {
	if p.standby == nil || p.standby.place != m.Place {
		return
	}
	if m.Err != nil {
		p.noStandby(ctx, m.Err)
		return
	}
	p.standby.prepared = true
	env, self, send, name := p.env, ctx.Self(), ctx.ActorSystem().Root.Send, p.name
	go func() {
		end := &standbyTold{Place: m.Place}
		defer func() { send(self, end) }()
		defer actors.Recover(env.Log, "standby of "+name, func(err error) { end.Err = err })
		if end.Err = env.Kernel.AwaitStandby(m.Place); end.Err == nil {
			send(self, &standbyTold{Place: m.Place})
			end.Err = env.Kernel.AwaitStandby(m.Place)
		}
	}()
}

// standbyTold is that it waits, or is no more.
func (p *Process) standbyTold(ctx actor.Context, m *standbyTold) {
	if p.standby == nil || p.standby.place != m.Place {
		return
	}
	if m.Err != nil {
		p.noStandby(ctx, m.Err)
		return
	}
	p.standby.waits, p.standbyFault = true, ""
	p.publish()
}

// noStandby goes on without: the next start is an ordinary one, and meanwhile it
// is tried again, now and then. The same reason is logged once.
func (p *Process) noStandby(ctx actor.Context, err error) {
	p.dropStandby(ctx)
	if text := err.Error(); text != p.standbyFault && !errors.Is(err, spawn.ErrDiscarded) {
		p.standbyFault = text
		p.env.Log.Error().Str("event", "standby").Str("container", p.name).
			Msgf("No container waits to follow %q, the next start is an ordinary one: %v", p.name, err)
	}
	if p.state.Phase == Running {
		p.standbyIn(ctx, standbyRetry)
	}
	if p.state.Phase == Cleaning {
		p.returnSockets(ctx) // which were kept for it
	}
	p.publish()
}

// dropStandby discards it.
func (p *Process) dropStandby(ctx actor.Context) {
	if p.standby != nil {
		p.discard(ctx, p.standby.place)
		p.standby = nil
	}
}

// discard does it on a goroutine of its own. Only the last one is remembered for
// who has to wait for it: no two are there at a time.
func (p *Process) discard(ctx actor.Context, place *spawn.Standby) {
	p.discarded = place
	kernel, log, name := p.env.Kernel, p.env.Log, p.name
	self, send := ctx.Self(), ctx.ActorSystem().Root.Send
	go func() {
		defer send(self, &standbyGone{place})
		defer actors.Recover(log, "standby of "+name, nil)
		kernel.Discard(place)
	}()
}

// standbyGone: nobody has copies of the sockets any more that are owed.
func (p *Process) standbyGone(ctx actor.Context, place *spawn.Standby) {
	if p.discarded != place {
		return
	}
	p.discarded = nil
	if p.owed {
		p.returnSockets(ctx)
	}
}

// giveStandby gives it to the start that it is for.
func (p *Process) giveStandby(request *spawn.Request) {
	if p.standby != nil {
		request.Standby, p.standby = p.standby.place, nil
	}
	p.given = request.Standby
}

// takeBackStandby is for a start that did not come as far: there may be one left.
func (p *Process) takeBackStandby(ctx actor.Context) {
	if p.given != nil {
		p.discard(ctx, p.given)
		p.given = nil
	}
}

// renewStandby discards what was built from something else, and has another built.
func (p *Process) renewStandby(ctx actor.Context, before *configs.Instance, paths Paths) {
	after := p.desired
	if before.JSON == after.JSON && paths == p.env.Paths && reflect.DeepEqual(before.Container, after.Container) {
		return
	}
	if before.Container.Standby || after.Container.Standby {
		p.dropStandby(ctx)
		switch p.state.Phase {
		case Running:
			p.armStandby(ctx)
		case Cleaning:
			p.returnSockets(ctx) // which were kept for it
		}
	}
}

// shownStandby is what others see of it.
func (p *Process) shownStandby() string {
	switch {
	case p.standby == nil:
		return ""
	case p.standby.waits:
		return "waiting"
	}
	return "building"
}
