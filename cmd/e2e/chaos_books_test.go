//go:build !guest

// Not in the virtual machine: nobody has seen yet how long it takes there.

package e2e

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"lithos/actors/services/api"
	"lithos/actors/services/deaths"
	"lithos/configs"
)

// books are what was done to containers, to be compared with what the daemon
// tells.
type books struct {
	h        *host
	born     map[life]bool   // that were seen to run
	killed   map[life]bool   // by this test
	switches map[string]bool // sandboxes whose config changed
	deaths   int             // that were told
	twice    int             // of them by two daemons
	// nameless are the deaths of who had died before anybody wrote down its pid:
	// its daemon was killed between the fork and the line about it.
	nameless map[string]int
}

// life is one container.
type life struct {
	name string
	pid  int
}

func newBooks(h *host) *books {
	return &books{h: h, born: map[life]bool{}, killed: map[life]bool{}, switches: map[string]bool{}, nameless: map[string]int{}}
}

func (b *books) seen(name string, pid int) { b.born[life{name, pid}] = true }

func (b *books) kills(name string, pid int) { b.killed[life{name, pid}] = true }

func (b *books) switched(sandbox string) { b.switches[sandbox] = true }

func (b *books) String() string {
	return fmt.Sprintf("%d deaths learnt of, %d of them told by two daemons", b.deaths, b.twice)
}

// The lines of the daemon's log about lives and deaths. The first one marks a
// daemon that was started or took over.
var (
	birthLine  = regexp.MustCompile(`(?:Started|Adopted) container "([^"]+)" \(pid (\d+)\)`)
	deathLine  = regexp.MustCompile(`Container "([^"]+)" \(pid (\d+)\) (.*), cause: (\S+)`)
	daemonLine = regexp.MustCompile(`lithos_tree \S+ started \(pid|Taken over from lithos_tree`)
)

// balance compares, when all has ended. A daemon that is killed between telling
// of a death and noting that it did has it told twice; nobody else may.
func (b *books) balance(visits visits) {
	t := b.h.t
	t.Helper()
	type told struct{ times, daemon int }
	ends, daemon := map[life]*told{}, 0
	for line := range strings.Lines(b.h.read("log/master.log")) {
		if daemonLine.MatchString(line) {
			daemon++
		}
		if m := birthLine.FindStringSubmatch(line); m != nil {
			pid, _ := strconv.Atoi(m[2])
			b.seen(m[1], pid)
		}
		m := deathLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		pid, _ := strconv.Atoi(m[2])
		l := life{m[1], pid}
		if pid == 0 {
			b.nameless[l.name]++
			b.deaths++
			continue
		}
		if ends[l] == nil {
			ends[l] = &told{}
			b.deaths++
		} else if ends[l].daemon == daemon {
			t.Errorf("one daemon tells twice how %v ended: %s", l, line)
		} else {
			b.twice++
			if !strings.Contains(line, "may have been logged before") {
				t.Errorf("told again, and it does not say so: %s", line)
			}
		}
		ends[l].times, ends[l].daemon = ends[l].times+1, daemon
		if ends[l].times > 2 {
			t.Errorf("told %d times: %s", ends[l].times, line)
		}
		if !b.plausible(l, m[4]) {
			t.Errorf("that was not the cause: %s", line)
		}
	}
	for l := range b.born {
		if ends[l] == nil {
			t.Errorf("%v has lived, and its end is not told", l)
		}
	}
	for l := range b.killed {
		if ends[l] == nil && !b.born[l] && b.nameless[l.name] > 0 {
			b.nameless[l.name]--
		} else if ends[l] == nil {
			t.Errorf("%v was killed, and its end is not told", l)
		}
	}
	b.records(func(l life) bool { return ends[l] != nil || l.pid == 0 })
	if visits.failed != nil {
		t.Errorf("of those who connected one failed: %v", visits.failed)
	}
	if visits.answered == 0 || visits.cut > b.deaths {
		t.Errorf("%s, and %d deaths", visits, b.deaths)
	}
}

// plausible tells whether the cause is one that there was.
func (b *books) plausible(l life, cause string) bool {
	name := configs.ParseInstanceName(l.name)
	switch cause {
	case api.CauseOperator:
		return b.killed[l] || l.pid == 0
	case api.CauseReplaced, api.CauseRemoved:
		return name.Process == "web" && b.switches[name.Sandbox]
	case api.CauseItself:
		return name.Process == "dies"
	}
	return cause == api.CauseShutdown
}

// records looks at the files that are kept of deaths.
func (b *books) records(told func(life) bool) {
	b.h.t.Helper()
	names := map[string]bool{}
	for l := range b.born {
		names[l.name] = true
	}
	for name := range names {
		list, err := deaths.Read(deaths.Dir(b.h.path("run")), name)
		if err != nil || len(list) == 0 {
			b.h.t.Errorf("there are no records of deaths of %s: %v", name, err)
		}
		for _, d := range list {
			if l := (life{name, d.PID}); !told(l) || !b.plausible(l, d.Cause) {
				b.h.t.Errorf("there is a record of %v with the cause %s, which is not in the log, or was not the cause", l, d.Cause)
			}
		}
	}
}

