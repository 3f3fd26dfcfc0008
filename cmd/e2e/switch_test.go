package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// switchTo is lithos_switch on this host.
func (h *host) switchTo(args ...string) result {
	h.t.Helper()
	return tool(h.t, "lithos_switch", append([]string{"--master", h.path("master.yaml")}, args...)...)
}

const newProcesses = `
	app:
	  image: app
	  config: /config/app.yaml
	more: {image: app, config: /config/app.yaml, instances: 2}
	`

// The whole way: check, replace, QUIT; the file keeps its mode and owner.
//
// Covers: O9, R5
func TestSwitchAppliesAFile(t *testing.T) {
	t.Parallel()
	h := one(t, simple("", "wait"))
	target := h.path("processes/box.yaml")
	must(t, os.Chmod(target, 0o640))
	must(t, os.Chown(target, 1234, 4321))
	h.start()
	before := h.running("box/app.0")
	h.write("new.yaml", dedent(newProcesses))
	must(t, os.Chmod(h.path("new.yaml"), 0o600))
	if r := h.switchTo("box", h.path("new.yaml")); r.code != 0 || r.stdout != "" {
		t.Fatal(r)
	}
	after := h.running("box/app.0", "box/more.0", "box/more.1")
	if after["box/app.0"].knot != before["box/app.0"].knot {
		t.Error("what did not change was replaced")
	}
	info, err := os.Stat(target)
	must(t, err)
	if info.Mode().Perm() != 0o640 || owner(info) != "1234:4321" {
		t.Errorf("the file has mode %v and owner %s", info.Mode(), owner(info))
	}
	if h.read("processes/box.yaml") != dedent(newProcesses) || h.read("new.yaml") != dedent(newProcesses) {
		t.Error("the files have another text than the new one")
	}
	h.onlyFile("processes", "box.yaml")

	// A file that is changed in its place is checked and read; flags may
	// come last, as in the original.
	h.processes("box", app)
	r := tool(t, "lithos_switch", "box", target, "-v", "-C", h.path("master.yaml"))
	if r.code != 0 || !strings.Contains(r.stdout, "as it should be") || !strings.Contains(r.stdout, fmt.Sprintf("pid %d", h.daemon.cmd.Process.Pid)) {
		t.Error(r)
	}
	h.running("box/app.0")
}

// onlyFile wants nothing else in a directory.
func (h *host) onlyFile(dir, name string) {
	h.t.Helper()
	entries, err := os.ReadDir(h.path(dir))
	must(h.t, err)
	if len(entries) != 1 || entries[0].Name() != name {
		h.t.Errorf("%s has %v", dir, entries)
	}
}

// Covers: D12, O9, R4, R5
func TestSwitchRefusesABrokenFile(t *testing.T) {
	t.Parallel()
	h := one(t, simple("", "wait"))
	h.image("bad", map[string]string{"app": simple("", "wait")})
	must(t, os.Remove(h.path("images/bad/proc")))
	h.start()
	before := h.running("box/app.0")
	reloads := h.read("log/config/box.log") // a line for each
	for _, tt := range []struct {
		name, sandbox, text string
		want                []string
	}{
		{"D12 no YAML", "box", "app: [\n", []string{"new.yaml:1:", "not valid YAML", "nothing was changed"}},
		{"D12 an unknown key", "box", "app: {imaeg: x, image: app, config: /config/app.yaml}\n", []string{"new.yaml:1:7: error: app.imaeg: ", "did you mean `image`?\n     1 | app: {imaeg: x"}},
		{"D12 no image", "box", "app: {image: none, config: /config/app.yaml}\n", []string{"new.yaml:1:14: error: app.image: "}},
		{"R4 an image that can't start", "box", "app: {image: bad, config: /config/app.yaml}\n", []string{"images/bad: error: the mount point /proc is missing"}},
		{"R5 no such sandbox", "boks", "{}\n", []string{"there is no sandbox boks, did you mean `box`?"}},
		{"D12 no file", "box", "", []string{"new.yaml: error: cannot read the process config: no such file"}},
	} {
		_ = os.Remove(h.path("new.yaml"))
		if tt.text != "" {
			h.write("new.yaml", tt.text)
		}
		h.switchTo(tt.sandbox, h.path("new.yaml")).expect(t, tt.name, 1, tt.want...)
		if got := h.read("processes/box.yaml"); got != dedent(app) {
			t.Fatalf("%s: the file in place is now %q", tt.name, got)
		}
	}
	h.onlyFile("processes", "box.yaml")
	h.quiet("what was refused", before)
	if now := h.read("log/config/box.log"); now != reloads {
		t.Errorf("the daemon was told:\n%s", strings.TrimPrefix(now, reloads))
	}
	h.write("new.yaml", "{}\n")
	for _, args := range [][]string{{"box"}, {"box", "a", "b"}, {"--oops", "box", "a"}} {
		h.switchTo(args...).expect(t, fmt.Sprint(args), 2, "--help")
	}
	tool(t, "lithos_switch", "--master", h.path("none.yaml"), "box", h.path("new.yaml")).expect(t, "no master config", 1, "none.yaml")
	if r := tool(t, "lithos_switch", "--version"); r.code != 0 || r.stdout == "" {
		t.Error(r)
	}
}

