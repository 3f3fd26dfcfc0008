package root

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"lithos/actors/listener"
	"lithos/actors/sandbox"
	"lithos/configs"
)

// The stop's patience beyond the longest kill-timeout (N4), and after the KILL
// that follows.
const (
	stopGrace    = time.Second
	abandonGrace = 10 * time.Second
)

// stop ends everything; the daemon is done when nothing is left.
func (r *Root) stop(ctx actor.Context, sig os.Signal) {
	r.stopping = true
	patience := r.longestKillTimeout() + stopGrace
	r.log.Warn().Msgf("Got %v: ending %s, with a deadline of %s", sig, count(len(r.table), "container", "containers"), patience)
	for _, c := range r.sandboxes {
		c.wanted = nil
		ctx.Send(c.pid, &sandbox.EndSandbox{Shutdown: true})
	}
	r.stopWithin(ctx, patience)
	r.finishIfEmpty(ctx)
}

func (r *Root) stopWithin(ctx actor.Context, patience time.Duration) {
	if r.stopTimer != nil {
		r.stopTimer()
	}
	r.deadline = time.Now().Add(patience)
	r.stopTimer = r.services.Timers.SendOnce(patience, ctx.Self(), &stopDeadlineElapsed{})
}

// longestKillTimeout is that of running containers and of forks under way.
func (r *Root) longestKillTimeout() time.Duration {
	longest := time.Duration(0)
	if !r.ready {
		longest = r.patience
	}
	for _, e := range r.table {
		longest = max(longest, e.killTimeout)
	}
	if len(r.strays) > 0 {
		longest = max(longest, strayTimeout)
	}
	if r.plan == nil {
		return longest
	}
	for _, sb := range r.plan.Sandboxes {
		for _, p := range sb.Processes {
			if p.Kind == configs.KindCommand {
				continue
			}
			for _, inst := range p.Instances {
				longest = max(longest, inst.Container.KillTimeout)
			}
		}
	}
	return longest
}

// killEverything is the end of the stop's patience.
func (r *Root) killEverything(ctx actor.Context) {
	if r.finished || time.Now().Before(r.deadline) {
		return // the events are deferred meanwhile
	}
	if names := r.livingNames(); len(names) > 0 {
		r.log.Error().Msgf("The stop's deadline is over, killing the remaining containers: %s", strings.Join(names, ", "))
	}
	r.expired = true
	for pid := range r.table {
		r.kill(pid)
	}
	for _, stray := range r.strays {
		r.killStray(stray)
	}
	r.stopTimer = r.services.Timers.SendOnce(abandonGrace, ctx.Self(), &stopAbandoned{})
}

func (r *Root) kill(pid int) {
	e := r.table[pid]
	if err := r.config.Kernel.Signal(e.pidfd, syscall.SIGKILL); err != nil {
		r.log.Error().Msgf("Cannot kill %q (pid %d): %v", e.name, pid, err)
	}
}

// abandon gives up on what a KILL does not end, such as a process that waits
// for a dead file server.
func (r *Root) abandon() {
	r.finish(fmt.Errorf("these did not end %s after they were killed, or can't be cleaned up: %s",
		abandonGrace, strings.Join(append(r.livingNames(), r.sandboxNames()...), ", ")))
}

func (r *Root) sandboxNames() []string {
	names := make([]string, 0, len(r.sandboxes))
	for name := range r.sandboxes {
		names = append(names, "sandbox "+name)
	}
	return names
}

// finishIfEmpty ends the daemon when no container is left. The listener goes
// last, because returned leases may still be in its mailbox.
func (r *Root) finishIfEmpty(ctx actor.Context) {
	if r.stopping && r.ready && !r.finishing && len(r.sandboxes) == 0 && len(r.strays) == 0 {
		r.finishing = true
		ctx.Send(r.services.Listener, &listener.LeaveListener{})
	}
}

// finish ends the daemon.
func (r *Root) finish(err error) {
	if r.finished {
		return
	}
	r.finished = true
	r.stopTimer()
	if r.loadTimer != nil {
		r.loadTimer()
	}
	if err == nil {
		r.log.Warn().Msg("Everything has ended")
	}
	r.done <- err
}
