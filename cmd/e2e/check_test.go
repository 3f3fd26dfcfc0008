package e2e

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// result is what a program said and how it ended.
type result struct {
	code           int
	stdout, stderr string
}

func (r result) String() string {
	return fmt.Sprintf("exit code %d\nstdout:\n%s\nstderr:\n%s", r.code, r.stdout, r.stderr)
}

// tool runs one of the programs that end by themselves.
func tool(t *testing.T, name string, args ...string) result {
	t.Helper()
	return finish(t, exec.Command(filepath.Join(binDir, name), args...))
}

func finish(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	must(t, cmd.Start())
	timer := time.AfterFunc(within(20*time.Second), func() { _ = cmd.Process.Kill() })
	_ = cmd.Wait()
	timer.Stop()
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// check is lithos_check on this host.
func (h *host) check(args ...string) result {
	h.t.Helper()
	return tool(h.t, "lithos_check", append([]string{"-C", h.path("master.yaml")}, args...)...)
}

// expect wants an exit code and texts on standard error.
func (r result) expect(t *testing.T, what string, code int, texts ...string) {
	t.Helper()
	ok := r.code == code
	for _, text := range texts {
		ok = ok && strings.Contains(r.stderr, text)
	}
	if !ok {
		t.Errorf("%s: want exit code %d and %q; got %s", what, code, texts, r)
	}
}

// A file that every container gets a copy of is looked for on the host.
//
// Covers: I1, R4
func TestCheckFindsMissingFilesOfTheHost(t *testing.T) {
	t.Parallel()
	h := one(t, simple("", "wait"))
	must(t, os.Remove(h.path("etc/hosts")))
	must(t, os.Remove(h.path("etc/resolv.conf")))
	must(t, os.Mkdir(h.path("etc/resolv.conf"), 0o755))
	h.check().expect(t, "no hosts file", 1, "sandboxes/box.yaml: error: hosts-file: containers such as box/app.0 get a copy of this host's "+
		h.path("etc/hosts")+", which can't be read: no such file or directory", "resolv-conf", "it is no regular file")
	h.config("app", "app", simple("hosts-file: {copy-from-host: false}\nresolv-conf: {copy-from-host: false}\n", "wait"))
	h.check().expect(t, "none is copied", 0)
}

// Covers: F8, O10, R4
func TestCheckAcceptsAValidHost(t *testing.T) {
	t.Parallel()
	h := one(t, simple("environ: {ME: '@{lithos:name}', CONFIG: 'at @{lithos:config_filename}', PID: '@{lithos:pid}'}", "wait"))
	if r := h.check(); r.code != 0 || r.stdout != "" || strings.Contains(r.stderr, h.dir) {
		t.Errorf("R4 F8 %s", r)
	}
	if r := h.check("-v"); r.code != 0 || !strings.Contains(r.stdout, "sandbox box") || !strings.Contains(r.stdout, "app: /config/app.yaml") {
		t.Errorf("R4 -v: %s", r)
	}
	if r := tool(t, "lithos_check", "--version"); r.code != 0 || strings.TrimSpace(r.stdout) == "" {
		t.Errorf("R4 --version: %s", r)
	}
	if r := tool(t, "lithos_check", "--help"); r.code != 0 || !strings.Contains(r.stdout, "Examples:") {
		t.Errorf("R4 --help: %s", r)
	}
	h.check("--oops").expect(t, "a wrong option", 2, "oops", "--help")
	h.check("oops").expect(t, "a word too much", 2, "oops")
}

// Each kind of mistake: exit code 1, with the place, the line and a caret.
//
// Covers: B6, B17, D12, O10, R4
func TestCheckNamesFileAndLine(t *testing.T) {
	t.Parallel()
	const entry = "app: {image: app, config: /config/app.yaml}\n"
	for _, tt := range []struct {
		name, file, text string
		want             []string
	}{
		{"D12 the process config is no YAML", "processes/box.yaml", "app: {image: app\nx", []string{"processes/box.yaml:2:", "not valid YAML"}},
		{"D12 the process config is missing", "processes/box.yaml", "", []string{"processes/box.yaml: error: cannot read the process config: no such file"}},
		{"R4 did you mean", "processes/box.yaml", "app:\n  imaeg: app\n  config: /config/app.yaml\n",
			[]string{"processes/box.yaml:2:3: error: app.imaeg: unknown key, did you mean `image`?\n     2 |   imaeg: app\n       |   ^\n"}},
		{"R4 no container config", "processes/box.yaml", "app: {image: app, config: /config/none.yaml}\n", []string{"processes/box.yaml:1:27: error: app.config: "}},
		{"R4 the container config", "images/app/config/app.yaml", "executable: 5\nuser-id: 1000\ngroup-id: [\n", []string{"images/app/config/app.yaml:"}},
		{"O10 the sandbox config", "sandboxes/box.yaml", "allow-users: [5-1]\n", []string{"sandboxes/box.yaml:1:"}},
		{"O10 the master config", "master.yaml", "runtime-dir: relative\n", []string{"master.yaml:1:14: error: runtime-dir: ", "       |              ^"}},
		{"O10 no master config", "master.yaml", "", []string{"master.yaml: error: cannot read the master config"}},
		{"B6 no devfs", "master.yaml", "devfs-dir: /nonexistent/dev\n", []string{"error: devfs-dir: /nonexistent/dev must be a directory with device nodes"}},
		{"B17 nowhere to log", "master.yaml", "default-log-dir: /nonexistent/a/log\n", []string{"error: default-log-dir: ", "mkdir -p /nonexistent/a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := one(t, simple("", "wait"))
			h.processes("box", entry)
			if tt.text == "" {
				must(t, os.Remove(h.path(tt.file)))
			} else {
				h.write(tt.file, tt.text)
			}
			r := h.check()
			r.expect(t, tt.name, 1, tt.want...)
			lines := strings.Split(strings.TrimSpace(r.stderr), "\n")
			if last := lines[len(lines)-1]; !strings.Contains(last, "1 error") && !strings.Contains(last, " errors") {
				t.Errorf("the last line is no sum: %q", last)
			}
		})
	}
}

// Covers: R4
func TestCheckReadsAnAlternateConfig(t *testing.T) {
	t.Parallel()
	h := one(t, simple("", "wait"))
	h.write("good.yaml", "other: {image: app, config: /config/app.yaml}\n")
	h.write("bad.yaml", "other: {image: app}\n")
	for _, flag := range []string{"--sandbox", "--sandbox-name", "-T", "--tree", "--subtree-name"} {
		h.check(flag, "box", "--alternate-config", h.path("good.yaml")).expect(t, flag, 0)
		h.check(flag, "box", "--alternate-config", h.path("bad.yaml")).expect(t, flag, 1, "bad.yaml:1:8: error: other.config: ")
	}
	h.check("--sandbox", "boks", "--alternate-config", h.path("good.yaml")).expect(t, "a sandbox that is not there", 1, "there is no sandbox boks, did you mean `box`?")
	h.check("--alternate-config", h.path("good.yaml")).expect(t, "without a sandbox", 2, "--sandbox")
	h.check("--sandbox", "box", "--alternate-config", h.path("none.yaml")).expect(t, "a missing file", 1, "none.yaml")
	h.check("--sandbox", "box").expect(t, "a sandbox alone changes nothing", 0)
}

// --check-container is for the machine where images are built: nobody's user,
// a directory with nothing in it but the static program.
//
// Covers: R4
func TestCheckContainerWorksAnywhere(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	must(t, mkdir(h.path("alone")))
	checker := h.path("alone/lithos_check")
	install(t, filepath.Join(binDir, "lithos_check"), checker)
	program, err := elf.Open(checker)
	must(t, err)
	for _, p := range program.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("lithos_check is not static")
		}
	}
	must(t, program.Close())
	h.write("alone/good.yaml", "executable: /bin/x\nvariables: {port: !TcpPort }\narguments: ['@{port}', '@{lithos:name}']\n")
	h.write("alone/bad.yaml", "executable: /bin/x\narguments: ['@{port}']\nwrkdir: /\n")
	run := func(args ...string) result {
		cmd := exec.Command(checker, args...)
		cmd.Dir, cmd.Env = "/", []string{}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 54321, Gid: 54321}}
		return finish(t, cmd)
	}
	good, bad := h.path("alone/good.yaml"), h.path("alone/bad.yaml")
	run("--check-container", good).expect(t, "R4 F8 right", 0)
	run("--check-container", good, "--check-container", bad).expect(t, "R4 U 0.17.5 two", 1,
		bad+`:2:13: error: arguments[0]: variable "port" is not declared`, bad+":3:1: error: wrkdir: unknown key, did you mean `workdir`?", "2 errors")
	run("--check-container", good, bad).expect(t, "as a shell expands *.yaml", 1, bad)
	run("--check-container", h.path("alone/none.yaml")).expect(t, "R4 missing", 1, "no such file")
}

