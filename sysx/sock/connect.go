package sock

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"lithos/sysx/thread"
)

// Connect makes a TCP connection from a network namespace, that of the file or,
// with a pidfd, that of the process; nil = the caller's. The deadline of the
// context is the connection's afterwards.
//
// Preconditions: root, for another network.
func Connect(ctx context.Context, network *os.File, to netip.AddrPort) (conn net.Conn, err error) {
	var f *os.File
	make := func() {
		if err = enter(network); err == nil {
			f, err = clientSocket(to)
		}
	}
	if network == nil {
		make()
	} else {
		thread.Spend(make) // it can't go back
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() // the connection has a copy
	// From here on it makes no difference where this thread is: the socket
	// stays in the network that it was made in.
	conn, err = net.FileConn(f)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		err = conn.SetDeadline(deadline)
	}
	opened := conn // the result may be replaced while this one is closed
	stop := context.AfterFunc(ctx, func() { opened.Close() })
	defer stop()
	if err == nil {
		err = connect(conn, to)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func clientSocket(to netip.AddrPort) (*os.File, error) {
	family := unix.AF_INET
	if to.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_TCP)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	return os.NewFile(uintptr(fd), "connection to "+to.String()), nil
}

// connect waits until the connection is made, or refused.
func connect(conn net.Conn, to netip.AddrPort) error {
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	begun := false
	var failed error
	// Writable is a connection that is made, or one that failed.
	err = raw.Write(func(fd uintptr) bool {
		if begun {
			failed = socketError(int(fd))
			return true
		}
		begun = true
		sa, err := sockaddr(int(fd), to)
		if err == nil {
			err = unix.Connect(int(fd), sa)
		}
		failed = err
		return !errors.Is(err, unix.EINPROGRESS)
	})
	if err != nil {
		return err
	}
	return failed
}

// socketError is what became of what a socket had been asked for.
func socketError(fd int) error {
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && n != 0 {
		err = unix.Errno(n)
	}
	return err
}
