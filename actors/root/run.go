package root

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/asynkron/protoactor-go/actor"

	"lithos/actors"
	"lithos/actors/services/budget"
	"lithos/actors/services/deaths"
	"lithos/actors/services/logs"
	"lithos/actors/services/rotation"
	"lithos/actors/services/status"
	"lithos/configs"
)

// Signals are the daemon's signals, besides SIGCHLD.
var Signals = []os.Signal{
	syscall.SIGTERM, syscall.SIGINT,
	syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2,
}

// Config has the parts of a daemon.
type Config struct {
	Kernel *actors.Kernel
	Logs   *logs.Set
	// Board is where to show what becomes of everything; nil = nowhere.
	Board *status.Board
	// DeathRecords is where to keep how containers died; nil = nowhere.
	DeathRecords *deaths.Store
	// Budget bounds the restarts; nil = nothing does.
	Budget *budget.Budget
	// Rotation keeps the programs' output within its limits; nil = nobody does.
	Rotation *rotation.Keeper
	// Registry counts what happens.
	Registry *actors.Registry
	// Plan is the first one; its master config is not broken.
	Plan     *configs.Plan
	Problems configs.Problems // of the Plan
	// Kept is the plan of the daemon before this one, nil = unknown: it has
	// the good versions of what is broken now. Keep is given each plan for
	// the daemon after this one; nil = nobody wants it.
	Kept *configs.Plan
	Keep func(*configs.Plan)
	Knot string // absolute path of lithos_knot
	Term string // TERM for the programs
	// Signals brings the daemon's signals ([Signals]), and Deaths SIGCHLD,
	// of which one may stand for several: it has a channel of its own, so
	// that many deaths can't crowd out a TERM.
	Signals, Deaths <-chan os.Signal
	// TakeOver brings what has another program take this process over; it is
	// called when nothing is under way, and does not return. nil = nothing.
	TakeOver <-chan func()
	// Prepare makes the directories of a master config, at a reload.
	Prepare func(*configs.Master) error
	// Settled is called some time after a plan was applied, when most of its
	// memory is garbage; nil = nothing to do.
	Settled func()
}

// RecordsDir is where the containers' records lie, where containers can't
// write.
func RecordsDir(m *configs.Master) string { return filepath.Join(m.RuntimeDir, "containers") }

// Daemon is a root actor that was started. [Run] is its whole life; one who
// schedules the actors by himself, as actors/simulation does, sends it signals
// and looks at Done.
type Daemon struct {
	Done <-chan error // has the end, as Run returns it

	system *actor.ActorSystem
	root   *Root
	pid    *actor.PID
}

// Start starts the root actor on a system, with options of the actor library
// if the system is not to run it as usual.
func Start(system *actor.ActorSystem, config Config, options ...actor.PropsOption) (*Daemon, error) {
	done := make(chan error, 1)
	if config.Registry == nil {
		config.Registry = actors.NewRegistry()
	}
	r := newRoot(config, done)
	pid, err := system.Root.SpawnNamed(actors.TopProps("root", r.log, r, options...), "root")
	if err != nil {
		return nil, fmt.Errorf("cannot start the root actor: %w", err)
	}
	return &Daemon{Done: done, system: system, root: r, pid: pid}, nil
}

// Signal tells the daemon of a signal.
func (d *Daemon) Signal(sig os.Signal) { d.system.Root.Send(d.pid, &SignalReceived{sig}) }

// Stop ends the actor when Done had no error; Stopped tells when it has ended.
func (d *Daemon) Stop() { d.system.Root.Stop(d.pid) }

// Stopped is closed when the actor and all below it have ended.
func (d *Daemon) Stopped() <-chan struct{} { return d.root.stopped }

// Close ends the thread that forks, if the actor has come to start one.
func (d *Daemon) Close() {
	if d.root.dispatch != nil {
		d.root.dispatch.Close()
	}
}

// Run is the daemon's life: it starts what the plan asks for and returns when
// it has been told to stop and nothing is left; an error says what is.
func Run(config Config) error {
	d, err := Start(actors.NewSystem(config.Logs.Master()), config)
	if err != nil {
		return err
	}
	for {
		select {
		case sig := <-config.Signals:
			d.Signal(sig)
		case sig := <-config.Deaths:
			d.Signal(sig)
		case takeOver := <-config.TakeOver:
			if !d.Quiet(quietPatience) {
				d.root.log.Error().Msgf("Not all work has ended within %s: handing over all the same", quietPatience)
			}
			takeOver()
		case err := <-d.Done:
			if err == nil {
				// The spawner's own stop runs on its thread, so it ends last. An
				// abandoned call may hang.
				d.Stop()
				<-d.Stopped()
			}
			d.Close()
			return err
		}
	}
}
