package sock

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// FromFD makes a file of the descriptor of a listening socket that was made by
// [Listen] in another process, if it listens on addr; it takes the descriptor
// in any case. The file is the same kind as Listen's: Go's poller never sees
// it, also if it is non-blocking, which is for all who share it.
func FromFD(fd int, addr netip.AddrPort) (*os.File, error) {
	defer unix.Close(fd)
	if err := listensOn(fd, addr); err != nil {
		return nil, err
	}
	// os.NewFile looks once whether a descriptor is non-blocking: so it
	// gets one that is not, and the socket is put in its place.
	place, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("open /dev/null", err)
	}
	f := os.NewFile(uintptr(place), "listener "+addr.String())
	if err := unix.Dup3(fd, place, unix.O_CLOEXEC); err != nil {
		f.Close()
		return nil, os.NewSyscallError("dup3", err)
	}
	return f, nil
}

func listensOn(fd int, want netip.AddrPort) error {
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil || listens == 0 {
		return errors.New("it is no listening socket")
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return os.NewSyscallError("getsockname", err)
	}
	var got netip.AddrPort
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		got = netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		got = netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port))
	}
	if want = netip.AddrPortFrom(want.Addr().Unmap().WithZone(""), want.Port()); got != want {
		return fmt.Errorf("it listens on %s, not on %s", got, want)
	}
	return nil
}
