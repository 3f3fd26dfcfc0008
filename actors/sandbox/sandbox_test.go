package sandbox

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/scheduler"
	"github.com/rs/zerolog"

	"lithos/actors"
	"lithos/actors/fakekernel"
	"lithos/actors/process"
	"lithos/actors/services/logs"
	"lithos/actors/spawner"
	"lithos/configs"
)

// stage is a sandbox actor with the test as root and spawner: forks succeed,
// and the containers end when they get TERM.
type stage struct {
	system  *actor.ActorSystem
	sandbox *actor.PID
	mu      sync.Mutex
	log     bytes.Buffer
	hold    atomic.Pointer[chan struct{}] // blocks each log call
	ended   int
	left    bool
	starts  []string
	owners  map[int]*spawner.StartContainer // by pid
	reap    func()
	// removing, if it is not nil, holds up clean-ups that remove everything.
	removing chan struct{}
	fake     *fakekernel.Kernel
	check    error // the answer of a probe
}

// Write is the log. The first line after hold was set waits for it.
func (s *stage) Write(p []byte) (int, error) {
	if hold := s.hold.Swap(nil); hold != nil {
		<-*hold
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(p)
}

func newStage() *stage {
	s := &stage{owners: map[int]*spawner.StartContainer{}}
	log := logs.To(s, zerolog.InfoLevel)
	s.system = actors.NewSystem(log.Master())
	fake := fakekernel.New()
	s.fake = fake
	kernel := fake.Actors()
	remove := kernel.Remove
	kernel.Remove = func(name, stateDir, record string, all bool) error {
		if all && s.removing != nil {
			<-s.removing
		}
		return remove(name, stateDir, record, all)
	}
	forks := s.system.Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
		m, ok := ctx.Message().(*spawner.StartContainer)
		if !ok {
			return
		}
		s.starts = append(s.starts, m.Request.Spec.Name)
		child, err := kernel.Start(m.Request)
		if err != nil {
			ctx.Send(m.ReplyTo, &spawner.ForkFailed{Gen: m.Gen, Err: err})
			return
		}
		s.owners[child.PID] = m
		ctx.Send(m.ReplyTo, &spawner.ContainerForked{Gen: m.Gen, Child: child})
	}))
	s.reap = func() {
		synctest.Wait()
		for {
			exit, ok := kernel.Wait()
			if !ok {
				return
			}
			m := s.owners[exit.PID]
			s.system.Root.Send(m.ReplyTo, &process.ProcessExited{Gen: m.Gen, Exit: exit})
			synctest.Wait()
		}
	}
	services := &Services{
		Kernel: kernel, Timers: scheduler.NewTimerScheduler(s.system.Root), Spawner: forks, Logs: log,
		Cleaners: make(chan struct{}, 1), Checkers: make(chan struct{}, 1), Commands: make(chan struct{}, 1),
	}
	s.system.Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
		switch ctx.Message().(type) {
		case *actor.Started:
			s.sandbox = ctx.Spawn(actors.ChildProps("sandbox", log.Master(), New("web", services, log.Master())))
		case *SandboxEnded:
			s.ended++
		case *actor.Terminated:
			s.left = true
		}
	}))
	synctest.Wait()
	return s
}

func (s *stage) tell(m any) {
	s.system.Root.Send(s.sandbox, m)
	s.reap()
}

func apply(version string, names ...string) *ApplySandbox {
	sb := &configs.Sandbox{Name: "web", Config: &configs.SandboxConfig{LogLevel: "info"}}
	for _, name := range names {
		sb.Processes = append(sb.Processes, &configs.Process{Name: name, Kind: configs.KindDaemon, Instances: []*configs.Instance{{
			Name: "web/" + name + ".0", Process: name, Fingerprint: version,
			Container: &configs.Container{RestartTimeout: time.Second, KillTimeout: time.Second},
		}}})
	}
	return &ApplySandbox{Sandbox: sb}
}

func TestAnEmptySandboxEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		defer settle()
		s.tell(apply("1"))
		s.tell(&LeaveSandbox{})
		if s.left {
			t.Error("it left although it was not told to end")
		}
		s.tell(&EndSandbox{})
		if s.ended != 1 {
			t.Errorf("%d reports", s.ended)
		}
		s.tell(&LeaveSandbox{})
		if !s.left {
			t.Error("it did not leave")
		}
	})
}

func TestAnEndThatIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		defer settle()
		s.tell(apply("1", "app"))
		s.tell(&EndSandbox{})
		if s.ended != 1 {
			t.Fatalf("%d reports; log:\n%s", s.ended, s.log.String())
		}
		// It comes back before the root has told it to leave.
		s.tell(apply("1", "app"))
		s.tell(&LeaveSandbox{})
		if s.left {
			t.Error("it left with something to run")
		}
		if got := strings.Join(s.starts, " "); got != "web/app.0 web/app.0" {
			t.Errorf("starts: %s", got)
		}
		s.tell(&EndSandbox{})
		s.tell(&LeaveSandbox{})
		if s.ended != 2 || !s.left {
			t.Errorf("%d reports, left: %v", s.ended, s.left)
		}
	})
}

func TestRenamingAProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		defer settle()
		s.tell(apply("1", "old"))
		s.tell(apply("1", "new"))
		s.tell(apply("1", "new"))
		if got := strings.Join(s.starts, " "); got != "web/old.0 web/new.0" {
			t.Errorf("starts: %s", got)
		}
		s.tell(apply("1", "new", "old"))
		if got := strings.Join(s.starts, " "); got != "web/old.0 web/new.0 web/old.0" {
			t.Errorf("starts: %s", got)
		}
		s.tell(&EndSandbox{})
		if s.ended == 0 {
			t.Errorf("no report; log:\n%s", s.log.String())
		}
	})
}

// settle lets the actor library's timer for dead letters run out, which a
// message to an actor that has just ended starts: a bubble must end empty.
func settle() { time.Sleep(10 * time.Second) }

// TestBackBetweenLeaveAndItsEnd has an instance come back in the very turn
// after the one in which its actor was told to leave.
func TestBackBetweenLeaveAndItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		defer settle()
		s.removing = make(chan struct{})
		s.tell(apply("hold up -1", "app", "other"))
		for round := range 50 {
			s.tell(apply(fmt.Sprint("hold up ", round-1), "other")) // app is dead, its clean-up waits
			hold := make(chan struct{})
			s.hold.Store(&hold)
			s.tell(apply(fmt.Sprint("hold up ", round), "other"))
			s.removing <- struct{}{} // the report of its end is in the mailbox
			synctest.Wait()
			s.tell(apply(fmt.Sprint("hold up ", round), "app", "other"))
			close(hold)
			s.reap()
			if n := strings.Count(strings.Join(s.starts, " "), "app"); n != round+2 {
				t.Fatalf("round %d: %d starts of what is wanted again", round, n)
			}
		}
	})
}
