package process

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/scheduler"

	"lithos/actors"
	"lithos/actors/listener"
	"lithos/actors/services/api"
	"lithos/actors/services/budget"
	"lithos/actors/services/fair"
	"lithos/actors/services/status"
	"lithos/actors/spawner"
	"lithos/configs"
	"lithos/spawn"
	"lithos/sysx/cgroup"
)

// killGrace is what PID 1 gets beyond its kill-timeout, after which it kills
// by itself.
const killGrace = time.Second

// Process is the actor.
type Process struct {
	name     string
	counters *actors.Counters
	env      *Env
	state    State
	pending  []Event // raised by effects, handled in the same turn

	desired *configs.Instance // what is to run at the next start
	current *configs.Instance // what the container was made from

	attempt  time.Time // when the last start was begun
	restarts int       // starts before the present one
	pace     fair.Pace
	leasing  bool // sockets have been asked for, and not been returned
	sockets  []*os.File
	child    *spawn.Child // nil while there is none
	asked    bool         // TERM was sent to it
	killed   bool         // its PID 1 was killed: it took too long
	stopped  bool         // its PID 1 was stopped by a signal
	shutdown bool         // it is retired because the daemon ends
	exit     actors.Exit
	failure  error // of the lease or the fork

	// What is shown of it.
	shown       status.State
	since       time.Time // of shown
	lastExit    *status.Exit
	failedInRow int
	// What restart-backoff looks at: the failures in a row as it counts them,
	// and what chance has to say about the wait after the last.
	row    int
	chance float64
	unborn bool           // the last start came to no process
	random func() float64 // 0 up to 1
	// What was counted, and written to its log, when it started.
	spent   cgroup.Spent
	counted bool
	logFrom int64
	// keptDeath is how an adopted container died that an earlier daemon has told
	// of, and could not note in its record.
	keptDeath *api.Death
	// foundDead: it was dead when this daemon came, and none has kept its death.
	foundDead bool
	// unnoted is the end that is to be noted in its record; nil = none.
	unnoted *unnoted

	// queued is the restart that waits for restart-budget, after its timer.
	queued *budget.Wait

	checks    checking
	unhealthy string // why it is being ended, "" = it is not
	listening bool   // for what its program tells
	told      told   // what it has sent
	deaf      bool   // what it sends is not heard any more

	// cancelled tells the spawner that the start it was asked for is not
	// wanted any more.
	cancelled *atomic.Bool

	// standby is the container that waits to follow, nil = none. One that was
	// given to a start, or discarded, may be there for a moment longer.
	standby          *standby
	given, discarded *spawn.Standby
	owed             bool   // its sockets are returned when the discarded one is gone
	outdated         error  // why the given one was none
	standbyFault     string // why there was none, as it was logged last

	restartTimer, killTimer, standbyTimer, settleTimer scheduler.CancelFunc

	settles bool // the sandbox wants to know when it serves
}

// New makes the actor of the instance of that name ("SANDBOX/PROCESS.INDEX").
func New(name string, counters *actors.Counters) *Process {
	return &Process{name: name, counters: counters, random: rand.Float64}
}

