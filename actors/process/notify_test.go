package process

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"lithos/actors"
	"lithos/actors/services/status"
	"lithos/actors/spawner"
	"lithos/configs"
	"lithos/spawn"
	"lithos/spawn/readiness"
)

// sends is a stage whose program sends to its socket.
type sends struct {
	*checked
	messages chan readiness.Message
	peeked   *readiness.Message // not dropped yet
	dropped  int
	closed   int
}

func newSends(t *testing.T) *sends {
	s := &sends{checked: newChecked(t), messages: make(chan readiness.Message, 100000)}
	s.env.Kernel.PeekNotice = func(_ *os.File, until time.Time) (readiness.Message, error) {
		var late <-chan time.Time
		if !until.IsZero() {
			late = time.After(time.Until(until))
		}
		select {
		case m, ok := <-s.messages:
			if !ok {
				return m, errors.New("closed")
			}
			s.peeked = &m
			return m, nil
		case <-late:
			return readiness.Message{}, os.ErrDeadlineExceeded
		}
	}
	s.env.Kernel.DropNotice = func(*os.File) error {
		if s.peeked == nil {
			t.Error("dropped twice")
		}
		s.peeked = nil
		s.dropped++
		return nil
	}
	s.env.Kernel.Close = func(*os.File) error { s.closed++; return nil }
	return s
}

func notifying() *configs.Instance {
	return withChecks("1", &configs.Ready{Check: configs.Check{Kind: configs.CheckNotify, Path: "/run/notify"}}, nil)
}

func says(text string) readiness.Message { return readiness.Message{Status: &text} }

func (s *sends) starts() (gen uint32) {
	s.t.Helper()
	return s.startsAs(notifying(), "NOTIFY_SOCKET=/run/notify")
}

func (s *sends) startsAs(in *configs.Instance, env ...string) (gen uint32) {
	s.t.Helper()
	s.tell(&RunInstance{Instance: in, Env: s.env})
	var start *spawner.StartContainer
	for _, m := range s.take() {
		if m, ok := m.(*spawner.StartContainer); ok {
			start = m
		}
	}
	if start == nil || start.Request.NotifyPath != "/run/notify" || len(start.Request.Spec.Env) < len(env) ||
		!slices.Equal(start.Request.Spec.Env[len(start.Request.Spec.Env)-len(env):], env) {
		s.t.Fatalf("the start: %+v", start)
	}
	s.system.Root.Send(s.process, &spawner.ContainerForked{Gen: start.Gen, Child: &spawn.Child{PID: 7, PIDFD: new(os.File), Notice: new(os.File), Started: time.Now()}})
	return start.Gen
}

func TestProgramNotifies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSends(t)
		defer close(s.messages)
		gen := s.starts()
		s.messages <- says("warming up")
		if in := s.after(time.Hour); !in.NotReady() || in.Says != "warming up" {
			t.Errorf("before: %+v, %+v", in, in.Ready)
		}
		s.messages <- readiness.Message{Ready: true}
		if in := s.after(time.Second); in.NotReady() || in.Says != "warming up" || len(s.appended) != 1 || s.closed != 0 {
			t.Errorf("ready: %+v, %+v, noted %q, closed %d", in, in.Ready, s.appended, s.closed)
		}
		// It is heard on.
		s.messages <- says("")
		s.messages <- readiness.Message{Ready: true, Stopping: true}
		if in := s.after(time.Second); in.NotReady() || in.Says != "stopping" || len(s.appended) != 1 || s.dropped != 4 {
			t.Errorf("stopping: %+v, %+v, noted %q, %d dropped", in, in.Ready, s.appended, s.dropped)
		}
		s.tell(&ProcessExited{Gen: gen, Exit: actors.Exit{PID: 7, At: time.Now()}})
		if s.closed != 2 { // its pidfd, too
			t.Errorf("closed %d", s.closed)
		}
		if in := s.after(0); in.Says != "" {
			t.Errorf("it is dead, and says %q", in.Says)
		}
	})
}

// A readiness message is in the record before it leaves the socket.
func TestNoticeStaysUntilItIsNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSends(t)
		defer close(s.messages)
		noted := 0
		s.env.Kernel.AppendLine = func(string, string) error {
			if s.peeked == nil || s.dropped != 0 {
				t.Errorf("noted after %d were dropped", s.dropped)
			}
			noted++
			return nil
		}
		s.starts()
		s.messages <- readiness.Message{Ready: true}
		if s.after(time.Second); noted != 1 || s.dropped != 1 {
			t.Errorf("noted %d, dropped %d", noted, s.dropped)
		}
	})
}

