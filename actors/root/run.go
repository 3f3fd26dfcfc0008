package root

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"lithos/actors"
	"lithos/actors/deaths"
	"lithos/actors/logs"
	"lithos/actors/status"
	"lithos/configs"
)

// Signals are what the daemon wants to hear of, besides SIGCHLD.
var Signals = []os.Signal{
	syscall.SIGTERM, syscall.SIGINT,
	syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2,
}

// Config is what a daemon is made of.
type Config struct {
	Kernel *actors.Kernel
	Logs   *logs.Set
	// Board is where to show what becomes of everything; nil = nowhere.
	Board *status.Board
	// DeathRecords is where to keep how containers died; nil = nowhere.
	DeathRecords *deaths.Store
	// Registry counts what happens.
	Registry *actors.Registry
	// Requests brings what the control socket asks for: a reload.
	Requests <-chan struct{}
	// Plan is the first one; its master config is not broken.
	Plan     *configs.Plan
	Problems configs.Problems // of the Plan
	Knot     string           // absolute path of lithos_knot
	Term     string           // TERM for the programs
	// Signals brings the daemon's signals ([Signals]), and Deaths SIGCHLD,
	// of which one may stand for several: it has a channel of its own, so
	// that many deaths can't crowd out a TERM.
	Signals, Deaths <-chan os.Signal
	// Prepare makes the directories of a master config, at a reload.
	Prepare func(*configs.Master) error
	// Settled is called some time after a plan was applied, when most of
	// what it took is garbage; nil = nothing to do.
	Settled func()
}

// RecordsDir is where the containers' records lie, where containers can't
// write.
func RecordsDir(m *configs.Master) string { return filepath.Join(m.RuntimeDir, "containers") }

// Run is the daemon's life: it starts what the plan asks for and returns when
// it has been told to stop and nothing is left; an error says what is.
func Run(config Config) error {
	system := actors.NewSystem(config.Logs.Master())
	done := make(chan error, 1)
	if config.Registry == nil {
		config.Registry = actors.NewRegistry()
	}
	r := newRoot(config, done)
	pid, err := system.Root.SpawnNamed(actors.TopProps("root", r.log, r), "root")
	if err != nil {
		return fmt.Errorf("cannot start the root actor: %w", err)
	}
	for {
		select {
		case sig := <-config.Signals:
			system.Root.Send(pid, &SignalReceived{sig})
		case sig := <-config.Deaths:
			system.Root.Send(pid, &SignalReceived{sig})
		case <-config.Requests:
			system.Root.Send(pid, &SignalReceived{syscall.SIGQUIT})
		case err := <-done:
			if err == nil {
				// The spawner's own stop runs on its thread, so that
				// one ends last. What is abandoned may hang.
				system.Root.Stop(pid)
				<-r.stopped
			}
			r.dispatch.Close()
			return err
		}
	}
}
