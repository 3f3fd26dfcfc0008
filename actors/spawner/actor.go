package spawner

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"

	"lithos/actors"
	"lithos/spawn"
)

// Spawner is the actor.
type Spawner struct {
	kernel *actors.Kernel
	log    zerolog.Logger
	root   *actor.PID
}

// New makes the actor; it has to be started with a [Dispatcher].
func New(kernel *actors.Kernel, log zerolog.Logger, root *actor.PID) *Spawner {
	return &Spawner{kernel: kernel, log: log, root: root}
}

// Receive implements actor.Actor.
func (s *Spawner) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *StartContainer:
		s.start(ctx, m)
	case *SettleForks:
		ctx.Send(s.root, &ForksSettled{Token: m.Token})
	}
}

func (s *Spawner) start(ctx actor.Context, m *StartContainer) {
	defer m.Request.Wipe()
	if m.Cancelled != nil && m.Cancelled.Load() {
		ctx.Send(m.ReplyTo, &ForkFailed{Gen: m.Gen, Err: ErrCancelled})
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
