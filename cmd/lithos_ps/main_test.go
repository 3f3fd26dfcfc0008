package main

import (
	"bytes"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"lithos/actors/services/api"
	"lithos/configs"
	"lithos/spawn/records"
	"lithos/spawn/wire"
)

// Covers: R9
func TestCommandLine(t *testing.T) {
	const master = "/etc/lithos/master.yaml"
	for _, tt := range []struct {
		args string
		want options
		code int // if it ends there
	}{
		{"", options{master: master}, 0},
		{"-C m web web2/app --json", options{master: "m", json: true, filters: []string{"web", "web2/app"}}, 0},
		{"--force-color web", options{master: master, color: true, filters: []string{"web"}}, 0},
		{"--no-color", options{master: master, noColor: true}, 0},
		{"--why web/app.0", options{master: master, why: "web/app.0"}, 0},
		{"--monitor web", options{master: master, monitor: true, filters: []string{"web"}}, 0},
		{"--monitor --json", options{}, exitUsage},
		{"--verify --json web", options{master: master, json: true, verify: true, filters: []string{"web"}}, 0},
		{"--verify --monitor", options{}, exitUsage},
		{"--verify --why web/app.0", options{}, exitUsage},
		{"--color --no-color", options{}, exitUsage},
		{"--why web", options{}, exitUsage},
		{"--why ../../x.0", options{}, exitUsage},
		{"--why web/a?b.0", options{}, exitUsage},
		{"--why web/app.0 web", options{}, exitUsage},
		{"--all", options{}, exitUsage},
	} {
		var errs bytes.Buffer
		o, code, done := parseOptions(strings.Fields(tt.args), io.Discard, &errs)
		switch {
		case done && (code != tt.code || tt.code == 0 || !strings.Contains(errs.String(), "--help")):
			t.Errorf("%q: ends with %d: %s", tt.args, code, errs.String())
		case !done && (tt.code != 0 || o.master != tt.want.master || o.json != tt.want.json || o.color != tt.want.color ||
			o.noColor != tt.want.noColor || o.monitor != tt.want.monitor || o.verify != tt.want.verify || o.why != tt.want.why || strings.Join(o.filters, " ") != strings.Join(tt.want.filters, " ")):
			t.Errorf("%q: got %+v", tt.args, *o)
		}
	}
	var out bytes.Buffer
	if _, code, done := parseOptions([]string{"--help"}, &out, io.Discard); !done || code != exitOK || !strings.Contains(out.String(), "Examples:") {
		t.Errorf("help: %d %s", code, out.String())
	}
}

// Covers: R9
func TestColourOptions(t *testing.T) {
	for _, tt := range []struct {
		o           options
		suits, want bool
	}{
		{options{}, false, false}, {options{}, true, true},
		{options{color: true}, false, true}, {options{noColor: true}, true, false},
	} {
		if got := tt.o.colored(tt.suits); got != tt.want {
			t.Errorf("%+v on an output that suits: %v, got %v", tt.o, tt.suits, got)
		}
	}
}

var now = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func number[N int64 | float64](n N) *N { return &n }

// example has an instance in each of the states that matter.
func example() *snapshot {
	s := &snapshot{
		At: now, Source: sourceDaemon, Daemon: &api.Daemon{Version: "1.0", PID: 7, Uptime: 90000},
		Objects: []api.Object{{Sandbox: "bad", State: "refused"}},
	}
	add := func(name string, in api.Instance) {
		r := newRow(name)
		in.Name, in.Sandbox, in.Process, in.Index = r.Name, r.Sandbox, r.Process, r.Index
		r.Instance = in
		if in.PID != 0 {
			r.Threads = 3
		}
		s.Instances = append(s.Instances, r)
	}
	add("web/worker.0", api.Instance{State: api.StateWaiting, Conditions: []string{api.ConditionFailing}, Restarts: 4, NextTry: now.Add(30 * time.Second),
		LastExit: &api.Exit{Words: "exited with code 3\x1b[2J", At: now.Add(-5 * time.Second)}, Usage: &api.Usage{MemoryLimit: number(int64(1 << 30))}})
	add("web/app.10", api.Instance{State: api.StateRunning, PID: 110, Uptime: 5})
	add("web/app.9", api.Instance{State: api.StateRunning, PID: 109, Uptime: 3700, Conditions: []string{api.ConditionDegraded}, Degraded: []string{"no memory limit"},
		Usage: &api.Usage{Memory: number(int64(12 << 20)), MemoryLimit: number(int64(64 << 20)), CPU: number(61.5)}})
	add("db/pg.0", api.Instance{State: api.StatePending})
	s.sort()
	return s
}

