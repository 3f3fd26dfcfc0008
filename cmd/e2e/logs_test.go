package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const stamp = `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)`

// Covers: P1, P2, P3, P4
func TestOutputStartsAndDeathsInTheLogs(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.image("app", map[string]string{
		"a": simple("restart-timeout: 0.2", "run", "1500", "9"),
		"b": simple("kill-timeout: 0.3", "stubborn"),
	})
	h.sandbox("box", "", `
		a: {image: app, config: /config/a.yaml}
		b: {image: app, config: /config/b.yaml}
		`)
	h.start()
	h.running("box/a.0", "box/b.0")
	eventually(t, "a death and the start after it", 10*time.Second, func() error {
		if n := strings.Count(h.read("log/stderr/box.log"), `Starting "box/a.0"`); n < 2 {
			return fmt.Errorf("%d starts", n)
		}
		return nil
	})
	log := h.read("log/stderr/box.log")
	for id, want := range map[string]string{
		"P1 output":     `(?m)^stubborn$`,
		"P2 start":      `(?m)^` + stamp + `: ----- Starting "box/a\.0": .*/bin/e2e.* -----$`,
		"P2 other":      `(?m)^` + stamp + `: ----- Starting "box/b\.0": .* -----$`,
		"P2 death":      `(?m)^` + stamp + `: ----- Process "box/a\.0" .*9.*, uptime \d+s -----$`,
		"P2 the uptime": `"box/a\.0" .*, uptime [1-9]\d*s -----`, // it runs for 1.5 s
	} {
		if !regexp.MustCompile(want).MatchString(log) {
			t.Errorf("%s: no %s in\n%s", id, want, log)
		}
	}
	supervisor := h.read("log/box.log")
	for id, want := range map[string]string{
		"P3 P4 start": `(?m)^\[` + stamp + `\]\[WARN\] .*box/a\.0`,
		"P3 P4 death": `(?m)^\[` + stamp + `\]\[ERROR\] .*box/a\.0`,
	} {
		if !regexp.MustCompile(want).MatchString(supervisor) {
			t.Errorf("%s: no %s in\n%s", id, want, supervisor)
		}
	}
	if info, err := os.Stat(h.path("log/master.log")); err != nil || info.IsDir() {
		t.Errorf("P5 no daemon log: %v", err)
	}
}

// Where PID 1 was killed it can't write that its program ended; the daemon
// does.
//
// Covers: P2
func TestDeathOfAKilledPID1IsLogged(t *testing.T) {
	t.Parallel()
	h := one(t, simple("restart-timeout: 0.2", "wait"))
	h.start()
	i := h.running("box/app.0")["box/app.0"]
	kill(t, i.knot, killSignal)
	h.successor("box/app.0", i, 5*time.Second)
	lines := regexp.MustCompile(`(?m)^`+stamp+`: ----- (Starting|Process) "box/app\.0".*`).FindAllString(h.read("log/stderr/box.log"), -1)
	if len(lines) != 3 || !strings.Contains(lines[1], `was killed: its PID 1 got SIGKILL, uptime `) {
		t.Errorf("want a start, a death and a start:\n%s", strings.Join(lines, "\n"))
	}
}

// Never through a proxy: the program's descriptors are the file itself.
//
// Covers: P1
func TestStdioIsTheLogFileItself(t *testing.T) {
	t.Parallel()
	h := one(t, simple("", "wait"))
	h.start()
	i := h.running("box/app.0")["box/app.0"]
	want, err := os.Stat(h.path("log/stderr/box.log"))
	must(t, err)
	for _, fd := range []string{"1", "2"} {
		got, err := os.Stat(fmt.Sprintf("/proc/%d/fd/%s", i.program, fd))
		must(t, err)
		if !os.SameFile(want, got) {
			t.Errorf("descriptor %s is another file", fd)
		}
	}
	// It is reopened at each start: what logrotate moved away ends there.
	must(t, os.Rename(h.path("log/stderr/box.log"), h.path("log/stderr/box.log.1")))
	kill(t, i.program, killSignal)
	h.successor("box/app.0", i, 5*time.Second)
	eventually(t, "the new file", 5*time.Second, func() error {
		return h.outputIn("log/stderr/box.log", `Starting "box/app.0"`)
	})
}

// Covers: E16
func TestOutputGoesToStdoutStderrFile(t *testing.T) {
	t.Parallel()
	h := one(t, simple("stdout-stderr-file: /out/app.log\nrestart-timeout: 0.2\nkill-timeout: 0.3\n"+dataVolume, "stubborn"))
	h.start()
	i := h.running("box/app.0")["box/app.0"]
	eventually(t, "output in the file", 5*time.Second, func() error { return h.outputIn("data/app.log", "stubborn") })
	if h.logged("stubborn\n") == nil {
		t.Error("the output is in the sandbox's file too")
	}
	must(t, os.Rename(h.path("data/app.log"), h.path("data/app.log.1")))
	kill(t, i.program, killSignal)
	h.successor("box/app.0", i, 5*time.Second)
	eventually(t, "output in the new file", 5*time.Second, func() error { return h.outputIn("data/app.log", "stubborn") })
}

func (h *host) outputIn(file, want string) error {
	if !strings.Contains(h.read(file), want) {
		return errors.New("no " + want + " in " + file)
	}
	return nil
}

// Covers: B11, P7
func TestConfigLogHasALineForEachReload(t *testing.T) {
	t.Parallel()
	h := one(t, simple("", "wait"))
	h.start()
	h.running("box/app.0")
	h.reload("box")
	lines := strings.Split(strings.TrimSpace(h.read("log/config/box.log")), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines after one start and one reload:\n%s", len(lines), strings.Join(lines, "\n"))
	}
	for _, line := range lines {
		when, text, _ := strings.Cut(line, " ")
		if _, err := time.Parse(time.RFC3339Nano, when); err != nil {
			t.Error(err)
		}
		var config map[string]map[string]any
		if err := json.Unmarshal([]byte(text), &config); err != nil {
			t.Errorf("%v in %s", err, text)
		}
		if config["app"]["image"] != "app" || config["app"]["config"] != "/config/app.yaml" {
			t.Errorf("config %v", config)
		}
	}
}

// Covers: B11
func TestConfigLogCanBeSwitchedOff(t *testing.T) {
	t.Parallel()
	h := one(t, simple("", "wait"), "config-log-dir: null")
	h.start()
	h.running("box/app.0")
	if found, _ := filepath.Glob(h.path("log/config/*")); found != nil {
		t.Errorf("files %v", found)
	}
}