// An error in another sandbox is not in the way.
//
// Covers: O9, R5
func TestSwitchBesideABrokenSandbox(t *testing.T) {
	t.Parallel()
	h := one(t, simple("", "wait"))
	h.sandbox("other", "", "p: {image: app}\n")
	h.start()
	h.running("box/app.0")
	h.write("new.yaml", dedent(newProcesses))
	h.switchTo("box", h.path("new.yaml")).expect(t, "R5", 0, "other.yaml:1:4: warning: p.config: ", "1 warning")
	h.running("box/app.0", "box/more.0", "box/more.1")
}

// Without a daemon the file is put in its place all the same; no process that
// happens to have the pid in a file that was left is sent a signal.
//
// Covers: O9, R5
func TestSwitchWithoutADaemon(t *testing.T) {
	t.Parallel()
	h := one(t, simple("", "wait"))
	must(t, mkdir(h.path("run")))
	stranger := exec.Command("sleep", "60")
	must(t, stranger.Start())
	defer func() { _ = stranger.Process.Kill(); _ = stranger.Wait() }()
	gone := exec.Command("true")
	must(t, gone.Run())
	for i, tt := range []struct{ name, pid, want string }{
		{"R5 no pid file", "", "there is no "},
		{"R5 a process that ended", fmt.Sprint(gone.Process.Pid), "does not exist"},
		{"R5 another process", fmt.Sprint(stranger.Process.Pid), "is another process"},
		{"R5 nonsense", "-1", "there is no pid in"},
	} {
		if tt.pid != "" {
			h.write("run/master.pid", tt.pid+"\n")
		}
		text := fmt.Sprintf("app: {image: app, config: /config/app.yaml, instances: %d}\n", i)
		h.write("new.yaml", text)
		h.switchTo("box", h.path("new.yaml")).expect(t, tt.name, 0, "warning: lithos_tree does not run", tt.want)
		if h.read("processes/box.yaml") != text {
			t.Errorf("%s: the file was not replaced", tt.name)
		}
	}
	if err := stranger.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the stranger: %v", err)
	}
	must(t, os.RemoveAll(h.path("run")))
}

// version is a process config that is large enough to be written in parts.
func version(n int) string {
	text := strings.Repeat(fmt.Sprintf("# version %d\n", n), 5000)
	return text + fmt.Sprintf("v%d: {image: app, config: /config/app.yaml}\n", n)
}

// isVersion tells which version a file has, whole; -1: none.
func isVersion(text string, versions int) int {
	for n := range versions {
		if text == version(n) {
			return n
		}
	}
	return -1
}

// Many at once, all of which end well, and the file is one of theirs.
//
// Covers: O9
func TestSwitchesAreSerialised(t *testing.T) {
	t.Parallel()
	h := one(t, simple("", "wait"))
	const n = 12
	var all sync.WaitGroup
	for i := range n {
		h.write(fmt.Sprintf("new%d.yaml", i), version(i))
		all.Go(func() {
			out, err := exec.Command(filepath.Join(binDir, "lithos_switch"), "--master", h.path("master.yaml"), "box", h.path(fmt.Sprintf("new%d.yaml", i))).CombinedOutput()
			if err != nil {
				t.Errorf("%d: %v\n%s", i, err, out)
			}
		})
	}
	all.Wait()
	if isVersion(h.read("processes/box.yaml"), n) < 0 {
		t.Error("the file is none of them")
	}
	h.onlyFile("processes", "box.yaml")
}

