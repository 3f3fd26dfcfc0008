package cgroup

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// fake is a pretended host: directories and their files, with as much of the
// kernel's behaviour as this package relies on.
type fake struct {
	files   map[string]map[string]string // by directory
	roots   map[string]bool              // mount points of version 2
	marked  map[string]bool              // delegated
	own     map[string]bool              // made by us
	written []string                     // "file=value", in order
	ending  string                       // a process that can't be moved at first
	// swapless is a kernel that doesn't count swap.
	swapless bool
}

func newFake() *fake {
	return &fake{files: map[string]map[string]string{}, roots: map[string]bool{}, marked: map[string]bool{}, own: map[string]bool{}}
}

// v2 mounts version 2 with the groups, which have the controllers.
func (f *fake) v2(mount, controllers string, groups ...string) {
	f.roots[mount] = true
	f.files[mount] = map[string]string{"cgroup.controllers": controllers, "cgroup.subtree_control": "", "cgroup.procs": ""}
	for _, g := range groups {
		dir := path.Join(mount, g)
		f.files[dir] = map[string]string{"cgroup.controllers": controllers, "cgroup.subtree_control": "", "cgroup.procs": ""}
	}
}

func (f *fake) v1(dir string, controllers ...string) {
	f.files[dir] = f.v1Files(controllers)
	f.files[dir]["controllers"] = strings.Join(controllers, " ")
}

func (f *fake) v1Files(controllers []string) map[string]string {
	files := map[string]string{"tasks": "", "cgroup.procs": ""}
	for _, c := range controllers {
		switch c {
		case "memory":
			files["memory.limit_in_bytes"] = "9223372036854771712"
			if !f.swapless {
				files["memory.memsw.limit_in_bytes"] = "9223372036854771712"
			}
		case "cpu":
			files["cpu.shares"] = "1024"
			files["cpu.cfs_quota_us"], files["cpu.cfs_period_us"] = "-1", "100000"
		case "pids":
			files["pids.max"] = "max"
		case "cpuset":
			files["cpuset.cpus"], files["cpuset.mems"] = "", ""
		}
	}
	return files
}

func (f *fake) kernel() kernel {
	return kernel{mkdir: f.mkdir, rmdir: f.rmdir, write: f.write, read: f.read, list: f.list,
		delegated: func(dir string) bool { return f.marked[dir] }, own: func(dir string) bool { return f.own[dir] }, device: func(string) (string, error) { return "8:0", nil }}
}

func (f *fake) mkdir(dir string) error {
	parent, ok := f.files[path.Dir(dir)]
	if !ok {
		return fs.ErrNotExist
	}
	if f.files[dir] != nil {
		return fs.ErrExist
	}
	if controllers, ok := parent["controllers"]; ok {
		f.v1(dir, strings.Fields(controllers)...)
		return nil
	}
	f.files[dir] = map[string]string{"cgroup.controllers": parent["cgroup.subtree_control"], "cgroup.subtree_control": "", "cgroup.procs": ""}
	f.fill(dir)
	return nil
}

// fill gives a version 2 group the files of its controllers.
func (f *fake) fill(dir string) {
	for _, c := range strings.Fields(f.files[dir]["cgroup.controllers"]) {
		for name, value := range map[string]map[string]string{
			"memory": {"memory.max": "max", "memory.swap.max": "max"}, "cpu": {"cpu.weight": "100", "cpu.max": "max 100000"},
			"pids": {"pids.max": "max"}, "cpuset": {"cpuset.cpus": "", "cpuset.cpus.effective": "0-3"},
		}[c] {
			if _, ok := f.files[dir][name]; !ok && (!f.swapless || name != "memory.swap.max") {
				f.files[dir][name] = value
			}
		}
	}
}

func (f *fake) rmdir(dir string) error {
	files, ok := f.files[dir]
	if !ok {
		return fs.ErrNotExist
	}
	if below, _ := f.list(dir); len(below) > 0 || files["cgroup.procs"] != "" {
		return unix.EBUSY
	}
	delete(f.files, dir)
	return nil
}

func (f *fake) list(dir string) ([]string, error) {
	if f.files[dir] == nil {
		return nil, fs.ErrNotExist
	}
	var names []string
	for d := range f.files {
		if path.Dir(d) == dir && d != dir {
			names = append(names, path.Base(d))
		}
	}
	slices.Sort(names)
	return names, nil
}

func (f *fake) read(file string) (string, error) {
	value, ok := f.files[path.Dir(file)][path.Base(file)]
	if !ok {
		return "", fs.ErrNotExist
	}
	return value, nil
}

func (f *fake) write(file, value string) error {
	dir, name := path.Dir(file), path.Base(file)
	files := f.files[dir]
	if _, ok := files[name]; !ok {
		return fs.ErrNotExist
	}
	f.written = append(f.written, file+"="+value)
	switch name {
	case "cgroup.procs":
		if value == f.ending {
			f.ending = ""
			return unix.ESRCH
		}
		for _, other := range f.files {
			if procs, ok := other["cgroup.procs"]; ok {
				other["cgroup.procs"] = strings.Join(slices.DeleteFunc(strings.Fields(procs), func(pid string) bool { return pid == value }), " ")
			}
		}
		value = strings.TrimSpace(files[name] + " " + value)
	case "cgroup.subtree_control":
		return f.enable(dir, strings.TrimPrefix(value, "+"))
	case "memory.limit_in_bytes", "memory.memsw.limit_in_bytes":
		return f.limit(files, name, value)
	case "cpu.shares":
		n, _ := strconv.ParseUint(value, 10, 64)
		value = strconv.FormatUint(min(max(n, 2), 262144), 10)
	case "cpuset.cpus":
		for _, effective := range []string{"cpuset.cpus.effective", "cpuset.effective_cpus"} {
			files[effective] = strings.TrimSpace(value)
		}
	case "memory.max":
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			value = strconv.FormatInt(n/4096*4096, 10)
		}
	}
	files[name] = value
	return nil
}

func (f *fake) enable(dir, controller string) error {
	files := f.files[dir]
	if !slices.Contains(strings.Fields(files["cgroup.controllers"]), controller) {
		return unix.ENOENT
	}
	if files["cgroup.procs"] != "" && !f.roots[dir] {
		return unix.EBUSY
	}
	files["cgroup.subtree_control"] = strings.TrimSpace(files["cgroup.subtree_control"] + " " + controller)
	below, _ := f.list(dir)
	for _, name := range below {
		d := path.Join(dir, name)
		f.files[d]["cgroup.controllers"] = files["cgroup.subtree_control"]
		f.fill(d)
	}
	return nil
}

func (f *fake) limit(files map[string]string, name, value string) error {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return unix.EINVAL
	}
	if n < 0 {
		n = 9223372036854771712
	}
	n = n / 4096 * 4096 // pages
	memory, both := bytes(files["memory.limit_in_bytes"]), bytes(files["memory.memsw.limit_in_bytes"])
	if _, ok := files["memory.memsw.limit_in_bytes"]; ok {
		if name == "memory.limit_in_bytes" && n > both || name != "memory.limit_in_bytes" && n < memory {
			return unix.EINVAL
		}
	}
	files[name] = fmt.Sprint(n)
	return nil
}
