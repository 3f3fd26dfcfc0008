package knot_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"lithos/spawn"
	"lithos/spawn/records"
	"lithos/spawn/wire"
	"lithos/sysx/bridge"
	"lithos/sysx/neigh"
	"lithos/sysx/userns"
)

// bridged is a box that the real supervisor's half puts on a bridge.
type bridged struct {
	*box
	spawner *spawn.Spawner
	req     *spawn.Request
}

// newBridged puts the test's thread into a network of its own with br0 in it.
func newBridged(t *testing.T, address netip.Prefix) *bridged {
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
	b := newBox(t, "touch:/out/up", "forever")
	return &bridged{box: b, spawner: spawn.NewSpawner(spawn.Config{Knot: knotBin, General: general}), req: &spawn.Request{
		Spec: b.spec, Argv: []string{"lithos_knot", "--name", b.spec.Name, "--master", "m.yaml", "--config", "{}"},
		Record: b.dir + "/run/web/app.0", RecordHead: records.Created{Name: b.spec.Name},
		Network: &spawn.Network{Bridge: "br0", Address: address.Addr(), Prefix: address.Masked()},
	}}
}

// start starts it; what ends it is called, and gives its exit code.
func (b *bridged) start() (end func(kill bool) int) {
	b.t.Helper()
	must(b.t, os.RemoveAll(b.out+"/up"))
	child, err := b.spawner.Start(b.req)
	must(b.t, err)
	b.pid, b.record = child.PID, b.req.Record
	return func(kill bool) int {
		if kill {
			must(b.t, unix.PidfdSendSignal(int(child.PIDFD.Fd()), unix.SIGTERM, nil, 0))
		}
		child.PIDFD.Close()
		var status syscall.WaitStatus
		for {
			if _, err := syscall.Wait4(child.PID, &status, 0, nil); err != syscall.EINTR {
				return status.ExitStatus()
			}
		}
	}
}

func (b *bridged) remove(all bool) {
	b.t.Helper()
	must(b.t, b.spawner.Remove(b.spec.Name, b.spec.StateDir, b.record, all))
}

// names are the interfaces' but those that are there always.
func (b *bridged) names() string {
	b.t.Helper()
	var names []string
	links, err := net.Interfaces()
	must(b.t, err)
	for _, l := range links {
		if strings.HasPrefix(l.Name, "li") {
			names = append(names, l.Name)
		}
	}
	return strings.Join(names, " ")
}

// other is somebody else on the bridge.
type other struct {
	ns   *os.File
	link neigh.Link
}

func (b *bridged) other(address netip.Prefix) *other {
	b.t.Helper()
	n, err := userns.Make(userns.Options{Network: true})
	must(b.t, err)
	b.t.Cleanup(n.Close)
	inner, err := bridge.Connect(n.Network, &bridge.Connection{Owner: "other", Bridge: "br0", Address: address.Addr(), Prefix: address.Masked()}, nil)
	must(b.t, err)
	return &other{n.Network, neigh.Link{Index: inner.Index, MAC: inner.MAC}}
}

// listen gives a socket that hears who has an address.
func (o *other) listen(t *testing.T, a netip.Addr) (fd int) {
	t.Helper()
	must(t, bridge.Inside(o.ns, func() (err error) { fd, err = o.link.Listen(a.AsSlice()); return err }))
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// A bridged container has a bare PID 1, also the one after it, for which
// nobody waits; each tells everybody of its address before its program runs, and
// nothing is left of the last.
//
// Covers: L2, L5
func TestBridgedContainerFromTheSpawner(t *testing.T) {
	for _, on := range []struct{ address, other string }{{"10.9.1.2/16", "10.9.1.3/16"}, {"fd09::2/64", "fd09::3/64"}} {
		address := netip.MustParsePrefix(on.address)
		b := newBridged(t, address)
		o := b.other(netip.MustParsePrefix(on.other))
		before := b.names()
		hears := o.listen(t, address.Addr())
		for i := range 3 {
			end := b.start()
			b.awaitFile("up")
			if !bareOnly(t) && !b.isBare() {
				t.Errorf("%s, start %d: it is made by the general path", address, i)
			}
			// Claims of the address were sent before.
			said := 0
			for {
				if _, _, err := unix.Recvfrom(hears, make([]byte, 1), unix.MSG_DONTWAIT); err != nil {
					break
				}
				said++
			}
			if said < 2 {
				t.Errorf("%s, start %d: others heard %d questions and announcements", address, i, said)
			}
			if names := b.names(); !strings.Contains(names, "li_") || names == before {
				t.Errorf("%s, start %d: there are %q", address, i, names)
			}
			if code := end(true); code != wire.ExitNormal {
				t.Errorf("%s, start %d: exit code %d, record:\n%s", address, i, code, b.read(b.record))
			}
			b.remove(false)
			if names := b.names(); strings.Count(names, "li_") != 1 {
				t.Errorf("%s, after start %d: there are %q", address, i, names)
			}
		}
		b.await("the end of all that was put aside", func() bool { return b.names() == before })
		b.remove(true)
	}
}

// An address that is taken is not for a container, whether or not it was its own
// until just now.
//
// Covers: L2
func TestTakenAddressIsRefused(t *testing.T) {
	for _, address := range []netip.Prefix{netip.MustParsePrefix("10.9.1.2/16"), netip.MustParsePrefix("fd09::2/64")} {
		for _, had := range []bool{false, true} {
			b := newBridged(t, address)
			if had {
				end := b.start()
				b.awaitFile("up")
				end(true)
				b.remove(false)
			}
			o := b.other(address)
			end := b.start()
			// Without a wait the owner's answer may be late: then the next start
			// is refused.
			failed := func() bool { return strings.Contains(b.read(b.record), `"failed"`) }
			b.await("a refusal, or a start", func() bool {
				_, err := os.Stat(b.out + "/up")
				return err == nil || failed()
			})
			code := end(!failed())
			if code != wire.ExitSetup && had {
				t.Logf("%s: heard too late", address)
				b.remove(true)
				code = b.start()(false)
			}
			want := fmt.Sprintf("it is taken by %x:%x", o.link.MAC[:1], o.link.MAC[1:2])
			if record := b.read(b.record); code != wire.ExitSetup || !strings.Contains(record, want) {
				t.Errorf("%s, which was its own before: %v: exit code %d, record without %q:\n%s", address, had, code, want, record)
			}
			b.remove(false)
			if names := b.names(); strings.Count(names, "li_") != 1 {
				t.Errorf("%s: there are %q", address, names)
			}
			b.remove(true)
		}
	}
}
