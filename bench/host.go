package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long anything here may take; reaching it is an error.
const patience = time.Minute

// process is one entry of the process config. Its config is one of containers.
type process struct {
	name, config string
	instances    int
}

// containers are the container configs of the image; all run first/first.c.
var containers = map[string]string{
	// It writes when it started, and waits.
	"app":     "arguments: [/out/times]\nrestart-timeout: 0\nmemory-limit: 64Mi\n" + onVolume,
	"standby": "arguments: [/out/times]\nrestart-timeout: 0\nmemory-limit: 64Mi\nstandby: true\n" + onVolume,
	"other":   "arguments: [/out/times]\nrestart-timeout: 0\nmemory-limit: 63Mi\n" + onVolume,
	"five":    "arguments: [/out/times]\nrestart-timeout: 0\nmemory-limit: 64Mi\n" + fiveVolumes,
	// They end at once.
	"five-once": "arguments: [/out/times, once]\nrestart-timeout: 0\nmemory-limit: 64Mi\n" + fiveVolumes,
	"once":      "arguments: [/out/times, once]\nrestart-timeout: 0\nmemory-limit: 64Mi\n" + onVolume,
	"flap":      "arguments: [/nowhere, once]\nmemory-limit: 64Mi\n",
	"true":      "kind: Command\narguments: [/nowhere, once]\nmemory-limit: 64Mi\n",
}

const (
	onVolume    = "volumes: {/out: !Persistent {path: /data}}\n"
	fiveVolumes = "volumes:\n  /out: !Persistent {path: /data}\n  /v1: !Persistent {path: /data}\n  /v2: !Readonly {path: /data}\n" +
		"  /v3: !Tmpfs {size: 1Mi}\n  /v4: !Statedir {path: /}\n"
)

// host is a machine with lithos in a directory: one sandbox, `bench`.
type host struct {
	b       *bench
	bin     string // directory of the programs
	dir     string
	run     string // its runtime-dir; the limit has its state directories there
	master  string
	sandbox string // further options
	daemon  *exec.Cmd
	begin   int64 // of the daemon, ns on CLOCK_MONOTONIC
	// network is the host's network, with a bridge that its containers are
	// on; nil = this machine's.
	network *os.File
}

// bins are the directories of all lithos that are measured, by subject.
func (b *bench) bins() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		if yield(ours, b.o.bin) && b.o.reference != "" {
			yield(reference, b.o.reference)
		}
	}
}

// failed is what to do about an error of a lithos: it ends the run if it is
// ours; another one is noted, and not measured any further.
func (b *bench) failed(subject, doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case subject == ours:
		return err
	}
	b.result.note("%s of %s: %v", doing, subject, err)
	b.o.reference = ""
	return nil
}

