package sock

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// FromFD makes a file of the descriptor of a listening socket that was made by
// [Listen] in another process, if it listens on one of the addresses, and tells
// on which; it takes the descriptor in any case. The file is the same kind as
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

func listensOn(fd int) (addr netip.AddrPort, err error) {
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil || listens == 0 {
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
