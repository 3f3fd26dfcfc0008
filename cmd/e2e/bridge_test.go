package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"lithos/sysx/bridge"
)

// network is a host's network of its own, with a bridge: these tests change
// nothing of the machine's.
type network struct {
	t  *testing.T
	ns *os.File
	*netlink.Handle
}

const (
	bridgeName = "br-e2e"
	bridgeV4   = "10.77.0.1"
	bridgeV6   = "fd77::1"
)

// newNetwork makes the network, and has the host's daemon run in it.
func newNetwork(h *host) *network {
	h.t.Helper()
	holder := exec.Command("/proc/self/exe", "e2e-program", "wait")
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	must(h.t, holder.Start())
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", holder.Process.Pid))
	_ = holder.Process.Kill()
	_ = holder.Wait()
	must(h.t, err)
	h.t.Cleanup(func() { _ = ns.Close() })
	handle, err := netlink.NewHandleAt(netns.NsHandle(ns.Fd()), unix.NETLINK_ROUTE)
	must(h.t, err)
	h.t.Cleanup(handle.Close)
	n := &network{h.t, ns, handle}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = bridgeName
	// Otherwise it has the lowest MAC of its ports, and forgets its neighbours
	// whenever that changes.
	attrs.HardwareAddr = net.HardwareAddr{2, 0, 0, 0, 0, 1}
	br := &netlink.Bridge{LinkAttrs: attrs}
	must(h.t, n.LinkAdd(br))
	for _, ip := range []string{bridgeV4 + "/24", bridgeV6 + "/64"} {
		addr, err := netlink.ParseAddr(ip)
		must(h.t, err)
		addr.Flags = unix.IFA_F_NODAD
		must(h.t, n.AddrAdd(br, addr))
	}
	must(h.t, n.LinkSetUp(br))
	lo, err := n.LinkByName("lo")
	must(h.t, err)
	must(h.t, n.LinkSetUp(lo))
	return n
}

// start starts the daemon in the network.
func (n *network) start(h *host) {
	h.t.Helper()
	cmd := h.command()
	h.launchBy(cmd, func() error { return bridge.Inside(n.ns, cmd.Start) })
}

// ours are the interfaces of containers.
func (n *network) ours() []string { return n.links("li_") }

// nothingLeft wants none of them, and that what was put aside goes.
func (n *network) nothingLeft() {
	n.t.Helper()
	if left := n.ours(); len(left) > 0 {
		n.t.Errorf("interfaces are left: %q", left)
	}
	n.settle()
}

// settle waits until the kernel has removed what was put aside.
func (n *network) settle() {
	n.t.Helper()
	eventually(n.t, "no interface of a dead container", 20*time.Second, func() error {
		if left := n.links("liold"); len(left) > 0 {
			return fmt.Errorf("there are %q", left)
		}
		return nil
	})
}

// links are the names of interfaces that begin so.
func (n *network) links(prefix string) []string {
	n.t.Helper()
	links := whole(n.t, n.LinkList)
	var names []string
	for _, l := range links {
		if strings.HasPrefix(l.Attrs().Name, prefix) {
			names = append(names, l.Attrs().Name)
		}
	}
	slices.Sort(names)
	return names
}

// ask asks the program `net` of a container from the host: for its name, or
// for that of another one that it is to ask.
func (n *network) ask(address, other string, limit time.Duration) (answer string, err error) {
	err = bridge.Inside(n.ns, func() (err error) {
		answer, err = askNet(address, other, limit)
		return err
	})
	return answer, err
}

// whole takes a list until nothing changes while it is taken.
func whole[T any](t *testing.T, list func() ([]T, error)) []T {
	t.Helper()
	for {
		all, err := list()
		if errors.Is(err, netlink.ErrDumpInterrupted) {
			continue
		}
		must(t, err)
		return all
	}
}

