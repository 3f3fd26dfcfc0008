package cred

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// keep leaves one of the ids of setresuid(2) as it is.
const keep = ^uintptr(0)

// As runs do with the effective ids of somebody else, without supplementary
// groups and, unless uid is 0, without capabilities: a file that do opens is
// one that they may open. Only the calling thread is changed, and changed back.
//
// A thread that can't be changed back stays locked to its goroutine and As
// panics: it must not continue as anybody.
//
// Preconditions: the real and saved user id is 0, CAP_SETGID and CAP_SETUID.
func As(uid, gid uint32, do func() error) error {
	runtime.LockOSThread()
	groups, err := unix.Getgroups()
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	uid0, gid0 := uintptr(unix.Geteuid()), uintptr(unix.Getegid())

	err = setgroups(nil)
	if err == nil {
		err = call(unix.SYS_SETRESGID, keep, uintptr(gid), keep)
	}
	if err == nil {
		err = call(unix.SYS_SETRESUID, keep, uintptr(uid), keep)
	}
	if err == nil {
		err = do()
	}

	back := call(unix.SYS_SETRESUID, keep, uid0, keep)
	if back == nil {
		back = call(unix.SYS_SETRESGID, keep, gid0, keep)
	}
	if back == nil {
		back = setgroups(groups)
	}
	if back != nil {
		panic("cannot take back the user id of a thread: " + back.Error())
	}
	runtime.UnlockOSThread()
	return err
}

// call is a system call that acts on this thread alone; package syscall's
// functions for ids act on all threads.
func call(trap, a, b, c uintptr) error {
	if _, _, errno := unix.RawSyscall(trap, a, b, c); errno != 0 {
		return errno
	}
	return nil
}

func setgroups(gids []int) error {
	if len(gids) == 0 {
		return call(unix.SYS_SETGROUPS, 0, 0, 0)
	}
	list := make([]uint32, len(gids))
	for i, g := range gids {
		list[i] = uint32(g)
	}
	err := call(unix.SYS_SETGROUPS, uintptr(len(list)), uintptr(unsafe.Pointer(&list[0])), 0)
	runtime.KeepAlive(list)
	return err
}
