package sock

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	if os.Geteuid() != 0 {
		fmt.Println("these tests make sockets of other users: run them as root")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func mustListen(t *testing.T, o Options) *os.File {
	t.Helper()
	f, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// bound is the address a socket has.
func bound(t *testing.T, f *os.File) netip.AddrPort {
	t.Helper()
	sa, err := unix.Getsockname(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	t.Fatalf("address is %T", sa)
	return netip.AddrPort{}
}

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

// Covers: G3
func TestParseAddress(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "127.0.0.2:0", "0.0.0.0:0", "[::1]:0", "[::]:0", "[::ffff:127.0.0.3]:0", "[::1%lo]:0", "[::1%1]:0"} {
		t.Run(addr, func(t *testing.T) {
			want := netip.MustParseAddrPort(addr)
			f := mustListen(t, Options{Addr: want, Backlog: 8})
			got := bound(t, f)
			if got.Addr() != want.Addr().Unmap().WithZone("") || got.Port() == 0 {
				t.Errorf("it listens on %s", got)
			}
			to := got
			if to.Addr().IsUnspecified() {
				to = netip.AddrPortFrom(map[bool]netip.Addr{true: netip.MustParseAddr("127.0.0.1"), false: netip.IPv6Loopback()}[to.Addr().Is4()], to.Port())
			}
			c, err := net.Dial("tcp", to.String())
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
		})
	}
}

// Covers: G3
func TestBothFamiliesOnOnePort(t *testing.T) {
	v6 := mustListen(t, Options{Addr: netip.MustParseAddrPort("[::]:0"), Backlog: 1, V6Only: V6OnlyYes})
	port := bound(t, v6).Port()
	v4 := mustListen(t, Options{Addr: netip.AddrPortFrom(netip.IPv4Unspecified(), port), Backlog: 1})
	if got := bound(t, v4).Port(); got != port {
		t.Errorf("port is %d, want %d", got, port)
	}
	if v, err := unix.GetsockoptInt(int(v6.Fd()), unix.IPPROTO_IPV6, unix.IPV6_V6ONLY); err != nil || v != 1 {
		t.Errorf("IPV6_V6ONLY is %d, %v", v, err)
	}
}

func TestG3_V6SocketsTakeV4AsAskedFor(t *testing.T) {
	sysctl, err := os.ReadFile("/proc/sys/net/ipv6/bindv6only")
	if err != nil {
		t.Fatal(err)
	}
	for v6only, accepts := range map[V6Only]bool{V6OnlyBySysctl: strings.TrimSpace(string(sysctl)) == "0", V6OnlyYes: false, V6OnlyNo: true} {
		f := mustListen(t, Options{Addr: netip.MustParseAddrPort("[::]:0"), Backlog: 8, V6Only: v6only})
		for addr, want := range map[string]bool{"127.0.0.1": accepts, "::1": true} {
			c, err := net.Dial("tcp", netip.AddrPortFrom(netip.MustParseAddr(addr), bound(t, f).Port()).String())
			if (err == nil) != want {
				t.Errorf("V6Only %d, connection to %s: %v", v6only, addr, err)
			}
			if err == nil {
				c.Close()
			}
		}
	}
}

// The kernel shows the backlog as the "send queue" of a listening socket.
//
// Covers: G4
func TestListenBacklog(t *testing.T) {
	for _, backlog := range []int{3, 128} {
		f := mustListen(t, Options{Addr: loopback, Backlog: backlog})
		info, err := unix.GetsockoptTCPInfo(int(f.Fd()), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			t.Fatal(err)
		}
		if int(info.Sacked) != backlog {
			t.Errorf("backlog is %d, want %d", info.Sacked, backlog)
		}
	}
}

// Covers: G5, G6, G7
func TestOptionsAreReadBack(t *testing.T) {
	for i := range 8 {
		o := Options{Addr: loopback, Backlog: 1, ReuseAddr: i&1 != 0, ReusePort: i&2 != 0, NonBlock: i&4 != 0}
		f := mustListen(t, o)
		option := func(opt int) bool {
			v, err := unix.GetsockoptInt(int(f.Fd()), unix.SOL_SOCKET, opt)
			if err != nil {
				t.Fatal(err)
			}
			return v != 0
		}
		if got := option(unix.SO_REUSEADDR); got != o.ReuseAddr {
			t.Errorf("G5: SO_REUSEADDR is %t with %+v", got, o)
		}
		if got := option(unix.SO_REUSEPORT); got != o.ReusePort {
			t.Errorf("G6: SO_REUSEPORT is %t with %+v", got, o)
		}
		flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
		if err != nil || flags&unix.O_NONBLOCK != 0 != o.NonBlock {
			t.Errorf("G7: flags are %o, %v with %+v", flags, err, o)
		}
		if !option(unix.SO_ACCEPTCONN) {
			t.Error("it does not listen")
		}
		if flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("it is not close-on-exec (%v)", err)
		}
	}
}

// Covers: G6
func TestReusePortSharesThePort(t *testing.T) {
	o := Options{Addr: loopback, Backlog: 1, ReusePort: true, UID: 4321}
	o.Addr = bound(t, mustListen(t, o))
	mustListen(t, o)
	// The kernel keeps other users off it.
	o.UID = 4322
	if f, err := Listen(o); !errors.Is(err, unix.EADDRINUSE) {
		if f != nil {
			f.Close()
		}
		t.Errorf("another user shares the port: %v", err)
	}
}

// Connections to a container's socket must not wake the supervisor up.
//
// Covers: G7
func TestSocketStaysOutOfTheRuntimePoller(t *testing.T) {
	f := mustListen(t, Options{Addr: loopback, Backlog: 1, NonBlock: true})
	infos, err := filepath.Glob("/proc/self/fdinfo/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range infos {
		text, _ := os.ReadFile(info)
		for line := range strings.Lines(string(text)) {
			var fd int
			if n, _ := fmt.Sscanf(line, "tfd: %d", &fd); n == 1 && fd == int(f.Fd()) {
				t.Errorf("%s polls the socket", info)
			}
		}
	}
}

// Covers: G15
func TestOwnerOfTheSocket(t *testing.T) {
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			o := Options{Addr: loopback, Backlog: 1, UID: uint32(1000 + i), GID: uint32(2000 + i)}
			if i == 0 {
				o.UID, o.GID = 0, 0
			}
			f, err := Listen(o)
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			var st unix.Stat_t
			if err := unix.Fstat(int(f.Fd()), &st); err != nil || st.Uid != o.UID || st.Gid != o.GID {
				t.Errorf("the socket belongs to %d:%d, %v; want %d:%d", st.Uid, st.Gid, err, o.UID, o.GID)
			}
		})
	}
	all.Wait()
	// No thread kept another user's ids.
	tasks, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			continue // the thread ended
		}
		for _, want := range []string{"\nUid:\t0\t0\t0\t0\n", "\nGid:\t0\t0\t0\t0\n"} {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s has not %q", task, want)
			}
		}
	}
}

