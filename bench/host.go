package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lithos/sysx/bridge"
)

// limit is how long anything here may take; reaching it is an error.
const limit = time.Minute

// host is a machine with lithos in a directory: one sandbox `bench`, one
// process `app` that runs c/first.c.
type host struct {
	dir    string
	master string
	daemon *exec.Cmd
	begin  int64 // of the daemon, ns on CLOCK_MONOTONIC
	// network is the host's network, with a bridge that its containers are
	// on, each in a user namespace; nil = this machine's, and plain ones.
	network *os.File
}

// startHost makes it and starts lithos_tree.
func startHost(o options, p programs, dir string, instances int) (*host, error) {
	return startHostIn(nil, o, p, dir, instances)
}

func startHostIn(network *os.File, o options, p programs, dir string, instances int) (*host, error) {
	h := &host{dir: dir, master: filepath.Join(dir, "master.yaml"), network: network}
	image := filepath.Join(dir, "images/app")
	for _, d := range []string{"sandboxes", "processes", "log", "data"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	for _, d := range []string{"bin", "config", "dev", "proc", "sys", "etc", "out"} {
		if err := os.MkdirAll(filepath.Join(image, d), 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.Link(p.first, filepath.Join(image, "bin/first")); err != nil {
		return nil, err
	}
	if err := h.writeConfigs(instances); err != nil {
		return nil, err
	}
	// Root in a user namespace is nobody here.
	if err := os.Chmod(filepath.Join(dir, "data/times"), 0o666); err != nil {
		return nil, err
	}
	if out, err := exec.Command(filepath.Join(o.bin, "lithos_mkdev"), filepath.Join(dir, "dev")).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("lithos_mkdev: %w (make build makes the programs)\n%s", err, out)
	}
	h.daemon = exec.Command(filepath.Join(o.bin, "lithos_tree"), "-C", h.master)
	h.daemon.Stderr = os.Stderr
	h.begin = monotonic()
	if network != nil {
		return h, bridge.Inside(network, h.daemon.Start)
	}
	return h, h.daemon.Start()
}

func (h *host) writeConfigs(instances int) error {
	for name, text := range map[string]string{
		"data/times": "",
		"master.yaml": fmt.Sprintf("runtime-dir: %[1]s/run\ndevfs-dir: %[1]s/dev\ndefault-log-dir: %[1]s/log\nconfig-log-dir: null\n"+
			"stdio-log-dir: %[1]s/log/stderr\ncgroup-name: lithos-bench-%[2]d.slice\n", h.dir, os.Getpid()),
		"sandboxes/bench.yaml": fmt.Sprintf("image-dir: %[1]s/images\nallow-users: [0-65535]\nallow-groups: [0-65535]\n"+
			"writable-paths: {/data: %[1]s/data}\n", h.dir) + h.isolation(),
		"processes/bench.yaml": fmt.Sprintf("app: {image: app, config: /config/app.yaml, instances: %d%s}\n", instances, h.addresses(instances)),
		"images/app/config/app.yaml": "executable: /bin/first\narguments: [/out/times]\nuser-id: 0\nmemory-limit: 64Mi\nrestart-timeout: 0.001\n" +
			"volumes: {/out: !Persistent {path: /data}}\n",
	} {
		if err := os.WriteFile(filepath.Join(h.dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// times are when programs started, in the order of their starting.
func (h *host) times() []int64 { return readTimes(filepath.Join(h.dir, "data/times")) }

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

// stop ends the daemon and everything it runs.
func (h *host) stop() error {
	if err := h.daemon.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := h.daemon.Wait(); err != nil {
		return fmt.Errorf("lithos_tree at its end: %w", err)
	}
	return nil
}

// knots lists the pids of PID 1s.
func (h *host) knots() []int {
	var pids []int
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if args := strings.Split(string(cmdline), "\x00"); len(args) > 4 && args[1] == "--name" && args[4] == h.master {
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
	for deadline := time.Now().Add(limit); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			return errors.New("gave up waiting for " + what)
		}
	}
	return nil
}

// monotonic is CLOCK_MONOTONIC in nanoseconds, the clock of c/first.c.
func monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err) // the call can't fail with a valid clock
	}
	return ts.Nano()
}
