package bridge

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

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

// host puts the test's thread into a network namespace of its own with a
// bridge br0 in it, 10.9.0.1/16 and fd09::1/64.
func host(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // never unlocked: the thread is spoilt
	must(t, errors.Join(unix.Unshare(unix.CLONE_NEWNET), makeBridge()))
}

func makeBridge() error {
	host, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer host.Close()
	if err := loopback(host); err != nil {
		return err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "br0"
	if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil {
		return err
	}
	br, err := netlink.LinkByName("br0")
	for _, a := range []string{"10.9.0.1/16", "fd09::1/64"} {
		if err == nil {
			err = netlink.AddrAdd(br, &netlink.Addr{IPNet: ipNet(netip.MustParsePrefix(a)), Flags: flagsFor(a)})
		}
	}
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(br)
}

func flagsFor(a string) int {
	if strings.Contains(a, ":") {
		return unix.IFA_F_NODAD
	}
	return 0
}

func network(t *testing.T) *os.File {
	t.Helper()
	n, err := userns.Make(userns.Options{Network: true})
	must(t, err)
	t.Cleanup(n.Close)
	return n.Network
}

func connection(owner, address string) *Connection {
	a := netip.MustParseAddr(address)
	c := &Connection{Owner: owner, Bridge: "br0", Address: a, Prefix: netip.MustParsePrefix("10.9.0.0/16"), Gateway: netip.MustParseAddr("10.9.0.1")}
	if a.Is6() {
		c.Prefix, c.Gateway = netip.MustParsePrefix("fd09::/64"), netip.MustParseAddr("fd09::1")
	}
	return c
}

// serve accepts connections in the namespace and gives the address.
func serve(t *testing.T, ns *os.File, c *Connection) string {
	t.Helper()
	var l net.Listener
	must(t, Inside(ns, func() (err error) {
		l, err = net.Listen("tcp", netip.AddrPortFrom(c.Address, 80).String())
		return err
	}))
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	return l.Addr().String()
}

// Covers: L2, L8
func TestContainersAndHostReachEachOther(t *testing.T) {
	host(t)
	for _, addresses := range [][2]string{{"10.9.1.2", "10.9.1.3"}, {"fd09::2", "fd09::3"}} {
		a, b := network(t), network(t)
		ca, cb := connection("a", addresses[0]), connection("b", addresses[1])
		_, err := Connect(a, ca, nil)
		must(t, err)
		inner, err := Connect(b, cb, nil)
		must(t, err)
		if inner.Index == 0 || inner.MAC == [6]byte{} {
			t.Errorf("the container's end is %+v", inner)
		}
		address := serve(t, a, ca)
		// The dialer's sockets have to be made on this very thread.
		if err := dialHere(address); err != nil {
			t.Errorf("the host can't reach %s: %v", address, err)
		}
		if err := Inside(b, func() error { return dialHere(address) }); err != nil {
			t.Errorf("another container can't reach %s: %v", address, err)
		}
		must(t, Inside(b, func() error {
			routes, err := netlink.RouteList(nil, family(cb.Address))
			for _, r := range routes {
				if r.Gw.Equal(net.IP(cb.Gateway.AsSlice())) {
					return err
				}
			}
			return errors.Join(err, fmt.Errorf("no default route by %s: %v", cb.Gateway, routes))
		}))
	}
}

func family(a netip.Addr) int {
	if a.Is6() {
		return netlink.FAMILY_V6
	}
	return netlink.FAMILY_V4
}

// dialHere connects on the calling thread: net.Dial may use others.
func dialHere(address string) error {
	ap := netip.MustParseAddrPort(address)
	domain, sa := unix.AF_INET, unix.Sockaddr(&unix.SockaddrInet4{Port: int(ap.Port()), Addr: to4(ap.Addr())})
	if ap.Addr().Is6() {
		domain, sa = unix.AF_INET6, &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16()}
	}
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return errors.Join(unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_SYNCNT, 3), unix.Connect(fd, sa))
}

func to4(a netip.Addr) (b [4]byte) {
	if a.Is4() {
		b = a.As4()
	}
	return b
}

// Covers: L3
func TestInterfaceNames(t *testing.T) {
	a, b := connection("web/app.0", "10.9.1.2"), connection("web/app.1", "10.9.1.2")
	if got := a.Outer(); len(got) > 15 || !strings.HasPrefix(got, "li_") || !strings.HasSuffix(got, "_0102") {
		t.Errorf("the host's end is %q", got)
	}
	if got, want := a.inner(), strings.ReplaceAll(a.Outer(), "_", "-"); got != want {
		t.Errorf("the container's end is %q, want %q", got, want)
	}
	if a.Outer() == b.Outer() {
		t.Error("two containers share a name")
	}
	if got := connection("x", "fd09::a:b2").Outer(); !strings.HasSuffix(got, "_00b2") {
		t.Errorf("v6: %q", got)
	}
}

