package process

import (
	"time"

	"lithos/actors/status"
)

// states are the words for the phases; Absent has none: there is no instance.
var states = [phaseCount]status.State{
	Waiting:           status.Waiting,
	Opening:           status.Starting,
	Forking:           status.Starting,
	ForkingToReplace:  status.Replacing,
	ForkingToRetire:   status.Stopping,
	Running:           status.Running,
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
	}
	if state == status.Waiting {
		in.NextTry, in.Backoff = p.nextTry()
	}
	p.env.Board.Publish(in)
}

// nextTry is when the next start follows, and how that comes about.
func (p *Process) nextTry() (at time.Time, formula string) {
	timeout := p.desired.Container.RestartTimeout
	return p.attempt.Add(timeout), "restart-timeout " + timeout.String() + " after the last start, or at once if that is over"
}

// ended remembers how a container, or a try to start one, ended.
func (p *Process) ended(exit *status.Exit) {
	p.lastExit = exit
	if exit.Uptime >= status.HealthyAfter {
		p.failedInRow = 0
	}
	if exit.Failure {
		p.failedInRow++
	} else {
		p.failedInRow = 0
	}
}
