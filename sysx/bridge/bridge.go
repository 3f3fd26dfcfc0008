package bridge

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"lithos/sysx/thread"
)

// Connection is how one container is connected.
type Connection struct {
	// Owner tells containers with the same address apart, see [Outer].
	Owner   string
	Bridge  string       // the host's interface
	Address netip.Addr   // the container's
	Prefix  netip.Prefix // the network that the address is in
	Gateway netip.Addr   // of the default route; invalid = none
}

// Inner is the container's end of a connection.
type Inner struct {
	Index int
	MAC   [6]byte
}

// Outer is the name of the host's end, `li_HHHHHH_AAAA`: six digits of a hash
// of bridge, address and owner, four of the last two bytes of the address
// (requirement L3). So two containers that claim one address have two interfaces,
// and each removes only its own.
func (c *Connection) Outer() string { return c.name('_') }

// inner is the name of the container's end, `li-HHHHHH-AAAA`.
func (c *Connection) inner() string { return c.name('-') }

func (c *Connection) name(sep byte) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s", c.Bridge, c.Address, c.Owner))
	a := c.Address.AsSlice()
	return fmt.Sprintf("li%c%x%c%x", sep, sum[:3], sep, a[len(a)-2:])
}

// Connect connects a namespace that has no connection yet. It removes interfaces
// that an earlier container of the same owner left. If inside is not nil, it is
// called in the namespace when the container's end is up. After an error no
// interface is left.
//
// Preconditions: CAP_NET_ADMIN in the host's network and in ns.
func Connect(ns *os.File, c *Connection, inside func(*Inner) error) (*Inner, error) {
	// One socket for all: the calling thread's network is the host's.
	host, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("cannot ask the kernel for networks: %w", err)
	}
	defer host.Close()
	master, err := find(host, c.Bridge)
	if err != nil {
		return nil, err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = c.Outer()
	attrs.MasterIndex = master.Attrs().Index
	attrs.MTU = master.Attrs().MTU
	attrs.Flags = net.FlagUp
	veth := netlink.NewVeth(attrs)
	veth.PeerName = c.inner()
	veth.PeerNamespace = netlink.NsFd(ns.Fd())
	veth.PeerMTU = uint32(attrs.MTU)
	err = host.LinkAdd(veth)
	if errors.Is(err, unix.EEXIST) {
		if err := Remove(attrs.Name); err != nil {
			return nil, err
		}
		err = host.LinkAdd(veth)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot make the interface %s on bridge %s: %w", attrs.Name, c.Bridge, err), Remove(attrs.Name))
	}
	var inner *Inner
	err = Inside(ns, func() (err error) {
		if inner, err = c.setUpInside(); err == nil && inside != nil {
			err = inside(inner)
		}
		return err
	})
	if err != nil {
		return nil, errors.Join(err, Remove(attrs.Name))
	}
	awaitUp(host, veth.Index)
	return inner, nil
}

// upPatience is how long the kernel has to tell the bridge that a port is up.
const upPatience = 100 * time.Millisecond

// awaitUp waits until the kernel has noticed that both ends are up, which it does
// in the background, on an idle host in a tenth of a millisecond: what is sent
// before is lost.
func awaitUp(host *netlink.Handle, outer int) {
	for deadline := time.Now().Add(upPatience); time.Now().Before(deadline); time.Sleep(100 * time.Microsecond) {
		if link, err := host.LinkByIndex(outer); err != nil || link.Attrs().OperState == netlink.OperUp {
			return
		}
	}
}

// find looks the bridge up.
func find(host *netlink.Handle, name string) (netlink.Link, error) {
	link, err := host.LinkByName(name)
	if missing := (netlink.LinkNotFoundError{}); errors.As(err, &missing) {
		return nil, fmt.Errorf("there is no bridge %s on this host: make it (ip link add %[1]s type bridge; ip link set %[1]s up), or correct bridged-network of the sandbox", name)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot look for bridge %s: %w", name, err)
	}
	if link.Type() != "bridge" {
		return nil, fmt.Errorf("the interface %s is no bridge but of type %q: correct bridged-network of the sandbox", name, link.Type())
	}
	return link, nil
}

