package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"

	"golang.org/x/sys/unix"
)

// OfProcess opens the groups of a process, for joining them: in each hierarchy
// where this process is in another one. They need not belong to a [Tree].
//
// The pid may be reused meanwhile: a caller without a pidfd checks afterwards.
func OfProcess(pid int) (*Join, error) {
	var text [3]string
	for i, file := range []string{"/proc/self/mountinfo", "/proc/self/cgroup", "/proc/" + strconv.Itoa(pid) + "/cgroup"} {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("cannot find the control groups of process %d: %w", pid, err)
		}
		text[i] = string(b)
	}
	j := &Join{}
	own, its := parseMembership(text[1]), parseMembership(text[2])
	for _, h := range parseMounts(text[0]) {
		if own.group(h) == its.group(h) {
			continue
		}
		if err := j.open(h, its.group(h)); err != nil {
			j.Close()
			return nil, fmt.Errorf("cannot open the control group %s: %w", its.group(h), err)
		}
	}
	return j, nil
}

// errHidden is a group that this process can't get at.
var errHidden = errors.New("it is not below the mount here")

func (j *Join) open(h hierarchy, group string) error {
	dir := h.path(group)
	if dir == h.mount && group != h.root {
		return errHidden // path returns it for hidden groups
	}
	if h.v2 {
		f, err := openHeld(dir, unix.O_DIRECTORY|unix.O_RDONLY)
		j.V2 = f
		return err
	}
	f, err := openHeld(path.Join(dir, "tasks"), unix.O_WRONLY)
	if err == nil {
		j.Tasks = append(j.Tasks, f)
	}
	return err
}
