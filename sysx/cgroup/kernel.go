package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// kernel has this package's calls of the file system, so that a test can
// pretend another host.
type kernel struct {
	mkdir func(dir string) error
	rmdir func(dir string) error
	write func(file, value string) error
	read  func(file string) (string, error)
	// list gives the names of the directories in dir.
	list func(dir string) ([]string, error)
	// delegated says whether the group is marked as handed over to us.
	delegated func(dir string) bool
	// own says whether this package made the group, in an earlier life too.
	own func(dir string) bool
	// device is the number of the whole disk that a block device is of, or
	// is a part of: "8:0".
	device func(path string) (string, error)
}

var realKernel = kernel{
	mkdir: func(dir string) error {
		err := os.Mkdir(dir, 0o755)
		if err == nil {
			// Without the mark a successor takes it for somebody else's and
			// leaves it: no reason to fail.
			_ = unix.Setxattr(dir, ownMark, []byte("1"), 0)
		}
		return err
	},
	rmdir: unix.Rmdir,
	write: write,
	read: func(file string) (string, error) {
		text, err := read(file)
		return strings.TrimSpace(text), err
	},
	list:      list,
	delegated: delegated,
	own:       func(dir string) bool { return hasMark(dir, ownMark) },
	device:    device,
}

// ownMark is an extended attribute of the groups that this package made.
const ownMark = "trusted.made-by-supervisor"

func list(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// delegated looks for the mark that systemd sets on groups of units with
// Delegate=yes.
func delegated(dir string) bool {
	return hasMark(dir, "trusted.delegate") || hasMark(dir, "user.delegate")
}

func hasMark(dir, name string) bool {
	var value [8]byte
	n, err := unix.Getxattr(dir, name, value[:])
	return err == nil && string(value[:n]) == "1"
}

// ensure makes a directory; one that exists is as good.
func (k kernel) ensure(dir string) error {
	err := k.mkdir(dir)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case errors.Is(err, unix.EAGAIN):
		return fmt.Errorf("%w (cgroup.max.descendants, or cgroup.max.depth, of a group above it is reached)", err)
	}
	return err
}

// words reads a file of names.
func (k kernel) words(file string) ([]string, error) {
	text, err := k.read(file)
	return strings.Fields(text), err
}

// ensureCpuset gives a new version 1 group the CPUs and memory nodes of its
// parent: without any it takes no processes.
func (k kernel) ensureCpuset(dir string) error {
	for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
		own, err := k.read(path.Join(dir, name))
		if err != nil || own != "" {
			return err
		}
		value, err := k.read(path.Join(path.Dir(dir), name))
		if err != nil {
			return err
		}
		if err := k.write(path.Join(dir, name), value); err != nil {
			return err
		}
	}
	return nil
}

// makeGroup makes one group of a hierarchy.
func (k kernel) makeGroup(h hierarchy, dir string) error {
	if err := k.ensure(dir); err != nil {
		return err
	}
	if slices.Contains(h.controllers, "cpuset") {
		return k.ensureCpuset(dir)
	}
	return nil
}
