package sock

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lithos/sysx/proc"
)

// States of a TCP socket, see include/net/tcp_states.h of the kernel. A listening
// socket is in the second after shutdown(2), and keeps its address.
const (
	tcpListen = 10
	tcpClose  = 7
)

// Taken is a listening socket that was made by [Listen] in another process. One that
// was shut down is taken as well, for [Restore]: it has kept its address. The file is
// the same kind as Listen's: Go's poller never sees it, also if it is non-blocking,
// which is for all who share it.
type Taken struct {
	File      *os.File
	Addr      netip.AddrPort
	ReusePort bool
}

// FromFD makes a file of the descriptor of such a socket; it takes the descriptor in
// any case. An error says that it is none.
func FromFD(fd int) (*Taken, error) {
	defer unix.Close(fd)
	addr, err := listensOn(fd)
	if err != nil {
		return nil, err
	}
	reusePort, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT)
	if err != nil {
		return nil, os.NewSyscallError("getsockopt SO_REUSEPORT", err)
	}
	f, err := blockingFile(fd, "listener "+addr.String())
	if err != nil {
		return nil, err
	}
	return &Taken{File: f, Addr: addr, ReusePort: reusePort != 0}, nil
}

// Is tells whether it listens on that address, which may be written in another way.
func (t *Taken) Is(addr netip.AddrPort) bool {
	return t.Addr == netip.AddrPortFrom(addr.Addr().Unmap().WithZone(""), addr.Port())
}

// blockingFile copies a descriptor to a file that Go's poller leaves alone.
func blockingFile(fd int, name string) (*os.File, error) {
	// os.NewFile looks once whether a descriptor is non-blocking: so it
	// gets one that is not, and the socket is put in its place.
	place, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("open /dev/null", err)
	}
	f := os.NewFile(uintptr(place), name)
	if err := unix.Dup3(fd, place, unix.O_CLOEXEC); err != nil {
		f.Close()
		return nil, os.NewSyscallError("dup3", err)
	}
	return f, nil
}

// TakeFrom copies the sockets that listen on the addresses out of a process, nil =
// it has none there. The errors are of sockets that could not be looked at.
//
// Preconditions: those of [proc.TakeFD].
func TakeFrom(pid int, pidfd *os.File, wanted ...netip.AddrPort) (files []*os.File, errs []error) {
	taken, errs := take(pid, pidfd, func(int) error { return nil })
	files = make([]*os.File, len(wanted))
	for _, t := range taken {
		if i := slices.IndexFunc(wanted, t.Is); i >= 0 && files[i] == nil {
			files[i] = t.File
		} else {
			_ = t.File.Close()
		}
	}
	return files, errs
}

// TakeAll copies all listening sockets of this network namespace out of a process, one
// for each address. The errors are of sockets that could not be looked at.
//
// Preconditions: those of [proc.TakeFD].
func TakeAll(pid int, pidfd *os.File) (taken []Taken, errs []error) { return take(pid, pidfd, here) }

func take(pid int, pidfd *os.File, is func(fd int) error) (taken []Taken, errs []error) {
	dir := fmt.Sprintf("/proc/%d/fd/", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		errs = append(errs, err)
	}
	for _, entry := range entries {
		link, err := os.Readlink(dir + entry.Name())
		if err != nil || !strings.HasPrefix(link, "socket:") {
			continue
		}
		number, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		fd, err := proc.TakeFD(pidfd, number)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if is(fd) != nil {
			unix.Close(fd)
			continue // another network's
		}
		t, err := FromFD(fd)
		if err != nil {
			continue // another kind of socket
		}
		if slices.ContainsFunc(taken, func(other Taken) bool { return other.Addr == t.Addr }) {
			_ = t.File.Close()
			continue
		}
		taken = append(taken, *t)
	}
	return taken, errs
}

func listensOn(fd int) (addr netip.AddrPort, err error) {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil || info.State != tcpListen && info.State != tcpClose {
		return addr, errors.New("it is no listening socket")
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return addr, os.NewSyscallError("getsockname", err)
	}
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		addr = netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		addr = netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port))
	}
	if addr.Port() == 0 {
		return addr, errors.New("it has no address")
	}
	return addr, nil
}

// here tells whether a socket is of this network namespace.
func here(fd int) error {
	own, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(own)
	ours, err := unix.GetsockoptUint64(own, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil {
		return os.NewSyscallError("getsockopt SO_NETNS_COOKIE", err)
	}
	theirs, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil {
		return os.NewSyscallError("getsockopt SO_NETNS_COOKIE", err)
	}
	if ours != theirs {
		return errors.New("it is of another network namespace")
	}
	return nil
}
