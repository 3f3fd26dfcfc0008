package neigh

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// condition is that so many bytes (1, 2 or 4) at an offset of a packet have a
// value.
type condition struct {
	size   int
	offset uint32
	value  uint32
}

// Offsets that are none of the packet's, for the kernel's filters.
const (
	packetType = 1<<32 - 0x1000 + 4   // SKF_AD_OFF + SKF_AD_PKTTYPE
	sourceMAC  = 1<<32 - 0x200000 + 6 // SKF_LL_OFF, in the Ethernet header
)

// A filter of the kernel's takes a whole packet, or nothing.
var (
	take   = unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 1 << 16}
	refuse = unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K}
)

// filter takes what others have sent that meets all conditions of one of the
// lists. A packet that is too short meets none.
func filter(mac [6]byte, lists ...[]condition) []unix.SockFilter {
	f := []unix.SockFilter{
		load(1, packetType), jump(unix.PACKET_OUTGOING, 4, 0),
		load(4, sourceMAC), jump(binary.BigEndian.Uint32(mac[:4]), 0, 3),
		load(2, sourceMAC+4), jump(uint32(binary.BigEndian.Uint16(mac[4:])), 0, 1),
		refuse,
	}
	for _, list := range lists {
		for i, c := range list {
			behind := 2*(len(list)-i-1) + 1 // the rest of this list
			f = append(f, load(c.size, c.offset), jump(c.value, 0, uint8(behind)))
		}
		f = append(f, take)
	}
	return append(f, refuse)
}

func load(size int, offset uint32) unix.SockFilter {
	width := map[int]uint16{1: unix.BPF_B, 2: unix.BPF_H, 4: unix.BPF_W}[size]
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_ABS | width, K: offset}
}

// jump leaves out so many instructions where it is that value, and where not.
func jump(value uint32, is, isNot uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: is, Jf: isNot, K: value}
}

// has is that there are these bytes, a multiple of 4, at an offset.
func has(offset uint32, b []byte) []condition {
	var list []condition
	for i := 0; i < len(b); i += 4 {
		list = append(list, condition{4, offset + uint32(i), binary.BigEndian.Uint32(b[i:])})
	}
	return list
}
