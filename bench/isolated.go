package main

import (
	"fmt"
	"net"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"lithos/sysx/bridge"
	"lithos/sysx/userns"
)

const (
	benchBridge = "br-bench"
	userMaps    = "uid-map: [{inside: 0, outside: 100000, count: 1000}]\ngid-map: [{inside: 0, outside: 100000, count: 1000}]\n"
)

// useBridge puts the host into a network made for it, and its containers on a
// bridge there.
func (h *host) useBridge() error {
	n, err := userns.Make(userns.Options{Network: true})
	if err != nil {
		return err
	}
	if err := bridge.Inside(n.Network, makeBridge); err != nil {
		n.Close()
		return fmt.Errorf("cannot make a bridge: %w", err)
	}
	h.network = n.Network
	h.sandbox += "bridged-network: {bridge: " + benchBridge + ", network: 10.77.0.0/16}\n"
	return nil
}

func makeBridge() error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = benchBridge
	// Of its own, or it changes with each container's.
	attrs.HardwareAddr = net.HardwareAddr{2, 0, 0, 0, 0, 1}
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

// addresses are those of a process's instances.
func addresses(instances int) string {
	list := make([]string, instances)
	for i := range list {
		list[i] = fmt.Sprintf("10.77.%d.%d", 1+i/250, 1+i%250)
	}
	return ", ip-addresses: [" + strings.Join(list, ", ") + "]"
}
