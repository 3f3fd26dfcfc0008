package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shout writes numbered lines, so many of them and fast, and waits; or, for 0, at
// a quarter of a megabyte a second until it gets TERM. A line is "SHOUT NAME LIFE NUMBER …".
func shout(args []string) {
	lines, err := strconv.Atoi(args[0])
	check(err)
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	name, life := os.Getenv("LITHOS_NAME"), time.Now().UnixNano()
	for n := 0; (lines == 0 || n < lines) && len(end) == 0; n++ {
		fmt.Printf("SHOUT %s %d %d %s\n", name, life, n, strings.Repeat("x", n%120))
		if n%500 == 499 || lines == 0 && n%5 == 4 {
			time.Sleep(2 * time.Millisecond) // three of them leave the machine to others
		}
	}
	fmt.Println("SHOUT", name, life, "end")
	<-end
}

// output is all that the sandbox's programs wrote, of the parts and the file.
func (h *host) output(sandbox string) (text []byte, parts int) {
	h.t.Helper()
	path := h.path("log/stderr", sandbox+".log")
	for n := 1; ; n++ {
		part, err := os.ReadFile(fmt.Sprint(path, ".", n))
		if err != nil {
			break
		}
		if !bytes.HasSuffix(part, []byte("\n")) {
			h.t.Errorf("part %d does not end with a line", n)
		}
		parts, text = n, append(part, text...)
	}
	own, err := os.ReadFile(path)
	must(h.t, err)
	return append(text, bytes.TrimLeft(own, "\x00")...), parts
}

// accountFor wants each life's lines to be there, from the first on and in order,
// none missing and none twice; it returns how many lives came to their end.
func accountFor(t *testing.T, text []byte) (lives, ended int) {
	t.Helper()
	next := map[string]int{}
	for line := range bytes.Lines(text) {
		f := strings.Fields(string(line))
		if len(f) < 4 || f[0] != "SHOUT" {
			continue
		}
		life := f[1] + " " + f[2]
		if f[3] == "end" {
			ended++
			continue
		}
		n, err := strconv.Atoi(f[3])
		if err != nil || n != next[life] {
			t.Fatalf("%q, after line %d of that life", line, next[life]-1)
		}
		if want := strings.Repeat("x", n%120); want != strings.Join(f[4:], "") || line[len(line)-1] != '\n' {
			t.Fatalf("not a whole line: %q", line)
		}
		next[life] = n + 1
	}
	return len(next), ended
}

// rotated waits for a rotation of a file from now on.
func rotated(t *testing.T, path string) {
	t.Helper()
	newest, _ := os.Stat(path + ".1")
	eventually(t, "a rotation by this daemon", 20*time.Second, func() error {
		if now, err := os.Stat(path + ".1"); err != nil || newest != nil && os.SameFile(now, newest) {
			return fmt.Errorf("there is none: %v", err)
		}
		return nil
	})
}

// rotates returns when one begins, or after a second.
func rotates(path string) {
	for begin := time.Now(); time.Since(begin) < time.Second; time.Sleep(100 * time.Microsecond) {
		if _, err := os.Lstat(path + ".1.new"); err == nil {
			break
		}
	}
}

// Nor does a line get lost, or come twice, when lithos_tree is replaced and told to
// take over, at whatever step of a rotation it is.
//
// Covers: O2
func TestStdioLogMaxSizeLosesNoLineInUpgrades(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.image("app", map[string]string{"app": simple("kill-timeout: 10", "shout", "0")})
	h.sandbox("box", "stdio-log-max-size: 64ki\nstdio-log-keep: 1000\n", "app: {image: app, config: /config/app.yaml, instances: 3}\n")
	tree := h.own()
	d := h.startOwn(tree)
	before := h.running(names("box/app", 3)...)
	path, program := h.path("log/stderr/box.log"), []byte(h.read("bin/lithos_tree"))
	const upgrades = 6
	for n := range upgrades {
		rotated(t, path)
		h.replace(tree, program, 0o755)
		// The next one soon begins: QUIT comes at that, or some time later.
		rotates(path)
		time.Sleep(time.Duration(n%5*10) * time.Millisecond)
		d.signal(syscall.SIGQUIT)
		h.saidTimes(n+1, "Taken over from lithos_tree")
	}
	h.adopted("box/app.0", upgrades)
	h.same(before, names("box/app", 3)...)
	if !d.alive() {
		t.Fatalf("the daemon ended: %v", d.err)
	}
	h.stop()
	text, parts := h.output("box")
	lives, ended := accountFor(t, text)
	t.Logf("%d upgrades; %d parts, %d bytes", upgrades, parts, len(text))
	if lives != 3 || ended != 3 || parts < upgrades {
		t.Errorf("%d lives, %d of them ended; %d parts", lives, ended, parts)
	}
	if left, _ := filepath.Glob(h.path("log/stderr/*.new")); left != nil {
		t.Errorf("left: %v", left)
	}
}