// Receive implements actor.Actor.
func (p *Process) Receive(ctx actor.Context) {
	actors.Roomy(false)
	switch m := ctx.Message().(type) {
	case *RunInstance:
		if p.isAlready(m.Instance) {
			// It was adopted, ended while it waited for its turn, and was started so.
			p.settles = m.Settles
			p.update(ctx, &UpdateInstance{Instance: m.Instance, Env: m.Env})
			return
		}
		p.desired, p.env, p.settles = m.Instance, m.Env, m.Settles
		p.row, p.pace = 0, fair.Pace{} // another one has not failed yet
		p.handle(ctx, Event{Kind: Run})
	case *AdoptInstance:
		p.settles = m.Settles
		p.adopt(m)
		if m.Adopted.Noted {
			p.handle(ctx, Event{Kind: Resume})
			return
		}
		p.handle(ctx, Event{Kind: Adopt})
	case *UpdateInstance:
		p.update(ctx, m)
	case *RetireInstance:
		p.shutdown = m.Shutdown
		p.handle(ctx, Event{Kind: Retire})
	case *TerminateAgain:
		p.handle(ctx, Event{Kind: Terminate})
	case *Settle:
		p.noteUnnoted()
		m.Done()
	case *deathKept:
		if p.unnoted != nil && p.unnoted.isKept() {
			p.noteUnnoted()
		}
	case *LeaveInstance:
		p.handle(ctx, Event{Kind: Leave})
	case *listener.SocketsLeased:
		if m.Gen == p.state.Start {
			p.sockets = m.Files
		}
		p.handle(ctx, Event{Leased, m.Gen})
	case *listener.LeaseFailed:
		p.failure = m.Err
		p.handle(ctx, Event{LeaseRefused, m.Gen})
	case *spawner.ContainerForked:
		p.child = m.Child
		p.handle(ctx, Event{Forked, m.Gen})
	case *spawner.ForkFailed:
		p.failure = m.Err
		p.handle(ctx, Event{ForkRefused, m.Gen})
	case *ProcessExited:
		p.exit = m.Exit
		p.handle(ctx, Event{Exited, m.Gen})
	case *ProcessStopped:
		if m.Gen == p.state.Start && p.child != nil {
			p.noteStopped(m)
			p.publish()
		}
	case *containerCleaned:
		if m.Err != nil {
			p.env.Log.Error().Msgf("Cannot clean up after %q: %v", p.name, m.Err)
		}
		p.outdated = m.Outdated
		if m.Discarded != nil {
			p.standbyGone(ctx, m.Discarded)
		}
		p.handle(ctx, Event{Cleaned, m.Gen})
	case *standbyDue:
		p.handle(ctx, Event{StandbyDue, m.Gen})
	case *listener.SocketsShown:
		if m.Gen == p.state.Start && len(m.Files) > 0 && len(p.sockets) == 0 {
			p.sockets = m.Files
			p.handle(ctx, Event{StandbyDue, p.state.Check})
		}
	case *standbyGone:
		p.standbyGone(ctx, m.Place)
	case *standbySurveyed:
		p.surveyed(ctx, m)
	case *spawner.ContainerPrepared:
		p.prepared(ctx, m)
	case *standbyTold:
		p.standbyTold(ctx, m)
	case *checkDue:
		p.handle(ctx, Event{CheckDue, m.Gen})
	case *checkDone:
		p.checks.answer = m.Err
		p.handle(ctx, Event{Checked, m.Gen})
	case *noticeHeard:
		p.heard(ctx, m)
	case *noticeTold:
		p.hears(ctx, m)
	case *watchdogDue:
		p.bark(ctx, m)
	case *readyOverdue:
		p.overdue(ctx, m)
	case *setupOverdue:
		p.setupOverdue(ctx, m)
	case *killIgnored:
		p.killIgnored(m)
	case *settleDue:
		if m.Gen == p.state.Start {
			p.settle(ctx)
		}
	case *restartTimeoutElapsed:
		// A timer that was armed anew may have fired already: one asks.
		if m.Gen == p.state.Restart && p.state.Phase == Waiting && (p.queued != nil || !p.allowed(ctx)) {
			p.publish()
			return
		}
		p.handle(ctx, Event{RestartElapsed, m.Gen})
	case *restartAllowed:
		if m.Gen == p.state.Restart {
			p.queued = nil
		}
		p.handle(ctx, Event{RestartElapsed, m.Gen})
	case *killTimeoutElapsed:
		p.handle(ctx, Event{KillElapsed, m.Gen})
	}
}

// isAlready tells whether it runs, or is being started, as that.
func (p *Process) isAlready(wanted *configs.Instance) bool {
	return (p.state.Phase == Running || p.state.Phase == Forking) && p.current != nil && p.current.Fingerprint == wanted.Fingerprint
}

// update takes over what does not matter to the running container.
func (p *Process) update(ctx actor.Context, m *UpdateInstance) {
	was, paths := p.desired, p.env.Paths
	before := was.Container
	p.desired, p.env = m.Instance, m.Env
	p.renewStandby(ctx, was, paths)
	if p.state.Phase == Waiting && p.queued == nil && before.RestartBackoff.Factor != 0 {
		p.rearmRestart(ctx)
	}
	if !sameChecks(before, p.desired.Container) {
		p.handle(ctx, Event{Kind: Recheck})
		return
	}
	p.settle(ctx)
	p.publish()
}

// handle moves the state on and runs the effects, and what they raise.
func (p *Process) handle(ctx actor.Context, event Event) {
	p.pending = append(p.pending[:0], event)
	routine, before := event.Kind == CheckDue || event.Kind == Checked, p.checks.shown()
	for i := 0; i < len(p.pending); i++ {
		event = p.pending[i]
		next, effects := Next(p.state, event)
		if debug := p.env.Log.Debug(); debug.Enabled() && next != p.state {
			debug.Msgf("%q: %s, %s → %s %v", p.name, p.state.Phase, event.Kind, next.Phase, effects)
		}
		p.state = next
		if p.cancelled != nil && (next.Phase == ForkingToReplace || next.Phase == ForkingToRetire) {
			p.cancelled.Store(true)
		}
		for _, effect := range effects {
			p.do(ctx, effect)
		}
	}
	p.settle(ctx)
	if routine && p.state.Phase == Running && p.checks.shown() == before {
		return // who waits for news is not to be woken by each check
	}
	p.publish()
}

