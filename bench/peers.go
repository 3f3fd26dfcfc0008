package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"lithos/sysx/bridge"
	"lithos/sysx/thread"
)

// runner is a command that runs a container to its end.
type runner struct {
	name   string
	argv   []string
	around func(func()) // calls its argument where the command is to run
	failed bool
}

func (r *runner) command() *exec.Cmd { return exec.Command(r.argv[0], r.argv[1:]...) }

// peers are the other runtimes that are installed and can do what the variant
// is about, for the containers of a host. With once their program ends at once.
func (b *bench) peers(v *variant, h *host, once bool) ([]*runner, error) {
	program := []string{"/bin/first", "/out/times"}
	if once {
		program = append(program, "once")
	}
	if err := os.MkdirAll(h.path("state"), 0o755); err != nil {
		return nil, err
	}
	image, data := h.path("images/app"), h.path("data")
	var list []*runner
	add := func(around func(func()), argv ...string) {
		if b.installed(argv[0]) {
			list = append(list, &runner{name: argv[0], argv: argv, around: func(do func()) { h.inside(func() { around(do) }) }})
		}
	}
	for _, name := range []string{"crun", "runc"} {
		id := fmt.Sprintf("bench-%d-%s-%s", os.Getpid(), filepath.Base(h.dir), name)
		made := newBundle(image, data, id, program)
		if v.bundle != nil {
			v.bundle(h, made)
		}
		if err := made.write(h.path(name)); err != nil {
			return nil, err
		}
		around := here
		if name == "crun" {
			around = withoutUnified
		}
		add(around, name, "--root", filepath.Join(b.dir, "oci-"+name), "run", "--bundle", h.path(name), id)
	}
	if v.bwrap != nil {
		argv := []string{"bwrap", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--ro-bind", image, "/", "--dev", "/dev",
			"--proc", "/proc", "--bind", data, "/out"}
		for _, option := range v.bwrap {
			if option == "data" || option == "state" {
				option = h.path(option)
			}
			argv = append(argv, option)
		}
		add(here, append(argv, program...)...)
	}
	argv := []string{"systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--read-only", "--as-pid2", "--bind", data + ":/out", "-D", image}
	add(here, slices.Concat(argv, v.nspawn(h), program)...)
	return list, nil
}

func here(do func()) { do() }

// inside calls do in the host's network.
func (h *host) inside(do func()) {
	if h.network == nil {
		do()
		return
	}
	if err := bridge.Inside(h.network, func() error { do(); return nil }); err != nil {
		h.b.result.note("%v", err)
	}
}

// withoutUnified calls do in a mount namespace where version 2 of control
// groups is not mounted beside version 1: crun refuses such a host. The network
// is the caller's.
func withoutUnified(do func()) {
	if _, err := os.Stat(unified); err != nil {
		do()
		return
	}
	network, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return
	}
	defer network.Close()
	thread.Spend(func() {
		if unix.Setns(int(network.Fd()), unix.CLONE_NEWNET) != nil || unix.Unshare(unix.CLONE_NEWNS) != nil {
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

// bundle is an OCI bundle.
type bundle struct {
	spec, linux map[string]any
	namespaces  []any
	mounts      []any
}

// newBundle has the namespaces and mounts of ours, and a control group of that
// name.
func newBundle(image, data, id string, program []string) *bundle {
	caps := []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP",
		"CAP_SETFCAP", "CAP_NET_BIND_SERVICE", "CAP_KILL"}
	b := &bundle{
		spec: map[string]any{
			"ociVersion": "1.0.2",
			"root":       map[string]any{"path": image, "readonly": true},
			"process": map[string]any{
				"args": program, "cwd": "/", "user": map[string]int{"uid": 0, "gid": 0},
				"noNewPrivileges": true, "capabilities": map[string]any{"bounding": caps, "effective": caps, "permitted": caps},
				"rlimits": []map[string]any{{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}},
			},
		},
		linux: map[string]any{
			"cgroupsPath":   "/" + id,
			"resources":     map[string]any{"memory": map[string]any{"limit": 64 << 20}},
			"maskedPaths":   []string{"/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"},
			"readonlyPaths": []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
		},
	}
	for _, kind := range []string{"pid", "mount", "ipc", "uts"} {
		b.namespace(kind)
	}
	b.mount("/proc", "proc", "proc", "nosuid", "noexec", "nodev")
	b.mount("/dev", "tmpfs", "tmpfs", "nosuid", "mode=755", "size=65536k")
	b.mount("/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620")
	b.mount("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", "ro")
	b.mount("/out", "bind", data, "bind", "nosuid", "nodev", "noexec")
	return b
}

func (b *bundle) namespace(kind string) {
	b.namespaces = append(b.namespaces, map[string]string{"type": kind})
}

// mount adds a mount, or replaces the one at the same place.
func (b *bundle) mount(on, fstype, source string, options ...string) {
	m := map[string]any{"destination": on, "type": fstype, "source": source, "options": options}
	for i, before := range b.mounts {
		if before.(map[string]any)["destination"] == on {
			b.mounts[i] = m
			return
		}
	}
	b.mounts = append(b.mounts, m)
}

func (b *bundle) write(dir string) error {
	b.linux["namespaces"], b.spec["linux"], b.spec["mounts"] = b.namespaces, b.linux, b.mounts
	text, err := json.Marshal(b.spec)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "config.json"), text, 0o644)
	}
	return err
}
