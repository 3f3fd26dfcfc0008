package process

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/scheduler"

	"lithos/actors"
	"lithos/actors/services/status"
	"lithos/configs"
	"lithos/spawn/records"
)

// firstReadyCheck is when a container is asked for the first time whether it is
// ready, if its interval is not shorter. Most programs take longer.
const firstReadyCheck = 100 * time.Millisecond

// noProgramCheck is when one whose program was not executed yet is asked again:
// that is no answer to wait an interval for.
const noProgramCheck = 500 * time.Millisecond

// checking is what is known from the checks of the container that runs.
type checking struct {
	since    time.Time // when it was started, adopted, or given other checks
	ready    time.Time // zero = not yet
	failures int       // of the healthcheck, in a row
	why      string    // what was wrong at the last check, "" = nothing

	answer        error // to the last check, not judged yet
	cancel        context.CancelFunc
	timer, within scheduler.CancelFunc
	setup         scheduler.CancelFunc // the limit of the set-up

	watched  time.Time // since when WATCHDOG=1 is waited for
	watchdog scheduler.CancelFunc
}

// shown is what others see of it.
func (c *checking) shown() any {
	return struct {
		ready    time.Time
		failures int
		why      string
	}{c.ready, c.failures, c.why}
}

func sameChecks(a, b *configs.Container) bool {
	return reflect.DeepEqual(a.Ready, b.Ready) && reflect.DeepEqual(a.Healthcheck, b.Healthcheck)
}

// check is what to ask next, nil = nothing: first whether it is ready, from
// then on whether it still serves.
func (p *Process) check() *configs.Check {
	c := p.desired.Container
	switch {
	case c.Ready != nil && p.checks.ready.IsZero():
		return &c.Ready.Check
	case c.Healthcheck != nil:
		return &c.Healthcheck.Check
	}
	return nil
}

// startChecks begins with them.
//
// Preconditions: checks.since and checks.ready are those of the container.
func (p *Process) startChecks(ctx actor.Context) {
	p.limitSetup(ctx)
	if ready := p.desired.Container.Ready; ready != nil && ready.Kind == configs.CheckNotify {
		p.hearOn(ctx)
	}
	p.watch(ctx)
	check := p.check()
	if check == nil {
		return
	}
	first := check.Interval
	if ready := p.desired.Container.Ready; ready != nil && p.checks.ready.IsZero() {
		first = min(first, firstReadyCheck)
		if ready.Within > 0 {
			p.checks.within = p.env.After(time.Until(p.checks.since.Add(ready.Within)), ctx.Self(), &readyOverdue{p.state.Check})
		}
	}
	switch check.Kind {
	case configs.CheckFD:
		p.awaitNotice(ctx)
		return
	case configs.CheckNotify:
		return
	}
	p.checks.timer = p.env.After(first, ctx.Self(), &checkDue{p.state.Check})
}

// awaitNotice waits on a goroutine, one for each container, until the program
// tells that it is ready. Closing the file ends that.
func (p *Process) awaitNotice(ctx actor.Context) {
	file := p.child.Notice
	if file == nil || p.listening {
		return
	}
	p.listening = true
	env, gen, self, name := p.env, p.state.Start, ctx.Self(), p.name
	send := ctx.ActorSystem().Root.Send
	go func() {
		done := &noticeHeard{Gen: gen}
		defer func() { send(self, done) }()
		defer actors.Recover(env.Log, "readiness of "+name, func(err error) { done.Err = err })
		done.Err = env.Kernel.AwaitNotice(file)
	}()
}

// heard takes what the program has told for the answer to a check.
func (p *Process) heard(ctx actor.Context, m *noticeHeard) {
	if m.Gen == p.state.Start && m.Err != nil {
		p.deaf = true
		if p.state.Phase == Running && p.desired.Container.Ready != nil && p.desired.Container.Ready.Watchdog > 0 {
			p.env.Log.Error().Msgf("The watchdog of %q is off: %v", p.name, m.Err)
		}
	}
	ready := p.desired.Container.Ready
	if m.Gen != p.state.Start || p.state.Phase != Running || ready == nil || !ready.Told() || !p.checks.ready.IsZero() {
		return
	}
	p.checks.answer = m.Err
	p.handle(ctx, Event{Checked, p.state.Check})
}

