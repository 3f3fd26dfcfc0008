package process

import (
	"time"

	"lithos/actors/services/api"
	"lithos/actors/services/status"
)

// shown is the word for a place, "" = there is no instance.
func (p Place) shown() status.State {
	switch p.Goal {
	case ToReplace:
		return status.Replacing
	case ToRetire:
		return status.Stopping
	}
	return [stepCount]status.State{
		Waiting: status.Waiting, Queued: status.Waiting, Opening: status.Starting, Forking: status.Starting,
		Running: status.Running, Ending: status.Restarting, Cleaning: status.Waiting,
	}[p.Step]
}

// publish updates the instance on the board. Fields that are read on demand are
// not computed here.
func (p *Process) publish() {
	state := p.state.shown()
	if state == "" {
		p.env.Board.Remove(p.name)
		return
	}
	if state != p.shown {
		p.shown, p.since = state, time.Now()
	}
	in := &status.Instance{
		Instance: api.Instance{
			Name: p.name, State: state, Since: p.since, LastExit: p.lastExit, Log: p.env.StdioLog, Standby: p.standby.words(),
		},
		Wanted: p.desired, Current: p.current, LastExitTold: p.lastExit == p.obituary.earlier,
	}
	if p.child != nil {
		in.PID, in.Started, in.Degraded = p.child.PID, p.child.Started, p.child.Degraded
		in.Suspended = p.health.stopped
	}
	if state == status.Running {
		in.Says = p.reports.last.words()
	}
	p.restart.show(in, p.desired.Container)
	p.health.show(in, p.desired.Container)
	p.env.Board.Publish(in)
}

// routine tells whether the event mostly changes nothing that is shown.
func (k Kind) routine() bool {
	return k == CheckDue || k == Checked || k == Reported || k == WatchdogDue
}

// view is what a routine event may change of what is shown.
type view struct {
	at     Place
	checks checking
	report report
}

func (p *Process) visible() view {
	return view{p.state.Place, p.health.shown(), p.reports.last.shown()}
}
