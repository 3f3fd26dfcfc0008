package forkexec

import (
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"lithos/sysx/eintr"
	"lithos/sysx/forkexec/nofile"
)

// Attr says what to start.
type Attr struct {
	Path string   // for execve, as the child sees it
	Argv []string // with argv[0]
	Env  []string // NAME=VALUE
	// PIDEnv are names of variables set to the child's own pid, as it is in
	// the child's pid namespace. They take the place of the same in Env.
	PIDEnv []string

	// Flags are flags of clone3, namespaces: CLONE_NEWNS and the like.
	Flags uint64
	// PIDFD asks for a pidfd of the child.
	PIDFD bool
	// UseCgroupFD puts the child into the cgroup v2 directory CgroupFD.
	UseCgroupFD bool
	CgroupFD    int
	// TID is the pid to have, in the innermost pid namespace of the child;
	// 0 = any. Where it can't be had (no privilege, already in use) it is any.
	TID int

	// Steps run first, while all descriptors have the parent's numbers.
	Steps *Plan
	// FDs are the descriptors that the program has: target i is FDs[i], and
	// is closed where that is negative. Any other is closed.
	FDs []int
	// Keep are descriptors above all targets that Last needs under the
	// parent's numbers, in ascending order. Last has to close them.
	Keep []int
	// Last runs after the descriptors are in place and RLIMIT_NOFILE has been
	// reset to what the parent was started with.
	Last *Plan
}

// Error is a start that failed.
type Error struct {
	// Step is the index of the failing step in Attr.Steps, Attr.Last counting
	// on from there; -1 if it was none of them.
	Step  int
	Name  string // the failed call: "clone3", a step's name, "exec PATH"
	Errno syscall.Errno
}

// Error says what failed.
func (e *Error) Error() string { return "cannot " + e.Name + ": " + e.Errno.Error() }

// Unwrap gives the errno, for errors.Is.
func (e *Error) Unwrap() error { return e.Errno }

// wClone makes wait4 see only children without an exit signal: __WCLONE.
const wClone = 0x80000000

// Start forks and returns when the child has executed Path (or failed to). The
// pid is the one in the caller's namespace; pidfd is -1 unless asked for, and
// close-on-exec. The error is an [*Error], or says what of a is wrong.
//
// Namespaces, credentials and the like are inherited from the calling thread:
// a caller that changed those of its thread must have locked it.
func Start(a *Attr) (pid, pidfd int, err error) {
	j, err := newJob(a)
	if err != nil {
		return 0, -1, err
	}
	child, errno := j.fork()
	if j.args.setTIDSize != 0 && (errno == syscall.EPERM || errno == syscall.EEXIST || errno == syscall.EINVAL) {
		j.args.setTID, j.args.setTIDSize = 0, 0
		child, errno = j.fork()
	}
	runtime.KeepAlive(a)
	if errno != 0 {
		return 0, -1, &Error{Step: -1, Name: "clone3", Errno: errno}
	}
	if failed := j.failure(child); failed != nil {
		if j.pidfd >= 0 {
			syscall.Close(int(j.pidfd))
		}
		return 0, -1, failed
	}
	return child, int(j.pidfd), nil
}

// failure reaps a child that did not get to its program and says why.
func (j *job) failure(pid int) error {
	if j.failErrno != 0 {
		wait4(pid, wClone)
		return &Error{Step: j.userStep(j.failStep), Name: j.plan.steps[j.failStep].Name, Errno: j.failErrno}
	}
	// The parent resumes when the child releases the memory, by execve or by
	// dying. A child without an exit signal is one that is dying.
	if _, err := wait4(pid, wClone|syscall.WNOHANG); err == nil {
		wait4(pid, wClone)
		return &Error{Step: -1, Name: "exec " + j.path + " (killed before it ran)", Errno: syscall.ECHILD}
	}
	return nil
}

// userStep is the index that the caller knows a step by, -1 if it is ours.
func (j *job) userStep(i int) int {
	switch {
	case i < j.stepsEnd:
		return i
	case i >= j.lastBegin && i < j.lastEnd:
		return i - j.lastBegin + j.stepsEnd
	}
	return -1
}

func wait4(pid, flags int) (int, error) {
	return eintr.Get(func() (int, error) { return syscall.Wait4(pid, nil, flags, nil) })
}

// newJob lays out everything that the child reads or writes.
func newJob(a *Attr) (*job, error) {
	j := &job{path: a.Path, pidfd: -1}
	var err error
	if j.argv0, err = syscall.BytePtrFromString(a.Path); err != nil {
		return nil, &Error{Step: -1, Name: "exec " + strconv.Quote(a.Path), Errno: syscall.EINVAL}
	}
	if len(a.Argv) == 0 {
		return nil, &Error{Step: -1, Name: "exec " + a.Path + " without argv[0]", Errno: syscall.EINVAL}
	}
	if j.argv, err = syscall.SlicePtrFromStrings(a.Argv); err != nil {
		return nil, &Error{Step: -1, Name: "pass arguments with a NUL", Errno: syscall.EINVAL}
	}
	if err := j.environ(a.Env, a.PIDEnv); err != nil {
		return nil, err
	}
	j.steps(a)
	j.setArgs(a)
	return j, nil
}

