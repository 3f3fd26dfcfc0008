package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"syscall"
	"time"

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

// checking is the state of the running container's probes.
type checking struct {
	since    time.Time // when it was started, adopted, or given other checks
	ready    time.Time // zero = not yet
	failures int       // of the healthcheck, in a row
	why      string    // why the last probe failed, "" = it did not
}

// shown is the part of it that others see.
func (c checking) shown() checking { return checking{ready: c.ready, failures: c.failures, why: c.why} }

func sameChecks(a, b *configs.Container) bool {
	return reflect.DeepEqual(a.Ready, b.Ready) && reflect.DeepEqual(a.Healthcheck, b.Healthcheck)
}

// next is the check that comes next, nil = none: first whether it is ready, from
// then on whether it still serves.
func (c checking) next(options *configs.Container) *configs.Check {
	switch {
	case options.Ready != nil && c.ready.IsZero():
		return &options.Ready.Check
	case options.Healthcheck != nil:
		return &options.Healthcheck.Check
	}
	return nil
}

// verdict is what follows from a check.
type verdict uint8

const (
	goOn verdict = iota
	isReady
	isUnhealthy
)

// judge interprets the result of a probe.
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

// health carries the checks out.
type health struct {
	checking
	unhealthy string // why the container is being ended, "" = it is not
	stopped   bool   // its PID 1 was stopped by a signal, by which if it is known
	stoppedBy syscall.Signal

	cancel             context.CancelFunc // of the check under way
	due, within, setup timer
	watchdog           watchdog
}

// stop stops the checks, and what waits for them to go well; that it is ready stays
// known.
func (h *health) stop() {
	for _, t := range []*timer{&h.due, &h.within, &h.setup, &h.watchdog.timer} {
		t.stop()
	}
	h.release()
	h.checking = checking{since: time.Now(), ready: h.ready}
}

// release ends the check that is under way.
func (h *health) release() {
	if h.cancel != nil {
		h.cancel()
		h.cancel = nil
	}
}

// ask asks the container, on a goroutine of its own. At most some are asked at
// a time; to wait for that is no part of the check's timeout.
func (h *health) ask(t turn, c *configs.Container) {
	check, env, name := *h.next(c), t.env, t.name
	asking, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	slots := env.Checkers
	if check.Kind == configs.CheckCommand {
		slots = env.Commands
	}
	t.async("check", t.now(Checked), func() (err error) {
		defer actors.Recover(env.Log, "check of "+name, func(fault error) { err = fmt.Errorf("%w: %w", actors.ErrNotAsked, fault) })
		select {
		case slots <- struct{}{}:
		case <-asking.Done():
			return nil // nobody wants to know any more
		}
		defer func() { <-slots }()
		limited, done := context.WithTimeout(asking, check.Timeout)
		defer done()
		return env.Kernel.Check(limited, name, env.RecordOf(name), &check)
	})
}

// show shows the checks of a container that runs or is being restarted.
func (h *health) show(in *status.Instance, c *configs.Container) {
	if in.State == status.Restarting {
		in.Unhealthy = h.unhealthy
	}
	if in.State != status.Running {
		return
	}
	if c.Ready != nil {
		in.Ready = &status.Ready{Ready: !h.ready.IsZero(), Check: c.Ready.What(), At: h.ready}
		if h.ready.IsZero() {
			in.Ready.Why = h.why
		}
	}
	if c.Healthcheck != nil && (c.Ready == nil || !h.ready.IsZero()) {
		in.Health = &status.Health{
			Check: c.Healthcheck.What(), Failures: h.failures, Allowed: c.Healthcheck.Failures, Why: h.why,
		}
	}
}

