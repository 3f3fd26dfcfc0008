package process

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lithos/actors"
	"lithos/actors/services/status"
	"lithos/actors/spawner"
	"lithos/configs"
	"lithos/spawn"
	"lithos/spawn/records"
)

// slowed is an instance whose waits are 1, 2, 4, 8, 8… seconds.
func slowed(version string) *configs.Instance {
	in := instance(version)
	in.Container.RestartBackoff = configs.RestartBackoff{Factor: 2, Cap: 8 * time.Second, Reset: 10 * time.Second}
	return in
}

// started waits until a container is asked for, and lets it start.
func (s *stage) started() (gen uint32, at time.Time) {
	s.t.Helper()
	for range 10_000 {
		for _, m := range s.take() {
			if start, ok := m.(*spawner.StartContainer); ok {
				at = time.Now()
				s.tell(&spawner.ContainerForked{Gen: start.Gen, Child: &spawn.Child{PID: 7, Started: at}})
				return start.Gen, at
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.t.Fatal("no start within 100 s")
	return 0, at
}

// fails ends the container after it ran for a while and tells how long after
// its start the next one started.
func (s *stage) fails(gen uint32, after time.Duration) (next uint32, wait time.Duration) {
	s.t.Helper()
	began := time.Now()
	time.Sleep(after)
	s.tell(&ProcessExited{Gen: gen, Exit: actors.Exit{PID: 7, Status: exited2, At: time.Now()}})
	next, at := s.started()
	return next, at.Sub(began)
}

func wantWait(t *testing.T, when string, got, want time.Duration) {
	t.Helper()
	if got < want || got > want+20*time.Millisecond {
		t.Errorf("%s: the next start came %s after the last, want %s", when, got, want)
	}
}

// Covers: N3, N9
func TestBackoffSlowsFailuresOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.tell(&RunInstance{Instance: slowed("1"), Env: s.env})
		gen, _ := s.started()
		var wait time.Duration
		for _, want := range []time.Duration{1, 2, 4, 8, 8} {
			gen, wait = s.fails(gen, 0)
			wantWait(t, "failures", wait, want*time.Second)
		}
		gen, wait = s.fails(gen, 5*time.Second)
		wantWait(t, "counted from its start", wait, 8*time.Second)
		gen, wait = s.fails(gen, 12*time.Second)
		wantWait(t, "after a healthy run", wait, 12*time.Second)
		gen, wait = s.fails(gen, 0)
		wantWait(t, "the second of a new row", wait, 2*time.Second)

		at := time.Now()
		s.tell(&ProcessExited{Gen: gen, Exit: actors.Exit{PID: 7, Status: exited0, At: at}})
		gen, next := s.started()
		wantWait(t, "an end that is no failure", next.Sub(at), time.Second)
		_, wait = s.fails(gen, 0)
		wantWait(t, "a failure after it", wait, time.Second)
	})
}

// A failed start is a failure, too.
//
// Covers: N3
func TestBackoffAppliesToFailedStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.tell(&RunInstance{Instance: slowed("1"), Env: s.env})
		for _, want := range []time.Duration{1, 2, 4} {
			for _, m := range s.take() {
				if start, ok := m.(*spawner.StartContainer); ok {
					s.tell(&spawner.ForkFailed{Gen: start.Gen, Err: errors.New("no")})
				}
			}
			s.take()
			time.Sleep(want*time.Second - time.Millisecond)
			if early := s.take(); len(early) != 0 {
				t.Fatalf("%T came before %d s were over", early[0], want)
			}
			time.Sleep(time.Millisecond)
		}
		if len(s.take()) == 0 {
			t.Error("no fourth try")
		}
	})
}

// Covers: N3
func TestBackoffDoesNotDelayANewConfig(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.tell(&RunInstance{Instance: slowed("1"), Env: s.env})
		gen, _ := s.started()
		for range 3 {
			gen, _ = s.fails(gen, 0)
		}
		s.tell(&ProcessExited{Gen: gen, Exit: actors.Exit{PID: 7, Status: exited2, At: time.Now()}})
		at := time.Now()
		s.tell(&RunInstance{Instance: slowed("2"), Env: s.env})
		gen, now := s.started()
		wantWait(t, "another config", now.Sub(at), 0)
		gen, wait := s.fails(gen, 0)
		wantWait(t, "its first failure", wait, time.Second)
		for range 2 {
			gen, _ = s.fails(gen, 0)
		}

		// An option that only the supervisor sees counts for this wait.
		at = time.Now()
		s.tell(&ProcessExited{Gen: gen, Exit: actors.Exit{PID: 7, Status: exited2, At: at}})
		time.Sleep(3 * time.Second)
		s.tell(&UpdateInstance{Instance: instance("2"), Env: s.env})
		_, now = s.started()
		wantWait(t, "without restart-backoff", now.Sub(at), 3*time.Second)
	})
}

