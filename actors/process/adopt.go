package process

import (
	"slices"
	"syscall"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"lithos/actors"
	"lithos/actors/services/status"
	"lithos/configs"
	"lithos/spawn"
	"lithos/spawn/records"
)

// Show shows a living container that is about to be adopted: its actor has not begun
// yet, and who asks meanwhile is not to think that it is still to be started.
func (m *AdoptInstance) Show() {
	p := New(m.Adopted.Name, nil)
	p.takeOver(m)
	p.child, p.state.Step = m.Adopted.Child, Running
	p.publish()
}

// takeOver takes over what is known of a container that runs, or of its death.
func (p *Process) takeOver(m *AdoptInstance) {
	a := m.Adopted
	p.env, p.desired, p.serving.wanted = m.Env, m.Instance, m.ReportServing
	p.current = madeFrom(m.Instance, a)
	p.restart.resume(a.Counts, a.Created)
	p.lastExit = p.earlier(a)
	p.obituary.earlier = p.lastExit
	p.lease.held = a.Leased
	p.obituary.logFrom = a.LogFrom
	p.health.stopped, p.health.checking = a.Stopped, checking{since: time.Now(), ready: a.Ready}
	if a.lostReadiness() {
		p.health.ready = time.Now()
	}
}

// lostReadiness tells whether nobody will ever hear whether it is ready. It has had
// its time.
func (a *Adopted) lostReadiness() bool { return a.Unreadable != "" && a.Ready.IsZero() }

// adopt goes on where another daemon ended.
func (p *Process) adopt(ctx actor.Context, m *AdoptInstance) {
	a := m.Adopted
	p.takeOver(m)
	if a.lostReadiness() {
		p.env.Log.Error().Msgf("Taking container %q for ready: %s", p.name, a.Unreadable)
	}
	if a.Noted {
		p.handle(ctx, Event{Kind: Resume})
		return
	}
	p.child = a.Child
	if a.Dead {
		p.obituary.told = p.env.Deaths.Told(p.name, a.Child.PID, a.Created)
		p.obituary.found = p.obituary.told == nil
	}
	p.handle(ctx, Event{Kind: Adopt})
}

// earlier is how the container before ended, or this one if that was told, so far
// as it matters: what runs well has no need of it.
func (p *Process) earlier(a *Adopted) *status.Exit {
	if a.Counts.Failed == 0 && !a.Noted {
		return nil
	}
	list, err := p.env.Deaths.Read(p.name)
	if err != nil || len(list) == 0 || a.Noted && list[0].At.Before(a.Created) {
		return nil
	}
	return &list[0].Exit
}

// madeFrom is the instance that a container was made from, as far as it is
// known: all of it if nothing has changed since. Its PID 1 has the kill-timeout of
// its start, which is no part of the fingerprint.
func madeFrom(wanted *configs.Instance, a *Adopted) *configs.Instance {
	if wanted.Fingerprint == a.Fingerprint && wanted.Container.KillTimeout == a.KillTimeout {
		return wanted
	}
	in, c := *wanted, *wanted.Container
	c.Image, c.KillTimeout = a.Image, a.KillTimeout
	if wanted.Fingerprint != a.Fingerprint {
		c.ConfigFile = a.Config
	}
	in.Fingerprint, in.Container = a.Fingerprint, &c
	return &in
}

// noteAdopt logs an adoption; its start was counted by another daemon.
func (p *Process) noteAdopt(t turn) {
	if p.lease.held && !p.desired.Container.Standby { // which asks in time
		p.lease.show(t, Sockets(p.desired.Container))
	}
	p.counters.Running.Add(1)
	p.obituary.count(p.env, p.name)
	if p.child.PIDFD == nil {
		return // it is dead; that is told next
	}
	p.env.Log.Warn().Str("event", "adopt").Str("container", p.name).Int("pid", p.child.PID).
		Msgf("Adopted container %q (pid %d) of an earlier daemon: it has gone on running", p.name, p.child.PID)
	if p.health.stopped {
		p.env.Log.Error().Str("event", "stopped").Str("container", p.name).Int("pid", p.child.PID).
			Msgf("PID 1 of container %q (pid %d) is stopped by a signal, since before this daemon was there: the program runs on, but its end goes unnoticed until `kill -CONT %[2]d`",
				p.name, p.child.PID)
	}
}

// learnt makes the best of an exit whose status nobody has seen: the record has
// how the program ended, if PID 1 lived to write it down. If it did not, it was
// killed, and that is what is assumed; the words say that it is a guess.
func learnt(exit actors.Exit, record *records.Record, normal []int) actors.Exit {
	if !exit.Unknown {
		return exit
	}
	own := record.Exited
	if own != nil && record.Again {
		own = nil // of an earlier program in the same container
	}
	if exit.At.IsZero() {
		exit.At = time.Now()
		if own != nil {
			exit.At = own.At
		}
	}
	switch {
	case own == nil && record.Failed == "" && record.Crash == "":
		exit.Status = syscall.WaitStatus(syscall.SIGKILL)
	case own != nil && (own.Asked || own.Signal == 0 && slices.Contains(normal, own.Code)):
		exit.Status = spawn.ExitNormal << 8
	default:
		exit.Status = 1 << 8 // which code makes no difference: the record has the program's
	}
	return exit
}
