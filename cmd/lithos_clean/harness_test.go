package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lithos/configs/images"
)

// TestMain lets the test binary be a process of a container: one that has
// another root directory, or one that is called lithos_knot; and a command that
// does its work in a child.
func TestMain(m *testing.M) {
	if os.Getenv("BE_COMMAND") != "" {
		beCommand()
	}
	if root := os.Getenv("BE_CONTAINED"); root != "" {
		if err := syscall.Chroot(root); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("ready")
		_, _ = os.Stdin.Read(make([]byte, 1))
		os.Exit(0)
	}
	if os.Geteuid() != 0 {
		fmt.Println("these tests remove what containers could run from: run them as root")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// host is a machine's configs and images in a temporary directory.
type host struct {
	t   *testing.T
	dir string
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{t, images.Real(t.TempDir())}
	for _, dir := range []string{"sandboxes", "processes", "log", "images", "run/containers/web"} {
		h.mkdir(dir)
	}
	h.write("master.yaml", "runtime-dir: DIR/run\nconfig-log-dir: DIR/log\n")
	return h
}

// web makes the sandbox web, which used these images, each for two days, and
// uses the last of them now. In the image-dir are all of them, and more.
func web(t *testing.T, used []string, more ...string) *host {
	t.Helper()
	h := newHost(t)
	h.sandbox("web", "")
	for _, name := range slices.Concat(used, more) {
		h.mkdir("images/" + name + "/config")
	}
	h.uses("web", used[len(used)-1])
	h.history("web", used...)
	return h
}

func (h *host) path(name string) string { return filepath.Join(h.dir, name) }

func (h *host) mkdir(name string) {
	h.t.Helper()
	must(h.t, os.MkdirAll(h.path(name), 0o755))
}

// write writes a file; DIR in it is the host's directory.
func (h *host) write(name, text string) {
	h.t.Helper()
	h.mkdir(filepath.Dir(name))
	must(h.t, os.WriteFile(h.path(name), []byte(strings.ReplaceAll(text, "DIR", h.dir)), 0o644))
}

func (h *host) sandbox(name, config string) {
	h.t.Helper()
	if !strings.Contains(config, "image-dir:") {
		config += "\nimage-dir: DIR/images"
	}
	h.write("sandboxes/"+name+".yaml", config+"\nallow-users: [1]\nallow-groups: [1]\n")
}

// uses makes an image what the sandbox uses now.
func (h *host) uses(sandbox, image string) {
	h.t.Helper()
	h.write("processes/"+sandbox+".yaml", fmt.Sprintf("app: {image: %q, config: /a.yaml}\n", image))
}

// history writes a config log; the last image is used since two days, the one
// before it since four, and so on.
func (h *host) history(sandbox string, images ...string) {
	h.t.Helper()
	var text strings.Builder
	for i, image := range images {
		at := time.Now().Add(-time.Duration(len(images)-i) * 48 * time.Hour)
		fmt.Fprintf(&text, "%s {\"app\":{\"image\":%q,\"config\":\"/a.yaml\",\"instances\":1,\"kind\":\"Daemon\"}}\n",
			at.UTC().Format(time.RFC3339), image)
	}
	h.write("log/"+sandbox+".log", text.String())
}

// result is what a run came to. DIR stands for the host's directory in it.
type result struct {
	code           int
	stdout, stderr string
}

func (h *host) clean(args ...string) result {
	h.t.Helper()
	return h.between(nil, args...)
}

// between runs it, with something that others do after each step.
func (h *host) between(do func(step string), args ...string) result {
	h.t.Helper()
	var out, errs bytes.Buffer
	o, code, done := parseOptions(append([]string{"-C", h.path("master.yaml")}, args...), &out, &errs)
	if !done {
		c := &cleaner{o: o, report: newReport(o, &out, &errs), look: newLooker(), between: do}
		code = c.run()
	}
	short := func(b bytes.Buffer) string { return strings.ReplaceAll(b.String(), h.dir, "DIR") }
	return result{code, short(out), short(errs)}
}

// printed wants exactly these images on standard output, and success.
func (h *host) printed(r result, names ...string) {
	h.t.Helper()
	var want strings.Builder
	for _, name := range names {
		fmt.Fprintf(&want, "%q\n", "DIR/images/"+name)
	}
	if r.code != 0 || r.stdout != want.String() {
		h.t.Errorf("code %d, printed\n%swant\n%sstderr: %s", r.code, r.stdout, want.String(), r.stderr)
	}
}

// left wants exactly these in the image-dir.
func (h *host) left(names ...string) {
	h.t.Helper()
	entries, err := os.ReadDir(h.path("images"))
	must(h.t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	slices.Sort(names)
	if !slices.Equal(got, names) {
		h.t.Errorf("left are %q, want %q", got, names)
	}
}

// uploads writes to a file, whatever the name of its directory is by then, and
// makes it look old, until the test's end.
func (h *host) uploads(name string) {
	h.t.Helper()
	h.write(name, "")
	f, err := os.OpenFile(h.path(name), os.O_WRONLY, 0)
	must(h.t, err)
	done, ended := make(chan struct{}), make(chan struct{})
	h.t.Cleanup(func() {
		close(done)
		<-ended
		_ = f.Close()
	})
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			case <-time.After(10 * time.Millisecond):
			}
			if _, err := f.WriteString("more"); err != nil {
				h.t.Error(err)
			}
			old := unix.NsecToTimeval(0)
			if err := unix.Futimes(int(f.Fd()), []unix.Timeval{old, old}); err != nil {
				h.t.Error(err)
			}
		}
	}()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// process starts the test binary as another process until the test's end.
func process(t *testing.T, root string, args ...string) int {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	cmd := &exec.Cmd{Path: self, Args: args, Env: append(os.Environ(), "BE_CONTAINED="+root)}
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	line := make([]byte, 100)
	if n, err := out.Read(line); string(line[:n]) != "ready\n" {
		t.Fatalf("the process says %q, %v", line[:n], err)
	}
	return cmd.Process.Pid
}

// bind mounts a directory until the test's end.
func bind(t *testing.T, from, to string) {
	t.Helper()
	must(t, os.MkdirAll(to, 0o755))
	must(t, unix.Mount(from, to, "", unix.MS_BIND, ""))
	t.Cleanup(func() {
		// Its directory may have been renamed.
		paths, _ := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(to)), "*", filepath.Base(to)))
		for _, path := range append(paths, to) {
			_ = unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		}
	})
}
