package process

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/scheduler"
	"github.com/rs/zerolog"

	"lithos/actors"
	"lithos/actors/listener"
	"lithos/actors/spawner"
	"lithos/configs"
	"lithos/spawn"
	"lithos/spawn/records"
	"lithos/spawn/wire"
	"lithos/sysx/cgroup"
)

// stage is a process actor with the test as everything around it.
type stage struct {
	t        *testing.T
	system   *actor.ActorSystem
	process  *actor.PID
	counters actors.Counters
	env      *Env

	mu      sync.Mutex
	log     bytes.Buffer
	sent    []any // to listener, spawner and parent
	signals []syscall.Signal
	removed []bool
	// appended has the lines beside the programs' output.
	appended []string
	counts   records.Tally // that were noted last
	record   func() (*records.Record, error)
	signal   func(syscall.Signal) error
	// The kernel's report of its set-up.
	settingUp      bool
	settingUpError error
}

func (s *stage) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(p)
}

func (s *stage) take() []any {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	sent := s.sent
	s.sent = nil
	return sent
}

func newStage(t *testing.T) *stage {
	s := &stage{t: t}
	s.record = func() (*records.Record, error) { return &records.Record{}, nil }
	s.signal = func(syscall.Signal) error { return nil }
	log := zerolog.New(s)
	s.system = actors.NewSystem(log)
	collect := actor.PropsFromFunc(func(ctx actor.Context) {
		switch ctx.Message().(type) {
		case actor.SystemMessage, actor.AutoReceiveMessage:
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sent = append(s.sent, ctx.Message())
	})
	others := s.system.Root.Spawn(collect)
	kernel := &actors.Kernel{
		ReadRecord: func(string) (*records.Record, error) { return s.record() },
		SettingUp:  func(string) (bool, error) { return s.settingUp, s.settingUpError },
		Spent:      func(string) cgroup.Spent { return cgroup.NothingSpent },
		AppendLine: func(path, line string) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.appended = append(s.appended, path+": "+line)
			return nil
		},
		NoteEnd: func(record string, counts records.Tally) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.appended, s.counts = append(s.appended, record+": noted"), counts
			return nil
		},
		Remove: func(_, _, _ string, all bool) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.removed = append(s.removed, all)
			return nil
		},
		Close:     func(*os.File) error { return nil },
		OOMKilled: func(int, time.Time) bool { return false },
		Signal: func(_ *os.File, sig syscall.Signal) error {
			s.mu.Lock()
			if sig != syscall.SIGCONT { // which comes with each TERM
				s.signals = append(s.signals, sig)
			}
			s.mu.Unlock()
			return s.signal(sig)
		},
	}
	s.env = &Env{
		Kernel: kernel, Timers: scheduler.NewTimerScheduler(s.system.Root), Listener: others, Spawner: others,
		Log: log, Cleaners: make(chan struct{}, 1), Checkers: make(chan struct{}, 1), Commands: make(chan struct{}, 1),
	}
	parent := actor.PropsFromFunc(func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case *actor.Started:
			s.process = ctx.Spawn(actors.ChildProps("process", log, New("web/app.0", &s.counters)))
		case *InstanceRetired:
			s.mu.Lock()
			defer s.mu.Unlock()
			s.sent = append(s.sent, m)
		}
	})
	s.system.Root.Spawn(parent)
	synctest.Wait()
	return s
}

func (s *stage) tell(m any) {
	s.system.Root.Send(s.process, m)
	synctest.Wait()
}

func instance(version string) *configs.Instance {
	return &configs.Instance{Name: "web/app.0", Fingerprint: version, Container: &configs.Container{
		Image: version, RestartTimeout: time.Second, KillTimeout: 5 * time.Second,
	}}
}

// run starts the instance and brings it to Running; it returns the request's
// generation.
func (s *stage) run(pid int) uint32 {
	s.t.Helper()
	s.tell(&RunInstance{Instance: instance("1"), Env: s.env})
	return s.fork(pid)
}

func (s *stage) fork(pid int) uint32 {
	s.t.Helper()
	for _, m := range s.take() {
		if start, ok := m.(*spawner.StartContainer); ok {
			s.tell(&spawner.ContainerForked{Gen: start.Gen, Child: &spawn.Child{PID: pid, PIDFD: new(os.File), Started: time.Now()}})
			return start.Gen
		}
	}
	s.t.Fatalf("no start was asked for; log:\n%s", s.log.String())
	return 0
}

