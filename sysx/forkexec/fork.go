package forkexec

import (
	"runtime"
	"syscall"
	"unsafe"
)

// cloneArgs is the kernel's struct clone_args.
type cloneArgs struct {
	flags      uint64
	pidFD      uint64
	childTID   uint64
	parentTID  uint64
	exitSignal uint64
	stack      uint64
	stackSize  uint64
	tls        uint64
	setTID     uint64
	setTIDSize uint64
	cgroup     uint64
}

// Flags of clone3 that package syscall lacks.
const (
	cloneClearSighand = 0x100000000
	cloneIntoCgroup   = 0x200000000
	clonePIDFD        = 0x1000
)

// job is one start: all the memory that the child uses, on the heap, so that
// it has one address as long as the job is alive.
type job struct {
	path  string
	argv0 *byte
	argv  []*byte
	envp  []*byte
	plan  Plan

	// The caller's steps in plan: [0, stepsEnd) and [lastBegin, lastEnd).
	stepsEnd, lastBegin, lastEnd int

	// pidBufs are the values in envp that the child fills in.
	pidBufs [][]byte

	args   cloneArgs
	tid    int32
	pidfd  int32
	mask   uint64 // the thread's signal mask
	digits [pidDigits]byte

	// Written by a child that fails.
	failStep  int
	failErrno syscall.Errno
}

func (j *job) setArgs(a *Attr) {
	j.args.flags = a.Flags | syscall.CLONE_VM | syscall.CLONE_VFORK | cloneClearSighand
	if a.PIDFD {
		j.args.flags |= clonePIDFD
		j.args.pidFD = uint64(uintptr(unsafe.Pointer(&j.pidfd)))
	}
	if a.UseCgroupFD {
		j.args.flags |= cloneIntoCgroup
		j.args.cgroup = uint64(a.CgroupFD)
	}
	if a.TID != 0 {
		j.tid = int32(a.TID)
		j.args.setTID = uint64(uintptr(unsafe.Pointer(&j.tid)))
		j.args.setTIDSize = 1
	}
}

// rawVfork is clone3, see asm_*.s.
func rawVfork(args, size uintptr) (pid, errno uintptr)

//go:linkname runtimeBeforeFork syscall.runtime_BeforeFork
func runtimeBeforeFork()

//go:linkname runtimeAfterFork syscall.runtime_AfterFork
func runtimeAfterFork()

// fork is clone3 and all that the child does.
func (j *job) fork() (pid int, errno syscall.Errno) {
	// The mask is the thread's: read and inherited on the same one.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, sigSetmask, 0, uintptr(unsafe.Pointer(&j.mask)), sigsetSize, 0, 0)
	p, e := forkChild(j)
	runtimeAfterFork()
	runtime.KeepAlive(j)
	return int(p), syscall.Errno(e)
}

// forkChild returns in the parent only, and there at once: the child runs in
// this very stack frame while the parent is suspended, so all that the parent
// may use of it are the return address and what rawVfork returned after the
// child was gone.
//
// In the child nothing may allocate, grow the stack, lock, or write a pointer;
// the race detector must not look.
//
//go:noinline
//go:norace
//go:nocheckptr
func forkChild(j *job) (pid, errno uintptr) {
	var (
		i, k, n int
		r       uintptr
		e       syscall.Errno
		s       *Step
		buf     []byte
	)
	runtimeBeforeFork() // blocks all signals, and makes stack growth a crash
	pid, errno = rawVfork(uintptr(unsafe.Pointer(&j.args)), unsafe.Sizeof(j.args))
	if errno != 0 || pid != 0 {
		return pid, errno
	}

	syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, sigSetmask, uintptr(unsafe.Pointer(&j.mask)), 0, sigsetSize, 0, 0)

	// The pid in decimal, backwards, then into each of the variables.
	r, _, _ = syscall.RawSyscall6(syscall.SYS_GETPID, 0, 0, 0, 0, 0, 0)
	for n = 0; r != 0 && n < len(j.digits); n++ {
		j.digits[n] = byte('0' + r%10)
		r /= 10
	}
	for i = range j.pidBufs {
		buf = j.pidBufs[i]
		for k = 0; k < n && k < len(buf); k++ {
			buf[k] = j.digits[n-1-k]
		}
	}

	for i = range j.plan.steps {
		s = &j.plan.steps[i]
		r, _, e = syscall.RawSyscall6(s.Trap, s.Args[0], s.Args[1], s.Args[2], s.Args[3], s.Args[4], s.Args[5])
		if e != 0 {
			if s.IgnoreErr {
				continue
			}
			j.failStep, j.failErrno = i, e
			break
		}
		if s.Feed > 0 && i+s.Feed < len(j.plan.steps) {
			j.plan.steps[i+s.Feed].Args[0] = r
		}
	}
	for {
		syscall.RawSyscall6(syscall.SYS_EXIT_GROUP, 253, 0, 0, 0, 0, 0)
	}
}
