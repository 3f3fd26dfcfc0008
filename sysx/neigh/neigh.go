package neigh

import (
	"time"

	"golang.org/x/sys/unix"

	"lithos/sysx/eintr"
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
// has it. Then done is to be called where nobody waits for it, it may take some
// hundredths of a second.
//
// Preconditions: CAP_NET_RAW, on a thread in the link's network namespace; the
// address is configured and the interface up.
func (l Link) Claim(address []byte, patience time.Duration) (done func(), err error) {
	fd, err := l.Listen(address)
	if err != nil {
		return func() {}, err
	}
	done = func() { unix.Close(fd) }
	begin := time.Now()
	// Twice: the first may come before a bridge has seen that its port is up.
	for _, until := range []time.Duration{patience / 2, patience} {
		if err := l.Question(address).Send(fd); err != nil {
			return done, err
		}
		if err := listen(fd, begin.Add(until)); err != nil {
			return done, err
		}
	}
	return done, l.Announcement(address).Send(fd)
}

// Listen opens a socket that gets from others on the link only what says that
// they have the address, or are about to take it. To close it takes some
// hundredths of a second.
//
// Preconditions: those of [Link.Claim].
func (l Link) Listen(address []byte) (fd int, err error) {
	// Without a protocol until it is bound, or the kernel would wait at that.
	if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, err
	}
	p := protocolOf(address)
	code := filter(l.MAC, p.claims(address)...)
	err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]})
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: swap(p.ethertype()), Ifindex: l.Index})
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// Message is one that is sent by a socket of [Link.Listen].
type Message struct {
	To   unix.RawSockaddrLinklayer
	Data []byte
}

// Question asks for the owner of an address.
func (l Link) Question(address []byte) Message {
	p := protocolOf(address)
	return l.message(p, p.askTo(address), p.question(l.MAC, address))
}

// Announcement tells everybody that it is here now.
func (l Link) Announcement(address []byte) Message {
	p := protocolOf(address)
	return l.message(p, p.tellTo(), p.announcement(l.MAC, address))
}

func (l Link) message(p protocol, to [6]byte, data []byte) Message {
	m := Message{Data: data, To: unix.RawSockaddrLinklayer{
		Family: unix.AF_PACKET, Protocol: swap(p.ethertype()), Ifindex: int32(l.Index), Halen: 6}}
	copy(m.To.Addr[:], to[:])
	return m
}

// Send sends it.
func (m Message) Send(fd int) error {
	sa := &unix.SockaddrLinklayer{Protocol: m.To.Protocol, Ifindex: int(m.To.Ifindex), Halen: m.To.Halen, Addr: m.To.Addr}
	return eintr.Retry(func() error { return unix.Sendto(fd, m.Data, 0, sa) })
}

// protocol is what differs between IPv4 and IPv6.
type protocol interface {
	ethertype() uint16
	askTo(address []byte) [6]byte
	tellTo() [6]byte
	question(mac [6]byte, address []byte) []byte
	announcement(mac [6]byte, address []byte) []byte
	// claims are what packets are like that say that their sender has the
	// address, or is about to take it.
	claims(address []byte) [][]condition
}

func protocolOf(address []byte) protocol {
	if len(address) == 4 {
		return arp{}
	}
	return ndp{}
}

func swap(n uint16) uint16 { return n<<8 | n>>8 }

// listen waits for an owner of the address.
func listen(fd int, until time.Time) error {
	for {
		left := time.Until(until)
		if left <= 0 {
			return nil
		}
		tv := unix.NsecToTimeval(int64(max(left, time.Millisecond)))
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
			return err
		}
		_, from, err := unix.Recvfrom(fd, make([]byte, 1), 0)
		if err == unix.EINTR {
			continue
		}
		if err == unix.EAGAIN {
			return nil
		}
		if err != nil {
			return err
		}
		conflict := new(Conflict)
		if sa, ok := from.(*unix.SockaddrLinklayer); ok {
			copy(conflict.MAC[:], sa.Addr[:])
		}
		return conflict
	}
}