// newHost makes it, without starting it.
func (b *bench) newHost(bin string, processes ...process) (*host, error) {
	b.hosts++
	dir := filepath.Join(b.dir, strconv.Itoa(b.hosts))
	h := &host{b: b, bin: bin, dir: dir, run: filepath.Join(b.tmpfs, strconv.Itoa(b.hosts)), master: filepath.Join(dir, "master.yaml")}
	image := filepath.Join(dir, "images/app")
	for _, d := range []string{"sandboxes", "processes", "log", "data", "empty"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.Mkdir(h.run, 0o755); err != nil {
		return nil, err
	}
	for _, d := range []string{"bin", "config", "dev", "proc", "sys", "etc", "run", "tmp", "usr", "var", "out", "v1", "v2", "v3", "v4"} {
		if err := os.MkdirAll(filepath.Join(image, d), 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.Link(b.first, filepath.Join(image, "bin/first")); err != nil {
		return nil, err
	}
	// Root in a user namespace is nobody here.
	if err := errors.Join(h.write("data/times", ""), os.Chmod(h.file(), 0o666)); err != nil {
		return nil, err
	}
	for name, text := range containers {
		if err := h.write("images/app/config/"+name+".yaml", "executable: /bin/first\nuser-id: 0\n"+text); err != nil {
			return nil, err
		}
	}
	if err := h.configure(processes...); err != nil {
		return nil, err
	}
	if out, err := exec.Command(filepath.Join(b.o.bin, "lithos_mkdev"), filepath.Join(dir, "dev")).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("lithos_mkdev: %w (make build makes the programs)\n%s", err, out)
	}
	return h, h.write("master.yaml", fmt.Sprintf("runtime-dir: %[4]s\ndevfs-dir: %[1]s/dev\ndefault-log-dir: %[1]s/log\n"+
		"config-log-dir: null\nstdio-log-dir: %[1]s/log/stderr\ncgroup-name: lithos-bench-%[2]d-%[3]d.slice\n", dir, os.Getpid(), b.hosts, h.run))
}

// startHost makes a host and starts it.
func (b *bench) startHost(bin string, processes ...process) (*host, error) {
	h, err := b.newHost(bin, processes...)
	if err == nil {
		err = h.start()
	}
	return h, err
}

func (h *host) write(name, text string) error {
	return os.WriteFile(filepath.Join(h.dir, name), []byte(text), 0o644)
}

// path is one in its directory.
func (h *host) path(name string) string { return filepath.Join(h.dir, name) }

// configure writes the sandbox and its processes.
func (h *host) configure(processes ...process) error {
	if err := h.write("sandboxes/bench.yaml", fmt.Sprintf("image-dir: %[1]s/images\nallow-users: [0-65535]\nallow-groups: [0-65535]\n"+
		"writable-paths: {/data: %[1]s/data}\n", h.dir)+h.sandbox); err != nil {
		return err
	}
	return h.write("processes/bench.yaml", h.processes(processes...))
}

func (h *host) processes(processes ...process) string {
	var text strings.Builder
	for _, p := range processes {
		fmt.Fprintf(&text, "%s: {image: app, config: /config/%s.yaml", p.name, p.config)
		if p.config == "true" {
			text.WriteString(", kind: Command")
		} else {
			fmt.Fprintf(&text, ", instances: %d", p.instances)
		}
		if h.network != nil {
			text.WriteString(addresses(p.instances))
		}
		text.WriteString("}\n")
	}
	return text.String()
}

// start runs lithos_tree; prefix is a command that runs it.
func (h *host) start(prefix ...string) error {
	argv := append(prefix, filepath.Join(h.bin, "lithos_tree"), "-C", h.master)
	h.daemon = exec.Command(argv[0], argv[1:]...)
	if h.bin == h.b.o.bin {
		h.daemon.Stderr = os.Stderr // another one has its own words for it, many
	}
	h.begin = monotonic()
	err := errors.New("the host's network is gone")
	h.inside(func() { err = h.b.spawn(h.daemon) })
	return err
}

// stop ends the daemon and everything it runs. A daemon of the other kind may
// end by the signal.
func (h *host) stop() error {
	err := h.b.end(h.daemon, syscall.SIGTERM)
	if _, ok := err.(*exec.ExitError); ok && h.bin != h.b.o.bin {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("lithos_tree at its end: %w", err)
	}
	return nil
}

// command is one of the host's programs.
func (h *host) command(name string, args ...string) *exec.Cmd {
	return exec.Command(filepath.Join(h.bin, name), append([]string{"--master", h.master}, args...)...)
}

// file is where programs write when they started.
func (h *host) file() string { return filepath.Join(h.dir, "data/times") }

// started waits until n programs have started, and gives when the last did.
func (h *host) started(n int) (int64, error) { return startedIn(h.file(), n) }

func startedIn(file string, n int) (int64, error) {
	if err := until(fmt.Sprintf("%d starts", n), func() bool { return count(file) >= n }); err != nil {
		return 0, fmt.Errorf("%w: there are %d", err, count(file))
	}
	return readTimes(file)[n-1], nil
}

// count is how many starts a file has.
func count(file string) int {
	st, err := os.Stat(file)
	if err != nil {
		return 0
	}
	return int(st.Size() / 8)
}

// readTimes are when programs started, sorted.
func readTimes(path string) []int64 {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	all := make([]int64, len(data)/8)
	_ = binary.Read(bytes.NewReader(data[:len(all)*8]), binary.NativeEndian, all)
	slices.Sort(all)
	return all
}

// knots lists the pids of PID 1s; those of one instance if it is not "".
func (h *host) knots(instance string) []int { return h.flagged("--name", instance) }

// flagged are those whose command line begins with that flag.
func (h *host) flagged(flag, instance string) []int {
	var pids []int
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		args := strings.Split(string(cmdline), "\x00")
		if len(args) > 4 && args[1] == flag && args[4] == h.master && (instance == "" || args[2] == "bench/"+instance) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// children lists the children of a process, whichever thread forked them.
func children(pid int) []int {
	var pids []int
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, t := range tasks {
		data, _ := os.ReadFile(t)
		for _, f := range strings.Fields(string(data)) {
			if child, err := strconv.Atoi(f); err == nil {
				pids = append(pids, child)
			}
		}
	}
	return pids
}

// until polls; the polling is never inside of what is measured.
func until(what string, condition func() bool) error {
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			return errors.New("gave up waiting for " + what)
		}
	}
	return nil
}

// monotonic is CLOCK_MONOTONIC in nanoseconds, the clock of first/first.c.
func monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err) // the call can't fail with a valid clock
	}
	return ts.Nano()
}

// cpu is the CPU time of a process so far, threads that ended included, in
// nanoseconds; without its children.
func cpu(pid int) int64 {
	var ts unix.Timespec
	if unix.ClockGettime(int32(^pid<<3|2), &ts) != nil {
		return 0
	}
	return ts.Nano()
}

// cpuWithChildren adds that of all children it has waited for; it counts in
// hundredths of a second.
func cpuWithChildren(pid int) int64 {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(data), ") ")
	f := strings.Fields(rest)
	var ticks int64
	for i := 11; i < 15 && i < len(f); i++ {
		n, _ := strconv.ParseInt(f[i], 10, 64)
		ticks += n
	}
	return ticks * int64(time.Second/100)
}
