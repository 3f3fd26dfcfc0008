package listener

import (
	"os"

	"github.com/asynkron/protoactor-go/actor"

	"lithos/actors"
)

// LeaseSockets asks for sockets in the place of those that the owner has; what
// is the same in both stays open. The answer is [SocketsLeased], or
// [LeaseFailed] with the same Gen: then the owner has none.
type LeaseSockets struct {
	Owner   string // the container's name; it has one set of leases at a time
	Gen     uint32
	Sockets []actors.Socket
	ReplyTo *actor.PID
}

// EnterSockets brings the sockets of a container that an earlier daemon has
// started, in the place of a lease. They come before any [LeaseSockets]. The
// files become the listener's.
type EnterSockets struct {
	Owner   string
	Sockets []actors.Socket
	Files   []*os.File // one for each
}

// ShowSockets asks which of its sockets an owner has leased; the answer is
// [SocketsShown], to ReplyTo.
type ShowSockets struct {
	Owner   string
	Gen     uint32
	Sockets []actors.Socket
	ReplyTo *actor.PID
}

// SocketsShown has the sockets in the order asked for, none if one is missing.
type SocketsShown struct {
	Gen   uint32
	Files []*os.File
}

// InspectSockets restores the sockets of an owner whose container is dead: its
// program may have shut them down for all who share them. It comes before the
// owner's next [LeaseSockets] or [ReturnSockets].
type InspectSockets struct{ Owner string }

// ReturnSockets returns the leases of an owner, if it has any.
type ReturnSockets struct{ Owner string }

// LeaveListener asks, at the end, to close what is still open. It comes after
// every [ReturnSockets]; the library's own Stop would overtake those.
type LeaveListener struct{}

// ListenerLeft answers [LeaveListener], to the parent.
type ListenerLeft struct{}

// SocketsLeased answers [LeaseSockets]: the files, in the order of the
// request. They stay the listener's, and open until they are returned.
type SocketsLeased struct {
	Gen   uint32
	Files []*os.File
}

// LeaseFailed answers [LeaseSockets]: nothing has been leased.
type LeaseFailed struct {
	Gen uint32
	Err error
}