// Covers: R9
func TestTreeShowsEveryInstance(t *testing.T) {
	const want = `lithos_tree 1.0, pid 7, up 1d1h; 4 instances: 2 running, 1 pending, 1 waiting, 1 failing, 1 degraded
bad is refused: its config has errors, see lithos_check
NAME               STATE              PID  UPTIME  RESTARTS   CPU       MEMORY  THREADS
db
└─ pg
   └─ pg.0         pending                                0
web
├─ app
│  ├─ app.9        running, degraded  109    1h1m         0  1m2s  12.0M/64.0M        3  no memory limit
│  └─ app.10       running            110      5s         0                           3
└─ worker
   └─ worker.0     waiting, failing                       4           -/1.0G           next try in 30s; last exited with code 3\x1b[2J, 5s ago
`
	s := example()
	got := (&view{}).tree(s)
	// The width of the first column follows from the names.
	if squeeze(got) != squeeze(want) {
		t.Errorf("got\n%s", got)
	}
	colored := (&view{color: true}).tree(s)
	for _, part := range []string{"\x1b[32mrunning\x1b[0m", "\x1b[33mrunning, degraded\x1b[0m", "\x1b[31mwaiting, failing\x1b[0m"} {
		if !strings.Contains(colored, part) {
			t.Errorf("no %q in\n%s", part, colored)
		}
	}
	for _, line := range strings.Split((&view{width: 40}).tree(s), "\n") {
		if n := len([]rune(line)); n > 40 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// squeeze makes one space of several.
func squeeze(s string) string {
	var lines []string
	for _, line := range strings.Split(s, "\n") {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(lines, "\n")
}

// The columns have to stand one below the other, whatever is in them.
//
// Covers: R9
func TestTreeIsAligned(t *testing.T) {
	lines := strings.Split((&view{}).tree(example()), "\n")
	column := -1
	for _, line := range lines[2:] {
		for _, word := range []string{"STATE", "pending", "running", "waiting"} {
			if i := strings.Index(line, word); i >= 0 {
				at := len([]rune(line[:i]))
				if column < 0 {
					column = at
				}
				if at != column {
					t.Errorf("%s is in column %d, not %d", word, at, column)
				}
			}
		}
	}
	if column < 0 {
		t.Error("there is no table")
	}
}

// Covers: R9
func TestFiltersByName(t *testing.T) {
	for _, tt := range []struct {
		filters, want string
		fails         bool
	}{
		{"", "db/pg.0 web/app.9 web/app.10 web/worker.0", false},
		{"web", "web/app.9 web/app.10 web/worker.0", false},
		{"web/ db/pg", "db/pg.0 web/app.9 web/app.10 web/worker.0", false},
		{"web/app", "web/app.9 web/app.10", false},
		{"web/app.10", "web/app.10", false},
		{"bad", "", false}, // it is there, and broken
		{"web/app.1", "did you mean web/app.9?", true},
		{"webb", "did you mean web?", true},
		{"mail", "lithos_ps without a name lists all", true},
	} {
		s := example()
		err := s.choose(strings.Fields(tt.filters))
		var names []string
		for _, r := range s.Instances {
			names = append(names, r.Name)
		}
		if (err != nil) != tt.fails || err == nil && strings.Join(names, " ") != tt.want || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %q, %v", tt.filters, names, err)
		}
	}
}

// Covers: R9
func TestReasonIsExplained(t *testing.T) {
	s := example()
	r := s.Instances[3]
	r.Words = "waiting, next try in 30s, failing"
	r.NextTryWhy = "restart-timeout 1m0s after the last start"
	st := &story{
		Source: sourceDaemon, Instance: r, Waits: waits(s, r), at: now,
		Asks: asks(&configs.Container{Image: "/i", ConfigFile: "/c", Executable: "/bin/x", Arguments: []string{"a\nb"}, MemoryLimit: 1 << 30,
			FilenoLimit: 1024, RestartTimeout: time.Minute, KillTimeout: 5 * time.Second}),
		Deaths: []api.Death{{
			Exit:     api.Exit{At: now.Add(-5 * time.Second), Words: "was ended by SIGKILL", Cause: api.CauseOOM, Failure: true, Uptime: 3},
			OOMKills: number(int64(1)), MemoryLimit: 1 << 30, MemoryPeak: number(int64(1 << 30)), CPU: number(0.25), Restart: 4, Asked: api.CauseReplaced,
			Version: &api.Version{Image: "/i", Config: "/c", Fingerprint: "f00"}, Output: []string{"out of \x1b[31mmemory"}, OutputShared: true, OutputFile: "/log",
		}},
	}
	const want = `web/worker.0
state     waiting, next try in 30s, failing
memory    -/1.0G
restarts  4, failures in a row: 0
waits for next try in 30s: restart-timeout 1m0s after the last start
asks for  image /i, config /c
          runs /bin/x a\nb
          as user 0, group 0
          limits: memory 1.0G, 1024 open files
          restarted at most every 1m0s, killed 5s after TERM
deaths    the last 1, the newest first
  2026-11-01T11:59:55Z (5s ago): was ended by SIGKILL after 3s [oom]
    the kernel killed 1 of its processes for want of memory, its limit is 1.0G
    asked to end: replaced, restart 4, CPU 250ms, memory at most 1.0G
    it was image /i, config /c, version f00
    | out of \x1b[31mmemory
    (others write to /log too)
`
	if got := (&view{}).story("web/worker.0", st); got != want {
		t.Errorf("got\n%s", got)
	}
	for _, state := range []string{api.StatePending, api.StateStarting, api.StateReplacing, api.StateStopping, api.StateRunning, stateStopped} {
		if waits(s, &row{Instance: api.Instance{State: state}}) == "" {
			t.Errorf("%s waits for nothing", state)
		}
	}
}

// Covers: R9
func TestInstancesWithoutADaemon(t *testing.T) {
	stat := scan("/proc")[os.Getpid()]
	if stat == nil {
		t.Fatal("this process is not in /proc")
	}
	alive := &records.Record{Created: records.Created{At: now.Add(-time.Hour), Restarts: 3, Image: "/i"}, Forked: &records.Forked{PID: os.Getpid(), StartTime: stat.start, Degraded: []string{"x"}}}
	r := recorded("web/app.1", alive, now)
	if r.State != api.StateRunning || r.PID != os.Getpid() || r.Uptime != 3600 || r.Restarts != 2 || r.Process != "app" || r.Index != 1 || len(r.Conditions) != 1 {
		t.Errorf("alive: %+v", r)
	}
	// The pid was given to another process.
	other := &records.Record{Forked: &records.Forked{PID: os.Getpid(), StartTime: stat.start + 1}, Exited: &wire.ProgramExited{Code: 3, At: now}}
	if r := recorded("web/app.1", other, now); r.State != stateStopped || r.PID != 0 || r.LastExit.Words != "exited with code 3" || !r.LastExit.At.Equal(now) {
		t.Errorf("dead: %+v", r)
	}
	if r := recorded("web/cmd.x.17", other, now); r != nil {
		t.Errorf("a command that has ended: %+v", r)
	}
	for words, record := range map[string]*records.Record{
		"could not be set up: no": {Failed: "no"},
		"was ended by signal 9":   {Exited: &wire.ProgramExited{Code: -1, Signal: 9}},
	} {
		if e := lastExit(record); e == nil || e.Words != words {
			t.Errorf("%q: %+v", words, e)
		}
	}
}

// An unreadable record is not shown as stopped.
//
// Covers: R9
func TestUnreadableRecords(t *testing.T) {
	m := &configs.Master{File: "/nonexistent/master.yaml", RuntimeDir: t.TempDir()}
	if s, err := fromFiles(m); err != nil || len(s.Instances) != 0 {
		t.Errorf("no records: %+v, %v", s, err)
	}
	if err := os.WriteFile(recordsDir(m), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := fromFiles(m); err == nil {
		t.Errorf("got %+v", s)
	}
}

// Covers: R9
func TestCircleOfParents(t *testing.T) {
	all := processes{1: {pid: 1, children: []int{2}}, 2: {pid: 2, children: []int{1, 2}}}
	if n := len(all.below(1)); n != 2 {
		t.Errorf("%d processes", n)
	}
}

// Covers: R9
func TestContainerProcessesAreCounted(t *testing.T) {
	all := processes{}
	for pid, line := range map[int]string{
		// A name may have anything in it.
		10: "10 (lithos) knot) S 1 0 0 0 0 0 0 0 0 0 100 50 7 3 0 0 1 0 999 0 2 0",
		11: "11 (app) S 10 0 0 0 0 0 0 0 0 0 1000 0 0 0 0 0 4 0 1000 0 5 0",
		12: "12 (sub) S 11 0 0 0 0 0 0 0 0 0 0 40 0 0 0 0 2 0 1001 0 1 0",
		13: "13 (other) S 1 0 0 0 0 0 0 0 0 0 9 9 0 0 0 0 1 0 5 0 1 0",
	} {
		all[pid] = parseStat(pid, []byte(line))
	}
	all[10].children, all[11].children = []int{11}, []int{12}
	r := &row{Instance: api.Instance{PID: 10}}
	all.count(r)
	page := int64(os.Getpagesize())
	if r.Threads != 7 || *r.Usage.Memory != 8*page || *r.Usage.CPU != 12 || *r.Usage.Processes != 3 || r.ProgramPID != 11 {
		t.Errorf("%d threads, usage %+v, program %d", r.Threads, *r.Usage, r.ProgramPID)
	}
	r = &row{Instance: api.Instance{PID: 10, ProgramPID: 12, Usage: &api.Usage{Memory: number(int64(5)), CPU: number(1.0)}}}
	if all.count(r); *r.Usage.Memory != 5 || *r.Usage.CPU != 1 || r.ProgramPID != 12 {
		t.Errorf("the cgroup's numbers are lost: %+v", *r.Usage)
	}
	s := &snapshot{config: "/m", processes: all, Instances: []*row{r, {}}}
	s.addTrees()
	want := []tree{{Config: "/m", Children: []child{{PID: 10, OK: true, Processes: []group{{
		PID: 11, Processes: 2, Threads: 6, MemRSS: 6 * page, StartTime: 1000, UserTime: 1000, SystemTime: 40,
	}}}}}}
	if got := s.Trees; !equalTrees(got, want) {
		t.Errorf("got %+v", got)
	}
	for _, text := range []string{"", "1 (x", "1 (x) S 1"} {
		if p := parseStat(1, []byte(text)); p != nil {
			t.Errorf("%q is %+v", text, p)
		}
	}
}

// equalTrees ignores swap, which is of whatever has these pids here.
func equalTrees(a, b []tree) bool {
	for i := range a[0].Children[0].Processes {
		a[0].Children[0].Processes[i].MemSwap = 0
	}
	return reflect.DeepEqual(a, b)
}

// Covers: R9
func TestUnitsOfNumbers(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 1023: "1023", 1024: "1.0K", 1<<20 - 1: "1.0M", 1 << 20: "1.0M", 1536 << 20: "1.5G", 1 << 62: "4.0E"} {
		if got := size(n); got != want {
			t.Errorf("%d bytes: %s, want %s", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 1234 * time.Millisecond: "1.2s", 61 * time.Second: "1m1s", 61 * time.Minute: "1h1m", 49 * time.Hour: "2d1h",
	} {
		if got := short(d); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
	for text, want := range map[string]string{"plain é": "plain é", "a\nb\x1b[2J\x07": `a\nb\x1b[2J\a`, "\xff": "�", "\u202e": `\u202e`} {
		if got := clean(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
