package process

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"lithos/actors"
	"lithos/actors/listener"
	"lithos/actors/services/status"
	"lithos/actors/spawner"
	"lithos/configs"
	"lithos/spawn"
)

// killGrace is what PID 1 gets beyond its kill-timeout, after which it kills
// by itself.
const killGrace = time.Second

// Process is the actor. The table (transition.go) is its behaviour; its parts
// carry it out.
type Process struct {
	name     string
	counters *actors.Counters
	env      *Env
	state    State
	pending  []Event // raised by effects, handled in the same turn

	desired   *configs.Instance // runs at the next start
	current   *configs.Instance // the container was made from it
	child     *spawn.Child      // nil while there is none
	cancelled *atomic.Bool      // tells the spawner that a start is not wanted any more

	restart  restart
	lease    lease
	standby  standby
	health   health
	reports  reports
	serving  serving
	ending   ending
	obituary obituary

	// State for the board.
	shown    status.State
	since    time.Time // of shown
	lastExit *status.Exit
}

// New makes the actor of the instance of that name ("SANDBOX/PROCESS.INDEX").
func New(name string, counters *actors.Counters) *Process {
	return &Process{name: name, counters: counters, restart: newRestart()}
}

// Receive implements actor.Actor.
func (p *Process) Receive(ctx actor.Context) {
	actors.GrowStack(false)
	switch m := ctx.Message().(type) {
	case *RunInstance:
		p.run(ctx, m)
	case *UpdateInstance:
		p.update(ctx, m)
	case *AdoptInstance:
		p.adopt(ctx, m)
	case *RetireInstance:
		p.ending.shutdown = m.Shutdown
		p.handle(ctx, Event{Kind: Retire})
	case *TerminateAgain:
		p.handle(ctx, Event{Kind: Terminate})
	case *DismissInstance:
		p.handle(ctx, Event{Kind: Dismiss})
	case *Flush:
		p.noteUnnoted()
		m.Done()
	case *deathKept:
		p.noteKept()
	case *standbyGone:
		p.standbyGone(ctx, m.Place)
	default:
		p.answer(ctx, m)
	}
}

// answer handles an answer to an effect, a timer or news of the container. All that
// comes too late is dropped here, before anything of it is stored.
func (p *Process) answer(ctx actor.Context, message any) {
	if m, ok := message.(*programReported); ok {
		defer close(m.Done)
	}
	if event, ok := EventOf(message); ok && p.state.Expects(event) {
		routine, before := event.Kind.routine(), p.visible()
		p.store(ctx, message)
		p.step(ctx, event)
		if !routine || p.visible() != before {
			p.publish() // a watcher is not to be woken by each check
		}
	}
}

// store takes over the content of a message.
func (p *Process) store(ctx actor.Context, message any) {
	switch m := message.(type) {
	case *listener.SocketsLeased:
		p.lease.files = m.Files
	case *listener.SocketsShown:
		p.lease.files = m.Files
	case *spawner.ContainerForked:
		p.child = m.Child
	case *ProcessExited:
		p.obituary.exit = m.Exit
	case *ProcessStopped:
		p.health.stopped, p.health.stoppedBy = m.Stopped, m.Signal
	case *programReported:
		p.reports.last = m.Report
	case *containerCleaned:
		if m.Err != nil {
			p.env.Log.Error().Msgf("Cannot clean up after %q: %v", p.name, m.Err)
		}
		p.standby.outdated = m.Outdated
		p.standbyGone(ctx, m.Discarded)
	}
}

// run has another instance run.
func (p *Process) run(ctx actor.Context, m *RunInstance) {
	p.serving.wanted = m.ReportServing
	if p.state.Starts() && p.current.Fingerprint == m.Instance.Fingerprint {
		// It was adopted, ended while it waited for its turn, and was started so.
		p.update(ctx, &UpdateInstance{Instance: m.Instance, Env: m.Env})
		return
	}
	p.desired, p.env = m.Instance, m.Env
	p.restart.forget() // another one has not failed yet
	p.handle(ctx, Event{Kind: Run})
}

// update takes over options that do not affect the running container.
func (p *Process) update(ctx actor.Context, m *UpdateInstance) {
	was, paths := p.desired, p.env.Paths
	p.desired, p.env = m.Instance, m.Env
	var events []Event
	if outdatedStandby(was, m.Instance, paths, m.Env.Paths) {
		events = append(events, Event{Kind: StandbyOutdated})
	}
	if was.Container.RestartBackoff.Factor != 0 {
		// An operator may have shortened this very wait; one of restart-timeout
		// alone continues as it was armed.
		events = append(events, Event{Kind: Repaced})
	}
	if !sameChecks(was.Container, m.Instance.Container) {
		events = append(events, Event{Kind: Rechecked})
	}
	p.handle(ctx, append(events, p.turn(ctx).now(ServingDue))...)
}

// handle runs events through the table, and updates the board.
func (p *Process) handle(ctx actor.Context, events ...Event) {
	p.step(ctx, events...)
	p.publish()
}

// step moves the state on and runs the effects, and what they raise.
func (p *Process) step(ctx actor.Context, events ...Event) {
	p.pending = append(p.pending[:0], events...)
	for i := 0; i < len(p.pending); i++ {
		event := p.pending[i]
		next, effects := Next(p.state, event)
		if debug := p.env.Log.Debug(); debug.Enabled() && next != p.state {
			debug.Msgf("%q: %s, %s → %s %v", p.name, p.state.Place, event.Kind, next.Place, effects)
		}
		p.state = next
		for _, effect := range effects {
			p.do(p.turn(ctx), effect, event.Err)
		}
	}
}