// raise has an event handled in this turn.
func (p *Process) raise(kind Kind, gen uint32) {
	p.pending = append(p.pending, Event{kind, gen})
}

// do runs one effect. If it panics, the event that it owes is raised: the
// process must not wait for ever for something that nobody works on.
func (p *Process) do(ctx actor.Context, effect Effect) {
	defer actors.Recover(p.env.Log, "process "+p.name, func(err error) {
		p.failure = err
		switch effect {
		case OpenSockets:
			p.raise(LeaseRefused, p.state.Start)
		case Fork:
			p.raise(ForkRefused, p.state.Start)
		case Clean, CleanAll:
			p.raise(Cleaned, p.state.Clean)
		case ArmRestart:
			p.raise(RestartElapsed, p.state.Restart)
		case Ask:
			p.checks.answer = fmt.Errorf("%w: %w", actors.ErrNotAsked, err)
			p.raise(Checked, p.state.Check)
		}
	})
	switch effect {
	case OpenSockets:
		p.openSockets(ctx)
	case ReturnSockets:
		p.returnSockets(ctx)
	case ReturnIdleSockets:
		if p.standby == nil || !p.standby.prepared {
			p.dropStandby(ctx)
			p.returnSockets(ctx)
		}
	case Fork:
		p.fork(ctx)
	case SendTerm:
		p.noteEnding()
		p.asked = true
		p.signal(spawn.StopSignal)
		// One that somebody has stopped must be able to do it.
		p.signal(syscall.SIGCONT)
	case SendKill:
		p.env.Log.Error().Msgf("Container %q (pid %d) did not end within its kill-timeout of %s and %s more; killing its PID 1",
			p.name, p.child.PID, p.current.Container.KillTimeout, killGrace)
		p.killed = true
		p.signal(syscall.SIGKILL)
		p.killTimer = p.env.After(killPatience, ctx.Self(), &killIgnored{p.state.Start})
	case ArmKill:
		p.cancel(&p.killTimer)
		p.killTimer = p.env.After(p.current.Container.KillTimeout+killGrace, ctx.Self(), &killTimeoutElapsed{p.state.Kill})
	case CancelKill:
		p.cancel(&p.killTimer)
	case ArmRestart:
		p.armRestart(ctx)
	case CancelRestart:
		p.cancel(&p.restartTimer)
		p.withdraw()
	case Clean:
		p.clean(ctx, false)
	case CleanAll:
		p.clean(ctx, true)
	case NoteStart:
		p.noteStart()
	case NoteAdopt:
		p.noteAdopt()
	case NoteDeath:
		p.noteDeath(ctx)
	case NoteLeaseFailed, NoteForkFailed:
		p.noteFailedStart(ctx, effect)
	case StartChecks:
		p.startChecks(ctx)
	case StopChecks:
		p.stopChecks()
	case Ask:
		p.ask(ctx)
	case Judge:
		p.judge(ctx)
	case ArmStandby:
		p.armStandby(ctx)
	case Prepare:
		p.prepare(ctx)
	case DropStandby:
		p.dropStandby(ctx)
	case NoteUnhealthy:
		p.noteUnhealthy()
	case ReportRetired:
		ctx.Send(ctx.Parent(), &InstanceRetired{p.name})
	case StopActor:
		ctx.Stop(ctx.Self())
	}
}

// openSockets begins a start: from here restart-timeout counts (E6, N3).
func (p *Process) openSockets(ctx actor.Context) {
	p.attempt = time.Now()
	p.sockets = nil
	wanted := Sockets(p.desired.Container)
	if len(wanted) == 0 {
		p.returnSockets(ctx) // its predecessor's
		p.raise(Leased, p.state.Start)
		return
	}
	p.leasing, p.owed = true, false
	ctx.Send(p.env.Listener, &listener.LeaseSockets{
		Owner: p.name, Gen: p.state.Start, Sockets: wanted, ReplyTo: ctx.Self(),
	})
}

// returnSockets does it when nothing has copies of them any more that is being
// discarded: others may be about to listen there.
func (p *Process) returnSockets(ctx actor.Context) {
	p.sockets = nil
	if p.owed = p.leasing && p.discarded != nil; p.leasing && !p.owed {
		p.leasing = false
		ctx.Send(p.env.Listener, &listener.ReturnSockets{Owner: p.name})
	}
}

