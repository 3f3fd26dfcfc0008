package status

import (
	"time"

	"lithos/actors"
	"lithos/actors/services/api"
	"lithos/configs"
)

// State is where an instance stands, in one word.
type State string

// The states.
const (
	// Pending: wanted, but nobody has begun with it yet.
	Pending State = "pending"
	// Starting: its sockets are opened, its PID 1 is forked.
	Starting State = "starting"
	// Running: PID 1 lives.
	Running State = "running"
	// Waiting: it is dead, or could not be started, and will be started
	// at NextTry.
	Waiting State = "waiting"
	// Restarting: it is ended because of its checks, and will be started again.
	Restarting State = "restarting"
	// Replacing: it is ended because another version follows at once.
	Replacing State = "replacing"
	// Stopping: it is ended for good.
	Stopping State = "stopping"
)

// Instance is one of them at one moment. It is never changed.
type Instance struct {
	Name  string
	State State
	Since time.Time // of State

	// Desired is what the next container is made from, Current what the
	// present, or the last, one was made from; nil before the first.
	Desired, Current *configs.Instance

	PID      int       // of PID 1 on the host; 0 = none
	Started  time.Time // when PID was forked
	Starts   int       // tries to start it, also by daemons that are dead
	Degraded []string
	Standby  string    // the container that is to follow: "building", "waiting"; "" = none
	Stopped  bool      // PID 1 is stopped by a signal
	NextTry  time.Time // while it waits
	Backoff  string    // how NextTry comes about, in words
	// Queued tells both as they are now; nil = they don't change by themselves.
	Queued func() (nextTry time.Time, backoff string)

	Ready     *Ready  // nil = it has no such check, or does not run
	Health    *Health // nil = it is not checked at present
	Unhealthy string  // why it is Restarting
	Says      string  // the status of its program, "" = none

	LastExit *Exit
	// FailedInRow is how many containers, or tries, failed without one
	// between that ran well for [HealthyAfter].
	FailedInRow int
	Log         string // the file of its output on the host
}

// Ready is whether it is ready.
type Ready struct {
	Check string    // the probe, in words
	At    time.Time // since when; zero = not yet
	Why   string    // why not, by the last check
}

// Health is the result of its healthcheck.
type Health struct {
	Check             string // the probe, in words
	Failures, Allowed int    // in a row
	Why               string // why the last probe failed, "" = it did not
}

// NotReady: it runs, but is not ready yet.
func (in *Instance) NotReady() bool { return in.Ready != nil && in.Ready.At.IsZero() }

// Ailing: its last check failed, or it is ended since too many did.
func (in *Instance) Ailing() bool {
	return in.State == Restarting || in.Health != nil && in.Health.Failures > 0
}

// HealthyAfter is how long a container has to run so that what failed before
// counts no more.
const HealthyAfter = 10 * time.Second

// Healthy: it has run long enough for earlier failures to count no more.
func (in *Instance) Healthy(now time.Time) bool {
	return in.State == Running && now.Sub(in.Started) >= HealthyAfter
}

// Failing: the last one failed, and none has been healthy since.
func (in *Instance) Failing(now time.Time) bool {
	return in.LastExit != nil && in.LastExit.Failure && !in.Healthy(now)
}

// FailuresInRow is FailedInRow, or 0 if it is healthy by now.
func (in *Instance) FailuresInRow(now time.Time) int {
	if in.Healthy(now) {
		return 0
	}
	return in.FailedInRow
}

// Exit is how a container, or a try to start it, ended.
type Exit struct {
	At      time.Time
	PID     int // of its PID 1; 0 = there was none
	Words   string
	Code    int // of the program; -1 = a signal, or unknown
	Signal  int // that ended the program; 0 = none
	Cause   actors.Cause
	Failure bool // as lithos counts it (requirement N9)
	Uptime  time.Duration
	// Fingerprint identifies its config.
	Fingerprint string
	// Told: by a daemon before this one.
	Told bool
}

// Earlier is an exit that a daemon before this one has told.
func Earlier(e *api.Exit) *Exit {
	return &Exit{
		At: e.At, Words: e.Words, Code: e.Code, Signal: e.Signal, PID: e.PID, Cause: actors.CauseNamed(e.Cause),
		Failure: e.Failure, Uptime: time.Duration(e.Uptime * float64(time.Second)), Fingerprint: e.Fingerprint, Told: true,
	}
}

// Tell is the exit as it is told; a nil one is none.
func (e *Exit) Tell() *api.Exit {
	if e == nil {
		return nil
	}
	return &api.Exit{
		At: e.At, Words: e.Words, Code: e.Code, Signal: e.Signal, PID: e.PID,
		Cause: e.Cause.String(), Failure: e.Failure, Uptime: e.Uptime.Seconds(), Fingerprint: e.Fingerprint,
	}
}

func newPending(wanted *configs.Instance, since time.Time) *Instance {
	return &Instance{Name: wanted.Name, State: Pending, Since: since, Desired: wanted}
}

// Kind is the kind of an event.
type Kind string

// The kinds of events.
const (
	EventState  Kind = "state"  // an instance is in another state
	EventReady  Kind = "ready"  // a container became ready
	EventHealth Kind = "health" // its healthcheck failed, Text says how, or passes again
	EventDeath  Kind = "death"  // a container ended, or could not be started
	EventGone   Kind = "gone"   // an instance is gone for good
	EventReload Kind = "reload" // the configs were read; Text = why they changed nothing
)

// Event is something that happened.
type Event struct {
	Seq    uint64
	At     time.Time
	Kind   Kind
	Name   string // of the instance
	State  State
	PID    int
	Reload uint64 // its generation
	Text   string
}
