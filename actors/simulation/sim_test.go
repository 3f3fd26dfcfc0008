package simulation

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"

	"lithos/actors"
	"lithos/actors/fakekernel"
	"lithos/actors/process"
	"lithos/actors/root"
	"lithos/actors/services/logs"
	"lithos/actors/services/status"
	"lithos/configs"
)

// sim is one run of one seed.
type sim struct {
	seed     uint64
	random   *rand.Rand
	mutation *mutation // nil = none
	step     atomic.Int64

	kernel *fakekernel.Kernel
	files  map[string]*sandboxFile // as they are on disk
	daemon *daemon                 // nil while none runs
	world  world
	// The plan that a daemon kept for the next one, and its expected content.
	kept *configs.Plan
	good good

	trace   []string               // the latest, of traceSize
	failure atomic.Pointer[string] // the first broken invariant
	verbose bool
}

const traceSize = 120

// daemon is one life of lithos_tree.
type daemon struct {
	s        *sim
	root     *root.Daemon
	board    *status.Board
	registry *actors.Registry
	model    model
	began    time.Time
	// fuse is after how many messages it stops, to be killed; 0 = never.
	fuse  int
	blown bool

	mu    sync.Mutex
	dead  bool // it was left: nothing of it may do anything
	ready []*box
	inbox []external
	wake  chan struct{}
	busy  atomic.Int64 // starts that are under way
}

// box is the mailbox of one actor.
type box struct {
	d         *daemon
	id        string
	spawner   bool
	invoker   actor.MessageInvoker
	sys, user []any
	queued    bool // in daemon.ready
	busy      bool // its one message is handled on a goroutine of its own
	suspended bool
}

// external is a message that no actor sent: of a timer or of a goroutine.
type external struct {
	key  string
	post func()
}

func (s *sim) fail(format string, args ...any) {
	text := fmt.Sprintf("step %d, %s: ", s.step.Load(), time.Now().Format("15:04:05.000000")) + fmt.Sprintf(format, args...)
	if s.failure.CompareAndSwap(nil, &text) {
		s.note("BROKEN: %s", text)
	}
}

// note adds a line to the trace.
func (s *sim) note(format string, args ...any) {
	line := fmt.Sprintf("%5d %s ", s.step.Load(), time.Now().Format("02T15:04:05.000000")) + fmt.Sprintf(format, args...)
	if s.verbose {
		fmt.Println(line)
	}
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	if len(s.trace) == traceSize {
		s.trace = append(s.trace[:0], s.trace[1:]...)
	}
	s.trace = append(s.trace, line)
}

// story is the trace as a text.
func (s *sim) story() string {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	return strings.Join(s.trace, "\n")
}

// logged looks at what the actors log.
type logged struct{ d *daemon }

func (l logged) Write(p []byte) (int, error) {
	if l.d.left() {
		return len(p), nil
	}
	text := strings.TrimSpace(string(p))
	if strings.Contains(text, "Internal error") || strings.Contains(text, "fake: ") {
		l.d.s.fail("the log says: %s", text)
	} else if l.d.s.verbose {
		l.d.s.note("log: %s", text)
	}
	return len(p), nil
}

// startDaemon starts lithos_tree with the files as they are.
func (s *sim) startDaemon() {
	level := zerolog.ErrorLevel
	if s.verbose {
		level = zerolog.InfoLevel
	}
	d := &daemon{s: s, board: status.New(), registry: actors.NewRegistry(), began: time.Now(), wake: make(chan struct{}, 1)}
	d.model.reset()
	s.daemon = d
	set := logs.To(logged{d}, level)
	system := actors.NewSystem(set.Master())
	system.Root.WithSenderMiddleware(d.fromOutside)
	snap := s.snapshot()
	d.model.good = s.good
	d.model.apply(snap)
	first := s.mutated(snap)
	main := &box{d: d, id: "root"}
	var err error
	d.root, err = root.Start(system, root.Config{
		Kernel: s.world.kernel(d), Logs: set, Board: d.board, Registry: d.registry,
		Plan: first.plan(), Kept: s.keptPlan(), Keep: d.keep, Knot: "/usr/bin/lithos_knot",
	}, actor.WithMailbox(func() actor.Mailbox { return main }), actor.WithSpawnMiddleware(d.spawn))
	if err != nil {
		s.fail("the daemon does not start: %v", err)
	}
	s.note("the daemon starts")
}

