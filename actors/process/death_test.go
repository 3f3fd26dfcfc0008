package process

import (
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"lithos/actors"
	"lithos/actors/services/status"
	"lithos/actors/spawner"
	"lithos/spawn/records"
	"lithos/spawn/wire"
)

const (
	exited0  = syscall.WaitStatus(0)
	exited1  = syscall.WaitStatus(1 << 8)
	exited2  = syscall.WaitStatus(2 << 8)
	exited3  = syscall.WaitStatus(3 << 8)
	killed9  = syscall.WaitStatus(9)
	killed15 = syscall.WaitStatus(15)
)

// Covers: E22, N6, N9
func TestExitCodesThatAreFailures(t *testing.T) {
	tests := []struct {
		name   string
		status syscall.WaitStatus
		exited *wire.ProgramExited
		asked  bool
		want   bool
	}{
		{"TERM was sent", exited0, nil, true, false},
		{"TERM was sent, and it had to be killed", exited3, nil, true, false},
		{"TERM was sent, and PID 1 had to be killed", killed9, nil, true, false},
		{"TERM was sent, any exit code", exited2, &wire.ProgramExited{Code: 7}, true, false},
		{"a normal exit code", exited0, &wire.ProgramExited{Code: 9}, false, false},
		{"it died on somebody's TERM", exited2, &wire.ProgramExited{Code: -1, Signal: 15}, false, false},
		{"PID 1 died on somebody's TERM", killed15, nil, false, false},
		{"an abnormal exit code, 0 too for a daemon", exited2, &wire.ProgramExited{Code: 0}, false, true},
		{"a crash", exited2, &wire.ProgramExited{Code: -1, Signal: 11}, false, true},
		{"could not be set up", exited1, nil, false, true},
		{"did not die in time after somebody's TERM", exited3, nil, false, true},
		{"PID 1 was killed", killed9, nil, false, true},
	}
	for _, test := range tests {
		got := failed(actors.Exit{Status: test.status}, &records.Record{Exited: test.exited}, test.asked)
		if got != test.want {
			t.Errorf("%s: failure is %v, want %v", test.name, got, test.want)
		}
	}
}

// Covers: P3, P8
func TestDeathLogLine(t *testing.T) {
	tests := []struct {
		name   string
		status syscall.WaitStatus
		record records.Record
		want   string
	}{
		{"exit code", exited2, records.Record{Exited: &wire.ProgramExited{Code: 3}}, "exited with code 3"},
		{"after TERM", exited0, records.Record{Exited: &wire.ProgramExited{Code: 0, Asked: true}}, "exited with code 0 after TERM"},
		{"signal", exited2, records.Record{Exited: &wire.ProgramExited{Code: -1, Signal: 11}}, "was ended by SIGSEGV"},
		{"rare signal", exited2, records.Record{Exited: &wire.ProgramExited{Code: -1, Signal: 40}}, "was ended by signal 40"},
		{"set-up", exited1, records.Record{Failed: "cannot mount X"}, "could not be set up: cannot mount X"},
		{"too slow", exited3, records.Record{Killing: true}, "did not end within its kill-timeout of 5s and was killed"},
		{"crash", exited2, records.Record{Crash: "panic: oops\n\ngoroutine 1\n"}, "ended because its PID 1 crashed (please report this): panic: oops\n\ngoroutine 1"},
		{"killed PID 1", killed9, records.Record{}, "was killed: its PID 1 got SIGKILL"},
		{"killed PID 1 with an earlier exit in its record", killed9, records.Record{Exited: &wire.ProgramExited{}}, "was killed: its PID 1 got SIGKILL"},
		{"TERM during the set-up", exited0, records.Record{}, "was stopped before its program was started"},
		{"nothing known", exited2, records.Record{}, "ended, its PID 1 exited with code 2 and left no record"},
	}
	for _, test := range tests {
		if got := deathInWords(actors.Exit{Status: test.status}, &test.record, 5*time.Second); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.name, got, test.want)
		}
	}
}

// Covers: P2
func TestMissingDeathLineIsDetected(t *testing.T) {
	at := time.Unix(1700000000, 0)
	tests := []struct {
		name   string
		status syscall.WaitStatus
		record records.Record
		want   bool
	}{
		{"it was stopped before it was started", exited0, records.Record{}, false},
		{"it could not be set up", exited1, records.Record{Failed: "no such image"}, false},
		{"PID 1 was killed", killed9, records.Record{Started: &wire.ProgramStarted{At: at}}, true},
		{"PID 1 was killed before it could record the start", killed9, records.Record{}, true},
		{"PID 1 crashed before it could record the start", exited2, records.Record{Crash: "panic"}, true},
		{"PID 1 wrote it", exited2, records.Record{Started: &wire.ProgramStarted{At: at}, Exited: &wire.ProgramExited{At: at}}, false},
		{"PID 1 wrote of the kill-timeout", exited3, records.Record{Started: &wire.ProgramStarted{At: at}, Killing: true}, false},
		{"PID 1 was killed after a restart of the program", killed9,
			records.Record{Started: &wire.ProgramStarted{At: at}, Exited: &wire.ProgramExited{At: at}, Again: true}, true},
	}
	for _, test := range tests {
		if got := lacksDeathLine(actors.Exit{Status: test.status}, &test.record); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestFirstLines(t *testing.T) {
	if got := firstLines("a\nb\nc\nd\n", 2); got != "a\nb\n…" {
		t.Errorf("%q", got)
	}
	if got := firstLines("a\nb", 2); got != "a\nb" {
		t.Errorf("%q", got)
	}
}

// A start that fails while another version is wanted already was the old one's.
//
// Covers: N3, O9
func TestDeathNamesItsVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.env.Board = status.New()
		last := func(what, want string) {
			t.Helper()
			in, _ := s.env.Board.Instance("web/app.0")
			if in == nil || in.LastExit == nil || in.LastExit.Fingerprint != want {
				t.Errorf("%s: shown is %+v, want the end of version %s", what, in, want)
			}
		}
		s.tell(&RunInstance{Instance: slowed("1"), Env: s.env})
		start := s.take()[0].(*spawner.StartContainer)
		s.tell(&RunInstance{Instance: slowed("2"), Env: s.env})
		s.tell(&spawner.ForkFailed{Gen: start.Gen, Err: errors.New("no")})
		last("a failed start", "1")
		gen, _ := s.started()
		_, wait := s.fails(gen, 0)
		wantWait(t, "the first failure of the new one", wait, time.Second)
		last("a failure", "2")

		s.tell(&RunInstance{Instance: slowed("3"), Env: s.env})
		s.tell(&ProcessExited{Gen: gen + 1, Exit: actors.Exit{PID: 7, Status: exited0, At: time.Now()}})
		last("one that was replaced", "2")
	})
}
