package process

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

const (
	// setupPatience is what PID 1 gets to make the container and to execute the
	// program: milliseconds, mostly, a few seconds on a host that starts a
	// thousand. What takes longer waits for something that does not come.
	setupPatience = time.Minute
	// killPatience is how long PID 1 may live on after SIGKILL before the log
	// says so.
	killPatience = 10 * time.Second
	// notSetUp begins the reason for which a container is ended that hangs.
	notSetUp = "its program was not started"
)

// limitSetup sees to it that a container which is never made, because a file
// system hangs that it needs, is ended and tried again.
func (p *Process) limitSetup(ctx actor.Context) {
	p.checks.setup = p.env.After(setupPatience, ctx.Self(), &setupOverdue{p.state.Check})
}

// setupOverdue ends the container, unless its program runs: then it is over.
func (p *Process) setupOverdue(ctx actor.Context, m *setupOverdue) {
	if m.Gen != p.state.Check || p.state.Phase != Running {
		return
	}
	if p.stopped {
		p.limitSetup(ctx) // by somebody who will have a reason
		return
	}
	settingUp, err := p.env.Kernel.SettingUp(p.env.RecordOf(p.name))
	if err != nil || !settingUp {
		return // who can't read the record does not know
	}
	p.unhealthy = fmt.Sprintf("%s within %s: does the file system of its image or of a volume hang? It is tried again",
		notSetUp, setupPatience)
	p.handle(ctx, Event{Unhealthy, m.Gen})
}

// killIgnored says what a PID 1 waits for that not even SIGKILL ends.
func (p *Process) killIgnored(m *killIgnored) {
	if m.Gen != p.state.Start || p.child == nil || !p.killed {
		return
	}
	p.env.Log.Error().Str("event", "stuck").Str("container", p.name).Int("pid", p.child.PID).
		Msgf("PID 1 of container %q (pid %d) is still there %s after SIGKILL: the kernel has it wait, most likely for a file system that does not answer (see /proc/%[2]d/stack). It is left alone, and the next start follows when it is gone",
			p.name, p.child.PID, killPatience)
}