func TestPacing(t *testing.T) {
	wanted, other := slowed("1"), slowed("2")
	exit := func(uptime time.Duration, failure bool) *status.Exit {
		return &status.Exit{PID: 7, Fingerprint: "1", Uptime: uptime.Seconds(), Failure: failure}
	}
	refused := &status.Exit{Fingerprint: "1", Failure: true}
	for _, c := range []struct {
		name   string
		before pacing
		exit   *status.Exit
		wanted *configs.Instance
		want   pacing
		wait   time.Duration
	}{
		{"a failure", pacing{}, exit(0, true), wanted, pacing{failed: 1, row: 1}, time.Second},
		{"the third in a row", pacing{failed: 2, row: 2}, exit(time.Second, true), wanted, pacing{failed: 3, row: 3}, 4 * time.Second},
		{"many in a row", pacing{failed: 50, row: 50}, exit(0, true), wanted, pacing{failed: 51, row: 51}, 8 * time.Second},
		{"after a healthy run", pacing{failed: 5, row: 5}, exit(time.Minute, true), wanted, pacing{failed: 1, row: 1}, time.Second},
		{"a normal end", pacing{failed: 5, row: 5}, exit(0, false), wanted, pacing{}, time.Second},
		{"another one follows", pacing{failed: 5, row: 5}, exit(0, true), other, pacing{failed: 6}, time.Second},
		{"no process", pacing{}, refused, wanted, pacing{failed: 1, row: 1, refused: true}, time.Second},
		{"a process after none", pacing{refused: true}, exit(0, false), wanted, pacing{}, time.Second},
	} {
		c.want.chance = 0.25
		after := c.before.after(c.exit, c.wanted, 0.25)
		if after != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, after, c.want)
		}
		if got := after.wait(c.wanted.Container); got != c.wait {
			t.Errorf("%s: the wait is %s, want %s", c.name, got, c.wait)
		}
	}
	at, never := time.Unix(100, 0), &configs.Container{}
	if p := (pacing{attempt: at, refused: true}); !p.next(never).Equal(at.Add(failedStartWait)) {
		t.Errorf("without restart-timeout, a refused start is tried again at %s", p.next(never))
	}
}

// The next daemon continues from the record, whatever its clock says.
func TestPacingIsNoted(t *testing.T) {
	created, tried, now := time.Unix(100, 0), time.Unix(200, 0), time.Unix(300, 0)
	tally := records.Tally{Starts: 3, Failed: 2, Row: 1, Chance: 0.5, NotForked: true}
	want := pacing{starts: 3, failed: 2, row: 1, chance: 0.5, refused: true, attempt: created}
	if got := noted(tally, created, now); got != want || got.tally() != tally {
		t.Errorf("%+v, noted as %+v", got, got.tally())
	}
	tally.Tried, want.attempt = tried, tried
	if got := noted(tally, created, now); got != want {
		t.Errorf("after a try: %+v", got)
	}
	if got := noted(tally, created, created); !got.attempt.Equal(created) {
		t.Errorf("with a clock that was set back: %+v", got)
	}
}

// Covers: N3
func TestBackoffIsExplained(t *testing.T) {
	p := pacing{row: 3, chance: 0.5, attempt: time.Unix(100, 0)}
	c := slowed("1").Container
	c.RestartBackoff.Jitter = 0.5
	at, words := p.next(c), p.formula(c)
	want := "3s: restart-timeout 1s * 2^2, at most 8s, less up to 50% by chance (failure 3 in a row), after the last start, or at once if that is over"
	if !at.Equal(time.Unix(103, 0)) || words != want {
		t.Errorf("%s, %q", at, words)
	}
	c = instance("1").Container
	if at, words := p.next(c), p.formula(c); !at.Equal(time.Unix(101, 0)) || !strings.HasPrefix(words, "restart-timeout 1s after the last start") {
		t.Errorf("%s, %q without the option", at, words)
	}
}

// A daemon that is killed leaves the row as it is, and the next one continues.
//
// Covers: N3, N9
func TestFailureRowSurvivesTheDaemon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.tell(&RunInstance{Instance: slowed("1"), Env: s.env})
		gen, _ := s.started()
		for range 2 {
			gen, _ = s.fails(gen, 0)
		}
		began := time.Now() // of the third start
		s.tell(&ProcessExited{Gen: gen, Exit: actors.Exit{PID: 7, Status: exited2, At: time.Now()}})
		counts := s.counts
		if want := (records.Tally{Tried: began, Fingerprint: "1", Starts: 3, Failed: 3, Row: 3, Chance: counts.Chance}); counts != want {
			t.Fatalf("noted is %+v, want %+v", counts, want)
		}

		// It was waiting.
		s = newStage(t)
		s.env.Board = status.New()
		time.Sleep(time.Second)
		s.tell(&AdoptInstance{Instance: slowed("1"), Env: s.env, Adopted: &Adopted{
			Name: "web/app.0", Child: &spawn.Child{}, Fingerprint: "1", Created: began, Counts: counts, Noted: true, Dead: true,
		}})
		if in, _ := s.env.Board.Instance("web/app.0"); in.FailuresInRow != 3 || in.Starts != 3 || !in.NextTry.Equal(began.Add(4*time.Second)) {
			t.Errorf("shown is %+v", in)
		}
		var request *spawn.Request
		for request == nil && time.Since(began) < time.Minute {
			time.Sleep(time.Millisecond)
			for _, m := range s.take() {
				if start, ok := m.(*spawner.StartContainer); ok {
					request = start.Request
				}
			}
		}
		if request == nil {
			t.Fatal("no start within a minute")
		}
		wantWait(t, "the third failure", time.Since(began), 4*time.Second)
		want := records.Tally{Starts: 4, Failed: 3, Row: 3, Chance: counts.Chance}
		if got := request.RecordHead.Tally; got == nil || *got != want || request.RecordHead.Restarts != 3 {
			t.Errorf("in the record stands %+v, %d restarts, want %+v", got, request.RecordHead.Restarts, want)
		}

		// It was running.
		s = newStage(t)
		began = time.Now()
		s.tell(&AdoptInstance{Instance: slowed("1"), Env: s.env, Adopted: &Adopted{
			Name: "web/app.0", Child: &spawn.Child{PID: 7, Started: began}, Fingerprint: "1", Created: began, Counts: want,
		}})
		_, wait := s.fails(AdoptedGen, 0)
		wantWait(t, "the fourth failure", wait, 8*time.Second)
	})
}