func (p *Process) turn(ctx actor.Context) turn { return turn{ctx, p.env, p.name, p.state} }

// raise has an event handled in this turn.
func (p *Process) raise(kind Kind, err error) {
	p.pending = append(p.pending, Event{kind, p.state.gen(kind), err})
}

// eventOnPanic is the event that an effect would cause, and that follows its panic
// instead.
var eventOnPanic = map[Effect]Kind{
	OpenSockets: LeaseRefused, Fork: ForkRefused, Clean: Cleaned, CleanAll: Cleaned, ArmRestart: RestartElapsed, AskBudget: RestartAllowed,
}

// do runs one effect; err is the error of its event.
func (p *Process) do(t turn, effect Effect, err error) {
	defer actors.Recover(p.env.Log, "process "+p.name, func(fault error) {
		if kind, ok := eventOnPanic[effect]; ok {
			p.raise(kind, fault)
		} else if effect == Ask {
			p.raise(Checked, fmt.Errorf("%w: %w", actors.ErrNotAsked, fault))
		}
	})
	actions[effect](p, t, err)
}

// actions are how the effects are done.
var actions = [effectCount]func(p *Process, t turn, err error){
	OpenSockets:    func(p *Process, t turn, _ error) { p.openSockets(t) },
	InspectSockets: func(p *Process, t turn, _ error) { p.inspectSockets(t) },
	ReturnSockets:  func(p *Process, t turn, _ error) { p.returnSockets(t) },
	Fork:           func(p *Process, t turn, _ error) { p.fork(t) },
	CancelFork:     func(p *Process, _ turn, _ error) { p.cancelled.Store(true) },
	SendTerm:       func(p *Process, _ turn, _ error) { p.sendTerm() },
	SendKill:       func(p *Process, t turn, _ error) { p.sendKill(t) },
	ArmKill: func(p *Process, t turn, _ error) {
		p.ending.kill.start(t, p.current.Container.KillTimeout+killGrace, KillElapsed)
	},
	CancelKill:       func(p *Process, _ turn, _ error) { p.ending.kill.stop() },
	ArmRestart:       func(p *Process, t turn, _ error) { p.armRestart(t) },
	CancelRestart:    func(p *Process, _ turn, _ error) { p.restart.cancel() },
	AskBudget:        func(p *Process, t turn, _ error) { p.askBudget(t) },
	Clean:            func(p *Process, t turn, _ error) { p.clean(t, false) },
	CleanAll:         func(p *Process, t turn, _ error) { p.clean(t, true) },
	NoteStart:        func(p *Process, _ turn, _ error) { p.noteStart() },
	NoteAdopt:        func(p *Process, t turn, _ error) { p.noteAdopt(t) },
	NoteDeath:        func(p *Process, t turn, _ error) { p.noteDeath(t) },
	NoteLeaseFailed:  func(p *Process, t turn, err error) { p.noteFailedStart(t, p.desired, err) },
	NoteForkFailed:   func(p *Process, t turn, err error) { p.noteForkFailed(t, err) },
	NoteStopped:      func(p *Process, _ turn, _ error) { p.noteStopped() },
	NoteStuck:        func(p *Process, _ turn, _ error) { p.noteStuck() },
	StartChecks:      func(p *Process, t turn, _ error) { p.startChecks(t) },
	StopChecks:       func(p *Process, _ turn, _ error) { p.stopChecks() },
	Ask:              func(p *Process, t turn, _ error) { p.health.ask(t, p.desired.Container) },
	Judge:            func(p *Process, t turn, result error) { p.judge(t, result) },
	JudgeReady:       func(p *Process, _ turn, _ error) { p.judgeReady() },
	JudgeSetup:       func(p *Process, t turn, _ error) { p.judgeSetup(t) },
	JudgeWatchdog:    func(p *Process, t turn, _ error) { p.judgeWatchdog(t) },
	TakeReport:       func(p *Process, _ turn, _ error) { p.takeReport() },
	TakeLastReport:   func(p *Process, _ turn, err error) { p.takeLastReport(err) },
	NoteUnhealthy:    func(p *Process, _ turn, why error) { p.noteUnhealthy(why) },
	ReportServing:    func(p *Process, t turn, _ error) { p.reportServing(t) },
	ArmStandby:       func(p *Process, t turn, _ error) { p.armStandby(t) },
	RetryStandby:     func(p *Process, t turn, _ error) { p.standby.arm(t, p.desired.Container, standbyRetry) },
	Survey:           func(p *Process, t turn, _ error) { p.survey(t) },
	ForkStandby:      func(p *Process, t turn, err error) { p.forkStandby(t, err) },
	AwaitStandby:     func(p *Process, t turn, err error) { p.awaitStandby(t, err) },
	KeepStandby:      func(p *Process, _ turn, _ error) { p.keepStandby() },
	DropStandby:      func(p *Process, t turn, _ error) { p.standby.drop(t) },
	NoteStandbyBuilt: func(p *Process, _ turn, _ error) { p.standby.noteBuilt() },
	NoteStandbyLost:  func(p *Process, t turn, err error) { p.standby.lost(t, err) },
	ReportRetired:    func(p *Process, t turn, _ error) { t.ctx.Send(t.ctx.Parent(), &InstanceRetired{p.name}) },
	StopActor:        func(_ *Process, t turn, _ error) { t.ctx.Stop(t.ctx.Self()) },
}
