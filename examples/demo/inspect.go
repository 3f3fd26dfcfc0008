package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Helpers of the steps in check.go.

// settled waits until exactly n instances run, with their programs, and
// checks that those in kept are the same processes as before.
func (c *checker) settled(n int, kept map[string]container) (map[string]container, error) {
	var now map[string]container
	err := c.wait(func() (err error) {
		if now, err = c.containers(); err != nil {
			return err
		}
		for _, v := range now {
			if v.program == 0 {
				return fmt.Errorf("%s has no process", v.name)
			}
		}
		if len(now) != n {
			return fmt.Errorf("%d instances run, expected %d", len(now), n)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for name, old := range kept {
		if now[name] != old {
			return nil, fmt.Errorf("%s was replaced: pid %d, before %d", name, now[name].program, old.program)
		}
	}
	return now, nil
}

// others is a copy without some of the names.
func others(all map[string]container, without ...string) map[string]container {
	rest := maps.Clone(all)
	for _, name := range without {
		delete(rest, name)
	}
	return rest
}

// note remembers how many visits were counted.
func (c *checker) note(answers map[string]answer) {
	for _, a := range answers {
		c.visits = max(c.visits, a.visit)
	}
}

func names(answers map[string]answer) string {
	return strings.Join(slices.Sorted(maps.Keys(answers)), ", ")
}

func since(t time.Time) time.Duration { return time.Since(t).Round(time.Millisecond) }

func kill9(pid int) error {
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("cannot kill %d: %w", pid, err)
	}
	return nil
}

// change replaces texts in the process config as an orchestrator does, a new
// file moved over the old one, and tells the daemon. Each text to replace is
// followed by the new one.
func (c *checker) change(texts ...string) error {
	body, err := os.ReadFile(c.processes())
	if err != nil {
		return err
	}
	for i := 0; i < len(texts); i += 2 {
		if strings.Count(string(body), texts[i]) != 1 {
			return fmt.Errorf("%s has not exactly one %q", c.processes(), texts[i])
		}
	}
	temp := c.processes() + ".new"
	if err := os.WriteFile(temp, []byte(strings.NewReplacer(texts...).Replace(string(body))), 0o644); err != nil {
		return err
	}
	if err := os.Rename(temp, c.processes()); err != nil {
		return err
	}
	return c.reload()
}

// reload sends QUIT to the pid in the pid file.
func (c *checker) reload() error {
	body, err := os.ReadFile(c.pidFile())
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(body)))
	if err != nil {
		return fmt.Errorf("%s: %w", c.pidFile(), err)
	}
	if pid != c.daemon.cmd.Process.Pid {
		return fmt.Errorf("%s says %d, lithos_tree is %d", c.pidFile(), pid, c.daemon.cmd.Process.Pid)
	}
	return syscall.Kill(pid, syscall.SIGQUIT)
}

