package root

import (
	"maps"
	"slices"
	"syscall"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"lithos/actors"
	"lithos/actors/process"
	"lithos/actors/spawner"
)

// strayTimeout is the time of an unidentified child between TERM and KILL (N7).
const strayTimeout = 5 * time.Second

// forked enters a pid in the table. Its death may have been seen already.
func (r *Root) forked(ctx actor.Context, m *spawner.ContainerForked) {
	pid := m.Child.PID
	r.log.Info().Msgf("Forked %q (pid %d)", m.Name, pid)
	exit, dead := r.held[pid]
	delete(r.held, pid)
	if dead && !exit.At.Before(m.Before) {
		ctx.Send(m.Owner, &process.ProcessExited{Gen: m.Gen, Exit: exit})
		return
	}
	r.table[pid] = entry{m.Name, m.Owner, m.Gen, m.Child.PIDFD, m.KillTimeout}
	if r.expired {
		// A fork that took longer than the stop has time for.
		r.kill(pid)
	}
}

// reap collects all that are dead. It is the only place that does.
func (r *Root) reap(ctx actor.Context) {
	for {
		exit, ok := r.config.Kernel.Wait()
		if !ok {
			break
		}
		r.exited(ctx, exit)
	}
	r.finishIfEmpty(ctx)
}

func (r *Root) exited(ctx actor.Context, exit actors.Exit) {
	if status := exit.Status; status.Stopped() || status.Continued() {
		if e, ok := r.table[exit.PID]; ok {
			m := &process.ProcessStopped{Gen: e.gen, Stopped: status.Stopped()}
			if m.Stopped {
				m.Signal = status.StopSignal()
			}
			ctx.Send(e.owner, m)
		}
		return
	}
	if e, ok := r.table[exit.PID]; ok {
		delete(r.table, exit.PID)
		ctx.Send(e.owner, &process.ProcessExited{Gen: e.gen, Exit: exit})
		return
	}
	if stray, ok := r.strays[exit.PID]; ok {
		delete(r.strays, exit.PID)
		r.countStrays()
		r.log.Warn().Msgf("Unidentified child %d (%s) is gone", exit.PID, stray.Command)
		return
	}
	// Either its fork will be reported, or it was nobody's. Those of the
	// second kind must not pile up.
	r.held[exit.PID] = exit
	for pid, old := range r.held {
		if exit.At.Sub(old.At) > time.Minute {
			delete(r.held, pid)
		}
	}
}

// listChildren begins the search for children that nobody knows (N7), such as
// those of a program that became lithos_tree by exec. A child in the list may
// be a container whose fork is yet to be reported, so the search ends only
// when the spawner says that those have been. Containers that are known to live are
// not looked at.
func (r *Root) listChildren(ctx actor.Context) {
	r.token++
	send, self, log, kernel, token := ctx.ActorSystem().Root.Send, ctx.Self(), r.log, r.config.Kernel, r.token
	known := slices.Sorted(maps.Keys(r.table))
	go func() {
		result := &childrenListed{token: token}
		defer func() { send(self, result) }()
		defer actors.Recover(log, "list of children", func(err error) { result.err = err })
		result.children, result.err = kernel.Children(known)
	}()
}

func (r *Root) childrenListed(ctx actor.Context, m *childrenListed) {
	if m.err != nil {
		r.log.Error().Msgf("Cannot look for unidentified children: %v", m.err)
		return
	}
	if len(m.children) > 0 {
		r.suspects[m.token] = m.children
		ctx.Send(r.services.Spawner, &spawner.FlushForks{Token: m.token})
	}
}

func (r *Root) forksFlushed(ctx actor.Context, token uint32) {
	if r.finishing {
		return // nobody would wait for them any more
	}
	for _, c := range r.suspects[token] {
		_, known := r.table[c.PID]
		_, stray := r.strays[c.PID]
		_, dead := r.held[c.PID]
		if known || stray || dead || r.adopting[c.PID] {
			continue
		}
		if err := r.config.Kernel.SignalChild(c, syscall.SIGTERM); err != nil {
			// It is gone, and was reaped in the meantime.
			continue
		}
		r.log.Warn().Msgf("Unidentified child %d (%s): sent TERM", c.PID, c.Command)
		r.strays[c.PID] = c
		r.countStrays()
		r.services.Timers.SendOnce(strayTimeout, ctx.Self(), &strayTimeoutElapsed{c})
	}
	delete(r.suspects, token)
}

func (r *Root) countStrays() {
	r.config.Registry.Unknown.Store(int64(len(r.strays)))
	r.config.Board.Touch()
}

func (r *Root) killStray(c actors.Child) {
	if r.strays[c.PID] != c {
		return
	}
	r.log.Error().Msgf("Unidentified child %d (%s) did not end within %s: killing it", c.PID, c.Command, strayTimeout)
	if err := r.config.Kernel.SignalChild(c, syscall.SIGKILL); err != nil {
		r.log.Error().Msgf("Cannot kill unidentified child %d: %v", c.PID, err)
	}
}

// livingNames are the containers that live, for the log.
func (r *Root) livingNames() []string {
	names := make([]string, 0, len(r.table))
	for e := range maps.Values(r.table) {
		names = append(names, e.name)
	}
	slices.Sort(names)
	return names
}