// answers waits until the program of a container answers.
func (n *network) answers(address, want string) {
	n.t.Helper()
	eventually(n.t, "an answer of "+address, 20*time.Second, func() error {
		got, err := n.ask(address, "", within(200*time.Millisecond))
		if err == nil && got != want {
			err = fmt.Errorf("it is %q, not %s", got, want)
		}
		return err
	})
}

// askNet is one question to the program `net`.
func askNet(address, other string, limit time.Duration) (string, error) {
	c, err := net.DialTimeout("tcp", address, limit)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(limit))
	if _, err := fmt.Fprintln(c, other); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(c)
	return string(answer), err
}

// serveNet is the program `net ADDRESS... [FD...]`: it listens at addresses and
// on sockets that it was passed, and tells who it is, asks another one, or
// tells of its network.
func serveNet(args []string) {
	for _, arg := range args {
		var l net.Listener
		var err error
		if fd, notFD := strconv.Atoi(arg); notFD == nil {
			l, err = net.FileListener(os.NewFile(uintptr(fd), "socket"))
		} else {
			l, err = net.Listen("tcp", arg)
		}
		check(err)
		go func() {
			for {
				c, err := l.Accept()
				check(err)
				go answerNet(c)
			}
		}()
	}
	fmt.Println("listening")
	wait()
}

func answerNet(c net.Conn) {
	defer c.Close()
	line, _ := bufio.NewReader(c).ReadString('\n')
	switch line = strings.TrimSpace(line); line {
	case "":
		fmt.Fprint(c, os.Getenv("LITHOS_NAME"))
	case "interfaces":
		list, _ := net.Interfaces()
		for _, i := range list {
			addresses, _ := i.Addrs()
			fmt.Fprintln(c, i.Name, i.Flags&net.FlagUp != 0, i.HardwareAddr, addresses)
		}
	case "status":
		fmt.Fprint(c, text("/proc/self/status"))
	case "route":
		fmt.Fprint(c, text("/proc/net/route"))
	default:
		answer, err := askNet(line, "", 2*time.Second)
		fmt.Fprint(c, answer)
		if err != nil {
			fmt.Fprint(c, err)
		}
	}
}

const mapsOfNet = "uid-map: [{inside: 0, outside: 100000, count: 2000}]\ngid-map: [{inside: 0, outside: 100000, count: 2000}]\n"

func bridgeOf(network, more string) string {
	return "bridged-network:\n  bridge: " + bridgeName + "\n  network: " + network + "\n" + more
}

