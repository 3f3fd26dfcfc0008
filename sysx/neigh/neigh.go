package neigh

import (
	"time"

	"golang.org/x/sys/unix"
)

// Link is one's own end of a link.
type Link struct {
	Index int // of the interface
	MAC   [6]byte
}

// Conflict is that somebody else has the address.
type Conflict struct{ MAC [6]byte }

// Error names the other by its hardware address.
func (c *Conflict) Error() string {
	const hex = "0123456789abcdef"
	text := []byte("it is taken by ")
	for i, b := range c.MAC {
		if i > 0 {
			text = append(text, ':')
		}
		text = append(text, hex[b>>4], hex[b&15])
	}
	return string(text)
}

// Claim takes an IPv4 (4 bytes) or IPv6 (16 bytes) address: it asks twice
// whether anybody has it, waits for answers in all as long as is said, and then
// tells everybody that it is here now. The error is a [*Conflict] if somebody
// has it.
//
// Preconditions: CAP_NET_RAW, on a thread in the link's network namespace; the
// address is configured and the interface up.
func (l Link) Claim(address []byte, patience time.Duration) error {
	p := protocolOf(address)
	fd, err := l.open(p)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	begin := time.Now()
	// Twice: the first may come before a bridge has seen that its port is up.
	for _, until := range []time.Duration{patience / 2, patience} {
		if err := l.send(fd, p, p.askTo(address), p.question(l.MAC, address)); err != nil {
			return err
		}
		if err := l.listen(fd, p, address, begin.Add(until)); err != nil {
			return err
		}
	}
	return l.send(fd, p, p.tellTo(), p.announcement(l.MAC, address))
}

// protocol is what differs between IPv4 and IPv6.
type protocol interface {
	ethertype() uint16
	askTo(address []byte) [6]byte
	tellTo() [6]byte
	question(mac [6]byte, address []byte) []byte
	announcement(mac [6]byte, address []byte) []byte
	// claims tells whether a packet says that its sender has the address,
	// or is about to take it.
	claims(packet, address []byte) bool
}

func protocolOf(address []byte) protocol {
	if len(address) == 4 {
		return arp{}
	}
	return ndp{}
}

func swap(n uint16) uint16 { return n<<8 | n>>8 }

// open makes a socket that gets and sends packets of the protocol without
// their Ethernet headers.
func (l Link) open(p protocol) (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(swap(p.ethertype())))
	if err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: swap(p.ethertype()), Ifindex: l.Index}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (l Link) send(fd int, p protocol, to [6]byte, packet []byte) error {
	sa := &unix.SockaddrLinklayer{Protocol: swap(p.ethertype()), Ifindex: l.Index, Halen: 6}
	copy(sa.Addr[:], to[:])
	for {
		err := unix.Sendto(fd, packet, 0, sa)
		if err != unix.EINTR {
			return err
		}
	}
}

// listen waits for somebody who has the address.
func (l Link) listen(fd int, p protocol, address []byte, until time.Time) error {
	buf := make([]byte, 256)
	for {
		left := time.Until(until)
		if left <= 0 {
			return nil
		}
		tv := unix.NsecToTimeval(int64(max(left, time.Millisecond)))
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
			return err
		}
		n, from, err := unix.Recvfrom(fd, buf, 0)
		if err == unix.EINTR {
			continue
		}
		if err == unix.EAGAIN {
			return nil
		}
		if err != nil {
			return err
		}
		sa, ok := from.(*unix.SockaddrLinklayer)
		if !ok || sa.Pkttype == unix.PACKET_OUTGOING || !p.claims(buf[:n], address) {
			continue
		}
		if mac := [6]byte(sa.Addr[:6]); mac != l.MAC {
			return &Conflict{mac}
		}
	}
}
