package root

import (
	"os"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"

	"lithos/actors"
	"lithos/actors/listener"
	"lithos/actors/process"
	"lithos/actors/sandbox"
	"lithos/configs"
	"lithos/spawn"
	"lithos/spawn/records"
)

// adoptable is a living container that an earlier daemon left, and that the
// plan has.
type adoptable struct {
	left    actors.Leftover
	wanted  *configs.Instance
	pidfd   *os.File
	sockets []actors.Socket
	files   []*os.File
	// notice is what its program tells by that it is ready; unreadable is why that
	// can't be heard.
	notice     *os.File
	unreadable string
}

// instances are a plan's by their names, without those of commands.
func instances(plan *configs.Plan) map[string]*configs.Instance {
	all := make(map[string]*configs.Instance)
	for _, sb := range plan.Sandboxes {
		for _, p := range sb.Processes {
			if p.Kind == configs.KindCommand {
				continue
			}
			for _, in := range p.Instances {
				all[in.Name] = in
			}
		}
	}
	return all
}

// openAdoptable opens a container, and its listening sockets; false if it is not to be adopted.
func openAdoptable(kernel *actors.Kernel, log zerolog.Logger, l actors.Leftover, wanted *configs.Instance) (adoptable, bool) {
	if l.Info == nil || l.Info.Created.Name != l.Name || wanted == nil || spawn.IsCommand(l.Name) {
		return adoptable{}, false
	}
	// A container that ended without a daemon has an unrecorded death and a
	// running restart-timeout. A failed or pending fork has only the latter.
	if l.PID == 0 {
		l.Noted = l.Noted || !l.Info.Lived()
		return adoptable{left: l, wanted: wanted}, true
	}
	pidfd := openLiving(kernel, log, &l)
	if pidfd == nil {
		l.PID = 0 // it is dead by now
		return adoptable{left: l, wanted: wanted}, true
	}
	if l.Info.Forked == nil || l.Info.Forked.StartTime == 0 {
		l.Info = completed(kernel, l)
	}
	a := adoptable{left: l, wanted: wanted, pidfd: pidfd}
	// A socket is heard on, after that too.
	if created := &l.Info.Created; created.Notify != 0 || created.Notice != 0 && l.Info.Ready.IsZero() {
		var err error
		if a.notice, err = kernel.TakeNotice(l.PID, pidfd, created); err != nil {
			a.unreadable = err.Error()
		}
	}
	a.sockets, a.files = kernel.TakeSockets(l.PID, pidfd, process.Sockets(wanted.Container))
	return a, true
}

// completed adds the pid to a record whose daemon died before it wrote the line.
// Readers of the record find the container by it, and its death can be assigned.
// If it cannot be written, the next daemon finds the record in the same state.
func completed(kernel *actors.Kernel, l actors.Leftover) *records.Record {
	info := *l.Info
	info.Forked = &records.Forked{PID: l.PID, StartTime: l.StartTime}
	_ = kernel.AppendLine(l.Record, records.ForkedLine(*info.Forked))
	return &info
}

// leftoversFound has the containers adopted that keep running, and then ended
// if the daemon is to stop already; and ends the others. A stop waits for these,
// too: they would live on if the daemon gave up before their kill-timeouts.
func (r *Root) leftoversFound(ctx actor.Context, m *leftoversFound) {
	r.patience = m.longest
	r.findOrphans(ctx, m.adopted)
	switch {
	case r.stopping && !r.finished:
		r.endOrphans(ctx)
	case !r.stopping && m.living > 0:
		r.superviseOrphans(ctx)
	}
	send, self, log := ctx.ActorSystem().Root.Send, ctx.Self(), r.log
	kernel, store := r.config.Kernel, r.config.DeathRecords
	go func() {
		defer func() { send(self, &leftoversCleared{}) }()
		defer actors.Recover(log, "clearing of leftovers", nil)
		clearLeftovers(kernel, log, store, m.unwanted)
	}()
}

// leftoversCleared begins with all that is wanted: its places are free.
func (r *Root) leftoversCleared(ctx actor.Context) {
	r.ready = true
	if r.stopping && !r.finished && r.orphans != nil {
		r.endOrphans(ctx) // the stop came in between
	}
	r.advance(ctx)
	// Not sooner: what is adopted may be a child of this process, if that has
	// taken over by exec.
	r.listChildren(ctx)
}

// superviseOrphans has what keeps running not wait for what is being ended,
// which may take its whole kill-timeout. Nothing new is started yet.
func (r *Root) superviseOrphans(ctx actor.Context) {
	r.plan = r.first
	r.config.Budget.Set(r.plan.Master.RestartBudget)
	r.config.Board.Show(r.configStatus(r.config.Plan, r.config.Problems))
	for _, sb := range r.plan.Sandboxes {
		if orphans := r.orphans[sb.Name]; orphans != nil {
			r.want(ctx, sb.Name, &sandbox.ApplySandbox{Sandbox: onlyOrphans(sb, orphans), Paths: r.paths(sb.Name), Adopted: orphans})
		}
	}
	r.orphans = nil
}

