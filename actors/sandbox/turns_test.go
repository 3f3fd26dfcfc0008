package sandbox

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lithos/actors/fakekernel"
	"lithos/actors/process"
	"lithos/configs"
)

// several asks for instances of one process.
func several(version string, instances, most int, ready bool) *ApplySandbox {
	p := &configs.Process{Name: "app", Kind: configs.KindDaemon, Config: &configs.ProcessConfig{MaxUnavailable: most}}
	for i := range instances {
		c := &configs.Container{RestartTimeout: time.Second, KillTimeout: time.Second}
		if ready {
			c.Ready = &configs.Ready{Check: configs.Check{Kind: configs.CheckTCP, Interval: time.Second, Timeout: time.Second}}
		}
		p.Instances = append(p.Instances, &configs.Instance{
			Name: "web/app." + strconv.Itoa(i), Process: "app", Index: i, Fingerprint: version, Container: c,
		})
	}
	return &ApplySandbox{Sandbox: &configs.Sandbox{
		Name: "web", Config: &configs.SandboxConfig{LogLevel: "info"}, Processes: []*configs.Process{p},
	}}
}

// versions are what runs, in the order of the instances.
func (s *stage) versions() string {
	var list []string
	for _, p := range s.fake.Living() {
		list = append(list, strings.TrimPrefix(p.Name, "web/app.")+":"+p.Request.RecordHead.Fingerprint)
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// after lets time pass.
func (s *stage) after(d time.Duration) {
	for range d / (100 * time.Millisecond) {
		time.Sleep(100 * time.Millisecond)
		s.reap()
	}
}

// answer is what checks say from now on.
func (s *stage) answer(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.check = err
}

func (s *stage) checkError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.check
}

func (s *stage) want(t *testing.T, when, versions string) {
	t.Helper()
	if got := s.versions(); got != versions {
		t.Errorf("%s: there are %q, want %q; log:\n%s", when, got, versions, s.log.String())
	}
}

func TestMaxUnavailable(t *testing.T) {
	for _, tt := range []struct {
		name  string
		steps func(t *testing.T, s *stage)
	}{
		{"all at once without it", func(t *testing.T, s *stage) {
			s.tell(several("1", 3, 0, false))
			s.tell(several("2", 3, 0, false))
			s.want(t, "at once", "0:2 1:2 2:2")
		}},
		{"new ones begin at once", func(t *testing.T, s *stage) {
			s.tell(several("1", 4, 1, false))
			s.want(t, "at once", "0:1 1:1 2:1 3:1")
		}},
		{"one after another", func(t *testing.T, s *stage) {
			s.tell(several("1", 3, 1, false))
			s.tell(several("2", 3, 1, false))
			s.want(t, "at once", "0:2 1:1 2:1")
			s.after(4 * time.Second)
			s.want(t, "after 4 s", "0:2 1:1 2:1")
			s.after(2 * time.Second)
			s.want(t, "after 6 s", "0:2 1:2 2:1")
			s.after(5 * time.Second)
			s.want(t, "after 11 s", "0:2 1:2 2:2")
		}},
		{"two at a time", func(t *testing.T, s *stage) {
			s.tell(several("1", 5, 2, false))
			s.tell(several("2", 5, 2, false))
			s.want(t, "at once", "0:2 1:2 2:1 3:1 4:1")
			s.after(6 * time.Second)
			s.want(t, "after 6 s", "0:2 1:2 2:2 3:2 4:1")
		}},
		{"as soon as it is ready", func(t *testing.T, s *stage) {
			s.tell(several("1", 2, 1, true))
			s.after(2 * time.Second)
			s.tell(several("2", 2, 1, true))
			s.want(t, "at once", "0:2 1:1")
			s.after(2 * time.Second)
			s.want(t, "after 2 s", "0:2 1:2")
		}},
		{"one that never is ready keeps its turn", func(t *testing.T, s *stage) {
			s.tell(several("1", 3, 1, true))
			s.after(2 * time.Second)
			s.answer(errors.New("no"))
			s.tell(several("2", 3, 1, true))
			s.after(time.Minute)
			s.want(t, "after a minute", "0:2 1:1 2:1")
			// Back: only what has changed is replaced, and has the turn already.
			s.tell(several("1", 3, 1, true))
			s.want(t, "after the change was taken back", "0:1 1:1 2:1")
			if n := len(s.starts); n != 5 {
				t.Errorf("%d starts: %q", n, s.starts)
			}
			// Forward, to another one: the turn is still that one's.
			s.tell(several("3", 3, 1, true))
			s.want(t, "another version", "0:3 1:1 2:1")
			s.answer(nil)
			s.after(5 * time.Second)
			s.want(t, "when it serves", "0:3 1:3 2:3")
		}},
		{"one that dies again and again keeps its turn", func(t *testing.T, s *stage) {
			s.tell(several("1", 2, 1, false))
			s.fake.Behave = func(string, int) fakekernel.Behaviour { return fakekernel.Behaviour{Lifetime: 2 * time.Second} }
			s.tell(several("2", 2, 1, false))
			s.after(time.Minute)
			if got := s.versions(); !strings.HasSuffix(got, "1:1") {
				t.Errorf("after a minute: %s", got)
			}
		}},
		{"what waits for its turn is restarted as it was", func(t *testing.T, s *stage) {
			s.tell(several("1", 2, 1, true))
			s.after(2 * time.Second)
			s.answer(errors.New("no"))
			s.tell(several("2", 2, 1, true))
			s.fake.End(s.fake.Latest("web/app.1").PID, 0)
			s.after(2 * time.Second)
			s.want(t, "after its death", "0:2 1:1")
			s.answer(nil)
			s.after(5 * time.Second)
			s.want(t, "at its turn", "0:2 1:2")
		}},
		{"the turn of one that is retired goes on", func(t *testing.T, s *stage) {
			s.tell(several("1", 3, 1, true))
			s.answer(errors.New("no"))
			s.tell(several("2", 3, 1, true))
			s.want(t, "at once", "0:2 1:1 2:1")
			one := several("2", 3, 1, true)
			p := one.Sandbox.Processes[0]
			p.Instances = p.Instances[1:]
			s.tell(one)
			s.want(t, "without the first", "1:2 2:1")
		}},
		{"more at a time, for those that wait already", func(t *testing.T, s *stage) {
			s.tell(several("1", 4, 1, false))
			s.tell(several("2", 4, 1, false))
			s.want(t, "at once", "0:2 1:1 2:1 3:1")
			s.tell(several("2", 4, 3, false))
			s.want(t, "with three", "0:2 1:2 2:2 3:1")
			s.tell(several("2", 4, 0, false))
			s.want(t, "with all", "0:2 1:2 2:2 3:2")
		}},
		{"a limit that was taken back and is there again", func(t *testing.T, s *stage) {
			s.tell(several("1", 3, 1, true))
			s.after(2 * time.Second)
			s.answer(errors.New("no"))
			s.tell(several("2", 3, 1, true)) // the first has its turn
			s.tell(several("1", 3, 0, true))
			s.want(t, "without a limit", "0:1 1:1 2:1")
			s.tell(several("3", 3, 2, true))
			s.want(t, "with another", "0:3 1:3 2:1")
			s.answer(nil)
			s.after(5 * time.Second)
			s.want(t, "when they serve", "0:3 1:3 2:3")
		}},
		{"the end of the sandbox in the middle", func(t *testing.T, s *stage) {
			s.tell(several("1", 3, 1, false))
			s.tell(several("2", 3, 1, false))
			s.tell(&EndSandbox{})
			s.after(10 * time.Second)
			s.want(t, "after its end", "")
			s.tell(several("3", 3, 1, false))
			s.want(t, "begun anew", "0:3 1:3 2:3")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage()
				defer settle()
				s.fake.Behave = func(string, int) fakekernel.Behaviour {
					return fakekernel.Behaviour{Check: func(int) error { return s.checkError() }}
				}
				tt.steps(t, s)
				s.tell(&EndSandbox{})
				s.after(3 * time.Second)
				s.want(t, "in the end", "")
			})
		})
	}
}

func TestWhetherAnAdoptedOneServes(t *testing.T) {
	ready := &configs.Container{Ready: &configs.Ready{}}
	now := time.Now()
	for _, tt := range []struct {
		name    string
		adopted process.Adopted
		c       *configs.Container
		want    bool
	}{
		{"old", process.Adopted{Created: now.Add(-time.Minute)}, &configs.Container{}, true},
		{"young", process.Adopted{Created: now.Add(-time.Second)}, &configs.Container{}, false},
		{"dead", process.Adopted{Created: now.Add(-time.Minute), Dead: true}, &configs.Container{}, false},
		{"not ready", process.Adopted{Created: now.Add(-time.Minute)}, ready, false},
		{"ready", process.Adopted{Created: now, Ready: now}, ready, true},
	} {
		if got := tt.adopted.Serves(tt.c); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