// Statuses are published at a limited rate; the last one always is.
func TestNoticesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		messages := make(chan readiness.Message, 100000)
		kernel := newSends(t)
		kernel.messages = messages
		var passed []report
		var at []time.Duration
		began := time.Now()
		h := &reportReader{kernel: kernel.env.Kernel, pass: func(r report) {
			passed = append(passed, r)
			at = append(at, time.Since(began))
		}}
		for n := range 5000 {
			messages <- says(fmt.Sprint(n))
		}
		done := make(chan error)
		go func() { done <- h.run() }()
		time.Sleep(time.Minute)
		messages <- readiness.Message{Ready: true}
		time.Sleep(time.Millisecond)
		close(messages)
		if err := <-done; err == nil {
			t.Error("no error in the end")
		}
		// 100 in 100 ms, and told each 200 ms.
		if len(passed) < 20 || len(passed) > 30 || passed[len(passed)-2].status != "4999" || !passed[len(passed)-1].ready {
			t.Errorf("%d were told: %v", len(passed), passed)
		}
		if reached := at[len(at)-2]; reached < 4*time.Second || reached > 6*time.Second {
			t.Errorf("the last was told after %s", reached)
		}
	})
}

// A daemon that takes the container over hears on, whether it was ready or not.
func TestAdoptedProgramNotifies(t *testing.T) {
	for _, ready := range []time.Time{{}, time.Now()} {
		synctest.Test(t, func(t *testing.T) {
			s := newSends(t)
			defer close(s.messages)
			s.messages <- readiness.Message{Ready: true}
			s.messages <- says("here")
			s.tell(&AdoptInstance{Instance: notifying(), Env: s.env, Adopted: &Adopted{
				Name: "web/app.0", Fingerprint: "1", Created: time.Now(), Ready: ready,
				Child: &spawn.Child{PID: 7, PIDFD: new(os.File), Notice: new(os.File), Started: time.Now()},
			}})
			in := s.after(time.Second)
			if in.State != status.Running || in.NotReady() || in.Says != "here" {
				t.Errorf("%+v, %+v", in, in.Ready)
			}
		})
	}
}

func watched() *configs.Instance {
	in := notifying()
	in.Container.Ready.Watchdog = 10 * time.Second
	return in
}

// A ready program has to send WATCHDOG=1 at least that often, also to the next
// daemon; otherwise it is ended, as by a healthcheck.
func TestWatchdog(t *testing.T) {
	adopt := &AdoptInstance{Adopted: &Adopted{
		Name: "web/app.0", Fingerprint: "1", Child: &spawn.Child{PID: 7, PIDFD: new(os.File), Notice: new(os.File)},
	}}
	for _, adopted := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newSends(t)
			defer close(s.messages)
			if adopted {
				a := *adopt.Adopted
				a.Created, a.Ready, a.Child.Started = time.Now(), time.Now(), time.Now()
				s.tell(&AdoptInstance{Instance: watched(), Env: s.env, Adopted: &a})
			} else {
				s.startsAs(watched(), "NOTIFY_SOCKET=/run/notify", "WATCHDOG_USEC=10000000")
				// Before it is ready it need not.
				if in := s.after(time.Hour); in.State != status.Running {
					t.Fatalf("while it starts: %+v", in)
				}
				s.messages <- readiness.Message{Ready: true}
			}
			for range 100 {
				if in := s.after(9 * time.Second); in.State != status.Running {
					t.Fatalf("it sends and is ended: %+v", in)
				}
				s.messages <- readiness.Message{Alive: true}
			}
			if in := s.after(10*time.Second + watchdogGrace/2); in.State != status.Running {
				t.Errorf("ended too early: %+v", in)
			}
			if in := s.after(2 * time.Second); in.State != status.Restarting || in.Unhealthy != "it sent no WATCHDOG=1 for 10s" {
				t.Errorf("it is silent: %+v", in)
			}
			if len(s.signals) == 0 || s.signals[0] != spawn.StopSignal {
				t.Errorf("signals %v", s.signals)
			}
		})
	}
}

// A message that was sent in time counts, however late it is read.
func TestWatchdogOfAStoppedDaemon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSends(t)
		defer close(s.messages)
		s.startsAs(watched(), "NOTIFY_SOCKET=/run/notify", "WATCHDOG_USEC=10000000")
		s.messages <- readiness.Message{Ready: true}
		s.after(10*time.Second + watchdogGrace/2)
		s.messages <- readiness.Message{Alive: true} // the timer was first
		if in := s.after(9 * time.Second); in.State != status.Running {
			t.Errorf("%+v", in)
		}
	})
}

func TestWatchdogTrigger(t *testing.T) {
	for _, c := range []struct {
		in   *configs.Instance
		env  []string
		want status.State
	}{
		{watched(), []string{"NOTIFY_SOCKET=/run/notify", "WATCHDOG_USEC=10000000"}, status.Restarting},
		{notifying(), []string{"NOTIFY_SOCKET=/run/notify"}, status.Running},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newSends(t)
			defer close(s.messages)
			s.startsAs(c.in, c.env...)
			s.messages <- readiness.Message{Ready: true, Trigger: true}
			if in := s.after(time.Second); in.State != c.want {
				t.Errorf("%+v", in)
			}
		})
	}
}

// A socket that can't be read is no silence of the program.
func TestWatchdogIsOffWhereNothingIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSends(t)
		s.startsAs(watched(), "NOTIFY_SOCKET=/run/notify", "WATCHDOG_USEC=10000000")
		s.messages <- readiness.Message{Ready: true}
		s.after(time.Second)
		close(s.messages)
		if in := s.after(time.Hour); in.State != status.Running {
			t.Errorf("%+v", in)
		}
	})
}
