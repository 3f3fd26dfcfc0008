package sandbox

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/scheduler"

	"lithos/actors"
	"lithos/actors/process"
	"lithos/actors/services/budget"
	"lithos/actors/services/deaths"
	"lithos/actors/services/logs"
	"lithos/actors/services/rotation"
	"lithos/actors/services/status"
	"lithos/configs"
)

// Services are shared by the root with its sandboxes. It is never changed.
type Services struct {
	Kernel   *actors.Kernel
	Timers   *scheduler.TimerScheduler
	Listener *actor.PID
	Spawner  *actor.PID
	Logs     *logs.Set
	Board    *status.Board
	Deaths   *deaths.Store
	Budget   *budget.Budget
	Registry *actors.Registry
	Rotation *rotation.Keeper
	// Cleaners, Checkers and Commands bound what runs at a time, see
	// [process.Env].
	Cleaners, Checkers, Commands chan struct{}
}

// ApplySandbox brings what the sandbox is to run from now on; none of it is
// broken.
type ApplySandbox struct {
	Sandbox *configs.Sandbox
	Paths   process.Paths
	// ConfigLogDir is where to note what was loaded (P7), "" = nowhere;
	// also for a load that changed nothing.
	ConfigLogDir string
	// Adopted are its containers that an earlier daemon left running, by
	// name. All of them are in the Sandbox.
	Adopted map[string]*process.Adopted
}

// EndSandbox ends all its containers; the answer is [SandboxEnded].
type EndSandbox struct {
	Shutdown bool // lithos_tree ends
}

// Flush asks for a call of Group.Done: by then all that was sent before, to the
// sandbox and its instances, is dealt with.
type Flush struct{ Group *sync.WaitGroup }

// TerminateAgain passes on a further TERM while containers are being ended.
type TerminateAgain struct{}

// LeaveSandbox ends the actor if nothing runs and nothing is to.
type LeaveSandbox struct{}

// SandboxEnded goes to the root: no container is left.
type SandboxEnded struct{ Name string }

// ContainerAdopted tells the root whose a running container is from now on.
type ContainerAdopted struct {
	Adopted *process.Adopted
	Owner   *actor.PID
}
