package process

import (
	"fmt"
	"time"

	"lithos/actors/services/status"
)

// states are the words for the phases; Absent has none: there is no instance.
var states = [phaseCount]status.State{
	Waiting:           status.Waiting,
	Opening:           status.Starting,
	Forking:           status.Starting,
	ForkingToReplace:  status.Replacing,
	ForkingToRetire:   status.Stopping,
	Running:           status.Running,
	Ending:            status.Restarting,
	Replacing:         status.Replacing,
	Retiring:          status.Stopping,
	Cleaning:          status.Waiting,
	CleaningToReplace: status.Replacing,
	CleaningToRetire:  status.Stopping,
	Leaving:           status.Stopping,
}

// publish shows what has become of the instance. What waits to be asked for
// is not looked at: it costs a container's life nothing.
func (p *Process) publish() {
	state := states[p.state.Phase]
	if state == "" {
		p.env.Board.Remove(p.name)
		return
	}
	if state != p.shown {
		p.shown, p.since = state, time.Now()
	}
	in := &status.Instance{
		Name:        p.name,
		State:       state,
		Since:       p.since,
		Desired:     p.desired,
		Current:     p.current,
		Starts:      p.restarts,
		LastExit:    p.lastExit,
		FailedInRow: p.failedInRow,
		Log:         p.env.StdioLog,
	}
	if p.child != nil {
		in.PID, in.Started, in.Degraded = p.child.PID, p.child.Started, p.child.Degraded
		in.Stopped = p.stopped
	}
	if p.queued != nil {
		in.NextTry, in.Backoff = p.queued.Next()
		in.Queued = p.queued.Next
	} else if state == status.Waiting {
		in.NextTry, in.Backoff = p.nextTry()
	}
	in.Standby = p.shownStandby()
	p.publishChecks(in)
	p.env.Board.Publish(in)
}

// failedStartWait is the least time between two starts of which the first came
// to no process. With a restart-timeout of 0 a port that can't be opened would
// otherwise keep a processor and the log busy: a container takes its time to
// end, a refusal none.
const failedStartWait = 100 * time.Millisecond

// wait is the least time between the last start and the next one.
func (p *Process) wait() time.Duration {
	c := p.desired.Container
	wait := c.RestartBackoff.Wait(c.RestartTimeout, p.row, p.chance)
	if p.unborn {
		return max(wait, failedStartWait)
	}
	return wait
}

// nextTry is when the next start follows, and how that comes about.
func (p *Process) nextTry() (at time.Time, formula string) {
	c, wait := p.desired.Container, p.wait()
	formula = "restart-timeout " + c.RestartTimeout.String()
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
	return p.attempt.Add(wait), formula + " after the last start, or at once if that is over"
}

// ended remembers how a container, or a try to start one, ended.
func (p *Process) ended(exit *status.Exit) {
	p.lastExit, p.unborn = exit, exit.PID == 0
	p.row = p.desired.Container.RestartBackoff.Count(p.row, exit.Failure, exit.Uptime)
	if exit.Fingerprint != p.desired.Fingerprint {
		p.row = 0 // what follows is another one, which has not failed yet
	}
	p.chance = p.random()
	if exit.Uptime >= status.HealthyAfter {
		p.failedInRow = 0
	}
	if exit.Failure {
		p.failedInRow++
	} else {
		p.failedInRow = 0
	}
}
