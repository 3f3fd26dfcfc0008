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
		got, which, err := FromFD(dup(), other, addr)
		if err != nil {
			t.Fatal(err)
		}
		if which != 1 {
			t.Errorf("it was taken for address %d of two, want the second", which)
		}
		if _, err := net.FileListener(got); err != nil {
			t.Errorf("what came back is no listener: %v", err)
		}
		got.Close()
		if _, _, err := FromFD(dup(), other); err == nil {
			t.Error("a socket of another port was taken")
		}
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
	if _, _, err := FromFD(fd, netip.MustParseAddrPort("127.0.0.1:1")); err == nil {
		t.Error("a file was taken for a socket")
	}
}
