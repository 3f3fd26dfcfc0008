package root

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"lithos/actors"
	"lithos/configs"
)

// loadPatience is how long a reload may read before the log says so, again and
// again. A thousand images take a fraction of a second.
const loadPatience = 30 * time.Second

// reload reads the configs on a goroutine, one at a time; a reload that is
// asked for meanwhile follows, so that the last edit is always seen.
func (r *Root) reload(ctx actor.Context) {
	switch {
	case r.stopping:
		r.log.Warn().Msg("Not reloading: the daemon is being stopped")
		return
	case r.loading || !r.ready:
		r.again = true
		if r.loading {
			r.log.Warn().Msg("Still reading the configs: they are read again after that")
		}
		return
	}
	r.loading = true
	r.loads++
	r.awaitLoad(ctx, loadPatience)
	r.log.Warn().Msg("Reloading the configs")
	r.config.Board.BeginReload()
	send, self, log, kernel, before := ctx.ActorSystem().Root.Send, ctx.Self(), r.log, r.config.Kernel, r.plan
	go func() {
		result := &planLoaded{}
		defer func() { send(self, result) }()
		defer actors.Recover(log, "config reader", func(err error) { result.err = err })
		result.plan, result.problems = kernel.Load(before)
	}()
}

// awaitLoad has the root say so when reading takes too long: nothing is lost by
// that, but no edit counts until it ends.
func (r *Root) awaitLoad(ctx actor.Context, since time.Duration) {
	r.loadTimer = r.services.Timers.SendOnce(loadPatience, ctx.Self(), &loadOverdue{r.loads, since})
}

func (r *Root) loadOverdue(ctx actor.Context, m *loadOverdue) {
	if !r.loading || m.load != r.loads {
		return
	}
	r.log.Error().Msgf("The configs have been read for %s and no end: does a file system hang, with an image or a config on it? All containers run on, no change counts until then", m.since)
	r.awaitLoad(ctx, m.since+loadPatience)
}

func (r *Root) loaded(ctx actor.Context, m *planLoaded) {
	r.loading = false
	r.loadTimer()
	if r.stopping {
		return
	}
	err := refusal(m)
	master := r.plan.Master
	if err == nil {
		master = m.plan.Master
	}
	// First of all, so that the next lines are in the new file.
	if err := r.config.Logs.Reload(master); err != nil {
		r.log.Error().Msgf("The daemon's own log stays as it was: %v", err)
	}
	r.logProblems(m.problems)
	if err != nil {
		r.log.Error().Msgf("Reload refused, everything stays as it is: %v", err)
		r.config.Board.EndReload(r.configStatus(nil, m.problems), err.Error())
	} else {
		r.accept(ctx, m.plan)
		r.config.Registry.Restarts.Add(1)
		r.config.Board.EndReload(r.configStatus(m.plan, m.problems), "")
	}
	if r.again {
		r.again = false
		r.reload(ctx)
	}
}

// refusal says why a whole reload can't be used: the master config is broken,
// or something else that belongs to no sandbox, such as sandboxes-dir.
func refusal(m *planLoaded) error {
	switch {
	case m.err != nil:
		return m.err
	case m.plan == nil || m.plan.Master == nil:
		return fmt.Errorf("the master config can't be used; correct what is logged above and send QUIT again")
	}
	for _, p := range m.problems {
		if p.Severity == configs.SeverityError && p.Sandbox == "" {
			return fmt.Errorf("%s", p)
		}
	}
	return nil
}

func (r *Root) accept(ctx actor.Context, loaded *configs.Plan) {
	r.warnOfFixed(loaded.Master)
	if r.config.Prepare != nil {
		if err := r.config.Prepare(loaded.Master); err != nil {
			r.log.Error().Msgf("%v", err)
		}
	}
	r.apply(ctx, Merge(r.plan, loaded))
	r.listChildren(ctx)
	r.log.Warn().Msgf("Reloaded: supervising %s", summary(r.plan))
}

// warnOfFixed tells about options that are used at the daemon's start only.
func (r *Root) warnOfFixed(m *configs.Master) {
	for _, o := range Fixed(r.started, m) {
		r.log.Error().Msgf("%s stays %q: to use %q, stop and start lithos_tree", o.Name, o.Old, o.New)
	}
}

// FixedOption is an option of the master config that was changed and can't be
// while a daemon runs.
type FixedOption struct{ Name, Old, New string }

// Fixed lists those that were changed.
func Fixed(started, now *configs.Master) (changed []FixedOption) {
	for _, o := range []FixedOption{
		{"runtime-dir", started.RuntimeDir, now.RuntimeDir},
		{"state-dir", started.StateDir, now.StateDir},
		{"mount-dir", started.MountDir, now.MountDir},
		{"cgroup-name", started.CgroupName, now.CgroupName},
		{"cgroup-controllers", fmt.Sprint(started.CgroupControllers), fmt.Sprint(now.CgroupControllers)},
		{"syslog-facility", started.SyslogFacility, now.SyslogFacility},
		{"syslog-name", started.SyslogName, now.SyslogName},
	} {
		if o.Old != o.New {
			changed = append(changed, o)
		}
	}
	return changed
}

// logProblems logs the problems of the configs, with file and line.
func (r *Root) logProblems(problems configs.Problems) {
	for _, p := range problems {
		event := r.log.Error()
		if p.Severity == configs.SeverityWarning {
			event = r.log.Warn()
		}
		event.Msg(p.String())
	}
}

// summary counts the objects of a plan.
func summary(plan *configs.Plan) string {
	containers := 0
	for _, sb := range plan.Sandboxes {
		for _, p := range sb.Processes {
			if p.Kind != configs.KindCommand {
				containers += len(p.Instances)
			}
		}
	}
	return count(containers, "container", "containers") + " in " + count(len(plan.Sandboxes), "sandbox", "sandboxes")
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", many)
}