// Killed at any moment, it leaves the old file or the new one, and nothing
// that is in the way of the next.
//
// Covers: O9
func TestKilledSwitchLeavesAValidFile(t *testing.T) {
	t.Parallel()
	h := one(t, simple("", "wait"))
	h.write("processes/box.yaml", version(0))
	h.write("new0.yaml", version(0))
	h.write("new1.yaml", version(1))
	begin := time.Now()
	must(t, exec.Command(filepath.Join(binDir, "lithos_switch"), "--master", h.path("master.yaml"), "box", h.path("new1.yaml")).Run())
	usual := time.Since(begin)
	killed := 0
	for i := range 40 {
		cmd := exec.Command(filepath.Join(binDir, "lithos_switch"), "--master", h.path("master.yaml"), "box", h.path(fmt.Sprintf("new%d.yaml", i%2)))
		must(t, cmd.Start())
		timer := time.AfterFunc(time.Duration(rand.Int64N(int64(usual))), func() { _ = cmd.Process.Kill() })
		if err := cmd.Wait(); err != nil {
			killed++
		}
		timer.Stop()
		if isVersion(h.read("processes/box.yaml"), 2) < 0 {
			t.Fatalf("after run %d there is neither the old nor the new file", i)
		}
	}
	if killed == 0 {
		t.Error("none was killed")
	}
	h.switchTo("box", h.path("new1.yaml")).expect(t, "the next", 0)
	if isVersion(h.read("processes/box.yaml"), 2) != 1 {
		t.Error("the next did not replace the file")
	}
	h.switchTo("box", h.path("new0.yaml")).expect(t, "and the one after", 0)
	h.onlyFile("processes", "box.yaml")
}

// --dry-run predicts the reload and changes nothing.
//
// Covers: C23, O9
func TestDryRunPredictsTheReload(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.image("app", map[string]string{
		"a": simple("", "wait"), "b": simple("variables: {x: !Name }\nenviron: {X: '@{x}'}", "wait"),
		"c": simple("", "wait"), "d": simple("kind: CommandOrDaemon", "wait"),
	})
	h.sandbox("box", "", `
		same: {image: app, config: /config/a.yaml, instances: 2}
		changed: {image: app, config: /config/b.yaml, variables: {x: old}}
		moved: {image: app, config: /config/a.yaml}
		fewer: {image: app, config: /config/a.yaml, instances: 3}
		gone: {image: app, config: /config/a.yaml}
		tool: {image: app, config: /config/d.yaml}
		`)
	h.write("new.yaml", dedent(`
		same: {image: app, config: /config/a.yaml, instances: 2}
		changed: {image: app, config: /config/b.yaml, variables: {x: new}}
		moved: {image: app, config: /config/c.yaml}
		fewer: {image: app, config: /config/a.yaml}
		added: {image: app, config: /config/a.yaml}
		tool: {image: app, config: /config/d.yaml, kind: Command}
		`))
	h.start()
	before := h.running("box/same.0", "box/same.1", "box/changed.0", "box/moved.0", "box/fewer.0", "box/fewer.1", "box/fewer.2", "box/gone.0", "box/tool.0")
	old := h.read("processes/box.yaml")

	r := h.switchTo("--dry-run", "box", h.path("new.yaml"))
	const want = `replace  box/changed.0
           environ.X: old -> new
replace  box/moved.0
           config: /config/a.yaml -> /config/c.yaml
           environ.LITHOS_CONFIG: /config/a.yaml -> /config/c.yaml
start    box/added.0
stop     box/fewer.1 … box/fewer.2 (2)
stop     box/gone.0
stop     box/tool.0
stay     box/fewer.0
stay     box/same.0 … box/same.1 (2)
box: 2 replaced, 1 started, 4 stopped, 3 staying
`
	if r.code != 0 || r.stdout != want {
		t.Errorf("%s\nwant\n%s", r, want)
	}
	var found struct {
		Status    string
		Instances []struct {
			Name, Action string
			Changes      []struct{ Option, Old, New string }
		}
	}
	must(t, json.Unmarshal([]byte(h.switchTo("--dry-run", "--json", "box", h.path("new.yaml")).stdout), &found))
	if found.Status != "checked" || len(found.Instances) != 10 {
		t.Errorf("%+v", found)
	}
	if h.read("processes/box.yaml") != old {
		t.Error("the file in place was changed")
	}
	h.quiet("a dry run", before)

	must(t, json.Unmarshal([]byte(h.switchTo("--json", "box", h.path("new.yaml")).stdout), &struct{ Status *string }{&found.Status}))
	if found.Status != "switched" {
		t.Errorf("status %q", found.Status)
	}
	eventually(t, "what was told", 10*time.Second, func() error {
		now := h.instances()
		var errs []error
		for _, i := range found.Instances {
			was, is := before[i.Name], now[i.Name]
			got := map[[2]bool]string{{true, false}: "stop", {false, true}: "start"}[[2]bool{was.knot != 0, is.knot != 0}]
			if got == "" && was.knot == is.knot {
				got = "keep"
			} else if got == "" {
				got = "replace"
			}
			if got != i.Action {
				errs = append(errs, fmt.Errorf("%s: told was %s, seen is %s", i.Name, i.Action, got))
			}
		}
		return errors.Join(errs...)
	})

	h.write("processes/box.yaml", "gone: [\n")
	r = h.switchTo("--dry-run", "box", h.path("new.yaml"))
	if r.code != 0 || !strings.Contains(r.stdout, "unknown  box/added.0") {
		t.Errorf("D12 %s", r)
	}
}

