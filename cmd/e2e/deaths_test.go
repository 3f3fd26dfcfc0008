package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"lithos/actors/services/api"
	"lithos/actors/services/deaths"
)

// deathCases are the ways to die that have to be told apart, each in a process
// of its own: in the record, in the log, in the metrics.
var deathCases = []struct {
	process string
	config  string
	// do brings the death about; nil = it comes by itself, or by the reload.
	do            func(t *testing.T, i instance)
	cause, asked  string
	code, signal  int
	oom, failure  bool
	words, output string
}{
	{process: "killed", config: simple("restart-timeout: 300", "wait"),
		do:    func(t *testing.T, i instance) { kill(t, i.program, killSignal) },
		cause: api.CauseOperator, code: -1, signal: 9, failure: true, words: "was ended by SIGKILL"},
	{process: "oom", config: simple("restart-timeout: 300\nmemory-limit: 32Mi", "hog"),
		cause: api.CauseOOM, code: -1, signal: 9, oom: true, failure: true, words: "was ended by SIGKILL"},
	{process: "exits", config: simple("restart-timeout: 300", "says", "what it says", "3"),
		cause: api.CauseItself, code: 3, failure: true, words: "exited with code 3", output: "what it says"},
	{process: "switched", config: simple("restart-timeout: 300", "wait"),
		cause: api.CauseReplaced, asked: api.CauseReplaced, code: -1, signal: 15, words: "was ended by SIGTERM after TERM"},
	{process: "removed", config: simple("restart-timeout: 300", "wait"),
		cause: api.CauseRemoved, asked: api.CauseRemoved, code: -1, signal: 15, words: "was ended by SIGTERM after TERM"},
	{process: "byhand", config: simple("restart-timeout: 300", "wait"),
		do:    func(t *testing.T, i instance) { kill(t, i.program, syscall.SIGTERM) },
		cause: api.CauseOperator, code: -1, signal: 15, words: "was ended by SIGTERM"},
	{process: "pid1", config: simple("restart-timeout: 300", "wait"),
		do:    func(t *testing.T, i instance) { kill(t, i.knot, syscall.SIGTERM) },
		cause: api.CauseOperator, asked: api.CauseOperator, code: -1, signal: 15, words: "was ended by SIGTERM after TERM"},
	{process: "slow", config: simple("restart-timeout: 300\nkill-timeout: 0.3", "stubborn"),
		cause: api.CauseKillTimeout, asked: api.CauseReplaced, code: -1, signal: 9,
		words: "did not end within its kill-timeout of 300ms and was killed", output: "stubborn"},
	{process: "setup", config: "user-id: 1000\ngroup-id: 1000\nexecutable: /bin/missing\nrestart-timeout: 300\n",
		cause: api.CauseSetup, code: -1, failure: true, words: "could not be set up: box/setup.0: cannot run /bin/missing"},
}

func deathHost(t *testing.T) *host {
	h := newHost(t)
	images, processes := map[string]string{}, ""
	for _, c := range deathCases {
		images[c.process] = c.config
		processes += c.process + ": {image: app, config: /config/" + c.process + ".yaml}\n"
	}
	h.image("app", images)
	h.sandbox("box", "", processes)
	return h
}

// dieAll brings all deaths of the table about.
func (h *host) dieAll() {
	h.t.Helper()
	var living []string
	for _, c := range deathCases {
		if c.process != "oom" && c.process != "exits" && c.process != "setup" {
			living = append(living, "box/"+c.process+".0")
		}
	}
	now := h.running(living...)
	eventually(h.t, "stubborn", 10*time.Second, func() error { return h.logged("stubborn") })
	processes := ""
	for _, c := range deathCases {
		if c.do != nil {
			c.do(h.t, now["box/"+c.process+".0"])
		}
		switch c.process {
		case "removed":
			continue
		case "switched", "slow":
			h.config("app", c.process, c.config+"environ: {VERSION: \"2\"}\n")
		}
		processes += c.process + ": {image: app, config: /config/" + c.process + ".yaml}\n"
	}
	h.processes("box", processes)
	h.reload("box")
}