// Covers: G14
func TestListenErrors(t *testing.T) {
	before, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	taken := mustListen(t, Options{Addr: loopback, Backlog: 1})
	tests := []struct {
		name string
		addr netip.AddrPort
		want string
	}{
		{"address in use", bound(t, taken), "address already in use (see who has it: ss -ltnp)"},
		{"address of another host", netip.MustParseAddrPort("192.0.2.1:80"), "cannot assign requested address (no interface of this host has the address: ip addr)"},
		{"no address", netip.AddrPort{}, "no address"},
		{"no interface", netip.MustParseAddrPort("[fe80::1%nosuchif]:80"), `no network interface "nosuchif"`},
		{"interface name too long", netip.MustParseAddrPort("[fe80::1%an-interface-name-of-more-than-16-bytes]:80"), "no network interface"},
	}
	for _, tt := range tests {
		f, err := Listen(Options{Addr: tt.addr, Backlog: 1})
		if err == nil {
			f.Close()
			t.Errorf("%s: no error", tt.name)
			continue
		}
		if !strings.HasPrefix(err.Error(), "cannot listen on ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error is %q", tt.name, err)
		}
	}
	taken.Close()
	after, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	if len(after) > len(before)+2 { // the poller of the runtime may have come
		t.Errorf("%d descriptors, %d before", len(after), len(before))
	}
}

// A program that is not root gets a port below 1024.
//
// Covers: G1
func TestPortsBelow1024ForAnyUser(t *testing.T) {
	for port := uint16(1023); port > 1000; port-- {
		o := Options{Addr: netip.AddrPortFrom(loopback.Addr(), port), Backlog: 1, UID: 4321, GID: 4321}
		f, err := Listen(o)
		if errors.Is(err, unix.EADDRINUSE) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		return
	}
	t.Fatal("all ports from 1001 to 1023 are in use")
}
