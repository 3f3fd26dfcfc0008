package proc

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TakeFD copies a descriptor of another process, close-on-exec.
//
// Preconditions: the caller may trace the process (root with CAP_SYS_PTRACE).
func TakeFD(pidfd *os.File, fd int) (int, error) {
	conn, err := pidfd.SyscallConn()
	if err != nil {
		return -1, err
	}
	got, takeErr := -1, error(nil)
	if err := conn.Control(func(own uintptr) { got, takeErr = unix.PidfdGetfd(int(own), fd, 0) }); err != nil {
		return -1, err
	}
	if takeErr != nil {
		return -1, fmt.Errorf("cannot copy descriptor %d of another process: %w", fd, takeErr)
	}
	return got, nil
}

// pidfdInfo is struct pidfd_info of linux/pidfd.h, its first version.
type pidfdInfo struct {
	mask     uint64
	_        uint64
	_        [11]uint32
	exitCode int32
}

const (
	pidfdInfoExit = 1 << 3
	pidfdGetInfo  = 3<<30 | 64<<16 | 0xFF<<8 | 11 // _IOWR(PIDFS_IOCTL_MAGIC, 11, struct pidfd_info)
)

// OrphanStatus is how a dead process ended that is not a child of the caller:
// from /proc while it is a zombie, from the pidfd once another has reaped it
// (Linux 6.15 and newer). ok is false if nothing can tell. A nil pidfd is none.
func OrphanStatus(pid int, startTime uint64, pidfd *os.File) (status unix.WaitStatus, ok bool) {
	if s, err := ReadStat(pid); err == nil && s.StartTime == startTime && !s.Alive() {
		return s.WaitStatus, true
	}
	if pidfd == nil {
		return 0, false
	}
	conn, err := pidfd.SyscallConn()
	if err != nil {
		return 0, false
	}
	info := pidfdInfo{mask: pidfdInfoExit}
	var errno unix.Errno
	if err := conn.Control(func(fd uintptr) {
		_, _, errno = unix.Syscall(unix.SYS_IOCTL, fd, pidfdGetInfo, uintptr(unsafe.Pointer(&info)))
	}); err != nil || errno != 0 || info.mask&pidfdInfoExit == 0 {
		return 0, false
	}
	return unix.WaitStatus(info.exitCode), true
}

// Watcher tells when processes end that are not children of the caller. It
// takes one descriptor and one goroutine for all of them.
type Watcher struct {
	epoll *os.File

	mu      sync.Mutex
	watched map[int32]watched
}

type watched struct {
	pidfd *os.File
	ended func()
}

// NewWatcher makes one.
func NewWatcher() (*Watcher, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	// So Go's own poller waits for it, not a thread.
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	w := &Watcher{epoll: os.NewFile(uintptr(fd), "watched processes"), watched: make(map[int32]watched)}
	conn, err := w.epoll.SyscallConn()
	if err != nil {
		w.epoll.Close()
		return nil, err
	}
	go func() { _ = conn.Read(w.collect) }()
	return w, nil
}

// Watch has ended called once, from the watcher's goroutine, when the process
// is dead. The pidfd has to stay open until then.
func (w *Watcher) Watch(pidfd *os.File, ended func()) error {
	target, err := pidfd.SyscallConn()
	if err != nil {
		return err
	}
	own, err := w.epoll.SyscallConn()
	if err != nil {
		return err
	}
	var addErr error
	err = errors.Join(target.Control(func(fd uintptr) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.watched[int32(fd)] = watched{pidfd, ended}
		addErr = errors.Join(addErr, own.Control(func(epoll uintptr) {
			event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT, Fd: int32(fd)}
			addErr = unix.EpollCtl(int(epoll), unix.EPOLL_CTL_ADD, int(fd), &event)
		}))
		if addErr != nil {
			delete(w.watched, int32(fd))
		}
	}), addErr)
	if err != nil {
		return fmt.Errorf("cannot watch a process: %w", err)
	}
	return nil
}

// collect reports those that are dead; it never says that it is done, so that
// it is called again when there are more.
func (w *Watcher) collect(epoll uintptr) bool {
	events := make([]unix.EpollEvent, 64)
	for {
		n, err := unix.EpollWait(int(epoll), events, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n <= 0 {
			return false
		}
		for _, event := range events[:n] {
			w.mu.Lock()
			found := w.watched[event.Fd]
			delete(w.watched, event.Fd)
			w.mu.Unlock()
			// Before it is closed, and its number another file's.
			_ = unix.EpollCtl(int(epoll), unix.EPOLL_CTL_DEL, int(event.Fd), nil)
			if found.ended != nil {
				found.ended()
			}
		}
	}
}

// Close ends the watching. Nothing is reported after it.
func (w *Watcher) Close() error { return w.epoll.Close() }

// reapPatience is how long [AwaitOrphanStatus] waits for the one who reaps.
const reapPatience = 20 * time.Millisecond

// AwaitOrphanStatus is [OrphanStatus] of a process that has just died: between
// a zombie's end and the kernel's note of it in the pidfd there is a moment.
func AwaitOrphanStatus(pid int, startTime uint64, pidfd *os.File) (status unix.WaitStatus, ok bool) {
	for end := time.Now().Add(reapPatience); ; time.Sleep(time.Millisecond) {
		if status, ok = OrphanStatus(pid, startTime, pidfd); ok || time.Now().After(end) {
			return status, ok
		}
	}
}
