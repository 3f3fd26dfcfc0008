package spawn

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"lithos/spawn/records"
	"lithos/spawn/wire"
	"lithos/sysx/bridge"
	"lithos/sysx/neigh"
	"lithos/sysx/userns"
)

// isolate makes the namespaces of the program that are made before it exists:
// the user namespace, whose maps need somebody outside, and the network
// namespace, which belongs to that so that the program may bind port 80 (K9).
// PID 1 and the mounts stay in the host's user namespace.
func (l *launch) isolate() error {
	l.sockets = append([]*os.File(nil), l.r.Sockets...)
	if len(l.r.UIDMap) == 0 && l.r.Network == nil {
		return nil
	}
	spaces, err := userns.Make(userns.Options{UIDs: l.r.UIDMap, GIDs: l.r.GIDMap, Network: l.r.Network != nil})
	if err != nil {
		return err
	}
	l.spec.UserNS, l.spec.NetNS = spaces.User != nil, spaces.Network != nil
	for _, f := range []*os.File{spaces.User, spaces.Network} {
		if f != nil {
			l.spaces = append(l.spaces, f)
		}
	}
	if spaces.User != nil {
		l.opened = append(l.opened, spaces.User)
	}
	l.network = spaces.Network
	if spaces.Network == nil {
		return nil
	}
	if err := l.connect(spaces.Network); err != nil {
		return err
	}
	return l.listenInside(spaces.Network)
}

// connection is the container's place on its bridge, nil if it has none.
func (l *launch) connection() *bridge.Connection {
	n := l.r.Network
	if n == nil || !n.Address.IsValid() {
		return nil
	}
	return &bridge.Connection{Owner: l.spec.Name, Bridge: n.Bridge, Address: n.Address, Prefix: n.Prefix, Gateway: n.Gateway}
}

func (l *launch) connect(ns *os.File) error {
	c := l.connection()
	if c == nil {
		return bridge.Loopback(ns) // L6
	}
	inner, err := bridge.Connect(ns, c, func(inner *bridge.Inner) error { return l.ask(c, inner) })
	if err != nil {
		return err
	}
	l.spec.Network.Index = inner.Index
	l.spec.Network.MAC = string(inner.MAC[:])
	l.spec.Network.Address = string(c.Address.AsSlice())
	return nil
}

const (
	// stillOurs is for how long after a container's death its successor need
	// not wait for others to say that they have its address: who took the address while it had it would have been
	// refused, or have been in its way already. It is asked all the same, and
	// who answers before the container is made is heard.
	stillOurs = 2 * time.Second
	// askLinger is how long the socket for the answers stays open here. PID 1
	// is done with it by then, and does not wait for the kernel, which takes
	// some hundredths of a second over the last one who closes it.
	askLinger = 50 * time.Millisecond
)

// ask has others asked for the address as early as can be: PID 1 takes the
// answers when it has made the container.
func (l *launch) ask(c *bridge.Connection, inner *bridge.Inner) error {
	link, address := neigh.Link{Index: inner.Index, MAC: inner.MAC}, c.Address.AsSlice()
	fd, err := link.Listen(address)
	if err != nil {
		return fmt.Errorf("cannot listen for others with the address %s: %w", c.Address, err)
	}
	l.asking = os.NewFile(uintptr(fd), "socket for the address "+c.Address.String())
	l.spaces = append(l.spaces, l.asking)
	if l.again {
		err = unix.SetNonblock(fd, true)
	} else {
		tv := unix.NsecToTimeval(int64(wire.ClaimPatience))
		err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv)
	}
	if err == nil {
		err = link.Question(address).Send(fd)
	}
	if err != nil {
		return fmt.Errorf("cannot ask for the address %s: %w", c.Address, err)
	}
	return nil
}

// disconnect takes back what connect made.
func (l *launch) disconnect() error {
	if l.head.Interface == "" {
		return nil
	}
	return bridge.Remove(l.head.Interface)
}

// listenInside makes the sockets that are the container's network's (G18).
func (l *launch) listenInside(ns *os.File) error {
	for i, f := range l.sockets {
		if f != nil {
			continue
		}
		f, err := l.opens(l.r.Inside[i].Listen(ns))
		if err != nil {
			return fmt.Errorf("in the container's network: %w", err)
		}
		l.sockets[i] = f
	}
	return nil
}

// network is what is held of a bridged container.
type network struct {
	outer string   // the host's end of its connection
	ns    *os.File // its network namespace: what is in it goes when this is closed
}

// keepNetwork notes what is to be removed after the container's death.
func (s *Spawner) keepNetwork(l *launch) {
	if l.head.Interface == "" {
		return
	}
	if before, ok := s.networks.Swap(l.spec.Name, &network{l.head.Interface, l.network}); ok {
		before.(*network).ns.Close()
	}
	l.network = nil
}

// removeNetwork removes the host's end of a dead container's connection, with
// all also where it was another daemon that has made it, as the record says. If
// another container follows, nobody waits for that.
func (s *Spawner) removeNetwork(name, record string, all bool) error {
	s.lately.Delete(name)
	if n, ok := s.networks.LoadAndDelete(name); ok {
		n := n.(*network)
		if all {
			defer n.ns.Close()
			return bridge.Remove(n.outer)
		}
		if r, err := records.ReadEnd(record); err == nil && r.Started != nil {
			s.lately.Store(name, lately{n.outer, time.Now()}) // nobody else had it
		}
		time.AfterFunc(linger, func() { n.ns.Close() })
		return bridge.PutAside(n.outer)
	}
	if !all || record == "" {
		return nil
	}
	r, err := records.Read(record)
	if err != nil || r.Created.Interface == "" {
		return nil // what is not there is nothing to tell about
	}
	return bridge.Remove(r.Created.Interface)
}

// lately is a connection whose container died then.
type lately struct {
	outer string
	at    time.Time
}

// hadLately tells whether the address was this container's own until just now.
func (s *Spawner) hadLately(name, outer string) bool {
	was, ok := s.lately.LoadAndDelete(name)
	return ok && was.(lately).outer == outer && time.Since(was.(lately).at) < stillOurs
}
