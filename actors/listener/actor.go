package listener

import (
	"net/netip"
	"os"
	"slices"
	"strings"

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
	want   actors.Socket // the options that it was opened with
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
	case *EnterSockets:
		l.enter(m)
	case *ShowSockets:
		l.show(ctx, m)
	case *InspectSockets:
		l.inspect(m.Owner)
	case *ReturnSockets:
		l.giveBack(m.Owner)
	case *LeaveListener:
		for owner := range l.leases {
			l.giveBack(owner)
		}
		ctx.Send(ctx.Parent(), &ListenerLeft{})
	}
}

// show lists the sockets of an owner.
func (l *Listener) show(ctx actor.Context, m *ShowSockets) {
	answer := &SocketsShown{Gen: m.Gen}
	for _, want := range m.Sockets {
		i := slices.IndexFunc(l.leases[m.Owner], func(s *socket) bool { return s.want.Addr == want.Addr })
		if i < 0 {
			answer.Files = nil
			break
		}
		answer.Files = append(answer.Files, l.leases[m.Owner][i].file)
	}
	ctx.Send(m.ReplyTo, answer)
}

func (l *Listener) lease(ctx actor.Context, m *LeaseSockets) {
	// A panic must not leave the owner without an answer.
	defer actors.Recover(l.log, "listener", func(err error) {
		ctx.Send(m.ReplyTo, &LeaseFailed{Gen: m.Gen, Err: err})
	})
	kept := l.leases[m.Owner]
	delete(l.leases, m.Owner)
	kept = l.giveBackChanged(kept, m.Sockets)
	defer func() { l.giveBackAll(kept) }()
	files := make([]*os.File, 0, len(m.Sockets))
	for _, want := range m.Sockets {
		s, err := l.open(want, m.Owner, kept)
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

// enter takes over what another daemon has made. Of a socket that several have
// only the first file is kept: they are copies of each other.
func (l *Listener) enter(m *EnterSockets) {
	for i, made := range m.Sockets {
		s := l.shared[made.Addr]
		switch {
		case made.ReusePort || s == nil:
			s = &socket{want: made, file: m.Files[i], own: made.ReusePort}
			if !s.own {
				l.shared[made.Addr] = s
			}
		default:
			if err := l.kernel.Close(m.Files[i]); err != nil {
				l.log.Warn().Msgf("Cannot close a copy of the socket of %s: %v", made.Addr, err)
			}
		}
		s.leases++
		l.leases[m.Owner] = append(l.leases[m.Owner], s)
		l.log.Info().Msgf("Took over the socket of %s from an earlier daemon", made.Addr)
	}
}

// open finds the socket or makes it. One that is found is restored to the options
// that it was made with: they never change while it is bound (G9). Kept are those
// that the owner had: its container is dead, so these are no reason to spare anybody.
func (l *Listener) open(want actors.Socket, owner string, kept []*socket) (*socket, error) {
	if !want.ReusePort {
		if s := l.shared[want.Addr]; s != nil {
			if s.want.Backlog == actors.UnknownBacklog {
				s.want = want // now it is known
			}
			others := s.leases
			if slices.Contains(kept, s) {
				others--
			}
			return s, l.restore(s, owner, others > 0)
		}
	}
	file, err := l.kernel.Listen(want)
	if err != nil {
		return nil, err
	}
	s := &socket{want: want, file: file, own: want.ReusePort}
	if !s.own {
		l.shared[want.Addr] = s
	}
	l.log.Info().Msgf("Listening on %s", want.Addr)
	return s, nil
}

// inspect restores the sockets of an owner that is dead.
func (l *Listener) inspect(owner string) {
	for _, s := range l.leases[owner] {
		if err := l.restore(s, owner, s.leases > 1); err != nil {
			l.log.Error().Str("event", "socket").Str("container", owner).Msgf("After the end of %q: %v", owner, err)
		}
	}
}

// restore undoes what programs have done to a socket. Others are living containers
// that share it; which program shut it down can't be seen, but most likely the one
// that has ended.
func (l *Listener) restore(s *socket, owner string, others bool) error {
	if s.want.Backlog == actors.UnknownBacklog {
		return nil // what it was made with is not known
	}
	restored, err := l.kernel.Restore(s.file, s.want, others)
	if err != nil {
		return err
	}
	if len(restored.Changed) > 0 {
		l.log.Debug().Msgf("Restored %s of the socket of %s: a program had changed that", strings.Join(restored.Changed, ", "), s.want.Addr)
	}
	if !restored.Revived {
		return nil
	}
	line := l.log.Info()
	if others {
		line = l.log.Warn()
	}
	line.Str("event", "socket").Str("container", owner).Stringer("address", s.want.Addr).
		Msgf("The socket of %s accepts connections again: a program had called shutdown(2) on it, most likely that of %q", s.want.Addr, owner)
	return nil
}

// is tells whether it is that socket. Of one that another daemon made for another
// config, only the address is known.
func (s *socket) is(want actors.Socket) bool {
	return s.want == want || s.want.Backlog == actors.UnknownBacklog && s.want.Addr == want.Addr && s.want.ReusePort == want.ReusePort
}

func (l *Listener) giveBack(owner string) {
	l.giveBackAll(l.leases[owner])
	delete(l.leases, owner)
}

// giveBackChanged gives back what a successor does not want in the same form,
// so that its own can take the address, and returns the rest: those stay open
// until the successor has leased them, too (G12).
func (l *Listener) giveBackChanged(held []*socket, wanted []actors.Socket) (rest []*socket) {
	for _, s := range held {
		if !s.own && slices.ContainsFunc(wanted, s.is) {
			rest = append(rest, s)
		} else {
			l.giveBackAll([]*socket{s})
		}
	}
	return rest
}

func (l *Listener) giveBackAll(held []*socket) {
	for _, s := range held {
		s.leases--
		if s.leases > 0 {
			continue
		}
		if !s.own {
			delete(l.shared, s.want.Addr)
		}
		if err := l.kernel.Close(s.file); err != nil {
			l.log.Warn().Msgf("Cannot close the socket of %s: %v", s.want.Addr, err)
			continue
		}
		l.log.Info().Msgf("Closed the socket of %s: nobody uses it", s.want.Addr)
	}
}
