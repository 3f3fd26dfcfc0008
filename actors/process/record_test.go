package process

import (
	"syscall"
	"testing"

	"lithos/actors"
	"lithos/actors/services/api"
	"lithos/spawn/records"
	"lithos/spawn/wire"
	"lithos/sysx/cgroup"
)

func TestCauseOfADeath(t *testing.T) {
	program := func(code, signal int, asked bool) records.Record {
		return records.Record{Started: &wire.ProgramStarted{}, Exited: &wire.ProgramExited{Code: code, Signal: signal, Asked: asked}}
	}
	// ending is what the daemon before wrote down.
	ending := func(why string, r records.Record) records.Record {
		r.Ending = why
		return r
	}
	tests := []struct {
		name     string
		goal     Goal
		shutdown bool
		killed   bool
		oom      bool
		oomPID1  bool
		unknown  bool // nobody has seen the status
		status   syscall.WaitStatus
		record   records.Record
		want     actors.Cause
		asked    string
	}{
		{name: "an exit", status: exited2, record: program(3, 0, false), want: actors.CauseItself},
		{name: "a crash", status: exited2, record: program(-1, 11, false), want: actors.CauseItself},
		{name: "an exit, with a child killed for want of memory", oom: true, status: exited2, record: program(1, 0, false), want: actors.CauseItself},
		{name: "KILL by hand", status: exited2, record: program(-1, 9, false), want: actors.CauseOperator},
		{name: "KILL by the kernel", oom: true, status: exited2, record: program(-1, 9, false), want: actors.CauseOOM},
		{name: "TERM to the program by hand", status: exited0, record: program(-1, 15, false), want: actors.CauseOperator},
		{name: "TERM to PID 1 by hand", status: exited0, record: program(0, 0, true), want: actors.CauseOperator, asked: "operator"},
		{name: "TERM to PID 1 before the program", status: exited0, want: actors.CauseOperator},
		{name: "KILL to PID 1 by hand", status: killed9, want: actors.CauseOperator},
		{name: "KILL to PID 1 by the kernel", oomPID1: true, status: killed9, want: actors.CauseOOM},
		{name: "KILL to PID 1 by the kernel, at a reload", goal: ToReplace, oomPID1: true, status: killed9, want: actors.CauseReplaced, asked: "replaced"},
		{name: "a reload", goal: ToReplace, status: exited0, record: program(-1, 15, true), want: actors.CauseReplaced, asked: "replaced"},
		{name: "out of the configs", goal: ToRetire, status: exited0, record: program(0, 0, true), want: actors.CauseRemoved, asked: "removed"},
		{name: "the daemon's end", goal: ToRetire, shutdown: true, status: exited0, record: program(0, 0, true), want: actors.CauseShutdown, asked: "shutdown"},
		{name: "too slow for a reload", goal: ToReplace, status: exited3, record: records.Record{Killing: true}, want: actors.CauseKillTimeout, asked: "replaced"},
		{name: "too slow for a TERM by hand", status: exited3, record: records.Record{Killing: true}, want: actors.CauseKillTimeout, asked: "operator"},
		{name: "too slow for the daemon's end, PID 1 as well", goal: ToRetire, shutdown: true, killed: true, status: killed9, want: actors.CauseKillTimeout, asked: "shutdown"},
		{name: "could not be set up", status: exited1, record: records.Record{Failed: "no such image"}, want: actors.CauseSetup},
		{name: "PID 1 crashed", status: exited2, record: records.Record{Crash: "panic"}, want: actors.CauseInternal},
		{name: "a reload of the daemon before", unknown: true, status: exited0, record: ending("replaced", program(-1, 15, true)), want: actors.CauseReplaced, asked: "replaced"},
		{name: "taken out of the configs of the daemon before", unknown: true, status: exited0, record: ending("removed", program(-1, 15, true)), want: actors.CauseRemoved, asked: "removed"},
		{name: "too slow for a reload of the daemon before", unknown: true, status: exited3, record: ending("replaced", records.Record{Killing: true}), want: actors.CauseKillTimeout, asked: "replaced"},
		{name: "a stop before the program, of the daemon before", unknown: true, status: killed9, record: ending("shutdown", records.Record{}), want: actors.CauseShutdown, asked: "shutdown"},
		{name: "KILL by hand before the TERM of the daemon before", unknown: true, status: exited2, record: ending("replaced", program(-1, 9, false)), want: actors.CauseOperator},
		{name: "a word of another version", unknown: true, status: exited0, record: ending("tired", program(-1, 15, true)), want: actors.CauseOperator, asked: "operator"},
		{name: "nothing is known", status: exited2, want: actors.CauseInternal},
	}
	for _, test := range tests {
		f := facts{
			exit: actors.Exit{Status: test.status, Unknown: test.unknown}, record: &test.record, killed: test.killed,
			oom: test.oom, oomPID1: test.oomPID1,
		}
		asked, was := f.askedBy(test.goal, test.shutdown, test.record.Unhealthy)
		f.asked, f.wasAsked = asked, was
		if got := f.cause(); got != test.want {
			t.Errorf("%s: the cause is %s, want %s", test.name, got, test.want)
		}
		if was != (test.asked != "") || was && asked.String() != test.asked {
			t.Errorf("%s: asked by %v %s, want %q", test.name, was, asked, test.asked)
		}
	}
}

func TestGrown(t *testing.T) {
	const unknown = cgroup.Unknown
	for _, c := range [][3]int64{{5, 8, 3}, {0, 0, 0}, {5, 2, 2}, {unknown, 4, 4}, {4, unknown, unknown}, {unknown, unknown, unknown}} {
		if got := grown(c[0], c[1]); got != c[2] {
			t.Errorf("from %d to %d: %d, want %d", c[0], c[1], got, c[2])
		}
	}
}

func TestMemoryInWords(t *testing.T) {
	kills, none, peak := int64(2), int64(0), int64(5000)
	for _, tt := range []struct {
		name  string
		death api.Death
		want  string
	}{
		{"nothing known", api.Death{MemoryPeak: &peak}, ""},
		{"none killed", api.Death{OOMKills: &none, MemoryPeak: &peak}, ""},
		{"its limit", api.Death{OOMKills: &kills, MemoryPeak: &peak, MemoryLimit: 6000}, "; the kernel killed 2 of its processes for want of memory, it used 5000 bytes of 6000"},
		{"the host's memory", api.Death{OOMKills: &kills, MemoryPeak: &peak}, "; the kernel killed 2 of its processes for want of memory, it used 5000 bytes"},
		{"peak unknown", api.Death{OOMKills: &kills, MemoryLimit: 6000}, "; the kernel killed 2 of its processes for want of memory"},
	} {
		if got := memoryInWords(&tt.death); got != tt.want {
			t.Errorf("%s: %q", tt.name, got)
		}
	}
}