// Covers: N9, Q2
func TestStartsDeathsAndFailuresAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		want := func(when string, started, deaths, failures, running int64) {
			t.Helper()
			c := &s.counters
			if c.Started.Load() != started || c.Deaths.Load() != deaths || c.Failures.Load() != failures || c.Running.Load() != running {
				t.Errorf("%s: started %d, deaths %d, failures %d, running %d; want %d, %d, %d, %d", when,
					c.Started.Load(), c.Deaths.Load(), c.Failures.Load(), c.Running.Load(), started, deaths, failures, running)
			}
		}
		gen := s.run(7)
		want("running", 1, 0, 0, 1)
		s.tell(&ProcessExited{Gen: gen, Exit: actors.Exit{PID: 7, Status: exited2}})
		want("a failure", 1, 1, 1, 0)
		time.Sleep(time.Second)
		gen = s.fork(8)
		s.tell(&ProcessExited{Gen: gen, Exit: actors.Exit{PID: 8, Status: exited0}})
		want("a normal end", 2, 2, 1, 0)
		time.Sleep(time.Second)
		for _, m := range s.take() {
			if start, ok := m.(*spawner.StartContainer); ok {
				s.tell(&spawner.ForkFailed{Gen: start.Gen, Err: errors.New("no")})
			}
		}
		want("a start that failed", 3, 3, 2, 0)
		time.Sleep(time.Second)
		gen = s.fork(9)
		s.tell(&RetireInstance{})
		s.tell(&ProcessExited{Gen: gen, Exit: actors.Exit{PID: 9, Status: exited3}})
		want("ended as asked", 4, 4, 2, 0)
		gen = s.run(10)
		s.tell(&ProcessExited{Gen: gen, Exit: actors.Exit{PID: 10, Status: exited2}})
		want("a failure after one that was asked for", 5, 5, 3, 0)
	})
}

// Covers: P2
func TestActorLogsTheDeathOfAKilledPID1(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.env.StdioLog, s.env.RecordsDir = "web.log", "/records"
		s.record = func() (*records.Record, error) {
			return &records.Record{Started: &wire.ProgramStarted{PID: 2, At: time.Now()}}, nil
		}
		gen := s.run(7)
		time.Sleep(90 * time.Second)
		at := time.Now()
		s.tell(&ProcessExited{Gen: gen, Exit: actors.Exit{PID: 7, Status: killed9, At: at}})
		want := "web.log: " + at.Format(time.RFC3339) + ": ----- Process \"web/app.0\" was killed: its PID 1 got SIGKILL, uptime 90s -----\n"
		// The next daemon is told that it is done, when it is.
		if noted := "/records/web/app.0: noted"; !slices.Equal(s.appended, []string{want, noted}) {
			t.Errorf("got %q, want %q and %q", s.appended, want, noted)
		}
	})
}

func TestLateFactsAreNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		gen := s.run(7)
		for _, late := range []uint32{gen - 1, gen + 1} {
			s.tell(&ProcessExited{Gen: late, Exit: actors.Exit{PID: 7}})
			s.tell(&listener.LeaseFailed{Gen: late})
			s.tell(&spawner.ForkFailed{Gen: late})
			s.tell(&ProcessStopped{Gen: late, Stopped: true})
		}
		for k := range kindCount {
			s.tell(&answer{Event{Kind: k, Gen: 99}})
			s.tell(&elapsed{Event{Kind: k, Gen: 99}})
		}
		s.tell(&containerCleaned{Event: Event{Kind: Cleaned, Gen: 99}})
		done := make(chan struct{})
		s.tell(&programReported{Event: Event{Kind: Reported, Gen: 99}, Done: done})
		select {
		case <-done:
		default:
			t.Error("the program's socket is kept from being read")
		}
		if sent := s.take(); len(sent) != 0 || len(s.signals) != 0 {
			t.Errorf("late facts had an effect: %v, %v", sent, s.signals)
		}
	})
}

