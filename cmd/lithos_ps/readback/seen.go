// Package readback compares the config of a running container with the kernel's
// view of it: limits, ids, capabilities, namespaces, mounts and listening
// sockets. It is a second opinion: the daemon itself reports each limit that it could not set
// (requirement M3).
//
// A restriction that a program put on itself is not a difference: a lower limit
// of open files, or another user after a start as root. Three things cannot be
// seen from outside and are not compared: the environment, the rules of a seccomp
// filter, and the host directory of a volume.
package readback

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lithos/sysx/cgroup"
	"lithos/sysx/inroot"
	"lithos/sysx/mountinfo"
	"lithos/sysx/proc"
)

// Seen is the kernel's view of a program.
type Seen struct {
	status     map[string]string // the lines of /proc/PID/status
	files      uint64            // hard limit of open files; ^0 = none
	uids, gids []idMap
	spaces     map[string]string // namespaces by kind, as the kernel names them
	mounts     []mountinfo.Mount
	at         map[string]string // ids of mounts, by paths of volumes that lead elsewhere
	limits     *cgroup.InForce
}

// idMap is a line of uid_map or gid_map.
type idMap struct{ inside, outside, count uint32 }

func (m idMap) String() string {
	return fmt.Sprintf("%d-%d to %d", m.inside, m.inside+m.count-1, m.outside)
}

// kinds are the namespaces that are looked at.
var kinds = []string{"mnt", "pid", "ipc", "uts", "user", "net"}

// ErrEnded is a program that ended while it was looked at.
var ErrEnded = errors.New("it ended meanwhile")

// Look finds out about a program. The paths are those that mounts are expected on,
// inside the container. The error is [proc.ErrSilent] if it can't be looked at now.
func Look(pid int, paths []string) (*Seen, error) {
	before, err := proc.Look(pid)
	if err != nil {
		return nil, err
	}
	// Its image or a volume may be on a file system that hangs, too.
	s, err := proc.WithDeadline(pid, func() (*Seen, error) { return look(pid, paths) })
	if errors.Is(err, proc.ErrSilent) {
		return nil, err
	}
	if after, err := proc.Look(pid); err != nil || after.StartTime != before.StartTime {
		return nil, ErrEnded
	}
	return s, err
}

func look(pid int, paths []string) (*Seen, error) {
	dir := "/proc/" + strconv.Itoa(pid) + "/"
	text := map[string]string{}
	for _, name := range []string{"status", "limits", "uid_map", "gid_map", "mountinfo"} {
		b, err := os.ReadFile(dir + name)
		if err != nil {
			return nil, err
		}
		text[name] = string(b)
	}
	s := &Seen{
		status: parseStatus(text["status"]), files: parseFiles(text["limits"]),
		uids: parseMap(text["uid_map"]), gids: parseMap(text["gid_map"]), mounts: mountinfo.Parse(text["mountinfo"]),
		at: map[string]string{},
	}
	var err error
	if s.spaces, err = spaces(pid); err != nil {
		return nil, err
	}
	if s.limits, err = cgroup.OfPID(pid); err != nil {
		return nil, err
	}
	return s, s.resolve(dir+"root", paths)
}

// spaces are the namespaces of a process.
func spaces(pid int) (map[string]string, error) {
	all := map[string]string{}
	for _, kind := range kinds {
		name, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/ns/" + kind)
		if err != nil {
			return nil, err
		}
		all[kind] = name
	}
	return all, nil
}

// resolve finds the mounts of paths that lead through symbolic links of the image.
func (s *Seen) resolve(root string, paths []string) error {
	fd := -1
	for _, path := range paths {
		if s.mountOn(path) != nil {
			continue
		}
		if fd < 0 {
			var err error
			if fd, err = unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
				return fmt.Errorf("cannot open %s: %w", root, err)
			}
			defer unix.Close(fd)
		}
		target, err := inroot.Open(fd, path, unix.O_PATH, 0)
		if err != nil {
			continue // the comparison tells that nothing is mounted there
		}
		var st unix.Statx_t
		err = unix.Statx(target, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &st)
		unix.Close(target)
		if err != nil {
			return fmt.Errorf("cannot inspect the mount on %s: %w", path, err)
		}
		if st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 {
			s.at[path] = strconv.FormatUint(st.Mnt_id, 10)
		}
	}
	return nil
}

// mountOn is the mount that one sees at a path, nil if none was made there.
func (s *Seen) mountOn(path string) *mountinfo.Mount {
	for _, m := range slices.Backward(s.mounts) {
		if m.Point == path || m.ID == s.at[path] {
			return &m
		}
	}
	return nil
}

// parseStatus reads lines such as "Name:\tvalue".
func parseStatus(text string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(line, ":"); ok {
			all[key] = strings.TrimSpace(value)
		}
	}
	return all
}

// parseFiles finds the hard limit of open files in /proc/PID/limits.
func parseFiles(text string) uint64 {
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, "Max open files")
		if f := strings.Fields(rest); ok && len(f) >= 2 {
			if n, err := strconv.ParseUint(f[1], 10, 64); err == nil {
				return n
			}
		}
	}
	return ^uint64(0)
}

func parseMap(text string) (list []idMap) {
	for line := range strings.Lines(text) {
		var m idMap
		if n, _ := fmt.Sscan(line, &m.inside, &m.outside, &m.count); n == 3 {
			list = append(list, m)
		}
	}
	return list
}