func TestEveryDeathIsToldApart(t *testing.T) {
	t.Parallel()
	h := deathHost(t)
	h.start()
	h.dieAll()
	c := h.control()
	got := map[string]api.Death{}
	for _, want := range deathCases {
		eventually(t, "the record of "+want.process, 20*time.Second, func() error {
			list, err := c.Deaths(t.Context(), "box/"+want.process+".0")
			if err == nil && len(list) != 1 {
				err = fmt.Errorf("%d records", len(list))
			}
			if err == nil {
				got[want.process] = list[0]
			}
			return err
		})
	}
	master := h.read("log/master.log")
	for _, want := range deathCases {
		name, d := "box/"+want.process+".0", got[want.process]
		if d.Cause != want.cause || d.Asked != want.asked || d.Failure != want.failure || d.Code != want.code || d.Signal != want.signal {
			t.Errorf("%s: cause %s asked %q failure %v code %d signal %d, want %+v", name, d.Cause, d.Asked, d.Failure, d.Code, d.Signal, want)
		}
		if !strings.HasPrefix(d.Words, want.words) {
			t.Errorf("%s: %q, want %q", name, d.Words, want.words)
		}
		if d.Name != name || d.At.IsZero() || d.Version.Image != h.path("images/app") || d.Version.Fingerprint == "" || !d.OutputShared {
			t.Errorf("%s: %+v", name, d)
		}
		if oom := d.OOMKills != nil && *d.OOMKills > 0; oom != want.oom {
			t.Errorf("%s: killed for want of memory: %v, want %v", name, oom, want.oom)
		}
		if want.oom && (d.MemoryPeak == nil || *d.MemoryPeak < 24<<20 || *d.MemoryPeak > 33<<20 || d.MemoryLimit != 32<<20) {
			t.Errorf("%s: peak %v of %d", name, d.MemoryPeak, d.MemoryLimit)
		}
		if d.CPU == nil || want.oom && *d.CPU <= 0 {
			t.Errorf("%s: CPU time %v", name, d.CPU)
		}
		if out := strings.Join(d.Output, "\n"); !strings.Contains("\n"+out+"\n", want.output) {
			t.Errorf("%s: output %q, want %q", name, out, want.output)
		}
		why := regexp.QuoteMeta(want.words) + `.*\[` + want.cause + `\]`
		if err := h.psShows([]string{"--why", name}, why, `(?m)^    .*CPU \S+`, "it was image "+h.path("images/app")); err != nil {
			t.Error(err)
		}
		if !strings.Contains(master, fmt.Sprintf("Container %q (pid %d) %s", name, d.PID, want.words)) ||
			!strings.Contains(logLine(master, name, want.words), "cause: "+want.cause) {
			t.Errorf("%s: the log says %q", name, logLine(master, name, want.words))
		}
	}
	// The metrics have each of the causes, in the process that died of it.
	text, err := c.Metrics(t.Context())
	must(t, err)
	for _, want := range deathCases {
		line := fmt.Sprintf("\nlithos_process_deaths_by_cause_total{sandbox=\"box\",process=%q,cause=%q} 1\n", want.process, want.cause)
		if !strings.Contains(text, line) {
			t.Errorf("the metrics don't have %s", line)
		}
	}
	// They are there for the next daemon, for whoever reads the files, and
	// for nobody but root.
	h.stop()
	list, err := deaths.Read(deaths.Dir(h.path("run")), "box/slow.0")
	if err != nil || len(list) != 2 || list[0].Asked != api.CauseShutdown {
		t.Errorf("after the stop: %+v, %v", list, err)
	}
	h.start()
	h.settled(api.Wait{Reload: 1, Instance: "box/switched.0"})
	all, err := c.AllDeaths(t.Context(), "box", 1000)
	if err != nil || len(all) < len(deathCases) {
		t.Errorf("%d deaths, %v", len(all), err)
	}
	info, err := os.Stat(deaths.Dir(h.path("run")))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
}

// logLine is the last line about the death of a container.
func logLine(log, name, words string) string {
	found := ""
	for line := range strings.Lines(log) {
		if strings.Contains(line, fmt.Sprintf("Container %q (pid ", name)) && strings.Contains(line, words) {
			found = line
		}
	}
	return found
}

// A start that fails before there is a process is a death, too.
//
// Covers: G14
func TestFailedStartIsRecorded(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	port := h.port()
	l := occupy(t, port)
	h.image("app", map[string]string{"app": simple(fmt.Sprintf("restart-timeout: 300\ntcp-ports: {%d: {fd: 3}}", port), "wait")})
	h.sandbox("box", "", app)
	h.start()
	eventually(t, "the record", 10*time.Second, func() error {
		list, err := h.control().Deaths(t.Context(), "box/app.0")
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return errors.New("none")
		}
		if d := list[0]; d.Cause != api.CauseSetup || !strings.Contains(d.Words, "could not be started: ") || !strings.Contains(d.Words, "address") {
			t.Errorf("it is %+v", d)
		}
		return nil
	})
	h.stop()
	must(t, l.Close())
}

func occupy(t *testing.T, port int) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("0.0.0.0:%d", port))
	must(t, err)
	return l
}
