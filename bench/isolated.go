package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"lithos/sysx/bridge"
	"lithos/sysx/userns"
)

const benchBridge = "br-bench"

// measureIsolated starts as many containers in user namespaces, on a bridge in
// a network that is made for it.
func measureIsolated(o options, p programs, dir string, s *Start) error {
	n, err := userns.Make(userns.Options{Network: true})
	if err != nil {
		return err
	}
	defer n.Close()
	if err := bridge.Inside(n.Network, makeBridge); err != nil {
		return fmt.Errorf("cannot make a bridge: %w", err)
	}
	h, err := startHostIn(n.Network, o, p, dir, o.containers)
	if err != nil {
		return err
	}
	defer func() {
		if h.daemon.ProcessState == nil {
			_ = h.stop()
		}
	}()
	if err := until("all containers on a bridge", func() bool { return len(h.times()) >= o.containers }); err != nil {
		return err
	}
	s.IsolatedAllMS = ms(h.times()[o.containers-1] - h.begin)
	s.IsolatedToPlain = round(s.IsolatedAllMS / s.AllMS)
	begin := time.Now()
	err = h.stop()
	s.IsolatedStopMS = ms(time.Since(begin).Nanoseconds())
	return err
}

func makeBridge() error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = benchBridge
	br := &netlink.Bridge{LinkAttrs: attrs}
	if err := netlink.LinkAdd(br); err != nil {
		return err
	}
	addr, err := netlink.ParseAddr("10.77.0.1/16")
	if err != nil {
		return err
	}
	addr.Flags = unix.IFA_F_NODAD
	if err := netlink.AddrAdd(br, addr); err != nil {
		return err
	}
	return netlink.LinkSetUp(br)
}

// isolation are the options of the sandbox.
func (h *host) isolation() string {
	if h.network == nil {
		return ""
	}
	const ids = "[{inside: 0, outside: 100000, count: 1000}]\n"
	return "uid-map: " + ids + "gid-map: " + ids + "bridged-network: {bridge: " + benchBridge + ", network: 10.77.0.0/16}\n"
}

// addresses are those of the instances.
func (h *host) addresses(instances int) string {
	if h.network == nil || instances == 0 {
		return ""
	}
	list := make([]string, instances)
	for i := range list {
		list[i] = fmt.Sprintf("10.77.%d.%d", 1+i/250, 1+i%250)
	}
	return ", ip-addresses: [" + strings.Join(list, ", ") + "]"
}
