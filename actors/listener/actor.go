package listener

import (
	"net/netip"
	"os"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"

	"lithos/actors"
)

// Listener is the actor.
type Listener struct {
	kernel *actors.Kernel
	log    zerolog.Logger

	shared map[netip.AddrPort]*socket
	leases map[string][]*socket // by owner
}

// socket is one that is open.
type socket struct {
	addr   netip.AddrPort
	file   *os.File
	leases int
	own    bool // reuse-port: not in Listener.shared
}

// New makes the actor.
func New(kernel *actors.Kernel, log zerolog.Logger) *Listener {
	return &Listener{
		kernel: kernel,
		log:    log,
		shared: make(map[netip.AddrPort]*socket),
		leases: make(map[string][]*socket),
	}
}

// Receive implements actor.Actor.
func (l *Listener) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *LeaseSockets:
		l.lease(ctx, m)
	case *ReturnSockets:
		l.giveBack(m.Owner)
	case *LeaveListener:
		for owner := range l.leases {
			l.giveBack(owner)
		}
		ctx.Send(ctx.Parent(), &ListenerLeft{})
	}
}

func (l *Listener) lease(ctx actor.Context, m *LeaseSockets) {
	// A panic must not leave the owner without an answer.
	defer actors.Recover(l.log, "listener", func(err error) {
		ctx.Send(m.ReplyTo, &LeaseFailed{Gen: m.Gen, Err: err})
	})
	l.giveBack(m.Owner)
	files := make([]*os.File, 0, len(m.Sockets))
	for _, want := range m.Sockets {
		s, err := l.open(want)
		if err != nil {
			l.giveBack(m.Owner)
			ctx.Send(m.ReplyTo, &LeaseFailed{Gen: m.Gen, Err: err})
			return
		}
		s.leases++
		l.leases[m.Owner] = append(l.leases[m.Owner], s)
		files = append(files, s.file)
	}
	ctx.Send(m.ReplyTo, &SocketsLeased{Gen: m.Gen, Files: files})
}

// open finds the socket or makes it. The options of one that is found are not
// looked at: they never change while it is bound (G9).
func (l *Listener) open(want actors.Socket) (*socket, error) {
	if !want.ReusePort {
		if s := l.shared[want.Addr]; s != nil {
			return s, nil
		}
	}
	file, err := l.kernel.Listen(want)
	if err != nil {
		return nil, err
	}
	s := &socket{addr: want.Addr, file: file, own: want.ReusePort}
	if !s.own {
		l.shared[want.Addr] = s
	}
	l.log.Info().Msgf("Listening on %s", want.Addr)
	return s, nil
}

func (l *Listener) giveBack(owner string) {
	for _, s := range l.leases[owner] {
		s.leases--
		if s.leases > 0 {
			continue
		}
		if !s.own {
			delete(l.shared, s.addr)
		}
		if err := l.kernel.Close(s.file); err != nil {
			l.log.Warn().Msgf("Cannot close the socket of %s: %v", s.addr, err)
			continue
		}
		l.log.Info().Msgf("Closed the socket of %s: nobody uses it", s.addr)
	}
	delete(l.leases, owner)
}
