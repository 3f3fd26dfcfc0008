package proc

import (
	"errors"
	"time"

	"lithos/sysx/patient"
)

// ErrSilent is a process that can't be looked at.
var ErrSilent = errors.New("the kernel does not tell of the process: while it executes a program, it waits for a file system that does not answer")

// looks are those of [Patiently].
var looks = patient.Calls[int]{Limit: time.Second, Next: 20 * time.Millisecond}

// Patiently calls f, which reads files of a process, or returns [ErrSilent] after
// a time. All but /proc/PID/status, comm, cmdline, cgroup, mountinfo and task/
// block while the process executes a program: the execve may close a file on a
// file system that does not answer. Code that inspects programs of containers, or
// any process, has to use it; PID 1s of containers execute nothing.
func Patiently[V any](pid int, f func() (V, error)) (V, error) {
	type result struct {
		v   V
		err error
	}
	r, ok := patient.Call(&looks, pid, func() result {
		v, err := f()
		return result{v, err}
	})
	if !ok {
		return r.v, ErrSilent
	}
	return r.v, r.err
}

// Look is [ReadStat] of any process, see [Patiently].
func Look(pid int) (*Stat, error) {
	return Patiently(pid, func() (*Stat, error) { return ReadStat(pid) })
}

// PatientlyEach is [Patiently] about many processes, one after the other.
func PatientlyEach[V any](pids []int, f func(pid int) (V, error)) (values []V, errs []error) {
	errs = make([]error, len(pids))
	type result struct {
		v   V
		err error
	}
	results, ok := patient.Each(&looks, pids, func(pid int) result {
		v, err := f(pid)
		return result{v, err}
	})
	values = make([]V, len(pids))
	for i, r := range results {
		values[i], errs[i] = r.v, r.err
		if !ok[i] {
			errs[i] = ErrSilent
		}
	}
	return values, errs
}