// logLine is the first line of the daemon's log that holds the text.
func (c *checker) logLine(text string) string {
	body, err := os.ReadFile(c.daemonLog())
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(body)) {
		if strings.Contains(line, text) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// contained: what one program may see and do, as the kernel tells it.
func (c *checker) contained() (string, error) {
	now, err := c.settled(3, nil)
	if err != nil {
		return "", err
	}
	pid := now[sandbox+"/"+process+".0"].program
	if err := c.checkStatus(pid); err != nil {
		return "", err
	}
	if err := c.checkMounts(pid); err != nil {
		return "", err
	}
	for _, ns := range []string{"mnt", "pid", "ipc", "uts"} {
		own, err1 := os.Readlink(procPath(pid, "ns/"+ns))
		ours, err2 := os.Readlink("/proc/self/ns/" + ns)
		if err1 != nil || err2 != nil || own == ours {
			return "", fmt.Errorf("%s is not a namespace of its own: %q", ns, own)
		}
	}
	return "each is contained: user 10001, pid 2, four namespaces of its own, a read-only /, its tmpfs and its volume", nil
}

// checkStatus holds /proc/PID/status against what was promised.
func (c *checker) checkStatus(pid int) error {
	body, err := os.ReadFile(procPath(pid, "status"))
	if err != nil {
		return err
	}
	status := make(map[string]string)
	for line := range strings.Lines(string(body)) {
		key, value, _ := strings.Cut(line, ":")
		status[key] = strings.Join(strings.Fields(value), " ")
	}
	want := map[string]string{
		"Uid": "10001 10001 10001 10001", "Gid": "10001 10001 10001 10001", "Groups": "",
		"NSpid": fmt.Sprintf("%d 2", pid), "NoNewPrivs": "1", "CapEff": "0000000000000000",
	}
	for key, value := range want {
		if status[key] != value {
			return fmt.Errorf("/proc/%d/status: %s is %q, expected %q", pid, key, status[key], value)
		}
	}
	return nil
}

// checkMounts holds the program's mount table against the container config.
func (c *checker) checkMounts(pid int) error {
	mounts, err := readMounts(procPath(pid, "mountinfo"))
	if err != nil {
		return err
	}
	base := "/" + filepath.Base(c.Dir)
	want := []struct{ point, root, fsType, option string }{
		{"/", base + "/images/" + image, "", "ro"},
		{"/tmp", "/", "tmpfs", "nodev"},
		{"/var/lib/hello", base + "/data/" + process, "", "noexec"},
	}
	for _, w := range want {
		i := slices.IndexFunc(mounts, func(m mount) bool {
			return m.point == w.point && strings.HasSuffix(m.root, w.root) && (w.fsType == "" || m.fsType == w.fsType)
		})
		if i < 0 {
			return fmt.Errorf("%s is not mounted as it should be, see /proc/%d/mountinfo", w.point, pid)
		}
		if !slices.Contains(strings.Split(mounts[i].options, ","), w.option) {
			return fmt.Errorf("%s is mounted with %s, expected %s too", w.point, mounts[i].options, w.option)
		}
	}
	return nil
}

// limited: each instance has a group with its limit.
func (c *checker) limited() (string, error) {
	const limit = "67108864" // 64Mi
	groups, err := cgroupsNamed(c.Cgroup)
	if err != nil {
		return "", err
	}
	found := 0
	for _, g := range groups {
		if !strings.HasPrefix(filepath.Base(g), sandbox+":"+process+".") {
			continue
		}
		for _, file := range []string{"memory.max", "memory.limit_in_bytes"} {
			body, err := os.ReadFile(filepath.Join(g, file))
			if err != nil {
				continue // the other version's file, or another controller's hierarchy
			}
			if got := strings.TrimSpace(string(body)); got != limit {
				return "", fmt.Errorf("%s/%s is %s, expected %s", g, file, got, limit)
			}
			found++
		}
	}
	if found != 3 {
		return "", fmt.Errorf("%d cgroups have a memory limit, expected 3: %s", found, strings.Join(groups, ", "))
	}
	return "each has a cgroup with its memory-limit of 64Mi", nil
}

// logged: starts and deaths are told twice, to the operator and to the
// reader of the program's own output.
func (c *checker) logged() (string, error) {
	body, err := os.ReadFile(c.stdioLog())
	if err != nil {
		return "", err
	}
	name := regexp.QuoteMeta(sandbox + "/" + process + ".1")
	for _, pattern := range []string{
		`(?m)^\S+: ----- Starting "` + name + `": .+ -----$`,
		`(?m)^\S+: ----- Process "` + name + `" .+, uptime \d+s -----$`,
		`(?m)^` + name + `: listening on 127\.0\.0\.1:`,
	} {
		if !regexp.MustCompile(pattern).Match(body) {
			return "", fmt.Errorf("%s has no line like %s", c.stdioLog(), pattern)
		}
	}
	log, err := os.ReadFile(c.daemonLog())
	if err != nil {
		return "", err
	}
	for _, pattern := range []string{`(?m)^\[.+\]\[WARN\].* ?` + name, `(?m)^\[.+\]\[ERROR\].* ?` + name} {
		if !regexp.MustCompile(pattern).Match(log) {
			return "", fmt.Errorf("the log of lithos_tree has no line like %s", pattern)
		}
	}
	return "starts and deaths are in the log of lithos_tree and in " + c.stdioLog(), nil
}
