package process

import (
	"syscall"
	"time"

	"lithos/actors"
	"lithos/actors/listener"
	"lithos/actors/spawner"
	"lithos/configs"
	"lithos/spawn"
	"lithos/spawn/records"
)

// RunInstance asks that this instance, and nothing else, runs: it is started,
// or replaces the running container.
type RunInstance struct {
	Instance *configs.Instance
	Env      *Env
	// ReportServing asks for an [InstanceServes] when it serves.
	ReportServing bool
}

// UpdateInstance brings options that do not affect the running container: the
// Fingerprint is the same. It is used at the next start.
type UpdateInstance struct {
	Instance *configs.Instance
	Env      *Env
}

// AdoptedGen is the generation of an adopted container: it is the first of its
// actor.
const AdoptedGen = 1

// AdoptInstance is the first message of an actor whose container runs already:
// a daemon that is dead has started it. Its sockets have been entered with the
// listener. Instance is what is wanted; if the container was made from another
// config, a [RunInstance] follows, which replaces it.
type AdoptInstance struct {
	Instance *configs.Instance
	Env      *Env
	Adopted  *Adopted
	// ReportServing is as in [RunInstance].
	ReportServing bool
}

// Adopted is a living container of a daemon that is dead.
type Adopted struct {
	Name        string
	Child       *spawn.Child
	StartTime   uint64 // of its PID 1
	Fingerprint string // of its config
	Image       string
	Config      string        // file inside the image, "" = unknown
	KillTimeout time.Duration // that its PID 1 works with
	Created     time.Time     // when its start was begun
	Counts      records.Tally // over it and those before
	LogFrom     int64         // where its output begins
	Leased      bool          // it has listening sockets of the daemon's
	Ready       time.Time     // since when it was ready; zero = it was not yet
	Unreadable  string        // why its program can't be read to say that it is, "" = it can
	// Stopped says that a signal kept its PID 1 from running when it was found.
	Stopped bool
	// Dead says that it ended before anybody could adopt it. Child has no
	// pidfd then; its death is noted, and the next start follows from it.
	Dead bool
	// Exit is how it ended, if it was a child of this process, as after an
	// exec; nil = to be learnt.
	Exit *actors.Exit
	// Noted says that the daemon before has noted the death, too, and was
	// waiting for restart-timeout.
	Noted bool
}

// Flush asks for a call of Done: by then all that was sent before is dealt with.
type Flush struct{ Done func() }

// ProcessStopped is a fact: its PID 1 was stopped by a signal, or continues.
type ProcessStopped struct {
	Gen     uint32
	Signal  syscall.Signal // that stopped it; 0 = it continues
	Stopped bool
}

// RetireInstance asks to end the container for good; the answer is
// [InstanceRetired].
type RetireInstance struct {
	Shutdown bool // lithos_tree ends
}

// TerminateAgain passes on a further TERM while a container is being ended.
type TerminateAgain struct{}

// DismissInstance ends the actor of a retired instance. Any other ignores it:
// then there will be another [InstanceRetired].
type DismissInstance struct{}

// ProcessExited comes from the root, which has reaped PID 1.
type ProcessExited struct {
	Gen  uint32
	Exit actors.Exit
}

// InstanceRetired goes to the sandbox: nothing is left of the container.
type InstanceRetired struct{ Name string }

// InstanceServes goes to the sandbox, if it has asked: the instance serves, in this
// version.
type InstanceServes struct{ Name, Fingerprint string }

// elapsed is a timer that fired: the event that it was set for.
type elapsed struct{ Event }

// answer is what slow work has come to: the event, with an error if it failed.
type answer struct{ Event }

// programReported is what a program has sent to its socket. Done is closed when it
// is known, so that it may be forgotten.
type programReported struct {
	Event
	Report report
	Done   chan struct{}
}

// standbyGone says that a discarded standby is no more.
type standbyGone struct{ Place *spawn.Standby }

// deathKept says that the record of a death is written, or could not be.
type deathKept struct{}

// containerCleaned says that the clean-up is done, well or not.
type containerCleaned struct {
	Event
	// Discarded is the standby that was waited for.
	Discarded *spawn.Standby
	// Outdated is why the standby that was to follow is none.
	Outdated error
}

// EventOf is the event that a message of others, or of a goroutine or a timer of
// this actor, brings; false if there is none.
func EventOf(message any) (Event, bool) {
	switch m := message.(type) {
	case *listener.SocketsLeased:
		return Event{Kind: Leased, Gen: m.Gen}, true
	case *listener.LeaseFailed:
		return Event{LeaseRefused, m.Gen, m.Err}, true
	case *listener.SocketsShown:
		return Event{Kind: SocketsShown, Gen: m.Gen}, len(m.Files) > 0
	case *spawner.ContainerForked:
		return Event{Kind: Forked, Gen: m.Gen}, true
	case *spawner.ForkFailed:
		return Event{ForkRefused, m.Gen, m.Err}, true
	case *spawner.ContainerPrepared:
		return Event{StandbyForked, m.Gen, m.Err}, true
	case *ProcessExited:
		return Event{Kind: Exited, Gen: m.Gen}, true
	case *ProcessStopped:
		return Event{Kind: Stopped, Gen: m.Gen}, true
	case *containerCleaned:
		return m.Event, true
	case *programReported:
		return m.Event, true
	case *elapsed:
		return m.Event, true
	case *answer:
		return m.Event, true
	}
	return Event{}, false
}
