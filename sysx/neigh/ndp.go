package neigh

import (
	"slices"

	"golang.org/x/sys/unix"
)

// ndp is IPv6's.
type ndp struct{}

// Offsets in an IPv6 packet with a neighbour solicitation or advertisement,
// RFC 8200 and 4861.
const (
	ip6Next    = 6
	ip6Source  = 8
	ip6Dest    = 24
	icmp       = 40
	ndpFlags   = icmp + 4
	ndpTarget  = icmp + 8
	ndpOptions = icmp + 24

	solicitation  = 135
	advertisement = 136
	override      = 0x20
	targetLink    = 2 // the option with the hardware address
)

var allNodes = [16]byte{0: 0xff, 1: 2, 15: 1}

func (ndp) ethertype() uint16 { return unix.ETH_P_IPV6 }

// solicited is the multicast group of those whose address ends alike.
func solicited(address []byte) [16]byte {
	return [16]byte{0: 0xff, 1: 2, 11: 1, 12: 0xff, 13: address[13], 14: address[14], 15: address[15]}
}

// multicast is the hardware address of a group.
func multicast(group [16]byte) [6]byte {
	return [6]byte{0x33, 0x33, group[12], group[13], group[14], group[15]}
}

func (ndp) askTo(address []byte) [6]byte { return multicast(solicited(address)) }
func (ndp) tellTo() [6]byte              { return multicast(allNodes) }

// question is that of duplicate address detection: from nobody.
func (ndp) question(_ [6]byte, address []byte) []byte {
	p := make([]byte, ndpOptions)
	to := solicited(address)
	copy(p[ip6Dest:], to[:])
	p[icmp] = solicitation
	copy(p[ndpTarget:], address)
	return finish(p)
}

// announcement is an unsolicited advertisement that overrides known addresses.
func (ndp) announcement(mac [6]byte, address []byte) []byte {
	p := make([]byte, ndpOptions+8)
	copy(p[ip6Source:], address)
	copy(p[ip6Dest:], allNodes[:])
	p[icmp] = advertisement
	p[ndpFlags] = override
	copy(p[ndpTarget:], address)
	p[ndpOptions], p[ndpOptions+1] = targetLink, 1
	copy(p[ndpOptions+2:], mac[:])
	return finish(p)
}

// finish fills in the fixed fields and the checksum.
func finish(p []byte) []byte {
	const version, hopLimit = 6 << 4, 255
	length := len(p) - icmp
	p[0], p[5], p[ip6Next], p[7] = version, byte(length), unix.IPPROTO_ICMPV6, hopLimit
	sum := uint32(length) + unix.IPPROTO_ICMPV6
	for i := ip6Source; i < len(p); i += 2 {
		sum += uint32(p[i])<<8 | uint32(p[i+1])
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	p[icmp+2], p[icmp+3] = ^byte(sum>>8), ^byte(sum)
	return p
}

// claims: an advertisement for the address, or somebody's question for it
// without a sender.
func (ndp) claims(address []byte) [][]condition {
	about := append([]condition{{1, ip6Next, unix.IPPROTO_ICMPV6}}, has(ndpTarget, address)...)
	nobody := has(ip6Source, make([]byte, 16))
	uses, asks := append(slices.Clone(about), condition{1, icmp, advertisement}), append(about, condition{1, icmp, solicitation})
	return [][]condition{uses, append(asks, nobody...)}
}
