package spawn

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lithos/spawn/records"
	"lithos/spawn/wire"
	"lithos/sysx/bridge"
	"lithos/sysx/neigh"
	"lithos/sysx/userns"
)

// isolation is the program's own namespaces, which are made before it exists: the
// user namespace, whose maps need a process outside of it, and the network
// namespace, which belongs to that so that the program may bind port 80. PID 1
// and the mounts stay in the host's user namespace.
type isolation struct {
	user, network *os.File   // nil = the host's
	question      *os.File   // socket for the answers of hosts that have its address, nil = none
	outer         string     // the host's end of its connection to a bridge, "" = none
	sockets       []*os.File // for the program
	made          []*os.File // of these, in its network
}

// isolate makes the namespaces and what is in them, and completes the spec. After
// an error, what it returns is to be closed, too.
func isolate(r *Request, spec *wire.Spec, again bool) (*isolation, error) {
	n := &isolation{sockets: slices.Clone(r.Sockets)}
	if len(r.UIDMap) == 0 && r.Network == nil {
		return n, nil
	}
	spaces, err := userns.Make(userns.Options{UIDs: r.UIDMap, GIDs: r.GIDMap, Network: r.Network != nil})
	if err != nil {
		return n, err
	}
	spec.UserNS, spec.NetNS = spaces.User != nil, spaces.Network != nil
	n.user, n.network = spaces.User, spaces.Network
	if n.network == nil {
		return n, nil
	}
	if err := n.connect(r, spec, again); err != nil {
		return n, err
	}
	return n, n.listen(r)
}

// files are for PID 1, in the order in which it expects them.
func (n *isolation) files() (list []*os.File) {
	for _, f := range []*os.File{n.user, n.network, n.question} {
		if f != nil {
			list = append(list, f)
		}
	}
	return list
}

// close closes everything but what [networks.keep] has kept.
func (n *isolation) close() {
	for _, f := range append(slices.Clip(n.made), n.user, n.network) {
		if f != nil {
			f.Close()
		}
	}
	if f := n.question; f != nil {
		time.AfterFunc(questionLinger, func() { f.Close() })
	}
}

// connection is the place of a container on its bridge, nil if it has none.
func connection(r *Request) *bridge.Connection {
	n := r.Network
	if n == nil || !n.Address.IsValid() {
		return nil
	}
	return &bridge.Connection{Owner: r.Spec.Name, Bridge: n.Bridge, Address: n.Address, Prefix: n.Prefix, Gateway: n.Gateway}
}

func (n *isolation) connect(r *Request, spec *wire.Spec, again bool) error {
	c := connection(r)
	if c == nil {
		return bridge.Loopback(n.network)
	}
	n.outer = c.Outer()
	inner, err := bridge.Connect(n.network, c, func(inner *bridge.Inner) error { return n.ask(c, inner, again) })
	if err != nil {
		return err
	}
	spec.Network.Index = inner.Index
	spec.Network.MAC = string(inner.MAC[:])
	spec.Network.Address = string(c.Address.AsSlice())
	return nil
}

const (
	// stillOurs is for how long after a container's death its successor does not
	// wait for other hosts to claim the address. A host that took the address
	// meanwhile would have been in its way already. The question is asked all
	// the same, and an answer that comes before the container is made counts.
	stillOurs = 2 * time.Second
	// questionLinger is how long the socket for the answers stays open here. The
	// kernel takes some hundredths of a second in the last close of it. PID 1,
	// which is done with it by then, does not wait for that.
	questionLinger = 50 * time.Millisecond
)

// ask asks other hosts for the address as early as possible. PID 1 reads the
// answers when it has made the container.
func (n *isolation) ask(c *bridge.Connection, inner *bridge.Inner, again bool) error {
	link, address := neigh.Link{Index: inner.Index, MAC: inner.MAC}, c.Address.AsSlice()
	fd, err := link.Listen(address)
	if err != nil {
		return fmt.Errorf("cannot listen for others with the address %s: %w", c.Address, err)
	}
	n.question = os.NewFile(uintptr(fd), "socket for the address "+c.Address.String())
	if again {
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

// listen makes the sockets that belong into the container's network.
func (n *isolation) listen(r *Request) error {
	for i, f := range n.sockets {
		if f != nil {
			continue
		}
		f, err := r.Inside[i].Listen(n.network)
		if err != nil {
			return fmt.Errorf("in the container's network: %w", err)
		}
		n.sockets[i] = f
		n.made = append(n.made, f)
	}
	return nil
}

// disconnect takes back the connection of a start that failed.
func (n *isolation) disconnect() error {
	if n.outer == "" {
		return nil
	}
	return bridge.Remove(n.outer)
}

// networks keeps the networks of bridged containers until these are removed.
type networks struct {
	held   sync.Map // of connected, by the containers' names
	parted sync.Map // of parted
}

// connected is the network of a bridged container.
type connected struct {
	outer string   // the host's end of its connection
	ns    *os.File // its network namespace, whose interfaces go when this is closed
}

// parted is a connection whose container died then.
type parted struct {
	outer string
	at    time.Time
}

// keep takes over the network of a container that has started.
func (s *networks) keep(name string, n *isolation) {
	if n.outer == "" {
		return
	}
	if before, ok := s.held.Swap(name, connected{n.outer, n.network}); ok {
		before.(connected).ns.Close()
	}
	n.network = nil
}

// remove removes the host's end of a dead container's connection. With all it
// does so too where an earlier daemon made it, as the record says. Without all
// another container follows, and nothing is waited for.
func (s *networks) remove(name, record string, all bool) error {
	s.parted.Delete(name)
	if n, ok := s.held.LoadAndDelete(name); ok {
		n := n.(connected)
		if all {
			defer n.ns.Close()
			return bridge.Remove(n.outer)
		}
		if r, err := records.ReadEnd(record); err == nil && r.Started != nil {
			s.parted.Store(name, parted{n.outer, time.Now()}) // no other host had it
		}
		time.AfterFunc(linger, func() { n.ns.Close() })
		return bridge.PutAside(n.outer)
	}
	if !all || record == "" {
		return nil
	}
	r, err := records.Read(record)
	if err != nil || r.Created.Interface == "" {
		return nil // without a record there is no connection to report
	}
	return bridge.Remove(r.Created.Interface)
}

// hadLately tells whether the address of a request was this container's until just
// now.
func (s *networks) hadLately(r *Request) bool {
	c := connection(r)
	if c == nil {
		return false
	}
	was, ok := s.parted.LoadAndDelete(c.Owner)
	return ok && was.(parted).outer == c.Outer() && time.Since(was.(parted).at) < stillOurs
}
