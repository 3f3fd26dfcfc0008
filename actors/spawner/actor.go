package spawner

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"

	"lithos/actors"
	"lithos/actors/services/fair"
	"lithos/spawn"
)

// Spawner is the actor.
type Spawner struct {
	kernel *actors.Kernel
	log    zerolog.Logger
	root   *actor.PID
	queue  fair.Queue[*StartContainer]
	// prepares are the standbys that are asked for. They have time.
	prepares []*PrepareContainer
	turn     bool // a forkNext is under way
	held     bool
}

// New makes the actor; it has to be started with a [Dispatcher].
func New(kernel *actors.Kernel, log zerolog.Logger, root *actor.PID) *Spawner {
	return &Spawner{kernel: kernel, log: log, root: root}
}

// Receive implements actor.Actor.
func (s *Spawner) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *StartContainer:
		s.queue.Add(m, m.Pace, time.Now())
		s.proceed(ctx)
	case *PrepareContainer:
		s.prepares = append(s.prepares, m)
		s.proceed(ctx)
	case *forkNext:
		s.turn = false
		defer s.proceed(ctx)
		s.next(ctx)
	case *FlushForks:
		ctx.Send(s.root, &ForksFlushed{Token: m.Token})
	case *HoldForks:
		s.held = true
		ctx.Send(s.root, &ForksHeld{})
	}
}

// proceed sees to the next fork. Its message is behind all requests that came
// during the last one, so these are in the queue before the next is chosen.
func (s *Spawner) proceed(ctx actor.Context) {
	if !s.turn && (s.queue.Len() > 0 || len(s.prepares) > 0) {
		s.turn = true
		ctx.Send(ctx.Self(), &forkNext{})
	}
}

// next forks once; cancelled starts are skipped.
func (s *Spawner) next(ctx actor.Context) {
	for m, ok := s.queue.Take(); ok; m, ok = s.queue.Take() {
		if m.Cancelled == nil || !m.Cancelled.Load() {
			s.start(ctx, m)
			return
		}
		m.Request.Wipe()
		ctx.Send(m.ReplyTo, &ForkFailed{Gen: m.Gen, Err: ErrCancelled})
	}
	if len(s.prepares) > 0 {
		m := s.prepares[0]
		s.prepares[0] = nil
		s.prepares = s.prepares[1:]
		s.prepare(ctx, m)
	}
}

func (s *Spawner) prepare(ctx actor.Context, m *PrepareContainer) {
	defer m.Request.Wipe()
	if !s.held {
		ctx.Send(m.ReplyTo, &ContainerPrepared{Gen: m.Gen, Err: s.build(m.Request)})
	}
}

// build turns a panic into an error, too.
func (s *Spawner) build(request *spawn.Request) (err error) {
	defer actors.Recover(s.log, "spawner", func(reason error) { err = reason })
	return s.kernel.Prepare(request)
}

func (s *Spawner) start(ctx actor.Context, m *StartContainer) {
	defer m.Request.Wipe()
	if s.held {
		return
	}
	before := time.Now()
	child, err := s.fork(m.Request)
	if err != nil {
		ctx.Send(m.ReplyTo, &ForkFailed{Gen: m.Gen, Err: err})
		return
	}
	forked := &ContainerForked{
		Gen:         m.Gen,
		Name:        m.Request.Spec.Name,
		Child:       child,
		Before:      before,
		Owner:       m.ReplyTo,
		KillTimeout: m.Request.Spec.KillTimeout,
	}
	ctx.Send(m.ReplyTo, forked)
	ctx.Send(s.root, forked)
}

// fork turns a panic into an error: the process actor must get an answer.
func (s *Spawner) fork(request *spawn.Request) (child *spawn.Child, err error) {
	defer actors.Recover(s.log, "spawner", func(reason error) { child, err = nil, reason })
	return s.kernel.Start(request)
}
