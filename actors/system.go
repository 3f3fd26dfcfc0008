package actors

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/asynkron/protoactor-go/actor"
	cmap "github.com/orcaman/concurrent-map"
	"github.com/rs/zerolog"
)

// resuming is how every failure of an actor ends: it continues with the next
// message. Never a restart: a restart stops all children of the actor.
var resuming = actor.NewOneForOneStrategy(0, 0, func(any) actor.Directive {
	return actor.ResumeDirective
})

// The library's table of actors is 1024 maps, of which each would be 32 more,
// with a lock each. The number is a variable that has to be set before the
// first of them is made; nothing else in our programs uses these maps.
func init() { cmap.SHARD_COUNT = 1 }

// NewSystem makes an actor system that logs through log.
//
// The library's table of actors is 1024 maps, memory that would stay for ever:
// it is cut down to one of them, which holds a host's few hundred actors as
// well (docs/adr/0001).
func NewSystem(log zerolog.Logger) *actor.ActorSystem {
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slogHandler{log})
	}))
	all := system.ProcessRegistry.LocalPIDs.LocalPIDs
	keep := all[0]
	for _, bucket := range all[1:] {
		if bucket.IsEmpty() {
			continue // Keys has goroutines do it
		}
		for _, key := range bucket.Keys() {
			if value, ok := bucket.Get(key); ok {
				keep.Set(key, value)
			}
		}
	}
	system.ProcessRegistry.LocalPIDs.LocalPIDs = append(all[:0:0], keep)
	return system
}

// ChildProps are the properties of an actor that another actor starts: its
// panics are logged with their stack and end nothing but the one message.
func ChildProps(name string, log zerolog.Logger, receiver actor.Actor, options ...actor.PropsOption) *actor.Props {
	guarded := &guard{name: name, log: log, inner: receiver}
	return actor.PropsFromProducer(func() actor.Actor { return guarded },
		append(options, actor.WithSupervisor(resuming))...)
}

// TopProps are ChildProps for an actor that is started from the system's root
// context.
func TopProps(name string, log zerolog.Logger, receiver actor.Actor, options ...actor.PropsOption) *actor.Props {
	return ChildProps(name, log, receiver, append(options, actor.WithGuardian(resuming))...)
}

// guard keeps an actor's panics to itself. The library's own way suspends the
// mailbox, asks the parent and has lost the stack by then; it is left as the
// second line of defence.
type guard struct {
	name  string
	log   zerolog.Logger
	inner actor.Actor
}

// Receive implements actor.Actor.
func (g *guard) Receive(ctx actor.Context) {
	defer Recover(g.log, g.name, nil)
	g.inner.Receive(ctx)
}

// GrowStack grows the stack of the calling goroutine at once to the size that a start
// or a death needs. Each run of a mailbox is a goroutine with a small stack,
// which would be doubled three or four times on the way down, with all its frames
// copied. Here it is copied once, while it has few. The size of the frame alone
// does it: use is never true.
//
//go:noinline
func GrowStack(use bool) byte {
	if !use {
		return 0
	}
	var room [12 << 10]byte
	for i := range room {
		room[i] = byte(i)
	}
	return room[len(os.Args)]
}

// Recover is to be deferred: it logs a panic with its stack, and then calls
// then, if there is one, with the panic as an error.
func Recover(log zerolog.Logger, who string, then func(error)) {
	reason := recover()
	if reason == nil {
		return
	}
	log.Error().Msgf("Internal error in %s, which continues with its next message; please report it: %v\n%s",
		who, reason, debug.Stack())
	if then != nil {
		then(fmt.Errorf("internal error in %s: %v", who, reason))
	}
}

// slogHandler passes the library's warnings and errors on; what it says below
// that is about dead letters of late timers.
type slogHandler struct{ log zerolog.Logger }

func (h slogHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn
}

func (h slogHandler) Handle(_ context.Context, r slog.Record) error {
	h.log.Warn().Msgf("Actor library: %s", r.Message)
	return nil
}

func (h slogHandler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h slogHandler) WithGroup(string) slog.Handler      { return h }