// findOrphans turns adopted containers into messages to the sandboxes.
func (r *Root) findOrphans(ctx actor.Context, adopted []adoptable) {
	// A child that died before this process was taken over by an exec can still
	// be reaped, with its exact status.
	r.reap(ctx)
	r.adopting = make(map[int]bool)
	r.orphans = make(map[string]map[string]*process.Adopted)
	for _, a := range adopted {
		if len(a.files) > 0 {
			ctx.Send(r.services.Listener, &listener.EnterSockets{Owner: a.left.Name, Sockets: a.sockets, Files: a.files})
		}
		name := configs.ParseInstanceName(a.left.Name).Sandbox
		if r.orphans[name] == nil {
			r.orphans[name] = make(map[string]*process.Adopted)
		}
		orphan := a.toProcess()
		if exit, dead := r.held[orphan.Child.PID]; dead && orphan.Dead && !orphan.Noted {
			delete(r.held, orphan.Child.PID)
			orphan.Exit = &exit
		}
		r.orphans[name][a.left.Name] = orphan
		if a.pidfd != nil {
			adopt := &process.AdoptInstance{Instance: a.wanted, Adopted: orphan, Env: &process.Env{
				Board: r.config.Board, Deaths: r.config.DeathRecords, Log: r.log, Paths: process.Paths{StdioLog: stdioLog(r.first, name)},
			}}
			adopt.Show()
			r.adopting[a.left.PID] = true
		}
	}
}

// endOrphans ends what could have gone on running, as a stop ends all that runs:
// so that how it ended is told, too.
func (r *Root) endOrphans(ctx actor.Context) {
	r.plan = &configs.Plan{Master: r.first.Master}
	for _, sb := range r.first.Sandboxes {
		orphans := r.orphans[sb.Name]
		if orphans == nil {
			continue
		}
		only := onlyOrphans(sb, orphans)
		r.plan.Sandboxes = append(r.plan.Sandboxes, only)
		r.want(ctx, sb.Name, &sandbox.ApplySandbox{Sandbox: only, Paths: r.paths(sb.Name), Adopted: orphans})
		if c := r.sandboxes[sb.Name]; c != nil {
			c.wanted = nil
			ctx.Send(c.pid, &sandbox.EndSandbox{Shutdown: true})
		}
	}
	longest := r.longestKillTimeout()
	for _, orphans := range r.orphans {
		for _, a := range orphans {
			longest = max(longest, a.KillTimeout)
		}
	}
	r.orphans = nil
	r.expired = false // that was before anything of this could be ended
	r.stopWithin(ctx, longest+stopGrace)
}

// onlyOrphans is a sandbox with only its adopted containers.
func onlyOrphans(sb *configs.Sandbox, orphans map[string]*process.Adopted) *configs.Sandbox {
	only := *sb
	only.Processes = nil
	for _, p := range sb.Processes {
		copied := *p
		copied.Instances = nil
		for _, in := range p.Instances {
			if orphans[in.Name] != nil {
				copied.Instances = append(copied.Instances, in)
			}
		}
		if len(copied.Instances) > 0 {
			only.Processes = append(only.Processes, &copied)
		}
	}
	return &only
}

func (a *adoptable) toProcess() *process.Adopted {
	created := a.left.Info.Created
	child := &spawn.Child{PID: a.left.PID, PIDFD: a.pidfd, Started: created.At, Notice: a.notice}
	if forked := a.left.Info.Forked; forked != nil {
		child.PID, child.Degraded = forked.PID, forked.Degraded
	}
	adopted := &process.Adopted{
		Name: a.left.Name, Child: child, StartTime: a.left.StartTime, Fingerprint: created.Fingerprint, Image: created.Image, Config: created.Config,
		KillTimeout: a.left.KillTimeout, Created: created.At, Counts: a.left.Info.Counts(), LogFrom: created.LogFrom, Leased: len(a.files) > 0,
		Stopped: a.left.Stopped, Dead: a.pidfd == nil, Noted: a.left.Noted, Ready: a.left.Info.Ready, Unreadable: a.unreadable,
	}
	if tried := adopted.Counts.Fingerprint; adopted.Noted && tried != "" {
		adopted.Fingerprint = tried // the config whose start failed
	}
	return adopted
}

// adopted enters a container in the table and follows its life.
func (r *Root) adopted(ctx actor.Context, m *sandbox.ContainerAdopted) {
	a := m.Adopted
	child := a.Child
	delete(r.adopting, child.PID)
	// A child, after an exec: its death may have been seen already.
	if exit, dead := r.held[child.PID]; dead {
		delete(r.held, child.PID)
		ctx.Send(m.Owner, &process.ProcessExited{Gen: process.AdoptedGen, Exit: exit})
		return
	}
	r.table[child.PID] = entry{a.Name, m.Owner, process.AdoptedGen, child.PIDFD, a.KillTimeout}
	send, self := ctx.ActorSystem().Root.Send, ctx.Self()
	ended := func(exit actors.Exit) { send(self, &orphanExited{exit}) }
	if err := r.config.Kernel.Watch(child.PID, a.StartTime, child.PIDFD, ended); err != nil {
		r.log.Error().Msgf("Cannot watch %q of an earlier daemon (pid %d): %v; looking for its end in another way", a.Name, child.PID, err)
		go func() {
			for !r.config.Kernel.AwaitEnd(child.PIDFD, time.Hour) {
				time.Sleep(lookPause) // it may have failed at once
			}
			ended(actors.Exit{PID: child.PID, At: time.Now(), Unknown: true})
		}()
	}
	if r.expired {
		r.kill(child.PID)
	}
}

// firstPlan is what a daemon begins with: the files as they are, and for what
// is broken in them the good version that the daemon before this one had.
func (r *Root) firstPlan() *configs.Plan {
	kept := r.config.Kept
	if kept == nil {
		return Merge(nil, r.config.Plan)
	}
	if err := refusal(&planLoaded{plan: r.config.Plan, problems: r.config.Problems}); err != nil {
		r.log.Error().Msgf("Keeping the configs of the earlier daemon: %v", err)
		return &configs.Plan{Master: r.config.Plan.Master, Sandboxes: kept.Sandboxes}
	}
	return Merge(kept, r.config.Plan)
}