// Two containers of each family, with and without a user namespace, and the
// host reach each other as soon as their programs run; they listen at port 80.
//
// Covers: D6, K9, L1, L2, L3, L5
func TestBridgedContainersReachEachOther(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	n := newNetwork(h)
	h.image("app", map[string]string{
		"four": simple("", "net", ":80"),
		"six":  simple("", "net", ":80"),
	})
	h.sandbox("four", mapsOfNet+bridgeOf("10.77.0.0/24", "  default-gateway: "+bridgeV4+"\n"),
		"app: {image: app, config: /config/four.yaml, instances: 2, ip-addresses: [10.77.0.2, 10.77.0.3]}")
	h.sandbox("six", bridgeOf("fd77::/64", ""),
		"app: {image: app, config: /config/six.yaml, instances: 2, ip-addresses: ['fd77::2', 'fd77::3']}")
	n.start(h)
	before := h.running("four/app.0", "four/app.1", "six/app.0", "six/app.1")

	families := []struct{ sandbox, a, b string }{
		{"four", "10.77.0.2:80", "10.77.0.3:80"}, {"six", "[fd77::2]:80", "[fd77::3]:80"},
	}
	for _, f := range families {
		n.answers(f.a, f.sandbox+"/app.0")
		n.answers(f.b, f.sandbox+"/app.1")
		// One try: nothing has to settle between two containers that run.
		if got, err := n.ask(f.a, f.b, within(time.Second)); err != nil || got != f.sandbox+"/app.1" {
			t.Errorf("%s: the first asks the second: %q, %v", f.sandbox, got, err)
		}
		if got, err := n.ask(f.b, f.a, within(time.Second)); err != nil || got != f.sandbox+"/app.0" {
			t.Errorf("%s: the second asks the first: %q, %v", f.sandbox, got, err)
		}
		if got, err := n.ask(f.a, "127.0.0.1:80", within(time.Second)); err != nil || got != f.sandbox+"/app.0" {
			t.Errorf("L2 %s: loopback: %q, %v", f.sandbox, got, err)
		}
		interfaces, err := n.ask(f.a, "interfaces", within(time.Second))
		if err != nil || !regexp.MustCompile(`(?m)^lo true .*\nli-[0-9a-f]{6}-[0-9a-f]{4} true `).MatchString(interfaces) {
			t.Errorf("L3 %s: interfaces inside: %v\n%s", f.sandbox, err, interfaces)
		}
		status, err := n.ask(f.a, "status", within(time.Second))
		for _, set := range []string{"CapPrm", "CapEff", "CapInh", "CapAmb"} {
			if err != nil || !strings.Contains(status, set+":\t0000000000000400\n") {
				t.Errorf("K9 %s: %s is not NET_BIND_SERVICE alone: %v\n%s", f.sandbox, set, err, status)
			}
		}
	}
	if route, err := n.ask("10.77.0.2:80", "route", within(time.Second)); err != nil || !strings.Contains(route, "\t00000000\t01004D0A\t0003") {
		t.Errorf("L2: no default route by the gateway: %v\n%s", err, route)
	}
	names := n.ours()
	for _, name := range names {
		if !regexp.MustCompile(`^li_[0-9a-f]{6}_[0-9a-f]{4}$`).MatchString(name) {
			t.Errorf("L3: the interface %s", name)
		}
	}
	if len(names) != 4 {
		t.Errorf("interfaces %q, want 4", names)
	}

	// L5: who knew the old MAC knows the new one, and nobody had to ask.
	for _, f := range families {
		kill(t, before[f.sandbox+"/app.1"].program, killSignal)
		h.successor(f.sandbox+"/app.1", before[f.sandbox+"/app.1"], 20*time.Second)
	}
	for _, f := range families {
		address := netip.MustParseAddrPort(f.b).Addr()
		eventually(t, "neighbours of "+f.b, 10*time.Second, func() error { return n.knows(address) })
		n.answers(f.b, f.sandbox+"/app.1")
		if got, err := n.ask(f.a, f.b, within(time.Second)); err != nil || got != f.sandbox+"/app.1" {
			t.Errorf("%s: the first asks the new second: %q, %v", f.sandbox, got, err)
		}
	}
	h.stop()
	n.nothingLeft()
}

// knows wants the host's entry for a neighbour to be the MAC that is on the
// bridge for it now. The host itself sends nothing for it.
func (n *network) knows(a netip.Addr) error {
	br, err := n.LinkByName(bridgeName)
	must(n.t, err)
	family := unix.AF_INET
	if a.Is6() {
		family = unix.AF_INET6
	}
	entries := whole(n.t, func() ([]netlink.Neigh, error) { return n.NeighList(br.Attrs().Index, family) })
	fdb := whole(n.t, func() ([]netlink.Neigh, error) { return n.NeighList(0, unix.AF_BRIDGE) })
	for _, e := range entries {
		if known, _ := netip.AddrFromSlice(e.IP); known.Unmap() != a {
			continue
		}
		for _, f := range fdb {
			if slices.Equal(f.HardwareAddr, e.HardwareAddr) {
				return nil
			}
		}
		return fmt.Errorf("%v has the MAC %v, which is nobody's on the bridge (state %#x)", a, e.HardwareAddr, e.State)
	}
	return fmt.Errorf("%v is not known", a)
}