// startChecks begins with them.
//
// Preconditions: since and ready are those of the container.
func (p *Process) startChecks(t turn) {
	h, c := &p.health, p.desired.Container
	h.setup.start(t, setupPatience, SetupOverdue)
	p.raise(ServingDue, nil)
	if c.Ready != nil && c.Ready.Kind == configs.CheckNotify {
		p.reports.read(t, p.child.Notice)
	}
	p.watch(t)
	check := h.next(c)
	if check == nil {
		return
	}
	first := check.Interval
	if c.Ready != nil && h.ready.IsZero() {
		first = min(first, firstReadyCheck)
		if c.Ready.Within > 0 {
			h.within.start(t, time.Until(h.since.Add(c.Ready.Within)), ReadyOverdue)
		}
	}
	switch check.Kind {
	case configs.CheckFD:
		p.reports.await(t, p.child.Notice)
	case configs.CheckNotify:
	default:
		h.due.start(t, first, CheckDue)
	}
}

// judge acts on the result of a check.
func (p *Process) judge(t turn, result error) {
	h, options := &p.health, p.desired.Container
	h.release()
	before, check := h.checking, h.next(options)
	soon := errors.Is(result, actors.ErrNoProgram) && options.Ready != nil && before.ready.IsZero()
	var v verdict
	h.checking, v = judge(before, result, options, time.Now())
	switch v {
	case isReady:
		h.within.stop()
		if check.Kind == configs.CheckFD {
			p.closeNotice()
		}
		p.noteReady(check)
		p.armStandby(t)
		p.watch(t)
		p.raise(ServingDue, nil)
		check = h.next(options)
	case isUnhealthy:
		p.raise(Unhealthy, fmt.Errorf("its healthcheck failed %s (%s: %s)", times(h.failures), check.What(), h.why))
		return
	case goOn:
		p.noteChecked(before, check)
	}
	if check != nil && !check.Told() {
		interval := check.Interval
		if soon {
			interval = min(interval, noProgramCheck)
		}
		h.due.start(t, interval, CheckDue)
	}
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times in a row", n)
}

// judgeReady ends a container that took too long to become ready.
func (p *Process) judgeReady() {
	if ready := p.desired.Container.Ready; ready != nil && p.health.ready.IsZero() {
		p.raise(Unhealthy, fmt.Errorf("it was not ready within %s (%s: %s)", ready.Within, ready.What(), cmp.Or(p.health.why, "no answer yet")))
	}
}

// noteReady logs it, and writes it down for the next daemon.
func (p *Process) noteReady(check *configs.Check) {
	p.env.Log.Warn().Str("event", "ready").Str("container", p.name).
		Msgf("Container %q is ready after %s (%s)", p.name, uptimeInWords(p.health.ready.Sub(p.child.Started)), check.What())
	if err := p.env.Kernel.AppendLine(p.env.RecordOf(p.name), records.ReadyLine(p.health.ready)); err != nil {
		p.env.Log.Error().Msgf("Cannot note that %q is ready, another daemon would ask it again: %v", p.name, err)
	}
}

// noteChecked logs a result that differs from the last one.
func (p *Process) noteChecked(before checking, check *configs.Check) {
	c, options := p.health.checking, p.desired.Container
	if c.why == before.why || options.Ready != nil && c.ready.IsZero() {
		return // while it starts, to fail is the rule
	}
	switch log := p.env.Log; {
	case c.why == "":
		log.Warn().Str("event", "health").Str("container", p.name).Msgf("Container %q serves again (%s)", p.name, check.What())
	case c.failures == before.failures:
		log.Warn().Msgf("The healthcheck of %q does not count (%s): %s", p.name, check.What(), c.why)
	default:
		log.Error().Str("event", "health").Str("container", p.name).
			Msgf("Container %q failed its healthcheck, %d of %d times in a row (%s): %s", p.name, c.failures, options.Healthcheck.Failures, check.What(), c.why)
	}
}

// noteUnhealthy says why it is ended, in the record too: a daemon that comes in
// the meantime would not know.
func (p *Process) noteUnhealthy(why error) {
	p.health.unhealthy = why.Error()
	p.env.Log.Error().Str("event", "unhealthy").Str("container", p.name).
		Msgf("Ending container %q (pid %d), to be started again: %v", p.name, p.child.PID, why)
	if err := p.env.Kernel.AppendLine(p.env.RecordOf(p.name), records.UnhealthyLine(why.Error())); err != nil {
		p.env.Log.Error().Msgf("Cannot note that %q is unhealthy: %v", p.name, err)
	}
}