// Covers: O9, R5
func TestSwitchWaitsForTheContainers(t *testing.T) {
	t.Parallel()
	h := one(t, simple("", "wait"))
	h.image("new", map[string]string{"app": simple("", "wait")})
	h.image("bad", map[string]string{"app": simple("restart-timeout: 2\n", "says", "no such table", "3")})
	h.write("new.yaml", "app: {image: new, config: /config/app.yaml, instances: 2}\n")
	h.image("done", map[string]string{"app": simple("restart-timeout: 2\nnormal-exit-codes: [0]\n", "says", "all done", "0")})
	h.write("bad.yaml", "app: {image: new, config: /config/app.yaml}\nlate: {image: bad, config: /config/app.yaml}\n")
	h.write("done.yaml", "app: {image: new, config: /config/app.yaml}\nlate: {image: done, config: /config/app.yaml}\n")
	h.switchTo("--wait", "box", h.path("new.yaml")).expect(t, "nothing to wait for", 1,
		"is in place, but there is nothing to wait for: no lithos_tree answers")
	h.processes("box", app)
	h.start()
	before := h.running("box/app.0")["box/app.0"]
	h.switchTo("--wait", "box", h.path("new.yaml")).expect(t, "a good switch", 0, "box/app.0 up\n", "box/app.1 up\n")
	now := h.instances()
	if now["box/app.1"].program == 0 || now["box/app.0"].program == 0 || now["box/app.0"].knot == before.knot {
		t.Errorf("after the wait there are %v", now)
	}
	// On a slow machine it takes more than a second to fail.
	stable := fmt.Sprint(within(1500 * time.Millisecond).Seconds())
	h.switchTo("--wait", "--stable", stable, "--timeout", "600", "box", h.path("bad.yaml")).expect(t, "one that fails", 1,
		"not all is up: box/late.0 ", "its last line: no such table")
	if same := h.instances()["box/app.0"]; same.knot != now["box/app.0"].knot {
		t.Error("the switch replaced what did not change")
	}
	// A program that exits without a failure is not up either, which is seen at
	// once.
	h.switchTo("--wait", "--stable", stable, "--timeout", "600", "box", h.path("done.yaml")).expect(t, "one that is done", 1,
		"not all is up: box/late.0 ended by itself after ", "with exit code 0", "its last line: all done")
	r := h.switchTo("--wait", "--json", "box", h.path("new.yaml"))
	var out struct {
		Status   string
		Outcomes []struct {
			Name string
			OK   bool
		}
	}
	if err := json.Unmarshal([]byte(r.stdout), &out); err != nil || r.code != 0 || r.stderr != "" ||
		out.Status != "switched" || len(out.Outcomes) != 2 || !out.Outcomes[0].OK {
		t.Errorf("%v: %s", err, r)
	}
	// A container has to run for a second.
	h.write("new.yaml", "app: {image: new, config: /config/app.yaml, instances: 3}\n")
	h.switchTo("--wait", "--timeout", "0.3", "box", h.path("new.yaml")).expect(t, "too short a time", 1, "not all came up within 300ms")
}