// crowd is whoever connects to ports all the time.
type crowd struct {
	stop chan struct{}
	all  sync.WaitGroup
	mu   sync.Mutex
	sum  visits
}

// visits are how that went.
type visits struct {
	answered int   // with a whole line
	cut      int   // by the end of whoever had accepted
	failed   error // the first that was refused, reset, or waited in vain
}

func (v visits) String() string {
	return fmt.Sprintf("%d connections answered, %d cut by the end of who had accepted, none refused or reset: %v", v.answered, v.cut, v.failed == nil)
}

// newCrowd has somebody connect to each of the ports.
func newCrowd(ports []int) *crowd {
	c := &crowd{stop: make(chan struct{})}
	for _, port := range ports {
		c.all.Go(func() { c.visit(port) })
	}
	return c
}

func (c *crowd) visit(port int) {
	for {
		select {
		case <-c.stop:
			return
		case <-time.After(2 * time.Millisecond):
		}
		answer, err := answerOf(port)
		c.mu.Lock()
		switch {
		case err != nil && c.sum.failed == nil:
			c.sum.failed = err
		case strings.HasSuffix(answer, "\n"):
			c.sum.answered++
		default:
			c.sum.cut++
		}
		c.mu.Unlock()
	}
}

func answerOf(port int) (string, error) {
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(within(60 * time.Second)))
	text, err := io.ReadAll(conn)
	return string(text), err
}

// leave ends it.
func (c *crowd) leave() visits {
	close(c.stop)
	c.all.Wait()
	return c.sum
}

// usage is what a daemon, and all that it keeps, takes of the host.
type usage struct {
	files, threads, goroutines  int
	memory                      int // kB that are the daemon's own
	mounts, cgroups, interfaces int
	runtimeFiles                int
}

func (u *usage) String() string {
	return fmt.Sprintf("%d descriptors, %d threads, %d goroutines, %d kB, %d mounts, %d cgroups, %d interfaces, %d files in the runtime-dir",
		u.files, u.threads, u.goroutines, u.memory, u.mounts, u.cgroups, u.interfaces, u.runtimeFiles)
}

var goroutinesLine = regexp.MustCompile(`(?m)^go_goroutines (\d+)$`)

// usage is the least of several measurements: who asks, and who dies just now,
// takes something for a moment.
func (h *host) usage(pid int) *usage {
	h.t.Helper()
	var least *usage
	for range 8 {
		now, err := h.usageNow(pid)
		must(h.t, err)
		if least == nil {
			least = now
		}
		least.files, least.threads = min(least.files, now.files), min(least.threads, now.threads)
		least.goroutines, least.memory = min(least.goroutines, now.goroutines), min(least.memory, now.memory)
		least.mounts, least.cgroups = min(least.mounts, now.mounts), min(least.cgroups, now.cgroups)
		least.runtimeFiles = min(least.runtimeFiles, now.runtimeFiles)
		time.Sleep(50 * time.Millisecond)
	}
	return least
}

func (h *host) usageNow(pid int) (*usage, error) {
	u := &usage{}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	status, err2 := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	client := api.NewClient(h.path("run", api.SocketName))
	defer client.Close()
	text, err3 := client.Metrics(h.t.Context())
	if err := errors.Join(err, err2, err3); err != nil {
		return nil, err
	}
	u.files = len(files)
	if m := goroutinesLine.FindStringSubmatch(text); m != nil {
		u.goroutines, _ = strconv.Atoi(m[1])
	}
	for line := range strings.Lines(string(status)) {
		switch f := strings.Fields(line); {
		case strings.HasPrefix(line, "Threads:"):
			u.threads, _ = strconv.Atoi(f[1])
		case strings.HasPrefix(line, "RssAnon:"):
			u.memory, _ = strconv.Atoi(f[1])
		}
	}
	for _, line := range mountTable() {
		if strings.Contains(line, h.id) {
			u.mounts++
		}
	}
	u.cgroups = len(cgroupsMatching(h.cgroup))
	u.runtimeFiles = countFiles(h.path("run"))
	return u, nil
}

// compare fails the test if it takes more now. A few goroutines, descriptors
// and threads come and go with who asks; memory is Go's to use before it gives
// it back.
func (u *usage) compare(t *testing.T, now *usage) {
	t.Helper()
	for _, c := range []struct {
		what               string
		before, now, spare int
	}{
		{"descriptors", u.files, now.files, 4},
		{"threads", u.threads, now.threads, 16},
		{"goroutines", u.goroutines, now.goroutines, 10},
		{"kB of memory", u.memory, now.memory, 8<<10 + u.memory/2},
		{"mounts", u.mounts, now.mounts, 0},
		{"cgroups", u.cgroups, now.cgroups, 0},
		{"interfaces", u.interfaces, now.interfaces, 0},
	} {
		if c.now > c.before+c.spare {
			t.Errorf("%s: %d at the beginning, %d at the end", c.what, c.before, c.now)
		}
	}
}

// countFiles is how many files and directories there are, but for the records
// of deaths, of which more are kept with time.
func countFiles(dir string) (n int) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "deaths" {
			return fs.SkipDir
		}
		n++
		return nil
	})
	return n
}
