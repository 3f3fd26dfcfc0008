package root

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/scheduler"
	"github.com/rs/zerolog"

	"lithos/actors"
	"lithos/actors/listener"
	"lithos/actors/process"
	"lithos/actors/sandbox"
	"lithos/actors/spawner"
	"lithos/configs"
)

// cleaners is how many state dirs are removed at a time.
const cleaners = 8

// checkers is how many containers are asked at a time whether they serve, over
// the network, and commands how many by a program in them, which costs more.
const (
	checkers = 64
	commands = 8
)

// settleTime is when the work that a new plan makes is over, mostly.
const settleTime = time.Second

// Root is the actor.
type Root struct {
	config   Config
	log      zerolog.Logger
	done     chan<- error
	stopped  chan struct{}
	services *sandbox.Services
	dispatch *spawner.Dispatcher

	started *configs.Master // of the daemon's start: the fixed options
	plan    *configs.Plan   // desired: the last good version of everything
	ready   bool            // leftovers of a dead daemon are removed
	// patience is the longest kill-timeout of what a dead daemon left and that
	// is being ended.
	patience time.Duration
	first    *configs.Plan                          // the plan of the first start
	orphans  map[string]map[string]*process.Adopted // to be adopted, by sandbox
	// adopting are the pids among them that are not in the table yet.
	adopting map[int]bool
	loading  bool
	loads    uint32 // reloads begun
	// loadTimer ends the patience with the last of them.
	loadTimer scheduler.CancelFunc
	again     bool // a reload was asked for while one was loading

	sandboxes map[string]*child
	table     map[int]entry       // by pid: all that is known to live
	held      map[int]actors.Exit // exits of pids that are not known yet
	strays    map[int]actors.Child
	suspects  map[uint32][]actors.Child // lists that wait for the forks to settle
	token     uint32

	quiet     *beQuiet // another program is about to take over
	stopping  bool
	expired   bool // the stop's deadline is over
	finishing bool // nothing is left but the listener
	finished  bool
	stopTimer scheduler.CancelFunc
	deadline  time.Time // when the stop's patience ends
}

// child is the root's view of a sandbox actor.
type child struct {
	pid    *actor.PID
	wanted *sandbox.ApplySandbox // nil = it is to end
}

// entry is a living container.
type entry struct {
	name        string
	owner       *actor.PID
	gen         uint32
	pidfd       *os.File
	killTimeout time.Duration
}

func newRoot(config Config, done chan<- error) *Root {
	return &Root{
		config:    config,
		log:       config.Logs.Master(),
		done:      done,
		stopped:   make(chan struct{}),
		started:   config.Plan.Master,
		sandboxes: make(map[string]*child),
		table:     make(map[int]entry),
		held:      make(map[int]actors.Exit),
		strays:    make(map[int]actors.Child),
		suspects:  make(map[uint32][]actors.Child),
	}
}

// Receive implements actor.Actor.
func (r *Root) Receive(ctx actor.Context) {
	if r.quiet != nil && r.dropDuringTakeover(ctx) {
		return
	}
	switch m := ctx.Message().(type) {
	case *actor.Started:
		r.start(ctx)
	case *leftoversFound:
		r.leftoversFound(ctx, m)
	case *leftoversCleared:
		r.leftoversCleared(ctx)
	case *sandbox.ContainerAdopted:
		r.adopted(ctx, m)
	case *orphanExited:
		r.exited(ctx, m.exit)
		r.finishIfEmpty(ctx)
	case *beQuiet:
		r.quiet = m
		ctx.Send(r.services.Spawner, &spawner.HoldForks{})
	case *SignalReceived:
		r.signal(ctx, m.Signal)
	case *planLoaded:
		r.loaded(ctx, m)
	case *spawner.ContainerForked:
		r.forked(ctx, m)
	case *childrenListed:
		r.childrenListed(ctx, m)
	case *spawner.ForksFlushed:
		r.forksFlushed(ctx, m.Token)
	case *strayTimeoutElapsed:
		r.killStray(m.child)
	case *sandbox.SandboxEnded:
		if c := r.sandboxes[m.Name]; c != nil && c.wanted == nil {
			ctx.Send(c.pid, &sandbox.LeaveSandbox{})
		}
	case *actor.Terminated:
		r.sandboxLeft(ctx, m.Who)
	case *listener.ListenerLeft:
		r.finish(nil)
	case *stopDeadlineElapsed:
		r.killEverything(ctx)
	case *stopAbandoned:
		r.abandon()
	case *loadOverdue:
		r.loadOverdue(ctx, m)
	case *actor.Stopped:
		close(r.stopped)
	}
}

