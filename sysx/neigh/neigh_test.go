package neigh_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lithos/sysx/bridge"
	"lithos/sysx/neigh"
	"lithos/sysx/userns"
)

func TestMain(m *testing.M) {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "these tests make networks: run them as root")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const patience = 100 * time.Millisecond

// newBridge puts the test's thread into a network of its own with br0 in it.
func newBridge(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // never unlocked: the thread is spoilt
	must(t, unix.Unshare(unix.CLONE_NEWNET))
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(fd)
	name := append([]byte("br0"), 0)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCBRADDBR, uintptr(unsafe.Pointer(&name[0]))); errno != 0 {
		t.Fatal(errno)
	}
	up, err := unix.NewIfreq("br0")
	must(t, err)
	up.SetUint16(unix.IFF_UP)
	must(t, unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, up))
}

// container is a network namespace on the bridge.
type container struct {
	ns   *os.File
	link neigh.Link
	addr netip.Addr
}

func newContainer(t *testing.T, owner, address, prefix string) *container {
	t.Helper()
	n, err := userns.Make(userns.Options{Network: true})
	must(t, err)
	t.Cleanup(n.Close)
	c := &bridge.Connection{Owner: owner, Bridge: "br0", Address: netip.MustParseAddr(address), Prefix: netip.MustParsePrefix(prefix)}
	inner, err := bridge.Connect(n.Network, c, nil)
	must(t, err)
	return &container{n.Network, neigh.Link{Index: inner.Index, MAC: inner.MAC}, c.Address}
}

func (c *container) claim() error {
	return bridge.Inside(c.ns, func() error {
		done, err := c.link.Claim(c.addr.AsSlice(), patience)
		done()
		return err
	})
}

// Covers: L2
func TestTakenAddressesAreFound(t *testing.T) {
	newBridge(t)
	for _, net := range []struct{ address, other, prefix string }{
		{"10.9.1.2", "10.9.1.3", "10.9.0.0/16"},
		{"fd09::2", "fd09::3", "fd09::/64"},
	} {
		first := newContainer(t, "first", net.address, net.prefix)
		if err := first.claim(); err != nil {
			t.Errorf("%s is free: %v", net.address, err)
		}
		second := newContainer(t, "second", net.address, net.prefix)
		conflict := (*neigh.Conflict)(nil)
		if err := second.claim(); !errors.As(err, &conflict) || conflict.MAC != first.link.MAC {
			t.Errorf("%s is taken by %x: %v", net.address, first.link.MAC, err)
		} else if !strings.HasPrefix(err.Error(), "it is taken by ") || strings.Count(err.Error(), ":") != 5 {
			t.Errorf("error %q", err)
		}
		if err := newContainer(t, "third", net.other, net.prefix).claim(); err != nil {
			t.Errorf("%s is free: %v", net.other, err)
		}
	}
}

// A listener hears only neighbours that claim its address.
//
// Covers: L2
func TestOnlyClaimsAreReported(t *testing.T) {
	newBridge(t)
	for _, net := range []struct{ address, other, prefix string }{
		{"10.9.1.2", "10.9.1.3", "10.9.0.0/16"},
		{"fd09::2", "fd09::3", "fd09::/64"},
	} {
		c, other := newContainer(t, "app", net.address, net.prefix), newContainer(t, "other", net.other, net.prefix)
		must(t, other.claim()) // until the bridge has both
		var fd int
		must(t, bridge.Inside(c.ns, func() (err error) { fd, err = c.link.Listen(c.addr.AsSlice()); return err }))
		defer unix.Close(fd)
		send := func(m func(neigh.Link) neigh.Message, by *container) bool {
			must(t, bridge.Inside(by.ns, func() error {
				from, err := by.link.Listen(by.addr.AsSlice())
				must(t, err)
				defer unix.Close(from)
				return m(by.link).Send(from)
			}))
			tv := unix.NsecToTimeval(int64(patience))
			must(t, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv))
			_, _, err := unix.Recvfrom(fd, make([]byte, 1), 0)
			if err != nil && err != unix.EAGAIN {
				t.Fatal(err)
			}
			return err == nil
		}
		mine, theirs := c.addr.AsSlice(), other.addr.AsSlice()
		for _, test := range []struct {
			what string
			m    func(neigh.Link) neigh.Message
			by   *container
			want bool
		}{
			{"another that is about to take it", func(l neigh.Link) neigh.Message { return l.Question(mine) }, other, true},
			{"another that has it", func(l neigh.Link) neigh.Message { return l.Announcement(mine) }, other, true},
			{"a question for another one", func(l neigh.Link) neigh.Message { return l.Question(theirs) }, other, false},
			{"another one's announcement", func(l neigh.Link) neigh.Message { return l.Announcement(theirs) }, other, false},
			{"itself", func(l neigh.Link) neigh.Message { return l.Announcement(mine) }, c, false},
		} {
			if got := send(test.m, test.by); got != test.want {
				t.Errorf("%s, %s: heard %v", net.address, test.what, got)
			}
		}
	}
}

// A peer that knows the address of a container that is gone finds the next one
// at once, not after its own patience with the old hardware address.
//
// Covers: L5
func TestPeersLearnTheNewHardwareAddress(t *testing.T) {
	newBridge(t)
	for _, net := range []struct{ address, peer, prefix string }{
		{"10.9.1.2", "10.9.1.3", "10.9.0.0/16"},
		{"fd09::2", "fd09::3", "fd09::/64"},
	} {
		peer := newContainer(t, "peer", net.peer, net.prefix)
		must(t, peer.claim())
		for range 3 {
			c := newContainer(t, "app", net.address, net.prefix) // in place of the one before
			must(t, c.claim())
			if err := bridge.Inside(peer.ns, func() error { return echo(c) }); err != nil {
				t.Errorf("%s: %v", net.address, err)
			}
		}
	}
}

// echo connects to a closed port: being refused is an answer. It gives up when
// two packets were lost, in a third of the time for which Linux believes in an
// old hardware address.
func echo(c *container) error {
	domain, sa := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: 9, Addr: c.addr.As16()})
	if c.addr.Is4() {
		domain, sa = unix.AF_INET, &unix.SockaddrInet4{Port: 9, Addr: c.addr.As4()}
	}
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_SYNCNT, 1); err != nil {
		return err
	}
	if err := unix.Connect(fd, sa); !errors.Is(err, unix.ECONNREFUSED) {
		return fmt.Errorf("no answer: %w", err)
	}
	return nil
}