// spawn gives a child of an actor, and its children, a mailbox of ours.
func (d *daemon) spawn(next actor.SpawnFunc) actor.SpawnFunc {
	return func(system *actor.ActorSystem, id string, props *actor.Props, parent actor.SpawnerContext) (*actor.PID, error) {
		// The root's second child; it and the listener have no names.
		b := &box{d: d, id: id}
		if strings.HasPrefix(id, "root/$") {
			d.model.helpers++
			b.spawner = d.model.helpers == 2
			if !b.spawner {
				d.model.listener = b
			}
		}
		props.Configure(actor.WithMailbox(func() actor.Mailbox { return b }), actor.WithSpawnMiddleware(d.spawn))
		return next(system, id, props, parent)
	}
}

// kindOf is the type of a message, with the event that it brings a process.
func kindOf(message any) string {
	kind := fmt.Sprintf("%T", message)
	if event, ok := process.EventOf(message); ok {
		kind += " " + event.Kind.String()
	}
	return kind
}

// fromOutside holds back what timers and goroutines send, until their order has
// been made one.
func (d *daemon) fromOutside(next actor.SenderFunc) actor.SenderFunc {
	return func(c actor.SenderContext, target *actor.PID, envelope *actor.MessageEnvelope) {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.dead {
			return
		}
		kind := kindOf(envelope.Message)
		d.model.late(d, strings.TrimPrefix(target.Id, "root/"), kind)
		key := fmt.Sprint(target.Id, " ", kind)
		if kind == "*root.orphanExited" {
			key += fmt.Sprintf(" %+v", envelope.Message) // many may come at one instant
		}
		d.inbox = append(d.inbox, external{
			key:  key,
			post: func() { next(c, target, envelope) },
		})
		d.signal()
	}
}

func (d *daemon) signal() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// PostUserMessage implements actor.Mailbox.
func (b *box) PostUserMessage(message any) {
	b.d.model.posted(b.d, actor.UnwrapEnvelopeMessage(message))
	if m := b.d.s.mutation; m != nil && m.message != nil {
		for range m.message(b, actor.UnwrapEnvelopeMessage(message)) {
			b.post(&b.user, message)
		}
		return
	}
	b.post(&b.user, message)
}

// PostSystemMessage implements actor.Mailbox.
func (b *box) PostSystemMessage(message any) { b.post(&b.sys, message) }

func (b *box) post(queue *[]any, message any) {
	b.d.mu.Lock()
	defer b.d.mu.Unlock()
	*queue = append(*queue, message)
	b.enqueue()
}

// enqueue has it run; the lock is held.
func (b *box) enqueue() {
	if runnable := len(b.sys) > 0 || len(b.user) > 0 && !b.suspended; runnable && !b.queued && !b.busy && !b.d.dead {
		b.queued = true
		// Sorted, so that it does not matter in which order somebody sends
		// to several: that of a map, often.
		i, _ := slices.BinarySearchFunc(b.d.ready, b.id, func(r *box, id string) int { return cmp.Compare(r.id, id) })
		b.d.ready = slices.Insert(b.d.ready, i, b)
		b.d.signal()
	}
}

// RegisterHandlers implements actor.Mailbox.
func (b *box) RegisterHandlers(invoker actor.MessageInvoker, _ actor.Dispatcher) { b.invoker = invoker }

// Start implements actor.Mailbox.
func (b *box) Start() {}

// UserMessageCount implements actor.Mailbox.
func (b *box) UserMessageCount() int { return len(b.user) }