// pidDigits is enough for a 32 bit pid and the NUL.
const pidDigits = 12

// environ makes envp with room for the pid in the entries of names.
func (j *job) environ(env, names []string) error {
	isPID := make(map[string]bool, len(names))
	for _, n := range names {
		isPID[n] = true
	}
	for _, e := range env {
		if n, _, _ := strings.Cut(e, "="); isPID[n] {
			continue
		}
		p, err := syscall.BytePtrFromString(e)
		if err != nil {
			return &Error{Step: -1, Name: "pass a variable with a NUL", Errno: syscall.EINVAL}
		}
		j.envp = append(j.envp, p)
	}
	for _, n := range names {
		if !isPID[n] {
			continue // named twice
		}
		delete(isPID, n)
		if strings.IndexByte(n, 0) >= 0 {
			return &Error{Step: -1, Name: "pass a variable with a NUL", Errno: syscall.EINVAL}
		}
		buf := make([]byte, len(n)+1+pidDigits)
		copy(buf, n)
		buf[len(n)] = '='
		j.envp = append(j.envp, &buf[0])
		j.pidBufs = append(j.pidBufs, buf[len(n)+1:])
	}
	j.envp = append(j.envp, nil)
	return nil
}

// steps puts the caller's steps and ours in their order, see the package
// comment.
func (j *job) steps(a *Attr) {
	room := 2*len(a.FDs) + len(a.Keep) + 3 // see descriptors, and ours
	for _, p := range []*Plan{a.Steps, a.Last} {
		if p != nil {
			room += p.Len()
		}
	}
	j.plan.Grow(room)
	if a.Steps != nil {
		j.plan.append(a.Steps)
	}
	j.stepsEnd = j.plan.Len()
	descriptors(&j.plan, a.FDs, a.Keep)
	j.resetNofile()
	j.lastBegin = j.plan.Len()
	if a.Last != nil {
		j.plan.append(a.Last)
	}
	j.lastEnd = j.plan.Len()
	j.plan.Raw("exec "+a.Path, syscall.SYS_EXECVE, uintptr(unsafe.Pointer(j.argv0)),
		uintptr(unsafe.Pointer(&j.argv[0])), uintptr(unsafe.Pointer(&j.envp[0])))
}

// append copies the steps, because the child writes to them, see Step.Feed.
func (p *Plan) append(more *Plan) {
	p.steps = append(p.steps, more.steps...)
	p.keep = append(p.keep, more.keep...)
}

// descriptors adds the steps by which each target becomes its descriptor. A
// source that a target could overwrite is duplicated above all targets first.
// The others are closed at once, not by the execve: a step of Last that looks up
// a path, or the execve itself, could be led to one of them by /proc/self/fd.
func descriptors(p *Plan, fds, keep []int) {
	moved := make(map[int]int) // target: index of the step that moves its source
	for target, fd := range fds {
		if fd >= 0 && fd < len(fds) {
			moved[target] = p.Len()
			p.Raw("duplicate descriptor "+strconv.Itoa(fd), syscall.SYS_FCNTL,
				uintptr(fd), syscall.F_DUPFD_CLOEXEC, uintptr(len(fds)))
		}
	}
	for target, fd := range fds {
		if fd < 0 {
			p.CloseRange(uint32(target), uint32(target), 0)
			continue
		}
		if at, ok := moved[target]; ok {
			p.steps[at].Feed = p.Len() - at
		}
		p.Dup3(fd, target, 0)
		p.steps[p.Len()-1].Name = "pass descriptor " + strconv.Itoa(fd) + " as " + strconv.Itoa(target)
	}
	first := uint32(len(fds))
	for _, fd := range keep {
		if uint32(fd) > first {
			p.CloseRange(first, uint32(fd)-1, 0)
		}
		first = uint32(fd) + 1
	}
	p.CloseRange(first, ^uint32(0), 0)
}

// resetNofile undoes what package syscall did to RLIMIT_NOFILE at start-up
// unless somebody changed it again.
func (j *job) resetNofile() {
	var now syscall.Rlimit
	if nofile.Hard == 0 || syscall.Getrlimit(syscall.RLIMIT_NOFILE, &now) != nil {
		return
	}
	if now.Max == nofile.Hard && now.Cur == nofile.Hard-1 && nofile.Soft < now.Cur {
		j.plan.Setrlimit(RlimitNofile, nofile.Soft, nofile.Hard)
	}
}