func (r *Root) start(ctx actor.Context) {
	kernel := r.config.Kernel
	listeners := ctx.Spawn(actors.ChildProps("listener", r.log, listener.New(kernel, r.log)))
	r.dispatch = spawner.NewDispatcher()
	forks := ctx.Spawn(actors.ChildProps("spawner", r.log, spawner.New(kernel, r.log, ctx.Self()),
		actor.WithDispatcher(r.dispatch)))
	r.services = &sandbox.Services{
		Kernel:   kernel,
		Timers:   scheduler.NewTimerScheduler(ctx.ActorSystem().Root),
		Listener: listeners,
		Spawner:  forks,
		Logs:     r.config.Logs,
		Board:    r.config.Board,
		Deaths:   r.config.DeathRecords,
		Budget:   r.config.Budget,
		Registry: r.config.Registry,
		Rotation: r.config.Rotation,
		Cleaners: make(chan struct{}, cleaners),
		Checkers: make(chan struct{}, checkers),
		Commands: make(chan struct{}, commands),
	}
	r.logProblems(r.config.Problems)
	r.first = r.firstPlan()
	wanted := instances(r.first)
	send, self, log := ctx.ActorSystem().Root.Send, ctx.Self(), r.log
	go func() {
		found := &leftoversFound{}
		defer func() { send(self, found) }()
		defer actors.Recover(log, "search for leftovers", nil)
		findLeftovers(kernel, log, wanted, found)
	}()
}

// advance continues when the leftovers are gone.
func (r *Root) advance(ctx actor.Context) {
	if r.stopping {
		r.finishIfEmpty(ctx)
		return
	}
	r.apply(ctx, r.first)
	r.orphans, r.first = nil, nil
	r.config.Board.EndReload(r.configStatus(r.config.Plan, r.config.Problems), "")
	r.log.Warn().Msgf("Supervising %s", summary(r.plan))
	if r.again {
		r.again = false
		r.reload(ctx)
	}
}

// signal handles a signal to the daemon.
func (r *Root) signal(ctx actor.Context, sig os.Signal) {
	switch sig {
	case syscall.SIGCHLD:
		r.reap(ctx)
	case syscall.SIGTERM, syscall.SIGINT:
		if r.stopping {
			r.log.Warn().Msgf("Got another %v: passing it on", sig)
			for _, c := range r.sandboxes {
				ctx.Send(c.pid, &sandbox.TerminateAgain{})
			}
			return
		}
		r.stop(ctx, sig)
	default:
		r.reload(ctx)
	}
}

// apply makes a merged plan the desired one.
func (r *Root) apply(ctx actor.Context, plan *configs.Plan) {
	r.plan = plan
	r.config.Budget.Set(plan.Master.RestartBudget)
	gone := maps.Clone(r.sandboxes)
	for _, sb := range plan.Sandboxes {
		delete(gone, sb.Name)
		r.want(ctx, sb.Name, &sandbox.ApplySandbox{
			Sandbox: sb, Paths: r.paths(sb.Name), ConfigLogDir: plan.Master.ConfigLogDir, Adopted: r.orphans[sb.Name],
		})
	}
	for _, name := range slices.Sorted(maps.Keys(gone)) {
		if c := gone[name]; c.wanted != nil {
			r.log.Warn().Msgf("Sandbox %q is gone: ending its containers", name)
			c.wanted = nil
			ctx.Send(c.pid, &sandbox.EndSandbox{})
		}
	}
	if r.config.Keep != nil {
		r.config.Keep(plan)
	}
	if r.config.Settled != nil {
		time.AfterFunc(settleTime, r.config.Settled)
	}
}

func (r *Root) want(ctx actor.Context, name string, wanted *sandbox.ApplySandbox) {
	c := r.sandboxes[name]
	if c == nil {
		pid, err := ctx.SpawnNamed(actors.ChildProps("sandbox "+name, r.log, sandbox.New(name, r.services, r.log)), name)
		if err != nil {
			r.log.Error().Msgf("Cannot supervise sandbox %q: %v", name, err)
			return
		}
		c = &child{pid: pid}
		r.sandboxes[name] = c
	}
	// The next daemon has nothing to adopt.
	again := *wanted
	again.Adopted = nil
	c.wanted = &again
	ctx.Send(c.pid, wanted)
}

// paths are the directories of the master config that the containers of a sandbox
// use. Those fixed at the daemon's start stay; the others are of the newest
// config.
func (r *Root) paths(sandboxName string) process.Paths {
	return process.Paths{
		Knot:       r.config.Knot,
		MasterFile: r.started.File,
		MountDir:   r.started.MountDir,
		DevfsDir:   r.plan.Master.DevfsDir,
		StateDir:   r.started.StateDir,
		RecordsDir: RecordsDir(r.started),
		StdioLog:   stdioLog(r.plan, sandboxName),
		Term:       r.config.Term,
	}
}

// stdioLog is where the output of a sandbox's programs goes.
func stdioLog(plan *configs.Plan, sandboxName string) string {
	return filepath.Join(plan.Master.StdioLogDir, sandboxName+".log")
}

// sandboxLeft follows the end of a sandbox actor; another takes over if the
// sandbox has come back in the meantime.
func (r *Root) sandboxLeft(ctx actor.Context, who *actor.PID) {
	for name, c := range r.sandboxes {
		if !c.pid.Equal(who) {
			continue
		}
		delete(r.sandboxes, name)
		r.config.Kernel.RemoveDir(filepath.Join(r.started.StateDir, name))
		r.config.Kernel.RemoveDir(filepath.Join(RecordsDir(r.started), name))
		if c.wanted != nil {
			r.want(ctx, name, c.wanted)
		}
		break
	}
	r.finishIfEmpty(ctx)
}