// The daemon is killed again and again, at whatever step of a rotation it is, while
// three programs write: each line is in the parts and the file, once.
func TestStdioLogMaxSizeLosesNoLineWhenTheDaemonIsKilled(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.image("app", map[string]string{"app": simple("kill-timeout: 10", "shout", "0")})
	h.sandbox("box", "stdio-log-max-size: 64ki\nstdio-log-keep: 1000\n", "app: {image: app, config: /config/app.yaml, instances: 3}\n")
	h.start()
	before := h.running(names("box/app", 3)...)
	path := h.path("log/stderr/box.log")
	var half, adoptions int
	for n := range kills {
		rotated(t, path)
		// The next one soon begins: it is killed at that, or some time later.
		rotates(path)
		time.Sleep(time.Duration(n%5*10) * time.Millisecond)
		h.killDaemon()
		if _, err := os.Lstat(path + ".1.new"); err == nil {
			half++
		}
		adoptions = strings.Count(h.read("log/box.log"), `Adopted container "box/app.0"`)
		h.start()
	}
	h.adopted("box/app.0", adoptions+1) // it is up, and takes TERM for what it is
	for name, now := range h.running(names("box/app", 3)...) {
		if now.program != before[name].program {
			t.Errorf("%s was started anew", name)
		}
	}
	eventually(t, "a file below its limit", 20*time.Second, func() error {
		var st syscall.Stat_t
		must(t, syscall.Stat(path, &st))
		// Where it is a hole that goes it is the disk that is not taken.
		if taken := min(st.Size, st.Blocks*512); taken > 2*64<<10 {
			return fmt.Errorf("%d bytes", taken)
		}
		return nil
	})
	h.stop()
	text, parts := h.output("box")
	lives, ended := accountFor(t, text)
	t.Logf("%d kills, %d of them before a part was in its place; %d parts, %d bytes", kills, half, parts, len(text))
	if lives != 3 || ended != 3 || parts < kills {
		t.Errorf("%d lives, %d of them ended; %d parts", lives, ended, parts)
	}
	if left, _ := filepath.Glob(h.path("log/stderr/*.new")); left != nil {
		t.Errorf("left: %v", left)
	}
}

// lithos_check says where the output can't be rotated; the daemon says it too, and
// the program continues.
func TestStdioLogMaxSizeOnAFileSystemThatCannot(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.image("app", map[string]string{"app": simple("", "shout", "4000")})
	h.sandbox("box", "stdio-log-max-size: 64ki\n", "app: {image: app, config: /config/app.yaml}\n")
	h.check().expect(t, "a file system that can", 0)
	must(t, os.Mkdir(h.path("log/stderr"), 0o755))
	must(t, syscall.Mount("lithos-e2e", h.path("log/stderr"), "ramfs", 0, ""))
	t.Cleanup(func() { must(t, syscall.Unmount(h.path("log/stderr"), syscall.MNT_DETACH)) })
	r := h.check()
	r.expect(t, "a file system that can't", 0, "sandboxes/box.yaml: warning: stdio-log-max-size: the programs' output will grow without a limit")
	h.start()
	h.running("box/app.0")
	eventually(t, "the last line", 20*time.Second, func() error { return h.outputIn("log/stderr/box.log", " end\n") })
	eventually(t, "what is wrong", 20*time.Second, func() error {
		return h.outputIn("log/box.log", `Cannot keep the output of sandbox "box" within its stdio-log-max-size: `)
	})
	h.stop()
	text, parts := h.output("box")
	if lives, ended := accountFor(t, text); lives != 1 || ended != 1 || parts != 0 {
		t.Errorf("%d lives, %d of them ended; %d parts", lives, ended, parts)
	}
}

// The parts are bounded in number, the log says who is noisy, and a death record
// has the last lines, wherever they are by then.
func TestStdioLogKeepAndTheNoisiestProcess(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.image("app", map[string]string{
		"loud": simple("", "shout", "40000"), "quiet": simple("", "shout", "20"), "dies": simple("restart-timeout: 300", "dies", "60000"),
	})
	h.sandbox("box", "stdio-log-max-size: 128ki\nstdio-log-keep: 2\n", `
		loud: {image: app, config: /config/loud.yaml}
		quiet: {image: app, config: /config/quiet.yaml}
		`)
	h.sandbox("end", "stdio-log-max-size: 64ki\n", "dies: {image: app, config: /config/dies.yaml}\n")
	h.start()
	h.programs("box/loud.0", "box/quiet.0")
	eventually(t, "the last line", 30*time.Second, func() error { return h.outputIn("log/stderr/box.log", " end\n") })
	eventually(t, "who is noisy", 20*time.Second, func() error {
		for line := range strings.Lines(h.read("log/box.log")) {
			if strings.Contains(line, "Rotated the output") && strings.Contains(line, `the noisiest is "box/loud.0" with process "e2e"`) {
				return nil
			}
		}
		return fmt.Errorf("it is not said")
	})
	eventually(t, "two parts beside the file", 20*time.Second, func() error {
		found, _ := filepath.Glob(h.path("log/stderr/box.log*"))
		slices.Sort(found)
		if len(found) != 3 || filepath.Base(found[2]) != "box.log.2" {
			return fmt.Errorf("files %v", found) // it may be at it
		}
		return nil
	})
	if info, err := os.Stat(h.path("log/stderr/box.log.1")); err != nil || info.Size() > 256<<10 || info.Mode().Perm() != 0o644 {
		t.Errorf("a part: %v, %v", info, err)
	}
	client := h.control()
	eventually(t, "the record", 20*time.Second, func() error {
		list, err := client.Deaths(t.Context(), "end/dies.0")
		if err != nil || len(list) == 0 {
			return fmt.Errorf("%v, %v", list, err)
		}
		out := list[0].Output
		if n := len(out); n == 0 || !strings.Contains(strings.Join(out, "\n"), "the very last line") {
			t.Fatalf("the record has %d lines: %q", n, out)
		}
		return nil
	})
}

// dies shouts, and exits with code 3 after a last line.
func dies(args []string) {
	lines, err := strconv.Atoi(args[0])
	check(err)
	for n := range lines {
		fmt.Println("line", n, strings.Repeat("y", 40))
	}
	fmt.Println("the very last line")
	os.Exit(3)
}