// closeNotice: nobody listens any more.
func (p *Process) closeNotice() {
	if p.child != nil && p.child.Notice != nil {
		_ = p.env.Kernel.Close(p.child.Notice)
		p.child.Notice = nil
	}
}

// stopChecks stops them, and what waits for them to go well; what is known stays.
func (p *Process) stopChecks() {
	p.cancel(&p.checks.timer)
	p.cancel(&p.checks.within)
	p.cancel(&p.checks.setup)
	p.cancel(&p.checks.watchdog)
	p.cancel(&p.standbyTimer)
	if p.checks.cancel != nil {
		p.checks.cancel()
		p.checks.cancel = nil
	}
	p.checks = checking{since: time.Now(), ready: p.checks.ready}
}

// ask asks the container, on a goroutine of its own. At most some are asked at
// a time; to wait for that is no part of the check's timeout.
func (p *Process) ask(ctx actor.Context) {
	check := *p.check()
	env, gen, self, name := p.env, p.state.Check, ctx.Self(), p.name
	send := ctx.ActorSystem().Root.Send
	asking, cancel := context.WithCancel(context.Background())
	p.checks.cancel = cancel
	slots := env.Checkers
	if check.Kind == configs.CheckCommand {
		slots = env.Commands
	}
	go func() {
		done := &checkDone{Gen: gen}
		defer func() { send(self, done) }()
		defer actors.Recover(env.Log, "check of "+name, func(err error) { done.Err = fmt.Errorf("%w: %w", actors.ErrNotAsked, err) })
		select {
		case slots <- struct{}{}:
		case <-asking.Done():
			return // nobody wants to know any more
		}
		defer func() { <-slots }()
		limited, done1 := context.WithTimeout(asking, check.Timeout)
		defer done1()
		done.Err = env.Kernel.Check(limited, name, env.RecordOf(name), &check)
	}()
}

// verdict is what follows from a check.
type verdict uint8

const (
	goOn verdict = iota
	isReady
	isUnhealthy
)

// judge is what an answer means.
func judge(c checking, err error, options *configs.Container, now time.Time) (checking, verdict) {
	waiting := options.Ready != nil && c.ready.IsZero()
	c.why = ""
	if err != nil {
		c.why = err.Error()
	}
	switch {
	case err == nil && waiting:
		c.ready = now
		return c, isReady
	case err == nil:
		c.failures = 0
	case waiting, errors.Is(err, actors.ErrNotAsked):
	case now.Sub(c.since) < options.Healthcheck.StartPeriod:
	default:
		c.failures++
		if c.failures >= options.Healthcheck.Failures {
			return c, isUnhealthy
		}
	}
	return c, goOn
}

// judge acts on the answer.
func (p *Process) judge(ctx actor.Context) {
	if p.checks.cancel != nil {
		p.checks.cancel()
		p.checks.cancel = nil
	}
	before, options := p.checks, p.desired.Container
	check := p.check()
	soon := errors.Is(p.checks.answer, actors.ErrNoProgram) && options.Ready != nil && before.ready.IsZero()
	var v verdict
	p.checks, v = judge(p.checks, p.checks.answer, options, time.Now())
	switch v {
	case isReady:
		p.cancel(&p.checks.within)
		if check.Kind == configs.CheckFD {
			p.closeNotice()
		}
		p.noteReady(check)
		p.armStandby(ctx)
		p.watch(ctx)
		check = p.check()
	case isUnhealthy:
		p.unhealthy = fmt.Sprintf("its healthcheck failed %s (%s: %s)", times(p.checks.failures), check.What(), p.checks.why)
		p.raise(Unhealthy, p.state.Check)
		return
	case goOn:
		p.noteChecked(&before, check)
	}
	if check != nil && !check.Told() {
		interval := check.Interval
		if soon {
			interval = min(interval, noProgramCheck)
		}
		p.checks.timer = p.env.After(interval, ctx.Self(), &checkDue{p.state.Check})
	}
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times in a row", n)
}

