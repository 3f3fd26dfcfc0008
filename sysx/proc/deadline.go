package proc

import (
	"errors"
	"time"

	"lithos/sysx/deadline"
)

// ErrSilent is a process that can't be looked at.
var ErrSilent = errors.New("the kernel does not tell of the process: while it executes a program, it waits for a file system that does not answer")

// looks are those of [WithDeadline].
var looks = deadline.Calls[int]{Limit: time.Second, Next: 20 * time.Millisecond}

// WithDeadline does f, which reads what the kernel tells of a process; the error is
// [ErrSilent] if that does not return in time. All files of /proc/PID but status,
// comm, cmdline, cgroup, mountinfo and task/ wait while the process executes a
// program; a file that is closed by that may be on a file system that does not
// answer. Use it to look at a container's programs, or at any process; PID 1s of
// containers do not execute anything.
func WithDeadline[V any](pid int, f func() (V, error)) (V, error) {
	v, err := deadline.Call(&looks, pid, f)
	return v, silent(err)
}

// Look is [ReadStat] of any process, see [WithDeadline].
func Look(pid int) (*Stat, error) {
	return WithDeadline(pid, func() (*Stat, error) { return ReadStat(pid) })
}

// EachWithDeadline is [WithDeadline] for many processes, one after the other.
func EachWithDeadline[V any](pids []int, f func(pid int) (V, error)) (values []V, errs []error) {
	values, errs = deadline.Each(&looks, pids, f)
	for i, err := range errs {
		errs[i] = silent(err)
	}
	return values, errs
}

func silent(err error) error {
	if err == deadline.ErrExceeded {
		return ErrSilent
	}
	return err
}
