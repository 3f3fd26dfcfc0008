package process

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"lithos/actors"
	"lithos/actors/services/budget"
	"lithos/actors/services/status"
	"lithos/configs"
)

// bounded is a stage with a restart each ten seconds, the first of which has
// been spent: the next try is at 10 s after the start that is under way.
func bounded(t *testing.T, in *configs.Instance) (s *stage, gen uint32, spent time.Time) {
	s = newStage(t)
	s.env.Budget, s.env.Board = budget.New(zerolog.Nop()), status.New()
	s.env.Budget.Set(configs.RestartBudget{Rate: 0.1, Burst: 1})
	s.tell(&RunInstance{Instance: in, Env: s.env})
	gen, at := s.started()
	gen, wait := s.fails(gen, 0)
	wantWait(t, "the first restart", wait, time.Second)
	return s, gen, at.Add(wait)
}

func (s *stage) waiting(want int) {
	s.t.Helper()
	synctest.Wait()
	if got := s.env.Budget.Numbers().Waiting; got != want {
		s.t.Errorf("%d restarts wait for the budget, want %d", got, want)
	}
}

// Covers: N3
func TestRestartsWaitForTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, gen, spent := bounded(t, instance("1"))
		s.tell(&ProcessExited{Gen: gen, Exit: actors.Exit{PID: 7, Status: exited2, At: time.Now()}})
		s.waiting(0) // restart-timeout comes first
		time.Sleep(2 * time.Second)
		s.waiting(1)
		in, _ := s.env.Board.Instance("web/app.0")
		if in.State != status.Waiting || in.Queued == nil {
			t.Fatalf("shown: %+v", in)
		}
		at, why := in.Queued()
		if off := at.Sub(spent.Add(10 * time.Second)).Abs(); off > 50*time.Millisecond || !strings.HasPrefix(why, "restart-budget of the host, 0.1 a second, 1 at once: place 1 of 1 in the queue") {
			t.Errorf("next try %s, %q, want %s", at, why, spent.Add(10*time.Second))
		}
		_, at = s.started()
		wantWait(t, "the second restart", at.Sub(spent), 10*time.Second)
		s.waiting(0)
	})
}

// A restart that is due at once, since the container ran for long, asks too.
//
// Covers: N2
func TestLongLivedContainersUseTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, gen, spent := bounded(t, instance("1"))
		gen, wait := s.fails(gen, 5*time.Second)
		wantWait(t, "without a token", wait, 10*time.Second)
		_, wait = s.fails(gen, 30*time.Second)
		wantWait(t, "with a token", wait, 30*time.Second)
		if time.Since(spent) > time.Minute {
			t.Errorf("all of it took %s", time.Since(spent))
		}
	})
}

func TestWhatIsAskedForDoesNotWaitForTheBudget(t *testing.T) {
	for name, ask := range map[string]func(s *stage) any{
		"another config": func(s *stage) any { return &RunInstance{Instance: instance("2"), Env: s.env} },
		"the end":        func(*stage) any { return &RetireInstance{} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, gen, _ := bounded(t, instance("1"))
				s.tell(&ProcessExited{Gen: gen, Exit: actors.Exit{PID: 7, Status: exited2, At: time.Now()}})
				time.Sleep(2 * time.Second)
				s.waiting(1)
				s.tell(ask(s))
				s.waiting(0)
				if len(s.take()) == 0 {
					t.Error("nothing follows at once")
				}
				time.Sleep(time.Minute)
				if late := s.take(); len(late) != 0 {
					t.Errorf("%T follows from the restart that is not wanted any more", late[0])
				}
			})
		})
	}
}

// An option that changes while the restart waits for the budget does not have
// it ask twice, nor lose its place.
func TestAnUpdateWhileTheBudgetIsAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, gen, spent := bounded(t, slowed("1"))
		s.tell(&ProcessExited{Gen: gen, Exit: actors.Exit{PID: 7, Status: exited2, At: time.Now()}})
		time.Sleep(4 * time.Second)
		s.waiting(1)
		s.tell(&UpdateInstance{Instance: slowed("1"), Env: s.env})
		time.Sleep(time.Second)
		s.waiting(1)
		_, at := s.started()
		wantWait(t, "the restart", at.Sub(spent), 10*time.Second)
	})
}
