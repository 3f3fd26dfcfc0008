package forkexec

import (
	"runtime"
	"syscall"
	"unsafe"
)

// holdSeconds is when a held process ends by itself: one whose maker was killed
// must not keep that one's memory.
const holdSeconds = 10

// Held is a process that does nothing but be in its namespaces, so that these
// can be opened and written to by others. It shares this process's memory,
// copies nothing and executes nothing, and takes no signal but KILL.
type Held struct {
	PID  int
	wait *syscall.Timespec
}

// rawHold is clone3 and all that the child does, see asm_*.s.
func rawHold(args, size, wait uintptr) (pid, errno uintptr)

// Hold makes a process in new namespaces (CLONE_NEWUSER and the like), to be
// ended by [Held.End] within some seconds. wait4(-1) elsewhere in the process
// doesn't see it: it has no exit signal.
func Hold(namespaces uint64) (*Held, error) {
	args := &cloneArgs{flags: namespaces | syscall.CLONE_VM | cloneClearSighand}
	h := &Held{wait: &syscall.Timespec{Sec: holdSeconds}}
	pid, errno := hold(args, h.wait)
	runtime.KeepAlive(args)
	if errno != 0 {
		return nil, &Error{Step: -1, Name: "clone3", Errno: syscall.Errno(errno)}
	}
	h.PID = int(pid)
	return h, nil
}

// hold has all signals blocked around the clone, in the child for ever: it
// must not run a handler on the memory that it shares.
//
//go:noinline
//go:norace
//go:nocheckptr
func hold(args *cloneArgs, wait *syscall.Timespec) (pid, errno uintptr) {
	runtimeBeforeFork()
	pid, errno = rawHold(uintptr(unsafe.Pointer(args)), unsafe.Sizeof(*args), uintptr(unsafe.Pointer(wait)))
	runtimeAfterFork()
	return pid, errno
}

// End kills the process and reaps it.
func (h *Held) End() {
	_ = syscall.Kill(h.PID, syscall.SIGKILL) // it can't be somebody else: it is not reaped yet
	wait4(h.PID, wClone)
	runtime.KeepAlive(h.wait)
}
