package process

import (
	"fmt"
	"math/rand/v2"
	"time"

	"lithos/actors/services/budget"
	"lithos/actors/services/fair"
	"lithos/actors/services/status"
	"lithos/configs"
	"lithos/spawn/records"
)

// failedStartWait is the least time between two starts of which the first came
// to no process. With a restart-timeout of 0 a port that can't be opened would
// otherwise keep a processor and the log busy: a container takes its time to
// end, a refusal none.
const failedStartWait = 100 * time.Millisecond

// pacing is what the wait for a restart depends on: the starts so far and how
// they ended.
type pacing struct {
	attempt time.Time // when the last start was begun
	starts  int       // so far
	failed  int       // in a row, as it is shown
	row     int       // in a row, as restart-backoff counts
	chance  float64   // decides on the jitter of the wait after the last
	refused bool      // the last start came to no process
}

// tally is how it is noted in the record.
func (p pacing) tally() records.Tally {
	return records.Tally{Starts: p.starts, Failed: p.failed, Row: p.row, Chance: p.chance, NotForked: p.refused}
}

// noted is the pacing of a container that another daemon started then.
func noted(t records.Tally, created, now time.Time) pacing {
	p := pacing{attempt: created, starts: t.Starts, failed: t.Failed, row: t.Row, chance: t.Chance, refused: t.NotForked}
	if !t.Tried.IsZero() {
		p.attempt = t.Tried // and it is over
	}
	if p.attempt.After(now) {
		p.attempt = now // the clock was set back: nothing is to wait for that
	}
	return p
}

// wait is the least time between the last start and the next one.
func (p pacing) wait(c *configs.Container) time.Duration {
	wait := c.RestartBackoff.Wait(c.RestartTimeout, p.row, p.chance)
	if p.refused {
		return max(wait, failedStartWait)
	}
	return wait
}

// next is when the next start follows.
func (p pacing) next(c *configs.Container) time.Time { return p.attempt.Add(p.wait(c)) }

// formula is how that comes about.
func (p pacing) formula(c *configs.Container) string {
	wait := p.wait(c)
	formula := "restart-timeout " + c.RestartTimeout.String()
	if wait == failedStartWait && c.RestartTimeout < wait {
		formula += ", " + wait.String() + " at least since it could not be started,"
	}
	if b := c.RestartBackoff; b.Factor != 0 && p.row > 0 {
		formula = fmt.Sprintf("%s: restart-timeout %s * %v^%d, at most %s", wait.Round(time.Millisecond), c.RestartTimeout, b.Factor, p.row-1, b.Cap)
		if b.Jitter != 0 {
			formula += fmt.Sprintf(", less up to %v%% by chance", b.Jitter*100)
		}
		formula += fmt.Sprintf(" (failure %d in a row),", p.row)
	}
	return formula + " after the last start, or at once if that is over"
}

// after is the pacing after a container, or a try to start one, ended so. A
// changed instance follows if another one is wanted by now: that has not failed yet.
func (p pacing) after(exit *status.Exit, wanted *configs.Instance, chance float64) pacing {
	p.refused, p.chance = exit.PID == 0, chance
	p.row = wanted.Container.RestartBackoff.Count(p.row, exit.Failure, exit.Lived())
	if exit.Fingerprint != wanted.Fingerprint {
		p.row = 0
	}
	switch {
	case !exit.Failure:
		p.failed = 0
	case exit.Lived() >= status.HealthyAfter:
		p.failed = 1
	default:
		p.failed++
	}
	return p
}

// restart is the wait for the next start.
type restart struct {
	pacing
	rank   fair.Pace // among those that want to be started
	timer  timer
	queued *budget.Wait // in restart-budget, nil = it is not
	random func() float64
}

func newRestart() restart { return restart{random: rand.Float64} }

// resume takes over from another daemon.
func (r *restart) resume(t records.Tally, created time.Time) {
	r.pacing = noted(t, created, time.Now())
	r.rank = r.rank.Started(r.attempt)
}

// forget starts over for a changed instance.
func (r *restart) forget() { r.row, r.rank = 0, fair.Pace{} }

// begin ends the wait with a start.
func (r *restart) begin() { r.attempt, r.queued = time.Now(), nil }

// forked has the start counted in the rank, and gives the one before.
func (r *restart) forked() (rank fair.Pace) {
	rank, r.rank = r.rank, r.rank.Started(r.attempt)
	return rank
}

// arm waits for what is left of the wait, which is counted from the last start.
func (r *restart) arm(t turn, c *configs.Container) (atOnce bool) {
	r.timer.stop()
	if wait := time.Until(r.next(c)); wait > 0 {
		r.timer.start(t, wait, RestartElapsed)
		return false
	}
	return true
}

// ask asks restart-budget. If the restart is not allowed now, RestartAllowed
// follows.
func (r *restart) ask(t turn) (allowed bool) {
	send, self, m := t.ctx.ActorSystem().Root.Send, t.ctx.Self(), &answer{t.now(RestartAllowed)}
	r.queued = t.env.Budget.Ask(r.rank, func() { send(self, m) })
	return r.queued == nil
}

// cancel ends the wait.
func (r *restart) cancel() {
	r.timer.stop()
	if r.queued != nil {
		r.queued.Withdraw()
		r.queued = nil
	}
}

// show shows the wait.
func (r *restart) show(in *status.Instance, c *configs.Container) {
	in.Starts, in.FailuresInRow = r.starts, r.failed
	switch {
	case in.State != status.Waiting:
	case r.queued != nil:
		in.NextTry, in.NextTryWhy = r.queued.Next()
		in.Queued = r.queued.Next
	default:
		in.NextTry, in.NextTryWhy = r.next(c), r.formula(c)
	}
}