// Covers: R4
func TestCheckPrintsJSON(t *testing.T) {
	t.Parallel()
	h := one(t, simple("", "wait"))
	h.processes("box", "app: {imaeg: app, image: app, config: /config/app.yaml}\n")
	var got struct {
		OK       *bool
		Errors   int
		Problems []struct {
			File, Severity, Path, Text, Sandbox, Process string
			Line, Column                                 int
		}
	}
	r := h.check("--json")
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || r.code != 1 {
		t.Fatalf("%v: %s", err, r)
	}
	i := slices.IndexFunc(got.Problems, func(p struct {
		File, Severity, Path, Text, Sandbox, Process string
		Line, Column                                 int
	}) bool {
		return p.Severity == "error"
	})
	if got.OK == nil || *got.OK || got.Errors != 1 || i < 0 {
		t.Fatal(r)
	}
	if p := got.Problems[i]; p.File != h.path("processes/box.yaml") || p.Line != 1 || p.Column != 7 || p.Path != "app.imaeg" || p.Sandbox != "box" || p.Process != "app" {
		t.Errorf("%+v", p)
	}
	h.processes("box", "{}")
	if r := h.check("--json"); r.code != 0 || !strings.Contains(r.stdout, `"ok": true`) {
		t.Error(r)
	}
}