// next takes one message out, of a box that chance picks; false = there is none.
func (d *daemon) next() (b *box, message any, system, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.ready) == 0 {
		return nil, nil, false, false
	}
	i := d.s.random.IntN(len(d.ready))
	b = d.ready[i]
	d.ready = slices.Delete(d.ready, i, i+1)
	b.queued = false
	if len(b.sys) > 0 {
		message, b.sys = b.sys[0], b.sys[1:]
		return b, message, true, true
	}
	message, b.user = b.user[0], b.user[1:]
	return b, message, false, true
}

// admit posts what came from outside, in an order that depends on nothing.
func (d *daemon) admit() {
	d.mu.Lock()
	list := d.inbox
	d.inbox = nil
	d.mu.Unlock()
	slices.SortStableFunc(list, func(a, b external) int { return cmp.Compare(a.key, b.key) })
	for _, e := range list {
		e.post()
	}
}

// run handles messages until everything sleeps.
func (d *daemon) run() {
	for handled := 0; d.s.failure.Load() == nil && !d.blown; handled++ {
		synctest.Wait()
		select {
		case <-d.s.kernel.Deaths:
			if m := d.s.mutation; m == nil || !m.loseSIGCHLD(d.s) {
				d.root.Signal(syscall.SIGCHLD)
			}
		default:
		}
		d.admit()
		b, message, system, ok := d.next()
		if !ok {
			return
		}
		if handled > 200_000 {
			d.s.fail("no end of messages without time going by; the last is %T to %s", message, b.id)
			return
		}
		d.handle(b, message, system)
		if d.fuse > 0 {
			d.fuse--
			d.blown = d.fuse == 0
		}
	}
}

func (d *daemon) handle(b *box, message any, system bool) {
	switch message.(type) {
	case *actor.SuspendMailbox, *actor.ResumeMailbox:
		_, b.suspended = message.(*actor.SuspendMailbox)
	default:
		d.model.see(d, b, actor.UnwrapEnvelopeMessage(message))
		if b.spawner && !system {
			// A fork takes time, in which the others continue.
			b.busy = true
			d.busy.Add(1)
			go func() {
				b.invoker.InvokeUserMessage(message)
				d.mu.Lock()
				defer d.mu.Unlock()
				b.busy = false
				d.busy.Add(-1)
				b.enqueue()
				d.signal()
			}()
			return
		}
		if system {
			b.invoker.InvokeSystemMessage(message)
		} else {
			b.invoker.InvokeUserMessage(message)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	b.enqueue()
}

// pass lets time go by, and what happens in it happen at its time.
func (s *sim) pass(limit time.Duration) {
	deadline := time.Now().Add(limit)
	for s.failure.Load() == nil {
		s.daemon.run()
		if s.daemon.blown {
			return
		}
		left := time.Until(deadline)
		// Always at the end; in between now and then, it costs most.
		if left <= 0 || s.random.IntN(4) == 0 {
			s.check()
		}
		if left <= 0 {
			return
		}
		timer := time.NewTimer(left)
		select {
		case <-s.daemon.wake:
		case sig := <-s.kernel.Deaths:
			s.kernel.Deaths <- sig // run takes it
		case <-timer.C:
		}
		timer.Stop()
	}
}

// kinds of signals, for the trace.
func (s *sim) signal(sig os.Signal) {
	s.note("signal %v to the daemon", sig)
	s.daemon.root.Signal(sig)
}

// nameOf is the container that an actor is of: its id is root/SANDBOX/PROCESS.N.
func nameOf(b *box) string {
	name, _ := strings.CutPrefix(b.id, "root/")
	return name
}

// abandon has nothing of it do anything any more.
func (d *daemon) abandon() {
	d.mu.Lock()
	d.dead, d.ready, d.inbox = true, nil, nil
	stopped := d.model.stopped
	d.mu.Unlock()
	if !stopped {
		d.root.Close()
	}
}

// abandon releases a daemon that a broken invariant has left running, so that
// the bubble can end.
func (s *sim) abandon() {
	s.daemon.abandon()
	for _, p := range append(s.kernel.Living(), s.kernel.Standbys()...) {
		s.kernel.End(p.PID, 9)
	}
	// Clean-ups, late timers, and the actor library's dead letters.
	time.Sleep(time.Hour)
}