// setUpInside configures the container's end: loopback, address, route.
func (c *Connection) setUpInside() (*Inner, error) {
	inside, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("cannot ask the kernel for the container's network: %w", err)
	}
	defer inside.Close()
	if err := loopback(inside); err != nil {
		return nil, err
	}
	link, err := inside.LinkByName(c.inner())
	if err != nil {
		return nil, fmt.Errorf("cannot find the container's interface %s: %w", c.inner(), err)
	}
	ip := netip.PrefixFrom(c.Address, c.Prefix.Bits())
	addr := &netlink.Addr{IPNet: ipNet(ip)}
	if c.Address.Is6() {
		// Usable at once: whether somebody else has it is asked by PID 1.
		addr.Flags = unix.IFA_F_NODAD
	}
	if err := inside.AddrAdd(link, addr); err != nil {
		return nil, fmt.Errorf("cannot give the address %s to the container: %w%s", ip, err, v6Advice(c.Address, err))
	}
	if err := inside.LinkSetUp(link); err != nil {
		return nil, fmt.Errorf("cannot bring the container's interface up: %w", err)
	}
	if c.Gateway.IsValid() {
		route := &netlink.Route{LinkIndex: link.Attrs().Index, Gw: c.Gateway.AsSlice()}
		if err := inside.RouteAdd(route); err != nil {
			return nil, fmt.Errorf("cannot make the default route by the default-gateway %s: %w (it has to be in the network %s)", c.Gateway, err, c.Prefix)
		}
	}
	inner := &Inner{Index: link.Attrs().Index}
	copy(inner.MAC[:], link.Attrs().HardwareAddr)
	return inner, nil
}

func v6Advice(a netip.Addr, err error) string {
	if a.Is6() && (errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EOPNOTSUPP)) {
		return " (IPv6 is switched off on this host: sysctl net.ipv6.conf.default.disable_ipv6)"
	}
	return ""
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// Loopback brings up the loopback interface of a namespace, all that a
// container without an address has (requirement L6).
func Loopback(ns *os.File) error {
	return Inside(ns, func() error {
		inside, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return fmt.Errorf("cannot ask the kernel for the container's network: %w", err)
		}
		defer inside.Close()
		return loopback(inside)
	})
}

// loopbackIndex is that of each namespace's.
const loopbackIndex = 1

func loopback(inside *netlink.Handle) error {
	lo := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Name: "lo", Index: loopbackIndex}}
	if err := inside.LinkSetUp(lo); err != nil {
		return fmt.Errorf("cannot bring the container's loopback interface up: %w", err)
	}
	return nil
}

// Remove removes the host's end of a connection, and with it the other; none
// is no error.
func Remove(outer string) error {
	link, err := netlink.LinkByName(outer)
	if err == nil {
		err = netlink.LinkDel(link)
	}
	// It goes by itself with its namespace, perhaps in this moment.
	if missing := (netlink.LinkNotFoundError{}); err == nil || errors.As(err, &missing) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return fmt.Errorf("cannot remove the interface %s: %w", outer, err)
}

// PutAside silences the host's end of a connection whose container is dead, and
// takes its name away from it, for the next one; it goes when nobody holds its
// namespace any more. [Remove] would wait for the kernel for some hundredths of a
// second, and what is connected meanwhile for its locks. None is no error.
func PutAside(outer string) error {
	host, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("cannot ask the kernel for networks: %w", err)
	}
	defer host.Close()
	link, err := host.LinkByName(outer)
	if err == nil {
		err = host.LinkSetDown(link)
	}
	if err == nil {
		err = host.LinkSetName(link, asideName)
	}
	if missing := (netlink.LinkNotFoundError{}); err == nil || errors.As(err, &missing) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return Remove(outer)
}

// asideName is a pattern: the kernel fills in the first free number.
const asideName = "liold%d"

// Inside runs do on a thread in the network namespace ns.
func Inside(ns *os.File, do func() error) (err error) {
	thread.Spend(func() {
		if err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			err = fmt.Errorf("cannot enter a network namespace: %w", err)
			return
		}
		err = do()
	})
	return err
}