// Covers: N11, R4
func TestCheckFindsTheDaemonsPrograms(t *testing.T) {
	t.Parallel()
	h := one(t, simple("", "wait"))
	must(t, mkdir(h.path("alone")))
	install(t, filepath.Join(binDir, "lithos_check"), h.path("alone/lithos_check"))
	r := finish(t, exec.Command(h.path("alone/lithos_check"), "-C", h.path("master.yaml")))
	r.expect(t, "N11", 1, "alone/lithos_tree: error: the program is missing", "alone/lithos_knot: error: ")
}

// Each image that the checker rejects fails to start, and the others start.
//
// Covers: H1, K4, R4
func TestCheckFindsEachFailingStart(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for name, tt := range map[string]struct {
		config string
		edit   func(dir string) error
	}{
		"good":       {},
		"noproc":     {edit: func(dir string) error { return os.Remove(dir + "/proc") }},
		"nomount":    {config: "volumes: {/none: !Tmpfs {}}"},
		"onvolume":   {config: "volumes: {/volume: !Persistent /data, /volume/sub: !Tmpfs {}}"},
		"notonthere": {config: "volumes: {/volume: !Persistent /data, /volume/inner: !Tmpfs {}}"},
		"script":     {edit: func(dir string) error { return executable(dir, "#!/bin/none\n") }},
		"text":       {edit: func(dir string) error { return executable(dir, "wait\n") }},
		"mode": {edit: func(dir string) error {
			return errors.Join(executable(dir, "#!/bin/other\n"), os.Chmod(dir+"/bin/e2e", 0o644))
		}},
		"noexec":     {config: "volumes: {/bin: !Readonly /data}", edit: func(string) error { return executable(h.path("data"), "#!/bin/other\n") }},
		"workdir":    {config: "workdir: /none"},
		"workfile":   {config: "workdir: /bin/e2e"},
		"workvolume": {config: "workdir: /volume/sub\nvolumes: {/volume: !Readonly /data}"},
		"linked": {edit: func(dir string) error {
			return errors.Join(os.Rename(dir+"/sys", dir+"/volume/sys"), os.Symlink("/out/../volume/sys", dir+"/sys"))
		}},
		"outside": {edit: func(dir string) error {
			return errors.Join(os.Remove(dir+"/sys"), os.Symlink("/../../../../../../tmp", dir+"/sys"))
		}},
		"output": {config: "stdout-stderr-file: /out/log"},
	} {
		h.image(name, map[string]string{"app": simple(tt.config+"\nrestart-timeout: 3600", "wait")})
		if tt.edit != nil {
			must(t, tt.edit(h.path("images", name)))
		}
		h.write("entries", h.read("entries")+name+": {image: "+name+", config: /config/app.yaml}\n")
	}
	must(t, mkdir(h.path("data/sub")))
	h.sandbox("box", "readonly-paths: {/data: "+h.path("data")+"}\nwritable-paths: {/data: "+h.path("data")+"}\n", h.read("entries"))
	r := h.check("--json")
	var found struct {
		Problems []struct{ Severity, Process string }
	}
	must(t, json.Unmarshal([]byte(r.stdout), &found))
	var fine []string
	for name := range strings.Lines(h.read("entries")) {
		name, _, _ = strings.Cut(name, ":")
		if !slices.ContainsFunc(found.Problems, func(p struct{ Severity, Process string }) bool {
			return p.Severity == "error" && p.Process == name
		}) {
			fine = append(fine, "box/"+name+".0")
		}
	}
	if len(fine) != 4 {
		t.Errorf("right are %q: %s", fine, h.check())
	}
	h.start()
	h.running(fine...)
	eventually(t, "the failures", 10*time.Second, func() error {
		if n := strings.Count(h.read("log/stderr/box.log"), "Starting \"box/"); n < len(fine) {
			return fmt.Errorf("%d starts", n)
		}
		return nil
	})
	h.running(fine...)
}

