package simulation

import (
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"lithos/actors"
	"lithos/actors/listener"
	"lithos/actors/process"
	"lithos/actors/sandbox"
	"lithos/actors/spawner"
	"lithos/configs"
	"lithos/spawn"
)

// mutation is a fault that the simulation puts between the actors, or between
// them and the kernel, where it does what a fault of theirs would. Each has to
// be caught.
type mutation struct {
	name string
	// message says how often a message is delivered.
	message func(b *box, message any) int
	// The others tell whether something is not done.
	close   func(s *sim, file *os.File) bool
	signal  func(s *sim, sig syscall.Signal) bool
	remove  func(s *sim, all bool) bool
	discard func(s *sim) bool
	wait    func(s *sim) bool
	sigchld func(s *sim) bool
	// awaitEnd and watch tell whether the end of a container that is no child
	// is taken for known, and lost.
	awaitEnd, watch func(s *sim) bool
	// left changes what a daemon finds of the one before, and takes which of
	// the sockets it gets.
	left  func(*actors.Leftover)
	takes func(s *sim) bool
	kept  func(s *sim) bool // the plan that was kept is lost
	// plan changes what the daemon reads.
	plan func(snapshot)
	// options changes the containers that it reads.
	options func(*configs.Container)

	count atomic.Int64
}

func (m *mutation) loseSIGCHLD(s *sim) bool { return m.sigchld != nil && m.sigchld(s) }

// mutated is what the daemon gets to read of a snapshot.
func (s *sim) mutated(snap snapshot) readable {
	r := readable{snap: snap}
	if m := s.mutation; m != nil {
		r.options = m.options
		if m.plan != nil {
			changed := make(snapshot, len(snap))
			for name, f := range snap {
				changed[name] = f.clone()
			}
			m.plan(changed)
			r.snap = changed
		}
	}
	return r
}

type readable struct {
	snap    snapshot
	options func(*configs.Container)
}

func (r readable) plan() *configs.Plan {
	p := r.snap.plan()
	if r.options != nil {
		for _, sb := range p.Sandboxes {
			for _, process := range sb.Processes {
				for _, inst := range process.Instances {
					r.options(inst.Container)
				}
			}
		}
	}
	return p
}

// every is true each n-th time.
func (m *mutation) every(n int) bool {
	return m.count.Add(1)%int64(n) == 0
}

// dropping loses each n-th message of a type.
func dropping[T any](what string, n int) func() *mutation {
	return times[T](what, n, 0)
}

func times[T any](what string, n, deliveries int) func() *mutation {
	return func() *mutation {
		m := &mutation{name: what}
		m.message = func(_ *box, message any) int {
			if _, ok := message.(T); ok && m.every(n) {
				return deliveries
			}
			return 1
		}
		return m
	}
}

// named loses each n-th message of a type that is not exported.
func named(what, kind string, n int) func() *mutation {
	return func() *mutation {
		m := &mutation{name: what}
		m.message = func(_ *box, message any) int {
			if kindOf(message) == kind && m.every(n) {
				return 0
			}
			return 1
		}
		return m
	}
}

