package process

import (
	"sync/atomic"

	"lithos/actors"
	"lithos/actors/spawner"
	"lithos/spawn"
)

// openSockets begins a start: from here restart-timeout counts (E6, N3).
func (p *Process) openSockets(t turn) {
	p.restart.begin()
	wanted := Sockets(p.desired.Container)
	if len(wanted) == 0 {
		p.returnSockets(t) // its predecessor's
		p.raise(Leased, nil)
		return
	}
	p.lease.open(t, wanted)
}

func (p *Process) returnSockets(t turn) { p.lease.giveBack(t, p.standby.discarded != nil) }

// fork asks for the container's PID 1.
func (p *Process) fork(t turn) {
	p.current = p.desired
	p.obituary.logFrom = p.env.Deaths.Size(p.env.StdioLog)
	p.ending.asked, p.ending.killed = false, false
	p.health.unhealthy, p.health.stopped = "", false
	p.reports = reports{}
	standby := p.standby.give()
	request, err := BuildRequest(p.current, p.env, p.lease.files, p.restart.starts)
	if err != nil {
		p.raise(ForkRefused, err)
		return
	}
	giveNotice(request, p.current.Container.Ready)
	request.Standby = standby
	p.restart.starts++
	counts := p.restart.tally()
	request.RecordHead.Tally, request.RecordHead.LogFrom = &counts, p.obituary.logFrom
	p.cancelled = new(atomic.Bool)
	p.obituary.take().await() // the next record stands for the end of the last one
	t.ctx.Send(p.env.Spawner, &spawner.StartContainer{
		Gen: t.at.Start, Request: request, ReplyTo: t.ctx.Self(), Pace: p.restart.forked(), Cancelled: p.cancelled,
	})
}

// armRestart waits for the restart; where nothing is left of the wait it follows in
// this turn.
func (p *Process) armRestart(t turn) {
	if p.restart.arm(t, p.desired.Container) {
		p.raise(RestartElapsed, nil)
		return
	}
	p.raise(RestartDelayed, nil)
}

// askBudget asks restart-budget for the restart, which is due else.
func (p *Process) askBudget(t turn) {
	if p.restart.ask(t) {
		p.raise(RestartAllowed, nil)
		return
	}
	p.raise(RestartDelayed, nil)
}

// stopChecks stops them, and whatever else waits for the container to do well.
func (p *Process) stopChecks() {
	p.health.stop()
	p.serving.timer.stop()
	p.standby.timer.stop()
}

// clean removes what the container left, on a goroutine of its own: a state
// dir can be large. At most a few run at a time.
func (p *Process) clean(t turn, all bool) {
	env, name, self, send := p.env, p.name, t.ctx.Self(), t.ctx.ActorSystem().Root.Send
	stateDir, record := env.StateDirOf(name), env.RecordOf(name)
	var before *unnoted
	var next, last *spawn.Standby
	if all {
		before = p.obituary.take() // it goes with the record
		p.standby.drop(t)
		last = p.standby.discarded
	} else {
		next = p.standby.ready()
	}
	done := &containerCleaned{Event: t.now(Cleaned)}
	go func() {
		actors.GrowStack(false)
		defer func() { send(self, done) }()
		defer actors.Recover(env.Log, "clean-up of "+name, func(err error) { done.Err = err })
		before.await()
		env.Cleaners <- struct{}{}
		defer func() { <-env.Cleaners }()
		if last != nil {
			env.Kernel.Discard(last)
			done.Discarded = last
		}
		done.Err = env.Kernel.Remove(name, stateDir, record, all)
		if next != nil {
			done.Outdated = env.Kernel.InspectStandby(next)
		}
	}()
}
