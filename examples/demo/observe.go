package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// container is a running instance as it is seen from outside.
type container struct {
	name    string
	knot    int // its PID 1, a pid of the host
	program int // the service in it; 0 = not (yet) there
}

// processInfo is what one pass over /proc keeps of a process.
type processInfo struct {
	pid, parent int
	args        []string
}

// listProcesses reads /proc once. A process that ends meanwhile is left out.
func listProcesses() ([]processInfo, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var list []processInfo
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		cmdline, err := os.ReadFile(procPath(pid, "cmdline"))
		if err != nil || len(cmdline) == 0 { // gone, a zombie or a kernel thread
			continue
		}
		stat, err := os.ReadFile(procPath(pid, "stat"))
		if err != nil {
			continue
		}
		args := strings.Split(strings.TrimSuffix(string(cmdline), "\x00"), "\x00")
		list = append(list, processInfo{pid: pid, parent: parentOf(stat), args: args})
	}
	return list, nil
}

func procPath(pid int, file string) string { return fmt.Sprintf("/proc/%d/%s", pid, file) }

// parentOf is field 4 of /proc/PID/stat; the name in field 2 may hold blanks
// and parentheses.
func parentOf(stat []byte) int {
	_, rest, _ := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
	fields := bytes.Fields(rest)
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(string(fields[1]))
	return parent
}

// containers lists what runs on this host, by name. They are recognised as an
// operator's pgrep would: by the command line of PID 1.
func (h *host) containers() (map[string]container, error) {
	all, err := listProcesses()
	if err != nil {
		return nil, err
	}
	return containersIn(all, h.master()), nil
}

func containersIn(all []processInfo, master string) map[string]container {
	named := make(map[int]string)
	for _, p := range all {
		if len(p.args) > 4 && filepath.Base(p.args[0]) == "lithos_knot" &&
			p.args[1] == "--name" && p.args[3] == "--master" && p.args[4] == master {
			named[p.pid] = p.args[2]
		}
	}
	found := make(map[string]container)
	for _, p := range all {
		// A child that has not yet executed its program looks like PID 1.
		if name, ok := named[p.pid]; ok && named[p.parent] != name {
			c := found[name]
			c.name, c.knot = name, p.pid
			found[name] = c
		}
		if name, ok := named[p.parent]; ok && named[p.pid] == "" {
			c := found[name]
			c.program = p.pid
			found[name] = c
		}
	}
	return found
}

// leftovers looks for everything that a run can leave outside its directory.
// Programs that a visitor started, such as a tail of a log, do not count.
func (h *host) leftovers() ([]string, error) {
	all, err := listProcesses()
	if err != nil {
		return nil, err
	}
	var left []string
	image := "/" + filepath.Base(h.Dir) + "/images/" // the end of the path is the same, wherever the file system is mounted
	for _, p := range all {
		ours := strings.HasPrefix(filepath.Base(p.args[0]), "lithos_") && slices.Contains(p.args, h.master())
		if ours || fileContains(procPath(p.pid, "cgroup"), h.Cgroup) || fileContains(procPath(p.pid, "mountinfo"), image) {
			left = append(left, fmt.Sprintf("process %d (%s)", p.pid, strings.Join(p.args[:min(3, len(p.args))], " ")))
		}
	}
	mounts, err := mountsBelow(h.Dir)
	if err != nil {
		return nil, err
	}
	for _, m := range mounts {
		left = append(left, "mount "+m)
	}
	groups, err := cgroupsNamed(h.Cgroup)
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		left = append(left, "cgroup "+g)
	}
	return left, nil
}

func fileContains(path, text string) bool {
	body, err := os.ReadFile(path)
	return err == nil && bytes.Contains(body, []byte(text))
}

// mount is one line of a mountinfo file, proc_pid_mountinfo(5).
type mount struct {
	root, point, options, fsType string
}

func readMounts(path string) ([]mount, error) {
	body, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var list []mount
	for line := range strings.Lines(string(body)) {
		before, after, ok := strings.Cut(line, " - ")
		head, tail := strings.Fields(before), strings.Fields(after)
		if !ok || len(head) < 6 || len(tail) < 2 {
			return nil, fmt.Errorf("%s: cannot read the line %q", path, line)
		}
		list = append(list, mount{root: head[3], point: head[4], options: head[5], fsType: tail[0]})
	}
	return list, nil
}

// mountsBelow lists the mounts of this mount namespace that lie in dir or
// show something of it elsewhere.
func mountsBelow(dir string) ([]string, error) {
	mounts, err := readMounts("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var found []string
	for _, m := range mounts {
		if m.point == dir || strings.HasPrefix(m.point, dir+"/") || strings.HasPrefix(m.root, dir+"/") {
			found = append(found, m.point)
		}
	}
	return found, nil
}

// cgroupsNamed finds the groups of that name in every mounted hierarchy, the
// groups below them first, so that they can be removed in that order.
func cgroupsNamed(name string) ([]string, error) {
	mounts, err := readMounts("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var found []string
	for _, m := range mounts {
		if m.fsType != "cgroup" && m.fsType != "cgroup2" {
			continue
		}
		err := filepath.WalkDir(m.point, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() && strings.Contains(path, "/"+name) {
				found = append(found, path)
			}
			return nil // a group that vanishes meanwhile is none
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Reverse(found)
	return found, nil
}

// sweep ends and removes by force what leftovers finds, so that a failed run
// is no burden to the machine either.
func (h *host) sweep() {
	if all, err := listProcesses(); err == nil {
		for _, c := range containersIn(all, h.master()) {
			syscall.Kill(c.knot, syscall.SIGKILL)
		}
	}
	// The groups can be removed when the processes are gone.
	_ = waitFor(5, func() error {
		groups, err := cgroupsNamed(h.Cgroup)
		for _, g := range groups {
			if rmErr := os.Remove(g); rmErr != nil {
				err = rmErr
			}
		}
		return err
	})
}