// mutations are the faults. Each is made again for a run, since it counts.
var mutations = []func() *mutation{
	named("a restart timer dropped", "*process.elapsed RestartElapsed", 10),
	named("a kill timer dropped", "*process.elapsed KillElapsed", 2),
	named("the end of a clean-up lost", "*process.containerCleaned Cleaned", 10),
	named("what was read lost", "*root.planLoaded", 3),
	dropping[*listener.ReturnSockets]("a lease kept", 5),
	dropping[*listener.SocketsLeased]("a lease not reported", 10),
	dropping[*listener.LeaseFailed]("a refused lease not reported", 2),
	times[*spawner.StartContainer]("a double start", 10, 2),
	dropping[*spawner.StartContainer]("a start lost", 10),
	dropping[*spawner.ForkFailed]("a failed fork not reported", 3),
	dropping[*spawner.ContainerPrepared]("a standby not reported", 2),
	named("the end of a standby lost", "*process.answer StandbyLost", 2),
	named("the end of a discarded standby lost", "*process.standbyGone", 2),
	func() *mutation {
		m := &mutation{name: "a standby not discarded"}
		m.discard = func(*sim) bool { return m.every(3) }
		return m
	},
	dropping[*process.ProcessExited]("an exit lost on its way", 10),
	dropping[*process.RunInstance]("a changed instance not run", 10),
	dropping[*process.UpdateInstance]("an update lost", 10),
	dropping[*process.RetireInstance]("an instance not retired", 5),
	dropping[*process.InstanceRetired]("the end of an instance not reported", 3),
	dropping[*sandbox.SandboxEnded]("the end of a sandbox not reported", 2),
	dropping[*sandbox.ApplySandbox]("a sandbox's new plan lost", 10),
	dropping[*process.AdoptInstance]("an adoption lost", 3),
	dropping[*sandbox.ContainerAdopted]("an adoption not reported to the root", 3),
	dropping[*listener.EnterSockets]("the sockets of an adopted container not entered", 2),
	named("the end of an adopted container lost", "*root.orphanExited", 2),
	named("what another daemon left not adopted", "*root.leftoversCleared", 2),
	found("a record not read", 3, func(l *actors.Leftover) { l.Info = nil }),
	found("a living container taken for dead", 3, func(l *actors.Leftover) { l.PID = 0 }),
	found("a death in the gap taken for told", 1, func(l *actors.Leftover) { l.Noted = l.PID == 0 }),
	found("a death that was told taken for new", 2, func(l *actors.Leftover) { l.Noted = false }),
	found("the time of a start forgotten", 1, func(l *actors.Leftover) {
		if l.Info != nil {
			l.Info.Created.At, l.Info.Tally = l.Info.Created.At.Add(-time.Hour), nil
		}
	}),
	found("failures in a row forgotten", 1, func(l *actors.Leftover) {
		if l.Info != nil {
			l.Info.Tally, l.Info.Created.Tally = nil, nil
		}
	}),
	found("a failed try forgotten", 1, func(l *actors.Leftover) {
		if l.Info != nil && l.Info.Tally != nil {
			counts := *l.Info.Tally
			counts.Tried = time.Time{}
			l.Info.Tally = &counts
		}
	}),
	func() *mutation {
		m := &mutation{name: "a dead daemon's container not waited for"}
		m.awaitEnd = func(*sim) bool { return m.every(2) }
		return m
	},
	func() *mutation {
		m := &mutation{name: "an adopted container not watched"}
		m.watch = func(*sim) bool { return m.every(3) }
		return m
	},
	func() *mutation {
		m := &mutation{name: "sockets not copied back"}
		m.takes = func(*sim) bool { return m.every(2) }
		return m
	},
	func() *mutation {
		return &mutation{name: "the kept plan lost", kept: func(*sim) bool { return true }}
	},
	forkUnknown("a fork not reported to the root", "root"),
	forkUnknown("a fork not reported to its owner", ""),
	func() *mutation {
		m := &mutation{name: "an exit lost"}
		m.wait = func(*sim) bool { return m.every(10) }
		return m
	},
	func() *mutation {
		m := &mutation{name: "SIGCHLD lost"}
		m.sigchld = func(*sim) bool { return m.every(10) }
		return m
	},
	func() *mutation {
		return &mutation{name: "restart-timeout ignored", options: func(c *configs.Container) {
			c.RestartTimeout, c.RestartBackoff = min(c.RestartTimeout, time.Millisecond), configs.RestartBackoff{}
		}}
	},
	func() *mutation {
		return &mutation{name: "kill-timeout too long", options: func(c *configs.Container) { c.KillTimeout += time.Second }}
	},
	func() *mutation {
		m := &mutation{name: "a socket or pidfd not closed"}
		m.close = func(*sim, *os.File) bool { return m.every(10) }
		return m
	},
	func() *mutation {
		m := &mutation{name: "TERM not sent"}
		m.signal = func(_ *sim, sig syscall.Signal) bool { return sig == spawn.StopSignal && m.every(5) }
		return m
	},
	func() *mutation {
		m := &mutation{name: "a state dir not removed"}
		m.remove = func(_ *sim, all bool) bool { return !all && m.every(10) }
		return m
	},
	func() *mutation {
		m := &mutation{name: "a cgroup not removed"}
		m.remove = func(_ *sim, all bool) bool { return all && m.every(3) }
		return m
	},
	func() *mutation {
		return &mutation{name: "what is broken taken for removed", plan: func(snap snapshot) {
			for name, f := range snap {
				for process, e := range f.processes {
					if e.broken {
						delete(f.processes, process)
					}
				}
				if f.broken {
					delete(snap, name)
				}
			}
		}}
	},
	func() *mutation {
		m := &mutation{name: "a socket returned while it is used"}
		m.message = func(b *box, message any) int {
			if forked, ok := message.(*spawner.ContainerForked); ok && b.id != "root" && m.every(5) {
				b.d.model.listener.post(&b.d.model.listener.user, &listener.ReturnSockets{Owner: forked.Name})
			}
			return 1
		}
		return m
	},
}

// found changes each n-th thing that a daemon finds of the one before it.
func found(what string, n int, change func(*actors.Leftover)) func() *mutation {
	return func() *mutation {
		m := &mutation{name: what}
		m.left = func(l *actors.Leftover) {
			if m.every(n) {
				change(l)
			}
		}
		return m
	}
}

func forkUnknown(what, id string) func() *mutation {
	return func() *mutation {
		m := &mutation{name: what}
		m.message = func(b *box, message any) int {
			if _, ok := message.(*spawner.ContainerForked); ok && (b.id == "root") == (id == "root") && m.every(10) {
				return 0
			}
			return 1
		}
		return m
	}
}
