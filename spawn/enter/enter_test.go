package enter

import (
	"os"
	"slices"
	"strings"
	"testing"

	"lithos/spawn/records"
	"lithos/spawn/wire"
	"lithos/sysx/proc"
)

// Covers: R10
func TestCommandIsSearchedInPath(t *testing.T) {
	for _, tt := range []struct{ name, path, want string }{
		{"sh", "PATH=/bin:/usr/bin", "/bin/sh /usr/bin/sh"},
		{"sh", "PATH=:/bin:.", "sh /bin/sh sh"}, // in the workdir
		{"sh", "HOME=/", "/usr/local/sbin/sh /usr/local/bin/sh /usr/sbin/sh /usr/bin/sh /sbin/sh /bin/sh"},
		{"./sh", "PATH=/bin", "./sh"},
		{"/bin/sh", "PATH=/usr/bin", "/bin/sh"},
	} {
		got := strings.Join(candidates(&Request{Argv: []string{tt.name}, Env: []string{tt.path}}), " ")
		if got != tt.want {
			t.Errorf("%s with %s: %s, want %s", tt.name, tt.path, got, tt.want)
		}
	}
}

// Covers: R10
func TestHostUserOfTheContainer(t *testing.T) {
	c := &Container{identity: &records.Identity{}, uids: "0 0 4294967295\n"}
	if got := c.HostUser(7); got != 7 {
		t.Errorf("without a map 7 is %d", got)
	}
	c = &Container{identity: &records.Identity{UserNS: true}, uids: "         0     100000       1000\n      5000     200000          7\n"}
	for inside, want := range map[uint32]uint32{0: 100000, 999: 100999, 1000: 1000, 5006: 200006, 5007: 5007} {
		if got := c.HostUser(inside); got != want {
			t.Errorf("%d is %d, want %d", inside, got, want)
		}
	}
}

// A record is of a container only if the start time is that of the pid.
//
// Covers: R10
func TestRecordsOfOthersAreRefused(t *testing.T) {
	start, err := proc.StartTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	own := &records.Forked{PID: os.Getpid(), StartTime: start}
	for _, tt := range []struct {
		name   string
		record records.Record
		want   error
	}{
		{"no fork", records.Record{}, ErrNotRunning},
		{"no start time", records.Record{Forked: &records.Forked{PID: os.Getpid()}}, ErrNotRunning},
		{"another start time", records.Record{Forked: &records.Forked{PID: os.Getpid(), StartTime: start - 1}}, ErrNotRunning},
		{"an old record", records.Record{Forked: own}, ErrOldRecord},
		{"no program", records.Record{Forked: own, Created: records.Created{Identity: &records.Identity{}}}, ErrNoProgram},
		{"no such program", records.Record{Forked: own, Created: records.Created{Identity: &records.Identity{}}, Started: &wire.ProgramStarted{PID: 1}}, ErrNoProgram},
	} {
		if c, err := Open(&tt.record); err != tt.want || c != nil {
			t.Errorf("%s: %v, %v, want %v", tt.name, c, err, tt.want)
		}
	}
}

// Covers: R10
func TestEnvironOfTheContainer(t *testing.T) {
	t.Setenv("LISTEN_FDS", "3")
	env, err := environ(os.Getpid()) // as it was at the start
	if err != nil || len(env) == 0 {
		t.Fatal(env, err)
	}
	for _, v := range env {
		if name, _, ok := strings.Cut(v, "="); !ok || name == "" || activation[name] {
			t.Errorf("it has %q", v)
		}
	}
	if path := "PATH=" + os.Getenv("PATH"); !slices.Contains(env, path) {
		t.Errorf("no %s in %q", path, env)
	}
}