// Covers: L2
func TestStaleInterfacesAreReplaced(t *testing.T) {
	host(t)
	c := connection("a", "10.9.1.2")
	_, err := Connect(network(t), c, nil)
	must(t, err)
	next := network(t)
	_, err = Connect(next, c, nil)
	must(t, err)
	if err := dialHere(serve(t, next, c)); err != nil {
		t.Error(err)
	}
}

// One that is put aside is silent, in nobody's way, and goes with its namespace.
//
// Covers: L2
func TestLastInterfaceIsParked(t *testing.T) {
	host(t)
	c := connection("a", "10.9.1.2")
	n, err := userns.Make(userns.Options{Network: true})
	must(t, err)
	_, err = Connect(n.Network, c, nil)
	must(t, err)
	outer, err := netlink.LinkByName(c.Outer())
	must(t, err)
	must(t, PutAside(c.Outer()))
	must(t, PutAside(c.Outer())) // there is none any more
	next := network(t)
	_, err = Connect(next, c, func(inner *Inner) error {
		if _, err := netlink.LinkByIndex(inner.Index); err != nil {
			return fmt.Errorf("not inside of the namespace: %w", err)
		}
		return nil
	})
	must(t, err)
	must(t, dialHere(serve(t, next, c)))
	aside, err := netlink.LinkByIndex(outer.Attrs().Index)
	must(t, err)
	if aside.Attrs().Name == c.Outer() || aside.Attrs().Flags&net.FlagUp != 0 {
		t.Errorf("it is not put aside: %+v", aside.Attrs())
	}
	n.Close()
	gone := netlink.LinkNotFoundError{}
	for deadline := time.Now().Add(time.Minute); !errors.As(err, &gone); time.Sleep(10 * time.Millisecond) {
		if _, err = netlink.LinkByIndex(outer.Attrs().Index); time.Now().After(deadline) {
			t.Fatalf("it does not go: %v", err)
		}
	}
	if _, err := Connect(network(t), c, func(*Inner) error { return unix.EPIPE }); !errors.Is(err, unix.EPIPE) {
		t.Errorf("the error from inside: %v", err)
	}
	if _, err := netlink.LinkByName(c.Outer()); !errors.As(err, &gone) {
		t.Errorf("an interface is left: %v", err)
	}
}

// The error names the missing part, and no interface is left on the host.
//
// Covers: L2
func TestFailuresLeaveNoInterface(t *testing.T) {
	host(t)
	for want, change := range map[string]func(*Connection){
		"there is no bridge br7 on this host: make it (ip link add br7 type bridge": func(c *Connection) { c.Bridge = "br7" },
		"the interface lo is no bridge but of type \"device\"":                      func(c *Connection) { c.Bridge = "lo" },
		"default-gateway 192.0.2.1":                                                 func(c *Connection) { c.Gateway = netip.MustParseAddr("192.0.2.1") },
	} {
		c := connection("a", "10.9.1.2")
		change(c)
		if _, err := Connect(network(t), c, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
		if _, err := netlink.LinkByName(c.Outer()); err == nil {
			t.Errorf("%s: the interface is left", want)
		}
	}
}

// Covers: L6
func TestLoopbackWithoutAddress(t *testing.T) {
	ns := network(t)
	must(t, Loopback(ns))
	must(t, Inside(ns, func() error {
		links, err := netlink.LinkList()
		if len(links) != 1 || links[0].Attrs().Flags&net.FlagUp == 0 {
			return fmt.Errorf("links %v", links)
		}
		return err
	}))
	must(t, Remove("li_nothing_0000"))
}

// The network's share of a bridged container's restart: park the last interface,
// make a namespace, connect it.
func BenchmarkConnect(b *testing.B) {
	runtime.LockOSThread()
	if err := errors.Join(unix.Unshare(unix.CLONE_NEWNET), makeBridge()); err != nil {
		b.Fatal(err)
	}
	c := connection("a", "10.9.1.2")
	took := map[string][]time.Duration{}
	for range b.N {
		begin := time.Now()
		if err := PutAside(c.Outer()); err != nil {
			b.Fatal(err)
		}
		put := time.Now()
		n, err := userns.Make(userns.Options{Network: true})
		if err != nil {
			b.Fatal(err)
		}
		made := time.Now()
		if _, err := Connect(n.Network, c, nil); err != nil {
			b.Fatal(err)
		}
		connected := time.Now()
		for what, d := range map[string]time.Duration{"aside": put.Sub(begin), "namespace": made.Sub(put), "connect": connected.Sub(made)} {
			took[what] = append(took[what], d)
		}
		b.StopTimer()
		time.Sleep(20 * time.Millisecond)
		n.Close()
		time.Sleep(20 * time.Millisecond)
		b.StartTimer()
	}
	for what, list := range took {
		slices.Sort(list)
		b.ReportMetric(float64(list[len(list)/2].Microseconds()), what+"-median-µs")
	}
}
