package neigh

import (
	"slices"

	"golang.org/x/sys/unix"
)

// arp is IPv4's.
type arp struct{}

// Offsets in an ARP packet for Ethernet and IPv4, RFC 826.
const (
	arpOperation = 6
	arpSenderMAC = 8
	arpSender    = 14
	arpTarget    = 24
	arpSize      = 28

	arpRequest = 1
)

func (arp) ethertype() uint16    { return unix.ETH_P_ARP }
func (arp) askTo([]byte) [6]byte { return arp{}.tellTo() }
func (arp) tellTo() [6]byte      { return [6]byte{255, 255, 255, 255, 255, 255} }

func (arp) packet(mac [6]byte, sender, target []byte) []byte {
	p := make([]byte, arpSize)
	copy(p, []byte{0, 1, 8, 0, 6, 4, 0, arpRequest})
	copy(p[arpSenderMAC:], mac[:])
	copy(p[arpSender:], sender)
	copy(p[arpTarget:], target)
	return p
}

// question is an ARP probe: without a sender's address, so that nobody learns
// one from it.
func (a arp) question(mac [6]byte, address []byte) []byte {
	return a.packet(mac, nil, address)
}

// announcement is a gratuitous ARP: both addresses are the own one.
func (a arp) announcement(mac [6]byte, address []byte) []byte {
	return a.packet(mac, address, address)
}

// claims: whoever uses the address as the sender has it; whoever probes for it
// is about to.
func (arp) claims(address []byte) [][]condition {
	head := []condition{{4, 0, 1<<16 | unix.ETH_P_IP}, {2, 4, 6<<8 | 4}}
	uses := append(slices.Clone(head), has(arpSender, address)...)
	probes := append(slices.Clone(head), condition{2, arpOperation, arpRequest}, condition{4, arpSender, 0})
	return [][]condition{uses, append(probes, has(arpTarget, address)...)}
}
