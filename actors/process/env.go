package process

import (
	"path/filepath"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/scheduler"
	"github.com/rs/zerolog"

	"lithos/actors"
	"lithos/actors/services/budget"
	"lithos/actors/services/deaths"
	"lithos/actors/services/status"
)

// Env is shared by the instances of one sandbox. It is never changed: a
// reload brings a new one.
type Env struct {
	Kernel   *actors.Kernel
	Timers   *scheduler.TimerScheduler
	Listener *actor.PID
	Spawner  *actor.PID
	Log      zerolog.Logger
	Board    *status.Board  // where to show what becomes of each
	Deaths   *deaths.Store  // where to keep how they died
	Budget   *budget.Budget // allows restarts
	// Shared says that several instances write into the StdioLog.
	Shared bool
	// Cleaners bounds how many clean-ups run at a time.
	Cleaners chan struct{}
	// Checkers bounds how many containers are asked at a time whether they
	// serve, and Commands how many of these by a program in them.
	Checkers, Commands chan struct{}
	Paths
}

// Same tells whether it is the same to an instance of the same sandbox: the rest is
// never another one.
func (e *Env) Same(other *Env) bool { return e.Shared == other.Shared && e.Paths == other.Paths }

// Paths are the places and words that every container of the sandbox gets.
type Paths struct {
	Knot       string // the program that is PID 1
	MasterFile string
	MountDir   string
	DevfsDir   string
	StateDir   string // of all containers
	RecordsDir string // of all containers
	StdioLog   string // of this sandbox
	Term       string // TERM for programs whose config sets none
}

// StateDirOf is the state dir of a container, requirement I1.
func (e *Env) StateDirOf(name string) string { return filepath.Join(e.StateDir, name) }

// RecordOf is the record file of a container, see [records.Record].
func (e *Env) RecordOf(name string) string { return filepath.Join(e.RecordsDir, name) }
