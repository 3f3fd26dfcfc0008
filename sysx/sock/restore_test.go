package sock

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// freeAddr is an address of which the port is free. A socket keeps its port over
// shutdown(2) only if that was asked for: not as a choice of the kernel's.
func freeAddr(t *testing.T) netip.AddrPort {
	t.Helper()
	f := mustListen(t, Options{Addr: loopback, Backlog: 1})
	defer f.Close()
	return bound(t, f)
}

// spoiled is a listening socket after a program has done something to it.
func spoiled(t *testing.T, o Options, spoil func(fd int) error) (*os.File, netip.AddrPort) {
	t.Helper()
	f := mustListen(t, o)
	if err := spoil(int(f.Fd())); err != nil {
		t.Fatal(err)
	}
	return f, bound(t, f)
}

func mustRestore(t *testing.T, f *os.File, o Options, shared bool) Restored {
	t.Helper()
	r, err := Restore(f, o, shared)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// serves connects, and accepts on a copy of the socket as another program has it.
func serves(t *testing.T, f *os.File) {
	t.Helper()
	other, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(other)
	c, err := net.Dial("tcp", bound(t, f).String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	accepted, _, err := unix.Accept(other)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(accepted, []byte("hello")); err != nil {
		t.Errorf("what was accepted: %v", err)
	}
	unix.Close(accepted)
	if text, err := io.ReadAll(c); string(text) != "hello" {
		t.Errorf("read %q, %v", text, err)
	}
}

func TestRestoreRevivesASocketThatWasShutDown(t *testing.T) {
	for name, spoil := range map[string]func(fd int) error{
		"both directions": func(fd int) error { return unix.Shutdown(fd, unix.SHUT_RDWR) },
		"reading":         func(fd int) error { return unix.Shutdown(fd, unix.SHUT_RD) },
		"twice": func(fd int) error {
			err := unix.Shutdown(fd, unix.SHUT_RDWR)
			if twice := unix.Shutdown(fd, unix.SHUT_RDWR); !errors.Is(twice, unix.ENOTCONN) {
				return twice
			}
			return err
		},
		"disconnected": disconnect,
		"connected to somewhere": func(fd int) error {
			to := bound(t, mustListen(t, Options{Addr: loopback, Backlog: 1}))
			if err := unix.Shutdown(fd, unix.SHUT_RDWR); err != nil {
				return err
			}
			return unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{Addr: freeAddr(t), Backlog: 8, ReuseAddr: true}
			f, addr := spoiled(t, o, spoil)
			if accepts, err := Accepts(f); err != nil || accepts {
				t.Errorf("it accepts connections: %t, %v", accepts, err)
			}
			if r := mustRestore(t, f, o, true); !r.Revived || r.Changed != nil {
				t.Errorf("restored: %+v", r)
			}
			if accepts, err := Accepts(f); err != nil || !accepts {
				t.Errorf("it accepts connections: %t, %v", accepts, err)
			}
			if now := bound(t, f); now != addr {
				t.Errorf("it listens on %s, before on %s", now, addr)
			}
			serves(t, f)
			if r := mustRestore(t, f, o, true); r.Revived {
				t.Error("it was revived again")
			}
		})
	}
}

func TestRestoreFailsWhereAnotherListensMeanwhile(t *testing.T) {
	o := Options{Addr: freeAddr(t), Backlog: 8, ReuseAddr: true}
	f, addr := spoiled(t, o, func(fd int) error { return unix.Shutdown(fd, unix.SHUT_RDWR) })
	o.Addr = addr
	mustListen(t, o)
	if _, err := Restore(f, o, true); err == nil {
		t.Error("no error")
	}
}

func TestRestoreSetsTheBacklog(t *testing.T) {
	o := Options{Addr: freeAddr(t), Backlog: 7}
	f, _ := spoiled(t, o, func(fd int) error { return unix.Listen(fd, 300) })
	mustRestore(t, f, o, true)
	info, err := unix.GetsockoptTCPInfo(int(f.Fd()), unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil || info.Sacked != 7 {
		t.Errorf("the backlog is %d, %v", info.Sacked, err)
	}
}

func TestRestoreOptions(t *testing.T) {
	number := func(level, option int) func(fd int) error {
		return func(fd int) error { return unix.SetsockoptInt(fd, level, option, 1) }
	}
	time := func(option int) func(fd int) error {
		return func(fd int) error {
			return unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, option, &unix.Timeval{Usec: 500_000})
		}
	}
	nothing := []unix.SockFilter{{Code: unix.BPF_RET}}
	for _, tt := range []struct {
		name        string
		nonBlock    bool // as configured
		spoil       func(fd int) error
		whileShared bool
	}{
		{"O_NONBLOCK", true, func(fd int) error { return unix.SetNonblock(fd, false) }, true},
		{"O_NONBLOCK", false, func(fd int) error { return unix.SetNonblock(fd, true) }, false},
		{"TCP_DEFER_ACCEPT", false, number(unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT), true},
		{"SO_KEEPALIVE", false, number(unix.SOL_SOCKET, unix.SO_KEEPALIVE), false},
		{"TCP_NODELAY", false, number(unix.IPPROTO_TCP, unix.TCP_NODELAY), false},
		{"SO_LINGER", false, func(fd int) error {
			return unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 5})
		}, false},
		{"SO_RCVTIMEO", false, time(unix.SO_RCVTIMEO), false},
		{"SO_SNDTIMEO", false, time(unix.SO_SNDTIMEO), false},
		{"SO_ATTACH_FILTER", false, func(fd int) error {
			return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &nothing[0]})
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := Options{Addr: freeAddr(t), Backlog: 8, NonBlock: tt.nonBlock}
			f, _ := spoiled(t, o, tt.spoil)
			changed := func(shared bool) bool {
				r := mustRestore(t, f, o, shared)
				if len(r.Changed) > 1 || r.Revived {
					t.Errorf("restored: %+v", r)
				}
				return slices.Contains(r.Changed, tt.name)
			}
			if got := changed(true); got != tt.whileShared {
				t.Errorf("restored while others share it: %t", got)
			}
			if got := changed(false); got == tt.whileShared {
				t.Errorf("restored when nobody else has it: %t", got)
			}
			if changed(false) {
				t.Error("restored twice")
			}
			flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
			if err != nil || flags&unix.O_NONBLOCK != 0 != o.NonBlock {
				t.Errorf("flags are %o, %v", flags, err)
			}
			serves(t, f)
		})
	}
}

// A filter that can't be taken away is found where it matters: the caller can
// make the socket anew.
func TestRestoreTellsOfALockedFilter(t *testing.T) {
	o := Options{Addr: freeAddr(t), Backlog: 8}
	nothing := []unix.SockFilter{{Code: unix.BPF_RET}}
	f, _ := spoiled(t, o, func(fd int) error {
		if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &nothing[0]}); err != nil {
			return err
		}
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_LOCK_FILTER, 1)
	})
	if _, err := Restore(f, o, false); err == nil {
		t.Error("no error")
	}
	mustRestore(t, f, o, true)
}

func TestASocketThatWasShutDownIsTakenFromItsProcess(t *testing.T) {
	o := Options{Addr: freeAddr(t), Backlog: 8}
	f, addr := spoiled(t, o, func(fd int) error { return unix.Shutdown(fd, unix.SHUT_RDWR) })
	copied, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	of, err := FromFD(copied)
	if err != nil || !of.Is(addr) {
		t.Fatalf("%+v, %v", of, err)
	}
	taken := of.File
	defer taken.Close()
	if r := mustRestore(t, taken, o, true); !r.Revived {
		t.Error("it was not revived")
	}
	serves(t, f)
}
