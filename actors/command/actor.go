package command

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"lithos/actors"
	"lithos/actors/process"
	"lithos/actors/spawner"
	"lithos/spawn"
	"lithos/spawn/records"
)

// grace is what PID 1 gets beyond its kill-timeout: it does the killing.
const grace = time.Second

// run is the actor.
type run struct {
	c    Config
	done chan<- Result

	cancelled atomic.Bool    // asked to stop before there was a fork
	stop      syscall.Signal // the first that asks to stop, 0 = none
	child     *spawn.Child   // nil = not forked
	early     []actors.Exit  // deaths from before the fork was reported
	ended     bool
	result    Result
}

// start asks for the fork.
func (r *run) start(system *actor.ActorSystem, self *actor.PID, dispatcher *spawner.Dispatcher) {
	request, err := r.request()
	if err != nil {
		system.Root.Send(self, &spawner.ForkFailed{Err: err})
		return
	}
	forks, err := system.Root.SpawnNamed(actors.TopProps("spawner", r.c.Log, spawner.New(r.c.Kernel, r.c.Log, nobody(system)),
		actor.WithDispatcher(dispatcher)), "spawner")
	if err != nil {
		system.Root.Send(self, &spawner.ForkFailed{Err: err})
		return
	}
	system.Root.Send(forks, &spawner.StartContainer{Request: request, ReplyTo: self, Cancelled: &r.cancelled})
}

// nobody is told of each fork as the daemon's root is; a command has none.
func nobody(system *actor.ActorSystem) *actor.PID {
	return system.Root.Spawn(actor.PropsFromFunc(func(actor.Context) {}))
}

func (r *run) request() (*spawn.Request, error) {
	request, err := process.BuildRequest(r.c.Instance, r.c.Env, r.c.Sockets, 0)
	if err != nil {
		return nil, err
	}
	request.Spec.Command = true
	request.Spec.RestartProcessOnly = false
	if r.c.Instance.Container.Interactive {
		request.Spec.Interactive, request.Spec.Terminal = true, r.c.Terminal
		request.Spec.StdioLog = ""
		request.Stdio = r.c.Stdio
	}
	return request, nil
}

// Receive implements actor.Actor.
func (r *run) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *spawner.ContainerForked:
		r.forked(ctx, m)
	case *spawner.ForkFailed:
		r.result = Result{Code: CodeNotRun, Err: m.Err}
		if errors.Is(m.Err, spawner.ErrCancelled) {
			r.result.Code = 128 + int(r.stop)
		}
		r.remove(ctx)
	case *SignalReceived:
		r.signalled(ctx, m)
	case *ChildEnded:
		r.reap(ctx)
	case killTimeoutElapsed:
		if !r.ended {
			r.signal(syscall.SIGKILL)
		}
	case containerRemoved:
		r.result.Left = m.err
		r.done <- r.result
	}
}

func (r *run) forked(ctx actor.Context, m *spawner.ContainerForked) {
	r.child = m.Child
	r.result.Degraded = m.Child.Degraded
	if r.c.Started != nil {
		r.c.Started(m.Child.PID)
	}
	if r.stop != 0 {
		r.ask(ctx)
	}
	for _, exit := range r.early {
		r.exited(ctx, exit)
	}
}

func (r *run) signalled(ctx actor.Context, m *SignalReceived) {
	sig, ok := m.Signal.(syscall.Signal)
	if !ok || r.stop != 0 {
		return
	}
	r.stop = sig
	r.cancelled.Store(true)
	if r.child != nil {
		r.ask(ctx)
	}
}

// ask has PID 1 end the program. INT stays INT: many programs tell it from TERM.
func (r *run) ask(ctx actor.Context) {
	sig := syscall.Signal(spawn.StopSignal)
	if r.stop == syscall.SIGINT {
		sig = syscall.SIGINT
	}
	r.signal(sig)
	self, send := ctx.Self(), ctx.ActorSystem().Root.Send
	time.AfterFunc(r.c.Instance.Container.KillTimeout+grace, func() { send(self, killTimeoutElapsed{}) })
}

func (r *run) signal(sig syscall.Signal) {
	if err := r.c.Kernel.Signal(r.child.PIDFD, sig); err != nil {
		r.c.Log.Error().Msgf("Cannot signal %q (pid %d): %v", r.c.Instance.Name, r.child.PID, err)
	}
}

// reap takes all dead children: orphans of this process' own are none, but a
// shell that executes lithos_cmd may leave it some.
func (r *run) reap(ctx actor.Context) {
	for {
		exit, ok := r.c.Kernel.Wait()
		switch {
		case !ok:
			return
		case r.child == nil:
			r.early = append(r.early, exit)
		default:
			r.exited(ctx, exit)
		}
	}
}

func (r *run) exited(ctx actor.Context, exit actors.Exit) {
	if exit.PID != r.child.PID || r.ended {
		return
	}
	r.ended = true
	record, err := r.c.Kernel.ReadRecord(r.c.Env.RecordOf(r.c.Instance.Name))
	if err != nil {
		r.c.Log.Error().Msgf("%v", err)
		record = &records.Record{}
	}
	r.result.Code, r.result.Err = outcome(exit.Status, record)
	_ = r.c.Kernel.Close(r.child.PIDFD)
	r.remove(ctx)
}

// remove takes everything away that the container has left; a large state dir
// takes its time.
func (r *run) remove(ctx actor.Context) {
	env, name := r.c.Env, r.c.Instance.Name
	self, send := ctx.Self(), ctx.ActorSystem().Root.Send
	go func() {
		var done containerRemoved
		defer func() { send(self, done) }()
		defer actors.Recover(r.c.Log, "clean-up of "+name, func(err error) { done.err = err })
		done.err = r.c.Kernel.Remove(name, env.StateDirOf(name), env.RecordOf(name), true)
	}()
}

// outcome is the exit code, and an error if the program did not run or was not
// the one to decide.
func outcome(status syscall.WaitStatus, record *records.Record) (int, error) {
	killed := 128 + int(syscall.SIGKILL)
	switch e := record.Exited; {
	case record.Failed != "":
		return CodeNotRun, errors.New(record.Failed)
	case record.Killing:
		return killed, errors.New("it did not end within its kill-timeout and was killed")
	case e != nil && e.Signal != 0:
		return 128 + e.Signal, nil
	case e != nil:
		return e.Code, nil
	case status.Signaled():
		return 128 + int(status.Signal()), fmt.Errorf("its PID 1 was ended by signal %d", int(status.Signal()))
	case record.Crash != "":
		return CodeNotRun, fmt.Errorf("its PID 1 crashed, please report this: %s", record.Crash)
	case record.Started == nil && status.ExitStatus() == spawn.ExitNormal:
		return 128 + int(syscall.SIGTERM), errors.New("it was stopped before the program was started")
	}
	return CodeNotRun, fmt.Errorf("its PID 1 ended with exit code %d and left no record", status.ExitStatus())
}
