package status

import (
	"time"

	"lithos/actors/services/api"
	"lithos/configs"
)

// State is where an instance stands, in one word.
type State = string

// The states.
const (
	Pending    = api.StatePending
	Starting   = api.StateStarting
	Running    = api.StateRunning
	Waiting    = api.StateWaiting
	Restarting = api.StateRestarting
	Replacing  = api.StateReplacing
	Stopping   = api.StateStopping
)

// Exit, Ready, Health, Reload and Event are on the Board as they are told.
type (
	Exit   = api.Exit
	Ready  = api.Ready
	Health = api.Health
	Reload = api.Reload
	Event  = api.Event
)

// Instance is one of them at one moment. It is never changed.
type Instance struct {
	// Instance is what is told of it, without what is made when somebody asks:
	// the parts of its name, Conditions, Problems, Words, Uptime, Restarts, the
	// versions, and what its processes use.
	api.Instance
	// Wanted is what the next container is made from, Current what the
	// present, or the last, one was made from; nil before the first.
	Wanted, Current *configs.Instance

	Suspended bool // PID 1 is stopped by a signal
	// Queued tells NextTry and NextTryWhy as they are now; nil = they don't change
	// by themselves.
	Queued    func() (nextTry time.Time, why string)
	Unhealthy string // why it is Restarting
	// LastExitTold: a daemon before this one has told of LastExit.
	LastExitTold bool
}

// NotReady: it runs, but is not ready yet.
func (in *Instance) NotReady() bool { return in.Ready != nil && !in.Ready.Ready }

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

// Failures is FailuresInRow, or 0 if it is healthy by now.
func (in *Instance) Failures(now time.Time) int {
	if in.Healthy(now) {
		return 0
	}
	return in.FailuresInRow
}

func newPending(wanted *configs.Instance, since time.Time) *Instance {
	return &Instance{Instance: api.Instance{Name: wanted.Name, State: Pending, Since: since}, Wanted: wanted}
}