func executable(dir, text string) error {
	return errors.Join(mkdir(dir+"/bin"), os.RemoveAll(dir+"/bin/e2e"), os.RemoveAll(dir+"/e2e"),
		os.WriteFile(dir+"/bin/e2e", []byte(text), 0o755), os.WriteFile(dir+"/e2e", []byte(text), 0o755))
}

// On a terminal there is colour, and lines are clipped to its width.
//
// Covers: R4
func TestCheckOnATerminal(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.write("c.yaml", "executable: /bin/x\nwrkdir: "+strings.Repeat("long ", 100)+"\n")
	for _, tt := range []struct {
		name string
		env  string
		want bool
	}{
		{"R4 colour", "TERM=xterm", true},
		{"R4 NO_COLOR", "NO_COLOR=1", false},
		{"R4 a dumb terminal", "TERM=dumb", false},
	} {
		cmd := exec.Command(filepath.Join(binDir, "lithos_check"), "--check-container", h.path("c.yaml"))
		cmd.Env = []string{tt.env}
		out := onTerminal(t, cmd, 60)
		if got := strings.Contains(out, "\x1b[1;31merror\x1b[0m"); got != tt.want || !strings.Contains(out, "wrkdir") {
			t.Errorf("%s: %q", tt.name, out)
		}
		for line := range strings.Lines(out) {
			if strings.Contains(line, "long long") && (len(line) > 100 || !strings.Contains(line, "…")) {
				t.Errorf("%s: a line of %d bytes: %q", tt.name, len(line), line)
			}
		}
	}
}

// onTerminal runs a program on a pseudo-terminal of so many columns.
func onTerminal(t *testing.T, cmd *exec.Cmd, columns int) string {
	t.Helper()
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	must(t, err)
	defer terminal.Close()
	fd := int(terminal.Fd())
	must(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	must(t, unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: uint16(columns), Row: 25}))
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	must(t, err)
	side, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	must(t, err)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = side, side, side
	must(t, cmd.Start())
	_ = side.Close()
	var out bytes.Buffer
	_, _ = io.Copy(&out, terminal) // ends with an error when the last user of the other side is gone
	_ = cmd.Wait()
	return out.String()
}