func TestPanicsOfEffectsGoOn(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(*stage)
	}{
		{"reading the record", func(s *stage) { s.record = func() (*records.Record, error) { panic("record") } }},
		{"a record that can't be read", func(s *stage) {
			s.record = func() (*records.Record, error) { return nil, errors.New("gone") }
		}},
		{"the clean-up", func(s *stage) {
			s.env.Kernel.Remove = func(string, string, string, bool) error { panic("remove") }
		}},
		{"a clean-up with an error", func(s *stage) {
			s.env.Kernel.Remove = func(string, string, string, bool) error { return errors.New("busy") }
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				test.spoil(s)
				gen := s.run(7)
				for pid := 8; pid < 12; pid++ {
					s.tell(&ProcessExited{Gen: gen, Exit: actors.Exit{PID: pid - 1, Status: exited2}})
					time.Sleep(2 * time.Second)
					gen = s.fork(pid)
				}
				s.tell(&RetireInstance{})
				s.tell(&ProcessExited{Gen: gen, Exit: actors.Exit{PID: 11}})
				if sent := s.take(); len(sent) != 1 {
					t.Errorf("after it was retired: %v, want the report", sent)
				}
				if running := s.counters.Running.Load(); running != 0 {
					t.Errorf("%d are said to run", running)
				}
			})
		})
	}
}

func TestPanicOfTheSignalStillArmsTheKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.signal = func(sig syscall.Signal) error {
			if sig == spawn.StopSignal {
				panic("TERM")
			}
			return errors.New("no such process")
		}
		s.run(7)
		s.tell(&RetireInstance{})
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if len(s.signals) != 2 || s.signals[1] != syscall.SIGKILL {
			t.Errorf("signals %v, want TERM and KILL", s.signals)
		}
		if !strings.Contains(s.log.String(), "Internal error in process web/app.0") {
			t.Error("the panic is not in the log")
		}
	})
}

func TestABadSpecIsAFailedStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		bad := instance("1")
		bad.Container.Volumes = []configs.Volume{{Kind: "Else"}}
		s.tell(&RunInstance{Instance: bad, Env: s.env})
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := strings.Count(s.log.String(), "Cannot start container"); n < 9 || n > 11 {
			t.Errorf("%d tries in 10 s, want one a second; log:\n%s", n, s.log.String())
		}
		s.tell(&RunInstance{Instance: instance("2"), Env: s.env})
		s.fork(7)
	})
}

// A fork that waits behind others isn't begun for nothing.
//
// Covers: N4
func TestUnwantedStartIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.tell(&RunInstance{Instance: instance("1"), Env: s.env})
		start := s.take()[0].(*spawner.StartContainer)
		if start.Cancelled.Load() {
			t.Error("cancelled before anything came between")
		}
		s.tell(&RunInstance{Instance: instance("2"), Env: s.env})
		if !start.Cancelled.Load() {
			t.Error("a start of what is to be replaced goes on")
		}
		s.tell(&spawner.ForkFailed{Gen: start.Gen, Err: spawner.ErrCancelled})
		start = s.take()[0].(*spawner.StartContainer)
		if start.Cancelled.Load() || start.Request.RecordHead.Restarts != 0 {
			t.Errorf("the next start is cancelled: %v, restarts: %d; want none", start.Cancelled.Load(), start.Request.RecordHead.Restarts)
		}
		s.tell(&RetireInstance{})
		if !start.Cancelled.Load() {
			t.Error("a start of what is to end goes on")
		}
		s.tell(&spawner.ForkFailed{Gen: start.Gen, Err: spawner.ErrCancelled})
		if started := s.counters.Started.Load(); started != 0 || strings.Contains(s.log.String(), "Cannot start") {
			t.Errorf("%d starts are counted; log:\n%s", started, s.log.String())
		}
	})
}

// Covers: M5
func TestOnlyRetirementRemovesTheCgroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		gen := s.run(7)
		s.tell(&ProcessExited{Gen: gen, Exit: actors.Exit{PID: 7}})
		time.Sleep(time.Second)
		gen = s.fork(8)
		s.tell(&RunInstance{Instance: instance("2"), Env: s.env})
		s.tell(&ProcessExited{Gen: gen, Exit: actors.Exit{PID: 8}})
		gen = s.fork(9)
		s.tell(&RetireInstance{})
		s.tell(&ProcessExited{Gen: gen, Exit: actors.Exit{PID: 9}})
		want := []bool{false, false, true}
		if len(s.removed) != 3 || s.removed[0] != want[0] || s.removed[1] != want[1] || s.removed[2] != want[2] {
			t.Errorf("clean-ups with cgroup: %v, want %v", s.removed, want)
		}
	})
}

func TestDismissIsOnlyForTheRetired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		gen := s.run(7)
		s.tell(&DismissInstance{})
		s.tell(&RetireInstance{})
		s.tell(&ProcessExited{Gen: gen, Exit: actors.Exit{PID: 7}})
		s.tell(&DismissInstance{})
		if _, ok := s.system.ProcessRegistry.Get(s.process); ok {
			t.Error("the actor is still there")
		}
	})
}
