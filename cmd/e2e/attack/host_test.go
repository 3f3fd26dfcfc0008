package attack

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// arena is a host with lithos on it, in a temporary directory. Its images,
// volumes and configs are the attackers', its directory host/ is what they are
// after.
type arena struct {
	dir    string
	cgroup string
	cmd    *exec.Cmd
	done   chan struct{} // closed when the daemon has ended
}

var arenas atomic.Int64

// newArena makes a host without sandboxes. It is not started.
func newArena() (*arena, error) {
	dir, err := os.MkdirTemp("", "lithos-attack-")
	if err != nil {
		return nil, err
	}
	a := &arena{dir: dir, cgroup: fmt.Sprintf("lithos-attack-%d-%d.slice", os.Getpid(), arenas.Add(1))}
	errs := []error{os.Chmod(dir, 0o755)}
	for _, sub := range []string{"sandboxes", "processes", "images", "log", "volumes", "readonly", "host"} {
		errs = append(errs, os.Mkdir(a.path(sub), 0o755))
	}
	errs = append(errs,
		os.WriteFile(a.path("master.yaml"), fmt.Appendf(nil, "runtime-dir: %s\ndevfs-dir: %s\ndefault-log-dir: %s\nconfig-log-dir: null\nstdio-log-dir: %s\ncgroup-name: %s\nlog-level: info\n",
			a.path("run"), a.path("dev"), a.path("log"), a.path("log/stderr"), a.cgroup), 0o644),
		os.WriteFile(a.path("host/canary"), []byte(canary), 0o644),
		install(a.path("attack"), 0o755))
	if out, err := exec.Command(filepath.Join(binDir, "lithos_mkdev"), a.path("dev")).CombinedOutput(); err != nil {
		errs = append(errs, fmt.Errorf("lithos_mkdev: %w: %s", err, out))
	}
	return a, errors.Join(errs...)
}

// canary is what no container may read.
const canary = "a file of the host\n"

func (a *arena) path(elem ...string) string {
	return filepath.Join(append([]string{a.dir}, elem...)...)
}

func (a *arena) read(elem ...string) string {
	data, _ := os.ReadFile(a.path(elem...))
	return string(data)
}

// box is one container to be.
type box struct {
	name   string // of the process, and of its image and volume
	user   int
	args   []string // of the program, "attack" before them
	config string   // lines of the container config; one replaces the default of its name
	file   string   // where the config lies in the image, if not at /config/box.yaml
	volume string   // the host directory of /out, if not its own
	// prepare makes the image, and its volume, what they are to be.
	prepare func(image, volume string) error
}

// add writes a sandbox of some boxes. more are lines of its config, by which
// those of the same name are replaced.
func (a *arena) add(name, more string, boxes ...box) error {
	var errs []error
	processes := ""
	for _, b := range boxes {
		errs = append(errs, a.build(name, b))
		file := b.file
		if file == "" {
			file = "/config/box.yaml"
		}
		processes += fmt.Sprintf("%s: {image: %s, config: %s}\n", b.name, name+"-"+b.name, file)
	}
	text := withDefaults(more,
		"image-dir: "+a.path("images"), "allow-users: [0-65535]", "allow-groups: [0-65535]", "allow-tcp-ports: [1-65535]",
		fmt.Sprintf("writable-paths: {/volumes: %s}", a.path("volumes")),
		fmt.Sprintf("readonly-paths: {/readonly: %s}", a.path("readonly")),
		"resolv-conf: "+a.path("host/canary"))
	return errors.Join(append(errs,
		os.WriteFile(a.path("processes", name+".yaml"), []byte(processes), 0o644),
		os.WriteFile(a.path("sandboxes", name+".yaml"), []byte(text), 0o644))...)
}

// withDefaults adds the lines whose option is not there.
func withDefaults(text string, lines ...string) string {
	text = strings.Trim(text, "\n") + "\n"
	for _, line := range lines {
		if key, _, _ := strings.Cut(line, ":"); !strings.HasPrefix(text, key+":") && !strings.Contains(text, "\n"+key+":") {
			text += line + "\n"
		}
	}
	return text
}

// build makes the image and the volume of a box.
func (a *arena) build(sandbox string, b box) error {
	image, volume := a.path("images", sandbox+"-"+b.name), a.path("volumes", sandbox+"-"+b.name)
	errs := []error{os.Mkdir(volume, 0o755), os.Chmod(volume, 0o777)}
	for _, sub := range []string{"bin", "config", "dev", "proc", "sys", "etc", "out", "state", "scratch", "readonly", "extra"} {
		errs = append(errs, os.MkdirAll(filepath.Join(image, sub), 0o755))
	}
	errs = append(errs, os.Link(a.path("attack"), filepath.Join(image, "bin/attack")))
	from := b.volume
	if from == "" {
		from = "/volumes/" + sandbox + "-" + b.name
	}
	text := withDefaults(strings.ReplaceAll(b.config, "VOLUME", "/volumes/"+sandbox+"-"+b.name),
		fmt.Sprintf("user-id: %d", b.user), fmt.Sprintf("group-id: %d", b.user), "executable: /bin/attack",
		fmt.Sprintf("arguments: [attack, %s]", strings.Join(b.args, ", ")),
		"restart-timeout: 3600", "kill-timeout: 2",
		fmt.Sprintf("volumes: {/out: !Persistent {path: %s}, /state: !Statedir {path: /}, /scratch: !Tmpfs {size: 32Mi, mode: 0o1777}, /readonly: !Readonly {path: /readonly, exec: true}}", from))
	errs = append(errs, os.WriteFile(filepath.Join(image, "config/box.yaml"), []byte(text), 0o644))
	if b.prepare != nil {
		errs = append(errs, b.prepare(image, volume))
	}
	return errors.Join(errs...)
}

