package process

import (
	"syscall"
	"time"

	"lithos/actors"
	"lithos/configs"
	"lithos/spawn"
	"lithos/spawn/records"
)

// RunInstance asks that this instance, and nothing else, runs: it is started,
// or takes the place of what runs.
type RunInstance struct {
	Instance *configs.Instance
	Env      *Env
	// Settles asks for an [InstanceSettled] when it serves.
	Settles bool
}

// UpdateInstance brings what does not matter to the running container: the
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
	Settles  bool // as in [RunInstance]
}

// Adopted is a living container of a daemon that is dead.
type Adopted struct {
	Name        string
	Child       *spawn.Child
	StartTime   uint64 // of its PID 1
	Fingerprint string // of what it was made from
	Image       string
	KillTimeout time.Duration // that its PID 1 works with
	Created     time.Time     // when its start was begun
	Counts      records.Tally // over it and those before
	LogFrom     int64         // where its output begins
	Leased      bool          // it has listening sockets of the daemon's
	Ready       time.Time     // since when it was ready; zero = it was not yet
	Deaf        string        // why its program can't be heard to say that it is, "" = it can
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

// Settle asks for a call of Done: by then all that was sent before is dealt with.
type Settle struct{ Done func() }

// ProcessStopped is a fact: its PID 1 was stopped by a signal, or goes on.
type ProcessStopped struct {
	Gen     uint32
	Signal  syscall.Signal // that stopped it; 0 = it goes on
	Stopped bool
}

// RetireInstance asks to end the container for good; the answer is
// [InstanceRetired].
type RetireInstance struct {
	Shutdown bool // lithos_tree ends
}

// TerminateAgain passes on a further TERM while a container is being ended.
type TerminateAgain struct{}

// LeaveInstance ends the actor of a retired instance. Any other ignores it:
// then there will be another [InstanceRetired].
type LeaveInstance struct{}

// ProcessExited comes from the root, which has reaped PID 1.
type ProcessExited struct {
	Gen  uint32
	Exit actors.Exit
}

// InstanceRetired goes to the sandbox: nothing is left of the container.
type InstanceRetired struct{ Name string }

// InstanceSettled goes to the sandbox, if it has asked: the instance serves, in this
// version.
type InstanceSettled struct{ Name, Fingerprint string }

// settleDue is its timer; Gen is of the start.
type settleDue struct{ Gen uint32 }

// restartTimeoutElapsed and killTimeoutElapsed are the timers.
type restartTimeoutElapsed struct{ Gen uint32 }
type killTimeoutElapsed struct{ Gen uint32 }

// restartAllowed says that the restart that waited for restart-budget is due.
type restartAllowed struct{ Gen uint32 }

// noticeHeard is what a program tells of its own accord; Gen is of the start.
type noticeHeard struct {
	Gen uint32
	Err error // nil = it is ready
}

// noticeTold is what a program has sent to its socket; Gen is of the start. Done
// is closed when it is known, so that it may be forgotten.
type noticeTold struct {
	Gen  uint32
	Told told
	Done chan struct{}
}

// checkDue and readyOverdue are the timers of the checks, checkDone the answer
// to one.
type checkDue struct{ Gen uint32 }
type readyOverdue struct{ Gen uint32 }

// watchdogDue is the timer of the watchdog; Last says that it was asked before,
// and nothing more is to be waited for.
type watchdogDue struct {
	Gen  uint32
	Last bool
}
type checkDone struct {
	Gen uint32
	Err error // nil = it serves
}

// setupOverdue is the timer of a container's set-up; Gen is of the checks.
// killIgnored is that of a PID 1 after SIGKILL; Gen is of the start.
type setupOverdue struct{ Gen uint32 }
type killIgnored struct{ Gen uint32 }

// standbyDue is the timer of the standby; Gen is of the checks. standbySurveyed
// says that what it is to be made from was looked at, and standbyTold that it
// waits, or, with an error, that it is no more.
type standbyDue struct{ Gen uint32 }
type standbySurveyed struct {
	Place *spawn.Standby
	Err   error
}
type standbyGone struct{ Place *spawn.Standby } // which was discarded
type standbyTold struct {
	Place *spawn.Standby
	Err   error
}

// deathKept says that the record of a death is written, or could not be.
type deathKept struct{}

// containerCleaned says that the clean-up is done, well or not.
type containerCleaned struct {
	Gen uint32
	Err error
	// Discarded is the standby that was waited for.
	Discarded *spawn.Standby
	// Outdated is why the standby that was to follow is none.
	Outdated error
}
