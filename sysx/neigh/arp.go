package neigh

import (
	"bytes"

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
func (arp) claims(p, address []byte) bool {
	if len(p) < arpSize || !bytes.Equal(p[:6], []byte{0, 1, 8, 0, 6, 4}) {
		return false
	}
	sender := p[arpSender : arpSender+4]
	probes := p[arpOperation+1] == arpRequest && bytes.Equal(sender, make([]byte, 4)) && bytes.Equal(p[arpTarget:arpSize], address)
	return bytes.Equal(sender, address) || probes
}