// install copies this test binary.
func install(to string, mode os.FileMode) error {
	in, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close(), os.Chmod(to, mode))
}

// start starts the daemon.
func (a *arena) start() error {
	out, err := os.OpenFile(a.path("daemon.out"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	a.cmd = self("/proc/self/exe", "launch", filepath.Join(binDir, "lithos_tree"), "-C", a.path("master.yaml"))
	a.cmd.Stdout, a.cmd.Stderr = out, out
	// Groups that are not for containers.
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: &syscall.Credential{Groups: []uint32{0, 6}}}
	if err := a.cmd.Start(); err != nil {
		return err
	}
	a.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		_ = cmd.Wait()
		close(done)
	}(a.cmd, a.done)
	return nil
}

// stop ends the daemon, looks for what is left, and removes the directory.
func (a *arena) stop() error {
	var errs []error
	if a.cmd != nil {
		_ = a.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-a.done:
		case <-time.After(within(30 * time.Second)):
			errs = append(errs, errors.New("the daemon does not end"))
			_ = a.cmd.Process.Kill()
			<-a.done
		}
	}
	errs = append(errs, a.leftovers())
	if text := a.read("host/canary"); text != canary {
		errs = append(errs, fmt.Errorf("the host's file was changed to %q", text))
	}
	if os.Getenv("LITHOS_ATTACK_KEEP") != "" {
		return errors.Join(errs...)
	}
	return errors.Join(append(errs, os.RemoveAll(a.dir))...)
}

// leftovers wants no process, cgroup, mount or state directory to be left.
func (a *arena) leftovers() error {
	var err error
	for deadline := time.Now().Add(within(5 * time.Second)); ; time.Sleep(20 * time.Millisecond) {
		if err = a.leftover(); err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

func (a *arena) leftover() error {
	var errs []error
	for _, p := range a.processes("") {
		errs = append(errs, fmt.Errorf("process %d is left: %s", p.pid, p.command))
	}
	if mounts, _ := os.ReadFile("/proc/self/mounts"); strings.Contains(string(mounts), a.dir) {
		errs = append(errs, errors.New("a mount is left"))
	}
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && filepath.Base(path) == a.cgroup {
			errs = append(errs, fmt.Errorf("the cgroup %s is left", path))
		}
		return nil
	})
	left, _ := filepath.Glob(a.path("run/state/*/*"))
	for _, path := range left {
		errs = append(errs, fmt.Errorf("%s is left", path))
	}
	return errors.Join(errs...)
}

// knot is a PID 1 of one of the arena's containers.
type knot struct {
	pid     int
	command string
}

// processes are the living PID 1s of the container ("" = all) that is called
// SANDBOX/PROCESS.N, the real ones.
func (a *arena) processes(name string) []knot {
	var found []knot
	list, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range list {
		data, err := os.ReadFile(path)
		args := strings.Split(string(data), "\x00")
		if err != nil || len(args) < 6 || args[1] != "--name" || args[4] != a.path("master.yaml") || name != "" && args[2] != name {
			continue
		}
		var pid int
		_, err = fmt.Sscanf(path, "/proc/%d/", &pid)
		exe, exeErr := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		if err == nil && exeErr == nil && filepath.Base(exe) != "attack" {
			found = append(found, knot{pid, args[2]})
		}
	}
	return found
}

// log is all that the daemon said, of a sandbox and of itself.
func (a *arena) log(sandbox string) string {
	return a.read("log/master.log") + a.read("log", sandbox+".log") + a.read("log/stderr", sandbox+".log")
}

// shared is the arena of the tests that can share one.
var shared = sync.OnceValues(func() (*arena, error) {
	a, err := newArena()
	if err != nil {
		return nil, err
	}
	sharedArena = a
	errs := []error{prepareReadonly(a.path("readonly"))}
	for _, s := range sandboxes {
		boxes := insideBoxes(s)
		if !s.inside {
			boxes = append(boxes, configBoxes(a)...)
		}
		errs = append(errs, a.add(s.name, s.config, boxes...))
	}
	return a, errors.Join(append(errs, a.start())...)
})

var sharedArena *arena

// sharedFor is the shared arena, which runs.
func sharedFor(t *testing.T) *arena {
	t.Helper()
	a, err := shared()
	must(t, err)
	return a
}

func closeShared() error {
	if sharedArena == nil {
		return nil
	}
	return sharedArena.stop()
}

// ownArena is an arena for one test.
func ownArena(t *testing.T) *arena {
	t.Helper()
	a, err := newArena()
	must(t, err)
	t.Cleanup(func() {
		if err := a.stop(); err != nil {
			t.Error(err)
		}
	})
	return a
}