func (p *Process) fork(ctx actor.Context) {
	p.current = p.desired
	p.logFrom = p.env.Deaths.Size(p.env.StdioLog)
	p.asked, p.killed, p.stopped, p.unhealthy, p.listening = false, false, false, "", false
	p.told, p.deaf = told{}, false
	request, err := BuildRequest(p.current, p.env, p.sockets, p.restarts)
	if err != nil {
		p.failure = err
		p.raise(ForkRefused, p.state.Start)
		return
	}
	giveNotice(request, p.current.Container.Ready)
	p.giveStandby(request)
	p.restarts++
	counts := p.tally()
	request.RecordHead.Tally, request.RecordHead.LogFrom = &counts, p.logFrom
	p.cancelled = new(atomic.Bool)
	p.forgetUnnoted()
	ctx.Send(p.env.Spawner, &spawner.StartContainer{
		Gen: p.state.Start, Request: request, ReplyTo: ctx.Self(), Pace: p.pace, Cancelled: p.cancelled,
	})
	p.pace = p.pace.Started(p.attempt)
}

// signal sends PID 1 a signal by its pidfd, so it can't reach another process.
func (p *Process) signal(sig syscall.Signal) {
	if err := p.env.Kernel.Signal(p.child.PIDFD, sig); err != nil {
		p.env.Log.Error().Msgf("Cannot send %s to %q (pid %d): %v", signalName(sig), p.name, p.child.PID, err)
	}
}

// armRestart waits for what is left of restart-timeout, or what restart-backoff
// makes of it, which is counted from the last start; where nothing is left the
// start follows in this turn.
func (p *Process) armRestart(ctx actor.Context) {
	p.cancel(&p.restartTimer)
	wait := time.Until(p.attempt.Add(p.wait()))
	if wait > 0 {
		p.restartTimer = p.env.After(wait, ctx.Self(), &restartTimeoutElapsed{p.state.Restart})
	} else if p.allowed(ctx) {
		p.raise(RestartElapsed, p.state.Restart)
		return
	}
	p.dropStandby(ctx)
	p.returnSockets(ctx) // which were kept for it
}

// allowed asks restart-budget for the restart, which is due else. If that has
// to wait, restartAllowed follows.
func (p *Process) allowed(ctx actor.Context) bool {
	send, self, m := ctx.ActorSystem().Root.Send, ctx.Self(), &restartAllowed{p.state.Restart}
	p.queued = p.env.Budget.Ask(p.pace, func() { send(self, m) })
	return p.queued == nil
}

// withdraw takes the restart back that waits for restart-budget.
func (p *Process) withdraw() {
	if p.queued != nil {
		p.queued.Withdraw()
		p.queued = nil
	}
}

// rearmRestart waits by the options of a new config, which may be those that an
// operator shortened because of this very wait. It is for restart-backoff,
// whose waits are long; a wait of restart-timeout alone goes on as it was armed.
func (p *Process) rearmRestart(ctx actor.Context) {
	p.cancel(&p.restartTimer)
	wait := max(0, time.Until(p.attempt.Add(p.wait())))
	p.restartTimer = p.env.After(wait, ctx.Self(), &restartTimeoutElapsed{p.state.Restart})
}

func (p *Process) cancel(timer *scheduler.CancelFunc) {
	if *timer != nil {
		(*timer)()
		*timer = nil
	}
}

// clean removes what the container left, on a goroutine of its own: a state
// dir can be large. At most a few run at a time.
func (p *Process) clean(ctx actor.Context, all bool) {
	env, gen, self := p.env, p.state.Clean, ctx.Self()
	name, stateDir, record := p.name, env.StateDirOf(p.name), env.RecordOf(p.name)
	send := ctx.ActorSystem().Root.Send
	var before *unnoted
	var next, last *spawn.Standby
	if all {
		before, p.unnoted = p.unnoted, nil // with its record
		p.dropStandby(ctx)
		last = p.discarded
	} else if p.standby != nil {
		next = p.standby.place
	}
	go func() {
		actors.Roomy(false)
		done := &containerCleaned{Gen: gen}
		defer func() { send(self, done) }()
		defer actors.Recover(env.Log, "clean-up of "+name, func(err error) { done.Err = err })
		before.await()
		env.Cleaners <- struct{}{}
		defer func() { <-env.Cleaners }()
		if last != nil {
			env.Kernel.Discard(last)
			done.Discarded = last
		}
		done.Err = env.Kernel.Remove(name, stateDir, record, all)
		if next != nil {
			done.Outdated = env.Kernel.InspectStandby(next)
		}
	}()
}
