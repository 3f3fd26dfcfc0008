package cgroup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Group is one group of a [Tree], in all its hierarchies. It may or may not
// exist; it holds nothing that has to be closed.
type Group struct {
	t    *Tree
	name string
}

// Group names a group, without making it.
func (t *Tree) Group(name string) Group { return Group{t, name} }

// List gives the names of the groups that exist in any hierarchy, sorted, but
// for the leaf of this process, and for those that systemd has made beside
// (it marks what it delegates).
func (t *Tree) List() ([]string, error) {
	var names []string
	for _, b := range t.now() {
		here, err := t.k.list(b.dir)
		if err != nil {
			return nil, fmt.Errorf("cannot list control groups: %w", err)
		}
		for _, n := range here {
			if !b.v2 || n != Leaf && !t.k.delegated(path.Join(b.dir, n)) {
				names = append(names, n)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func (g Group) dirs() []string {
	var dirs []string
	for _, b := range g.t.now() {
		dirs = append(dirs, path.Join(b.dir, g.name))
	}
	return dirs
}

// Create makes the group; one that exists is used as it is.
func (g Group) Create() error {
	if g.name == "" || g.name == "." || g.name == ".." || g.name == Leaf || strings.Contains(g.name, "/") {
		return fmt.Errorf("cannot name a control group %q", g.name)
	}
	for _, b := range g.t.now() {
		dir := path.Join(b.dir, g.name)
		if err := g.t.k.makeGroup(b.hierarchy, dir); err != nil {
			return fmt.Errorf("cannot make a control group: %w", err)
		}
	}
	return nil
}

// Join is a group's open files, by which a process joins it.
type Join struct {
	// V2 is the directory on version 2, for CLONE_INTO_CGROUP; nil if there
	// is none.
	V2 *os.File
	// Tasks are the files of version 1, to which the process writes "0".
	Tasks []*os.File
}

// Close closes all.
func (j *Join) Close() {
	if j.V2 != nil {
		j.V2.Close()
	}
	for _, f := range j.Tasks {
		f.Close()
	}
}

// Stamp tells a group from all that had, or will have, its name: the kernel
// gives no two groups of a mounted hierarchy the same inode number. An error of
// the kernel makes it equal to no other.
func (j *Join) Stamp() string {
	files := j.Files()
	stamp := make([]byte, 0, 8*len(files))
	for _, f := range files {
		var st unix.Stat_t
		if err := unix.Fstat(int(f.Fd()), &st); err != nil {
			return "" // a group that is joined has files
		}
		stamp = binary.NativeEndian.AppendUint64(stamp, st.Ino)
	}
	return string(stamp)
}

// Files are all in one list, V2 first.
func (j *Join) Files() []*os.File {
	if j.V2 == nil {
		return j.Tasks
	}
	return append([]*os.File{j.V2}, j.Tasks...)
}

// Open opens the group, which must exist, for joining.
func (g Group) Open() (*Join, error) {
	j := &Join{}
	for _, b := range g.t.now() {
		dir := path.Join(b.dir, g.name)
		var err error
		if b.v2 {
			j.V2, err = openHeld(dir, unix.O_DIRECTORY|unix.O_RDONLY)
		} else {
			var f *os.File
			if f, err = openHeld(path.Join(dir, "tasks"), unix.O_WRONLY); err == nil {
				j.Tasks = append(j.Tasks, f)
			}
		}
		if err != nil {
			j.Close()
			return nil, fmt.Errorf("cannot open a control group: %w", err)
		}
	}
	return j, nil
}

// PIDs lists the processes in the group, without those in groups below it.
func (g Group) PIDs() ([]int, error) {
	var pids []int
	for _, dir := range g.dirs() {
		words, err := g.t.k.words(path.Join(dir, "cgroup.procs"))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("cannot list the processes of a control group: %w", err)
		}
		for _, w := range words {
			if pid, err := strconv.Atoi(w); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	slices.Sort(pids)
	return slices.Compact(pids), nil
}

// ErrBusy is a group that can't be removed because processes are in it.
var ErrBusy = errors.New("there are still processes in it")

// TryRemove removes the group and those below it. The error is [ErrBusy] while
// there are processes in it; after their end that takes the kernel a moment. A
// group that does not exist is none.
func (g Group) TryRemove() error {
	var errs []error
	for _, dir := range g.dirs() {
		if err := g.t.k.removeTree(dir); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// removeTree removes a group after those below it.
func (k kernel) removeTree(dir string) error {
	err := k.rmdir(dir)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	below, listErr := k.list(dir)
	if listErr == nil && len(below) > 0 {
		for _, name := range below {
			if err := k.removeTree(path.Join(dir, name)); err != nil {
				return err
			}
		}
		err = k.rmdir(dir)
	}
	switch {
	case err == nil || errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("cannot remove the control group %s: %w", dir, ErrBusy)
	}
	return fmt.Errorf("cannot remove the control group %s: %w", dir, err)
}

// Remove is [Group.TryRemove], tried for as long as patience while the group
// is busy.
func (g Group) Remove(patience time.Duration) error {
	pause := time.Millisecond
	for deadline := time.Now().Add(patience); ; time.Sleep(pause) {
		err := g.TryRemove()
		if !errors.Is(err, ErrBusy) || !time.Now().Before(deadline) {
			return err
		}
		pause = min(2*pause, 100*time.Millisecond)
	}
}
