package sock

import (
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// Covers: G12
func TestSocketIsFoundByItsAddress(t *testing.T) {
	for _, text := range []string{"127.0.0.1:0", "[::1]:0"} {
		f, err := Listen(Options{Addr: netip.MustParseAddrPort(text), Backlog: 5, NonBlock: true})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		l, err := net.FileListener(f)
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().(*net.TCPAddr).AddrPort()
		_ = l.Close()
		dup := func() int {
			fd := -1
			c, _ := f.SyscallConn()
			_ = c.Control(func(n uintptr) { fd, err = unix.FcntlInt(n, unix.F_DUPFD_CLOEXEC, 0) })
			if err != nil {
				t.Fatal(err)
			}
			return fd
		}
		other := netip.AddrPortFrom(addr.Addr(), addr.Port()+1)
		got, err := FromFD(dup())
		if err != nil {
			t.Fatal(err)
		}
		if !got.Is(addr) || got.Is(other) || got.ReusePort {
			t.Errorf("it was taken for %+v, want the one of %s", got, addr)
		}
		if _, err := net.FileListener(got.File); err != nil {
			t.Errorf("what came back is no listener: %v", err)
		}
		got.File.Close()
		c, err := net.Dial("tcp", addr.String())
		if err != nil {
			t.Errorf("the socket does not listen any more: %v", err)
		} else {
			c.Close()
		}
	}
	fd, err := unix.Open("/dev/null", unix.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := FromFD(fd); err == nil {
		t.Error("a file was taken for a socket")
	}
}
