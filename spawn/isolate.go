package spawn

import (
	"fmt"
	"os"

	"lithos/sysx/bridge"
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
			l.opened = append(l.opened, f)
			l.spaces = append(l.spaces, f)
		}
	}
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
	inner, err := bridge.Connect(ns, c)
	if err != nil {
		return err
	}
	l.spec.Network.Index = inner.Index
	l.spec.Network.MAC = string(inner.MAC[:])
	l.spec.Network.Address = string(c.Address.AsSlice())
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

// interfaceOf is the host's end of a container's connection to a bridge, ""
// if it has none. What another daemon made is in the record.
func (s *Spawner) interfaceOf(name, record string, all bool) string {
	if outer, ok := s.interfaces.LoadAndDelete(name); ok {
		return outer.(string)
	}
	if !all || record == "" {
		return ""
	}
	r, err := ReadRecord(record)
	if err != nil {
		return "" // what is not there is nothing to tell about
	}
	return r.Created.Interface
}
