package sock

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Restored is a report of what [Restore] found on a socket that its programs
// have changed.
type Restored struct {
	// Revived: it accepted no connections any more, because a program called
	// shutdown(2) on it, and does so again.
	Revived bool
	// Changed names the options that were not as asked for, and are now.
	Changed []string
}

// Accepts tells whether a socket accepts connections: whether no program has
// called shutdown(2) on it, which is for all who share it.
func Accepts(f *os.File) (accepts bool, err error) {
	err = control(f, func(fd int) error {
		n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
		accepts = n != 0
		return os.NewSyscallError("getsockopt", err)
	})
	return accepts, err
}

// NonBlocking tells whether O_NONBLOCK is set, which is for all who share it.
func NonBlocking(f *os.File) (set bool, err error) {
	err = control(f, func(fd int) error {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		set = flags&unix.O_NONBLOCK != 0
		return os.NewSyscallError("fcntl", err)
	})
	return set, err
}

// Restore brings a socket back into the state in which [Listen] made it. All of
// that state belongs to the open file description (open(2), socket(7)), so it
// outlives the program that changed it and is the same for all who share the
// socket.
//
// With shared, living programs have it too. Then only that is restored which
// can't hurt one that has set it for itself: O_NONBLOCK is set but not cleared,
// since an event loop would block in accept(2), and options that accepted
// connections inherit stay.
func Restore(f *os.File, o Options, shared bool) (r Restored, err error) {
	err = control(f, func(fd int) error {
		r, err = restore(fd, o, shared)
		return err
	})
	if err != nil {
		return r, fmt.Errorf("cannot restore the socket of %s: %w", o.Addr, err)
	}
	return r, nil
}

// control calls a function with the descriptor, which stays open meanwhile.
func control(f *os.File, call func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := conn.Control(func(fd uintptr) { failed = call(int(fd)) }); err != nil {
		return err
	}
	return failed
}

func restore(fd int, o Options, shared bool) (r Restored, err error) {
	accepts, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return r, os.NewSyscallError("getsockopt", err)
	}
	if r.Revived = accepts == 0; r.Revived {
		if err := disconnect(fd); err != nil {
			return r, err
		}
	}
	// On one that listens it sets the backlog.
	if err := unix.Listen(fd, o.Backlog); err != nil {
		return r, os.NewSyscallError("listen", err)
	}
	if err := r.nonBlock(fd, o.NonBlock, shared); err != nil {
		return r, err
	}
	for _, o := range inherited {
		if shared && !o.whileShared {
			continue
		}
		if err := r.clear(fd, o); err != nil {
			return r, err
		}
	}
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
	switch {
	case err == nil:
		r.Changed = append(r.Changed, "SO_ATTACH_FILTER")
	case !errors.Is(err, unix.ENOENT) && !shared: // EPERM after SO_LOCK_FILTER
		return r, os.NewSyscallError("setsockopt SO_DETACH_FILTER", err)
	}
	return r, nil
}

// disconnect is connect(2) to an address of the family AF_UNSPEC; the port stays
// bound. It is for a socket that does not listen: a program may have connected it
// to somewhere, or have called shutdown(2) a second time, which listen(2) alone does
// not undo: each connection that is accepted then is shut down, too.
func disconnect(fd int) error {
	nowhere := unix.RawSockaddr{Family: unix.AF_UNSPEC}
	_, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&nowhere)), unsafe.Sizeof(nowhere))
	if errno != 0 {
		return os.NewSyscallError("connect", errno)
	}
	return nil
}

func (r *Restored) nonBlock(fd int, wanted, shared bool) error {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	if is := flags&unix.O_NONBLOCK != 0; is == wanted || is && shared {
		return nil
	}
	r.Changed = append(r.Changed, "O_NONBLOCK")
	return os.NewSyscallError("fcntl", unix.SetNonblock(fd, wanted))
}

// inherited are the options that programs set on a listening socket because
// accepted connections inherit them. None is set on a new socket.
var inherited = []option{
	// A server that speaks first, after one that does not, would wait for the
	// whole of its time. A program that has set it loses nothing but a wakeup.
	numeric("TCP_DEFER_ACCEPT", unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT).evenShared(),
	numeric("SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE),
	numeric("TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY),
	{name: "SO_LINGER",
		set: func(fd int) (bool, error) {
			linger, err := unix.GetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER)
			return err == nil && linger.Onoff != 0, err
		},
		clear: func(fd int) error {
			return unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{})
		}},
	timeout("SO_RCVTIMEO", unix.SO_RCVTIMEO), // of accept(2), too
	timeout("SO_SNDTIMEO", unix.SO_SNDTIMEO),
}

type option struct {
	name        string
	set         func(fd int) (bool, error)
	clear       func(fd int) error
	whileShared bool // clearing it can't hurt a program that has set it
}

func (o option) evenShared() option {
	o.whileShared = true
	return o
}

func numeric(name string, level, number int) option {
	return option{name: name,
		set: func(fd int) (bool, error) {
			n, err := unix.GetsockoptInt(fd, level, number)
			return n != 0, err
		},
		clear: func(fd int) error { return unix.SetsockoptInt(fd, level, number, 0) },
	}
}

func timeout(name string, number int) option {
	return option{name: name,
		set: func(fd int) (bool, error) {
			t, err := unix.GetsockoptTimeval(fd, unix.SOL_SOCKET, number)
			return err == nil && t.Nano() != 0, err
		},
		clear: func(fd int) error {
			return unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, number, &unix.Timeval{})
		},
	}
}

// clear clears an option that is set.
func (r *Restored) clear(fd int, o option) error {
	set, err := o.set(fd)
	if err == nil && set {
		r.Changed = append(r.Changed, o.name)
		err = o.clear(fd)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", o.name, err)
	}
	return nil
}