// overdue is what happens when it takes too long to become ready.
func (p *Process) overdue(ctx actor.Context, m *readyOverdue) {
	ready := p.desired.Container.Ready
	if m.Gen != p.state.Check || ready == nil || !p.checks.ready.IsZero() {
		return
	}
	if p.state.Phase == Running {
		p.unhealthy = fmt.Sprintf("it was not ready within %s (%s: %s)", ready.Within, ready.What(), orNothing(p.checks.why))
	}
	p.handle(ctx, Event{Unhealthy, m.Gen})
}

func orNothing(why string) string {
	if why == "" {
		return "no answer yet"
	}
	return why
}

// noteReady logs it, and writes it down for the next daemon.
func (p *Process) noteReady(check *configs.Check) {
	p.env.Log.Warn().Str("event", "ready").Str("container", p.name).
		Msgf("Container %q is ready after %s (%s)", p.name, uptimeInWords(p.checks.ready.Sub(p.child.Started)), check.What())
	if err := p.env.Kernel.AppendLine(p.env.RecordOf(p.name), records.ReadyLine(p.checks.ready)); err != nil {
		p.env.Log.Error().Msgf("Cannot note that %q is ready, another daemon would ask it again: %v", p.name, err)
	}
}

// noteChecked logs what is another answer than the last one.
func (p *Process) noteChecked(before *checking, check *configs.Check) {
	c := &p.checks
	if c.why == before.why || p.desired.Container.Ready != nil && c.ready.IsZero() {
		return // while it starts, to fail is the rule
	}
	switch log := p.env.Log; {
	case c.why == "":
		log.Warn().Str("event", "health").Str("container", p.name).Msgf("Container %q serves again (%s)", p.name, check.What())
	case c.failures == before.failures:
		log.Warn().Msgf("The healthcheck of %q does not count (%s): %s", p.name, check.What(), c.why)
	default:
		log.Error().Str("event", "health").Str("container", p.name).
			Msgf("Container %q failed its healthcheck, %d of %d times in a row (%s): %s", p.name, c.failures, p.desired.Container.Healthcheck.Failures, check.What(), c.why)
	}
}

// noteUnhealthy says why it is ended, in the record too: a daemon that comes in
// the meantime would not know.
func (p *Process) noteUnhealthy() {
	p.env.Log.Error().Str("event", "unhealthy").Str("container", p.name).
		Msgf("Ending container %q (pid %d), to be started again: %s", p.name, p.child.PID, p.unhealthy)
	if err := p.env.Kernel.AppendLine(p.env.RecordOf(p.name), records.UnhealthyLine(p.unhealthy)); err != nil {
		p.env.Log.Error().Msgf("Cannot note that %q is unhealthy: %v", p.name, err)
	}
}

// whyUnhealthy is why it was ended by this daemon or the one before, "" = not
// because of its checks.
func (p *Process) whyUnhealthy(record *records.Record) string {
	if p.unhealthy != "" {
		return p.unhealthy
	}
	return record.Unhealthy
}

// publishChecks shows them.
func (p *Process) publishChecks(in *status.Instance) {
	c := p.desired.Container
	if p.state.Phase == Ending {
		in.Unhealthy = p.unhealthy
	}
	if p.state.Phase != Running {
		return
	}
	in.Says = p.told.words()
	if c.Ready != nil {
		in.Ready = &status.Ready{Check: c.Ready.What(), At: p.checks.ready}
		if p.checks.ready.IsZero() {
			in.Ready.Why = p.checks.why
		}
	}
	if c.Healthcheck != nil && (c.Ready == nil || !p.checks.ready.IsZero()) {
		in.Health = &status.Health{
			Check: c.Healthcheck.What(), Failures: p.checks.failures, Allowed: c.Healthcheck.Failures, Why: p.checks.why,
		}
	}
}
