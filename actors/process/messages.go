package process

import (
	"lithos/actors"
	"lithos/configs"
)

// RunInstance asks that this instance, and nothing else, runs: it is started,
// or takes the place of what runs.
type RunInstance struct {
	Instance *configs.Instance
	Env      *Env
}

// UpdateInstance brings what does not matter to the running container: the
// Fingerprint is the same. It is used at the next start.
type UpdateInstance struct {
	Instance *configs.Instance
	Env      *Env
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

// restartTimeoutElapsed and killTimeoutElapsed are the timers.
type restartTimeoutElapsed struct{ Gen uint32 }
type killTimeoutElapsed struct{ Gen uint32 }

// containerCleaned says that the clean-up is done, well or not.
type containerCleaned struct {
	Gen uint32
	Err error
}
