package spawn

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"net/netip"
	"os"
	"slices"

	"lithos/spawn/knot"
	"lithos/spawn/records"
	"lithos/spawn/wire"
	"lithos/sysx/cgroup"
	"lithos/sysx/sock"
	"lithos/sysx/userns"
)

// Request is one start.
type Request struct {
	Spec *Spec
	// Argv is the command line of PID 1: lithos_knot --name NAME --master
	// FILE --config JSON, in that order, for pgrep (section "Running nsenter" of the manual).
	Argv []string
	// Record is the path of the container's record file, see [records.Record].
	Record string
	// RecordHead is the supervisor's own part of the record.
	RecordHead records.Created
	// Sockets are the listening sockets of Spec.Sockets, in that order.
	// They stay the caller's. A nil one is made at the start, in the
	// container's network, as Inside says.
	Sockets []*os.File
	// Secrets are variables beside those of Spec.Env, none of which has one
	// of their names. The start wipes them.
	Secrets []Secret
	Inside  map[int]Socket // by index in Sockets
	// NoticeFD is the descriptor by which the program tells that it is ready;
	// 0 = it does not.
	NoticeFD int
	// NotifyPath is where in the container a socket is mounted by which the
	// program tells that it is ready; "" = none.
	NotifyPath string
	// UIDMap and GIDMap are those of a user namespace for the program; empty =
	// none.
	UIDMap, GIDMap []IDMap
	// Network is the bridged network of the program, nil = the host's.
	Network *Network
	// Limits are the limits of the container's cgroup.
	Limits cgroup.Limits
	// Standby is the standby for this start, or the place for it; nil = none.
	Standby *Standby
	// Stdio is 0, 1, 2 of an interactive container; nil entries are /dev/null.
	// With Spec.Terminal, 0 is a terminal that is nobody's controlling one yet.
	Stdio [3]*os.File
}

// Secret is a variable whose value must not be shown.
type Secret struct {
	Name  string
	Value []byte
}

// Wipe overwrites the secrets, for who is done with the request, also if there
// was no start.
func (r *Request) Wipe() {
	for _, s := range r.Secrets {
		clear(s.Value)
	}
}

// Format gives a placeholder, for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.Name+"=[secret]") }

// Socket is a listening socket to be made.
type Socket struct {
	Addr      netip.AddrPort
	V6Only    sock.V6Only
	Backlog   int
	ReuseAddr bool
	ReusePort bool
	NonBlock  bool
	UID, GID  uint32 // host ids, the socket's owner
}

// Listen makes it in a network namespace, nil = the caller's.
func (s Socket) Listen(network *os.File) (*os.File, error) {
	return sock.Listen(s.options(network))
}

// Restore brings a socket that Listen made back into that state, see
// [sock.Restore].
func (s Socket) Restore(made *os.File, shared bool) (sock.Restored, error) {
	return sock.Restore(made, s.options(nil), shared)
}

func (s Socket) options(network *os.File) sock.Options {
	return sock.Options{
		Addr:      s.Addr,
		V6Only:    s.V6Only,
		Backlog:   s.Backlog,
		ReuseAddr: s.ReuseAddr,
		ReusePort: s.ReusePort,
		NonBlock:  s.NonBlock,
		UID:       s.UID,
		GID:       s.GID,
		Network:   network,
	}
}

// IDMap is one line of a uid or gid map.
type IDMap = userns.Map

// Network is a container's place in a bridged network (section L of docs/requirements.md).
type Network struct {
	Bridge  string
	Address netip.Addr // invalid = loopback alone
	Prefix  netip.Prefix
	Gateway netip.Addr // invalid = no default route
}

// check finds requests that no container can be made from.
func (r *Request) check() error {
	switch {
	case r.Spec == nil:
		return errors.New("no spec")
	case len(r.Sockets) != len(r.Spec.Sockets):
		return fmt.Errorf("%d sockets for %d descriptors of the program", len(r.Sockets), len(r.Spec.Sockets))
	case len(r.Argv) == 0:
		return errors.New("no command line")
	case r.Network == nil && slices.Contains(r.Sockets, nil):
		return errors.New("a socket is missing")
	}
	return nil
}

// seed makes keys that no other process can guess.
var seed = maphash.MakeSeed()

// key tells containers apart. It covers the secrets, which can't be had from it.
func (r *Request) key() uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	_, _ = h.Write(wire.Encode(r.Spec))
	for _, secret := range r.Secrets {
		fmt.Fprintf(&h, "%q %d ", secret.Name, len(secret.Value))
		_, _ = h.Write(secret.Value)
	}
	if r.Spec.Hosts.PublicHostname {
		_, _ = h.Write(knot.HostsLines(&r.Spec.Hosts))
	}
	fmt.Fprintf(&h, "%q %v %v %+v %d %q", r.Argv, r.UIDMap, r.GIDMap, r.Limits, r.NoticeFD, r.NotifyPath)
	return h.Sum64()
}
