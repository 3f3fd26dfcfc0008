package actors

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"

	"lithos/configs"
	"lithos/spawn"
	"lithos/spawn/readiness"
	"lithos/spawn/records"
	"lithos/sysx/cgroup"
	"lithos/sysx/proc"
	"lithos/sysx/sock"
)

// Kernel is everything that actors need of the world outside: a struct of
// functions, so that a test or a simulation can take its place. All of them
// are safe to call from any goroutine, with the exceptions that are named.
type Kernel struct {
	// Start forks PID 1 of a container. Only the spawner calls it, on its
	// locked thread.
	Start func(*spawn.Request) (*spawn.Child, error)
	// Remove removes the remains of a dead container, see [spawn.Spawner];
	// it may be slow.
	Remove func(name, stateDir, record string, all bool) error
	// SurveyStandby, Prepare, AwaitStandby, InspectStandby and Discard are those of
	// a [spawn.Standby]. Prepare is for the spawner on its locked thread, as Start;
	// the others may be slow. AwaitStandby, the first time, waits until the standby
	// waits; then, and with an error, until there is none. An error of InspectStandby says
	// why there is none any more.
	SurveyStandby  func(*spawn.Standby, *spawn.Spec) error
	Prepare        func(*spawn.Request) error
	AwaitStandby   func(*spawn.Standby) error
	InspectStandby func(*spawn.Standby) error
	Discard        func(*spawn.Standby)
	// ReadRecord reads what a container's record file says of its end; what it was
	// created as need not be in the result.
	ReadRecord func(path string) (*records.Record, error)
	// SettingUp tells whether a container is still being made by its record:
	// its program has not been executed.
	SettingUp func(record string) (bool, error)
	// OpenSecrets opens the secrets of a container for one start.
	OpenSecrets func(*configs.Container) ([]configs.OpenedSecret, error)
	// Spent are the counters of a container's cgroup.
	Spent func(name string) cgroup.Spent
	// Check asks a container whether it serves, until the context is done; nil
	// = yes. ErrNotAsked says that nothing is known of it, ErrNoProgram that
	// nobody is there.
	Check func(ctx context.Context, name, record string, check *configs.Check) error
	// AwaitNotice waits until a program has told that it is ready; TakeNotice
	// copies what it does that by from a container that another daemon started.
	// PeekNotice waits, until a time, for what it sends to a socket, where that
	// stays until DropNotice.
	AwaitNotice func(*os.File) error
	PeekNotice  func(*os.File, time.Time) (readiness.Message, error)
	DropNotice  func(*os.File) error
	TakeNotice  func(pid int, pidfd *os.File, created *records.Created) (*os.File, error)
	// AppendLine appends to a log of programs' output, where PID 1 itself
	// could not, and to a record.
	AppendLine func(path, line string) error
	// NoteEnd says in a record, if there is one, that an end has been told.
	NoteEnd func(record string, counts records.Tally) error

	// Listen makes a listening socket; Close closes one.
	Listen func(Socket) (*os.File, error)
	Close  func(*os.File) error
	// Accepts tells whether no program has shut a listening socket down. Restore
	// brings one back into the state in which Listen made it; shared says that
	// living programs have it, too, see [sock.Restore].
	Accepts func(*os.File) (bool, error)
	Restore func(made *os.File, as Socket, shared bool) (sock.Restored, error)

	// Signal sends a signal by pidfd. A process that is dead already is no
	// error.
	Signal func(pidfd *os.File, sig syscall.Signal) error
	// Wait reaps one dead child, or tells of a living one that was stopped
	// by a signal or continues (Status.Stopped, Status.Continued); false if
	// there is none at the moment. Only the root calls it.
	Wait func() (Exit, bool)
	// OOMKilled tells whether the kernel has killed that process, which is
	// dead and had been forked then, for want of memory.
	OOMKilled func(pid int, forked time.Time) bool
	// Children lists the daemon's living children, without those with the given
	// pids, which are in order: they are known. SignalChild sends
	// one of them a signal if it is still the same process.
	Children    func(without []int) ([]Child, error)
	SignalChild func(Child, syscall.Signal) error

	// Load reads the configs again. A nil plan, or one without a master
	// config, says that the master config can't be used. Before is the plan that is
	// in force, see [configs.Options].
	Load func(before *configs.Plan) (*configs.Plan, configs.Problems)

	// Leftovers lists the remains of a dead daemon.
	Leftovers func() (Leftovers, error)
	// OpenProcess opens a process that is not a child. It is gone, or its pid is
	// another's by now, if the error is an [os.ErrProcessDone]; any other says that
	// it could not be found out.
	OpenProcess func(pid int, startTime uint64) (*os.File, error)
	// AwaitEnd waits until a process opened by OpenProcess is dead, and
	// tells whether it is.
	AwaitEnd func(pidfd *os.File, limit time.Duration) bool
	// Watch has ended called once when a process opened by OpenProcess is
	// dead. How it ended is in Exit if the kernel still knows. Before, it is called
	// with an Exit that says so if one continues that was stopped.
	Watch func(pid int, startTime uint64, pidfd *os.File, ended func(Exit)) error
	// TakeSockets copies all listening sockets that the process has of the host's
	// network, whatever is wanted now. One that is wanted is told as it is; of
	// another only the address and ReusePort are known (its Backlog is UnknownBacklog).
	TakeSockets func(pid int, pidfd *os.File, wanted []Socket) ([]Socket, []*os.File)
	// RemoveDir removes a directory if it is empty; anything else is
	// nothing to tell about.
	RemoveDir func(path string)
}

// ErrNotAsked is that a container could not be asked whether it serves, for a
// reason that is not the container's.
var ErrNotAsked = errors.New("could not be asked")

// ErrNoProgram is that nobody is there to be asked: the program was not executed
// yet, or waits for its restart (restart-process-only).
var ErrNoProgram = errors.New("the container's program does not run at present")

// Exit is a dead child, as wait4 tells it.
type Exit = proc.Exit

// Child is a living child process.
type Child struct {
	PID       int
	StartTime uint64 // clock ticks since boot, tells two bearers of a pid apart
	Command   string // for the log
}

// UnknownBacklog is the Backlog of a socket of which the address is known, and little
// else: an earlier daemon made it.
const UnknownBacklog = -1

// Socket is one listening socket that is asked for.
type Socket = spawn.Socket

// Leftovers is what earlier daemons left (requirement M6).
type Leftovers struct {
	Containers []Leftover
	// Unknown has a sentence for each thing whose name is not one of ours:
	// it is left alone.
	Unknown []string
	// Unsure is why more may be left, or live, than stands here: nothing may be
	// concluded from what is missing, and another look has to be taken. nil = none.
	Unsure error
}

// Leftover are the remains of one container.
type Leftover struct {
	Name        string // "SANDBOX/PROCESS.INDEX"
	StateDir    string
	Record      string
	PID         int // of PID 1 if it lives, else 0
	StartTime   uint64
	KillTimeout time.Duration
	// Stopped says that a signal keeps PID 1 from running.
	Stopped bool
	// Noted says that it is dead and that its daemon had noted that.
	Noted bool
	// Info is its record, nil = it has none that can be read.
	Info *records.Record
}
