package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// findGroups notes the hierarchies of control groups that lithos uses, for the
// limit to use the same. It looks for the group of a host that runs.
func (b *bench) findGroups(h *host) {
	name := strings.TrimSpace("lithos-bench-" + strconv.Itoa(os.Getpid()) + "-" + filepath.Base(h.dir) + ".slice")
	b.groups = nil
	for _, pattern := range []string{"/sys/fs/cgroup/", "/sys/fs/cgroup/*/"} {
		found, _ := filepath.Glob(pattern + name)
		for _, dir := range found {
			// Without controllers it limits nothing, and lithos does not join it.
			if c, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers")); err == nil && len(strings.TrimSpace(string(c))) == 0 {
				continue
			}
			b.groups = append(b.groups, filepath.Dir(dir))
		}
	}
}

// limitCommand is limit/limit.c with the directories of a host.
func (b *bench) limitCommand(h *host, what string, n int, options []string, args ...string) *exec.Cmd {
	argv := []string{what, strconv.Itoa(n), "-i", h.path("images/app"), "-d", h.path("dev"), "-m", h.path("empty"), "-s", h.run, "-v", h.path("data")}
	argv = append(argv, options...)
	for _, g := range b.groups {
		argv = append(argv, "-g", g)
	}
	cmd := exec.Command(b.limit, append(append(argv, "/bin/first"), args...)...)
	cmd.Stderr = os.Stderr
	return cmd
}

// keepLimit starts the limit with n containers, on a host of its own. The
// control groups have to be found before.
func (b *bench) keepLimit(v *variant, n int, prefix []string, args ...string) (*host, error) {
	h, err := b.newHostOf(v, b.o.bin)
	if err != nil {
		return nil, err
	}
	cmd := b.limitCommand(h, "keep", n, v.limit, append([]string{"/out/times"}, args...)...)
	if len(prefix) > 0 {
		argv := append(prefix, cmd.Args...)
		cmd = exec.Command(argv[0], argv[1:]...)
		cmd.Stderr = os.Stderr
	}
	h.daemon, h.begin = cmd, monotonic()
	err = errors.New("the host's network is gone")
	h.inside(func() { err = b.spawn(cmd) })
	return h, err
}

// stopLimit ends it; all it has started goes too.
func (h *host) stopLimit() error { return h.b.end(h.daemon, syscall.SIGTERM) }

// needGroups runs a host once to see which control groups there are.
func (b *bench) needGroups() error {
	h, err := b.startHost(b.o.bin, process{"app", "app", 1})
	if err != nil {
		return err
	}
	if _, err := h.started(1); err != nil {
		return err
	}
	b.findGroups(h)
	return h.stop()
}
