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

// FromFD makes a file of the descriptor of a listening socket that was made by
// [Listen] in another process, if it listens on one of the addresses, and tells
// on which; it takes the descriptor in any case. One that was shut down is taken
// as well, for [Restore]: it has kept its address. The file is the same kind as
// Listen's: Go's poller never sees it, also if it is non-blocking, which is for
// all who share it.
func FromFD(fd int, wanted ...netip.AddrPort) (f *os.File, which int, err error) {
	defer unix.Close(fd)
	addr, err := listensOn(fd)
	if err != nil {
		return nil, 0, err
	}
	which = slices.IndexFunc(wanted, func(w netip.AddrPort) bool {
		return addr == netip.AddrPortFrom(w.Addr().Unmap().WithZone(""), w.Port())
	})
	if which < 0 {
		return nil, 0, fmt.Errorf("it listens on %s, which is not wanted", addr)
	}
	// os.NewFile looks once whether a descriptor is non-blocking: so it
	// gets one that is not, and the socket is put in its place.
	place, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, 0, os.NewSyscallError("open /dev/null", err)
	}
	f = os.NewFile(uintptr(place), "listener "+addr.String())
	if err := unix.Dup3(fd, place, unix.O_CLOEXEC); err != nil {
		f.Close()
		return nil, 0, os.NewSyscallError("dup3", err)
	}
	return f, which, nil
}

// TakeFrom copies the sockets that listen on the addresses out of a process, nil =
// it has none there. The errors are of sockets that could not be looked at.
//
// Preconditions: those of [proc.TakeFD].
func TakeFrom(pid int, pidfd *os.File, wanted ...netip.AddrPort) (files []*os.File, errs []error) {
	files = make([]*os.File, len(wanted))
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
		// An error says that it is another kind of socket, or another's.
		file, which, err := FromFD(fd, wanted...)
		switch {
		case err != nil:
		case files[which] == nil:
			files[which] = file
		default:
			_ = file.Close()
		}
	}
	return files, errs
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
	return addr, nil
}
