package sock

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"lithos/sysx/thread"
)

// Options say what to listen on, and how.
type Options struct {
	Addr netip.AddrPort
	// V6Only says whether a v6 socket at :: takes v4 connections.
	V6Only V6Only
	// Backlog is the length of the accept queue; the kernel caps it at
	// net.core.somaxconn.
	Backlog   int
	ReuseAddr bool
	ReusePort bool
	// NonBlock sets O_NONBLOCK, which all who share the socket share.
	NonBlock bool
	// UID and GID own the socket (fsuid and fsgid while it is made): the
	// kernel lets only sockets of one owner share a port by ReusePort, and
	// firewall rules can match the owner.
	UID, GID uint32
	// Network is the network namespace to listen in, nil = the caller's.
	Network *os.File
}

// V6Only is IPV6_V6ONLY, see ipv6(7).
type V6Only uint8

// The sysctl is net.ipv6.bindv6only of the network that the socket is made in.
const (
	V6OnlyBySysctl V6Only = iota
	V6OnlyYes
	V6OnlyNo
)

// Listen makes a listening socket, close-on-exec.
//
// Preconditions: the caller may set fsuid and fsgid (root). The calling
// thread's own are the same afterwards.
func Listen(o Options) (f *os.File, err error) {
	// A thread of its own: it can't go back from another network, and perhaps
	// not to its ids.
	thread.Spend(func() {
		if err = enter(o.Network); err == nil {
			f, err = asOwner(o)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w%s", o.Addr, err, advice(err))
	}
	return f, nil
}

func enter(network *os.File) error {
	if network == nil {
		return nil
	}
	return os.NewSyscallError("setns", unix.Setns(int(network.Fd()), unix.CLONE_NEWNET))
}

func advice(err error) string {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return " (see who has it: ss -ltnp)"
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return " (no interface of this host has the address: ip addr)"
	case errors.Is(err, unix.EAFNOSUPPORT):
		return " (IPv6 is switched off on this host)"
	}
	return ""
}

var errThread = errors.New("could not set the owner of the socket (fsuid, fsgid)")

// asOwner listens with the thread's fsuid and fsgid changed.
//
// Preconditions: the thread is locked. With errThread it is of no more use.
func asOwner(o Options) (f *os.File, err error) {
	uid, gid := setfsid(unix.SYS_SETFSUID, ^uint32(0)), setfsid(unix.SYS_SETFSGID, ^uint32(0))
	// The group first: without fsuid 0 the right to set it may be gone.
	setfsid(unix.SYS_SETFSGID, o.GID)
	setfsid(unix.SYS_SETFSUID, o.UID)
	if setfsid(unix.SYS_SETFSUID, ^uint32(0)) == o.UID && setfsid(unix.SYS_SETFSGID, ^uint32(0)) == o.GID {
		f, err = listen(o)
	} else {
		err = fmt.Errorf("%w: %w", errThread, unix.EPERM)
	}
	setfsid(unix.SYS_SETFSUID, uid)
	setfsid(unix.SYS_SETFSGID, gid)
	if setfsid(unix.SYS_SETFSUID, ^uint32(0)) != uid || setfsid(unix.SYS_SETFSGID, ^uint32(0)) != gid {
		if f != nil {
			f.Close()
		}
		return nil, errThread
	}
	return f, err
}

// setfsid returns the id before; the calls report no errors. An id of -1
// changes nothing.
func setfsid(trap uintptr, id uint32) uint32 {
	before, _, _ := unix.RawSyscall(trap, uintptr(id), 0, 0)
	return uint32(before)
}

func listen(o Options) (*os.File, error) {
	addr := o.Addr.Addr().Unmap()
	family := unix.AF_INET
	if addr.Is6() {
		family = unix.AF_INET6
	}
	if !addr.IsValid() {
		return nil, errors.New("no address")
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	// The file is made while the descriptor is blocking: os.NewFile would add
	// a non-blocking one to Go's poller, and each connection of a container
	// would wake up this process.
	f := os.NewFile(uintptr(fd), "listener "+o.Addr.String())
	if err := setUp(fd, addr, o); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func setUp(fd int, addr netip.Addr, o Options) error {
	set := func(level, option int, on bool) error {
		value := 0
		if on {
			value = 1
		}
		return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, level, option, value))
	}
	if err := set(unix.SOL_SOCKET, unix.SO_REUSEADDR, o.ReuseAddr); err != nil {
		return err
	}
	if err := set(unix.SOL_SOCKET, unix.SO_REUSEPORT, o.ReusePort); err != nil {
		return err
	}
	if addr.Is6() && o.V6Only != V6OnlyBySysctl {
		if err := set(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, o.V6Only == V6OnlyYes); err != nil {
			return err
		}
	}
	sa, err := sockaddr(fd, netip.AddrPortFrom(addr, o.Addr.Port()))
	if err != nil {
		return err
	}
	if err := unix.Bind(fd, sa); err != nil {
		return os.NewSyscallError("bind", err)
	}
	if err := unix.Listen(fd, o.Backlog); err != nil {
		return os.NewSyscallError("listen", err)
	}
	return os.NewSyscallError("fcntl", unix.SetNonblock(fd, o.NonBlock))
}

func sockaddr(fd int, a netip.AddrPort) (unix.Sockaddr, error) {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}, nil
	}
	zone, err := zoneID(fd, a.Addr().Zone())
	if err != nil {
		return nil, err
	}
	return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port()), ZoneId: zone}, nil
}

// zoneID is the index of an interface, given as its name or number.
func zoneID(fd int, zone string) (uint32, error) {
	if zone == "" {
		return 0, nil
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n), nil
	}
	req, err := unix.NewIfreq(zone)
	if err == nil {
		err = unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, req)
	}
	if err != nil {
		return 0, fmt.Errorf("no network interface %q: %w", zone, err)
	}
	return req.Uint32(), nil
}