// Covers: G8, G18, L7
func TestSocketsInsideAndOutside(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	n := newNetwork(h)
	h.image("app", map[string]string{"app": simple(
		"tcp-ports: {8080: {fd: 3}, 9090: {fd: 4, external: true}}\n", "net", "3", "4")})
	h.sandbox("box", mapsOfNet+bridgeOf("10.77.0.0/24", ""), "app: {image: app, config: /config/app.yaml, ip-addresses: [10.77.0.2]}")
	n.start(h)
	h.running("box/app.0")
	n.answers("10.77.0.2:8080", "box/app.0")
	n.answers(bridgeV4+":9090", "box/app.0")
	for _, address := range []string{"10.77.0.2:9090", bridgeV4 + ":8080"} {
		if got, err := n.ask(address, "", within(time.Second)); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("at %s: %q, %v, want it refused", address, got, err)
		}
	}
}

// Covers: L4
func TestAfterSetupCommand(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	n := newNetwork(h)
	// A file of the host, that no container sees.
	h.write("setup.sh", "#!/bin/sh\n{ echo \"$@\"; env; cat /proc/net/dev; id -u; } >"+h.path("data/setup")+"\necho said by the command\n")
	must(t, os.Chmod(h.path("setup.sh"), 0o755))
	h.image("app", map[string]string{"app": simple("", "net", ":80")})
	h.sandbox("box", mapsOfNet+bridgeOf("10.77.0.0/24", "  after-setup-command: ["+h.path("setup.sh")+", 'a@{container_ip}', '{@container_ip}']\n"),
		"app: {image: app, config: /config/app.yaml, ip-addresses: [10.77.0.2]}")
	h.sandbox("fails", bridgeOf("10.77.0.0/24", "  after-setup-command: [/bin/sh, -c, 'echo why it fails; exit 3']\n"),
		"app: {image: app, config: /config/app.yaml, ip-addresses: [10.77.0.4]}")
	n.start(h)
	h.running("box/app.0")
	n.answers("10.77.0.2:80", "box/app.0")
	setup := h.read("data/setup")
	for _, want := range []string{"a10.77.0.2 10.77.0.2\n", "li-", "\n0\n"} {
		if !strings.Contains(setup, want) {
			t.Errorf("the command wrote no %q:\n%s", want, setup)
		}
	}
	if strings.Contains(setup, "li_") || strings.Contains(setup, bridgeName) || strings.Contains(setup, "LITHOS") || strings.Contains(setup, "HOME=") {
		t.Errorf("the command was not in the container's network, or has more than PATH:\n%s", setup)
	}
	if err := h.outputIn("log/stderr/box.log", "said by the command"); err != nil {
		t.Error(err)
	}
	eventually(t, "a failed and retried start", 20*time.Second, func() error {
		if got := strings.Count(h.read("log/master.log")+h.read("log/fails.log"), "after-setup-command /bin/sh: exited with code 3"); got < 2 {
			return fmt.Errorf("it failed %d times", got)
		}
		return h.outputIn("log/stderr/fails.log", "why it fails")
	})
	h.stop()
	n.nothingLeft()
}

