package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lithos/sysx/thread"
)

// start measures the start and end of a whole container: the limit, our
// daemon's, our lithos_cmd, and the commands of other runtimes.
func (b *bench) start() error {
	if err := b.needGroups(); err != nil {
		return err
	}
	h, err := b.newHost(b.o.bin)
	if err != nil {
		return err
	}
	commands, stop, err := b.runtimes(h)
	defer func() {
		for _, s := range stop {
			_ = s()
		}
	}()
	if err != nil {
		return err
	}
	turns, each := b.pick(10, 2), b.pick(20, 3)
	for range turns {
		out, err := b.limitCommand(h, "times", each, "/out/times", "once").Output()
		if err != nil {
			return fmt.Errorf("the limit: %w", err)
		}
		for _, f := range strings.Fields(string(out)) {
			ns, _ := strconv.ParseFloat(f, 64)
			b.result.add("start", limitName, "ms", ns/1e6)
		}
		for subject, bin := range b.bins() {
			if err := b.failed(subject, "starts in the daemon", b.startInDaemon(subject, bin, each)); err != nil {
				return err
			}
		}
		for _, c := range commands {
			if !c.failed {
				c.around(func() { b.runs(c, each) })
			}
		}
	}
	return nil
}

// runs measures a command; one that takes long is seen as well by a few.
func (b *bench) runs(c *runner, n int) {
	for i, most := 0, n; i < most; i++ {
		begin := time.Now()
		if out, err := c.command().CombinedOutput(); err != nil {
			b.result.note("%s can't be used: %v: %.200s", c.name, err, strings.TrimSpace(string(out)))
			c.failed = true
			return
		}
		took := time.Since(begin)
		b.result.add("start", c.name, "ms", float64(took)/1e6)
		if took > 50*time.Millisecond {
			most = max(1, n/5)
		}
	}
}

// startInDaemon is the time from one first instruction to the next of a
// container that ends at once: its end, and the whole next one.
func (b *bench) startInDaemon(subject, bin string, n int) error {
	h, err := b.startHost(bin, process{"once", "once", 1})
	if err != nil {
		return err
	}
	_, err = h.started(n + 2)
	if stop := h.stop(); err == nil {
		err = stop
	}
	if err != nil {
		return err
	}
	times := readTimes(h.file())
	for i := 2; i < n+2; i++ {
		b.result.add("start", subject, "ms", float64(times[i]-times[i-1])/1e6)
	}
	return nil
}

// runner is a command that runs a container to its end.
type runner struct {
	name    string
	command func() *exec.Cmd
	around  func(func()) // calls its argument where the command is to run
	failed  bool
}

func here(do func()) { do() }

// withoutUnified calls do in a mount namespace where version 2 of control
// groups is not mounted beside version 1: crun refuses such a host.
func withoutUnified(do func()) {
	if _, err := os.Stat(unified); err != nil {
		do()
		return
	}
	thread.Spend(func() {
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			return
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return
		}
		_ = unix.Unmount(unified, unix.MNT_DETACH)
		do()
	})
}

const unified = "/sys/fs/cgroup/unified"

// runtimes are lithos_cmd and what else is installed.
func (b *bench) runtimes(h *host) (list []*runner, stop []func() error, err error) {
	for subject, bin := range b.bins() {
		host, err := b.newHost(bin, process{"true", "true", 0})
		if err != nil {
			return list, stop, err
		}
		if err := host.start(); err != nil {
			return list, stop, err
		}
		stop = append(stop, host.stop)
		list = append(list, &runner{name: subject + "_cmd", around: here, command: func() *exec.Cmd { return host.command("lithos_cmd", "bench", "true") }})
	}
	image, data := filepath.Join(h.dir, "images/app"), filepath.Join(h.dir, "data")
	add := func(name string, argv ...string) {
		if !b.installed(argv[0]) {
			return
		}
		around := here
		if argv[0] == "crun" {
			around = withoutUnified
		}
		list = append(list, &runner{name: name, around: around, command: func() *exec.Cmd { return exec.Command(argv[0], argv[1:]...) }})
	}
	for _, name := range []string{"crun", "runc"} {
		id := fmt.Sprintf("bench-%d-%s", os.Getpid(), name)
		bundle := filepath.Join(h.dir, name)
		if err := writeBundle(bundle, image, data, id); err != nil {
			return list, stop, err
		}
		add(name, name, "--root", filepath.Join(b.dir, "oci-"+name), "run", "--bundle", bundle, id)
	}
	add("bwrap", "bwrap", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--ro-bind", image, "/", "--dev", "/dev",
		"--proc", "/proc", "--bind", data, "/out", "/bin/first", "/out/times", "once")
	add("systemd-nspawn", "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--read-only", "--as-pid2",
		"--bind", data+":/out", "-D", image, "/bin/first", "/out/times", "once")
	return list, stop, nil
}

// writeBundle makes an OCI bundle with the namespaces and mounts of ours, and
// a control group of that name.
func writeBundle(dir, image, data, id string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	mount := func(on, fstype, source string, options ...string) map[string]any {
		return map[string]any{"destination": on, "type": fstype, "source": source, "options": options}
	}
	caps := []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP",
		"CAP_SETFCAP", "CAP_NET_BIND_SERVICE", "CAP_KILL"}
	spec := map[string]any{
		"ociVersion": "1.0.2",
		"root":       map[string]any{"path": image, "readonly": true},
		"process": map[string]any{
			"args": []string{"/bin/first", "/out/times", "once"}, "cwd": "/", "user": map[string]int{"uid": 0, "gid": 0},
			"noNewPrivileges": true, "capabilities": map[string]any{"bounding": caps, "effective": caps, "permitted": caps},
			"rlimits": []map[string]any{{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}},
		},
		"mounts": []any{
			mount("/proc", "proc", "proc", "nosuid", "noexec", "nodev"),
			mount("/dev", "tmpfs", "tmpfs", "nosuid", "mode=755", "size=65536k"),
			mount("/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"),
			mount("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", "ro"),
			mount("/out", "bind", data, "bind", "nosuid", "nodev", "noexec"),
		},
		"linux": map[string]any{
			"cgroupsPath":   "/" + id,
			"namespaces":    []map[string]string{{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}},
			"resources":     map[string]any{"memory": map[string]any{"limit": 64 << 20}},
			"maskedPaths":   []string{"/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"},
			"readonlyPaths": []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
		},
	}
	text, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "config.json"), text, 0o644)
}