// A mistake in the network fails the start with a sentence, is retried, and
// leaves no interface.
//
// Covers: L2, N3
func TestNetworkErrorsAreReported(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	n := newNetwork(h)
	h.image("app", map[string]string{"app": simple("", "net", ":80")})
	h.sandbox("none", "bridged-network: {bridge: br-none, network: 10.77.0.0/24}\n", "app: {image: app, config: /config/app.yaml, ip-addresses: [10.77.0.2]}")
	h.sandbox("lo", "bridged-network: {bridge: lo, network: 10.77.0.0/24}\n", "app: {image: app, config: /config/app.yaml, ip-addresses: [10.77.0.3]}")
	h.sandbox("taken", bridgeOf("10.77.0.0/24", ""), "app: {image: app, config: /config/app.yaml, ip-addresses: ["+bridgeV4+"]}")
	h.sandbox("taken6", bridgeOf("fd77::/64", ""), "app: {image: app, config: /config/app.yaml, ip-addresses: ['"+bridgeV6+"']}")
	// One that somebody left under the name that a container's will have.
	stale := (&bridge.Connection{Owner: "stale/app.0", Bridge: bridgeName, Address: netip.MustParseAddr("10.77.0.9")}).Outer()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = stale
	veth := netlink.NewVeth(attrs)
	veth.PeerName = "stale-peer"
	must(t, n.LinkAdd(veth))
	h.sandbox("stale", bridgeOf("10.77.0.0/24", ""), "app: {image: app, config: /config/app.yaml, ip-addresses: [10.77.0.9]}")
	n.start(h)
	n.answers("10.77.0.9:80", "stale/app.0")
	// On a slow machine the owner of an address may answer late: a container
	// started meanwhile asks again at its next start.
	again := func(sandbox string) {
		if i := h.instances()[sandbox+"/app.0"]; i.program != 0 {
			_ = syscall.Kill(i.program, syscall.SIGKILL)
		}
	}
	for sandbox, want := range map[string]string{
		"none":   "there is no bridge br-none on this host: make it",
		"lo":     "the interface lo is no bridge",
		"taken":  "cannot use the address " + bridgeV4,
		"taken6": "cannot use the address fd77:",
	} {
		eventually(t, "the failure of "+sandbox, 20*time.Second, func() error {
			log := h.read("log", sandbox+".log") + h.read("log/master.log")
			if sandbox == "none" && strings.Count(log, want) < 2 || !strings.Contains(log, want) {
				again(sandbox)
				return fmt.Errorf("no %q, or it is not tried again, in\n%s", want, log)
			}
			return nil
		})
	}
	eventually(t, "no interface but that of the good one", 10*time.Second, func() error {
		if names := n.ours(); !slices.Equal(names, []string{stale}) {
			again("taken")
			again("taken6")
			return fmt.Errorf("there are %q, want %s", names, stale)
		}
		return nil
	})
	// The next try succeeds when the mistake is gone.
	attrs.Name = "br-none"
	br := &netlink.Bridge{LinkAttrs: attrs}
	must(t, n.LinkAdd(br))
	must(t, n.LinkSetUp(br))
	h.programs("none/app.0", "stale/app.0")
	h.stop()
	n.nothingLeft()
}

// LITHOS_E2E_BRIDGED says how many, by hand 100.
//
// Covers: L2
func TestManyBridgedContainers(t *testing.T) {
	t.Parallel()
	count := 16
	if s := os.Getenv("LITHOS_E2E_BRIDGED"); s != "" {
		var err error
		count, err = strconv.Atoi(s)
		must(t, err)
	}
	h := newHost(t)
	n := newNetwork(h)
	h.image("app", map[string]string{"app": simple("", "net", ":80")})
	var addresses []string
	for i := range count {
		addresses = append(addresses, fmt.Sprintf("10.77.0.%d", i+2))
	}
	h.sandbox("box", mapsOfNet+bridgeOf("10.77.0.0/24", ""), fmt.Sprintf(
		"app: {image: app, config: /config/app.yaml, instances: %d, ip-addresses: [%s]}", count, strings.Join(addresses, ", ")))
	n.start(h)
	began := time.Now()
	for i, a := range addresses {
		n.answers(a+":80", fmt.Sprintf("box/app.%d", i))
	}
	t.Logf("%d bridged containers answered after %v", count, time.Since(began))
	if got := n.ours(); len(got) != count {
		t.Errorf("%d interfaces for %d containers", len(got), count)
	}
	// Half of them go by a reload, the others with the daemon.
	h.processes("box", fmt.Sprintf("app: {image: app, config: /config/app.yaml, instances: %d, ip-addresses: [%s]}", count/2, strings.Join(addresses[:count/2], ", ")))
	h.reload("box")
	eventually(t, "half of the interfaces", 20*time.Second, func() error {
		if got := n.ours(); len(got) != count/2 {
			return fmt.Errorf("there are %d", len(got))
		}
		return nil
	})
	h.stop()
	n.nothingLeft()
}
