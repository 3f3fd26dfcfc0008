package command

import (
	"fmt"
	"os"
	"syscall"

	"github.com/rs/zerolog"

	"lithos/actors"
	"lithos/actors/process"
	"lithos/actors/spawner"
	"lithos/configs"
)

// Signals are what lithos_cmd wants to hear of, besides SIGCHLD.
var Signals = []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT}

// CodeNotRun is the exit code when the program was not run, as other runners
// of containers have it.
const CodeNotRun = 125

// Config is what one run is made of.
type Config struct {
	Kernel   *actors.Kernel
	Log      zerolog.Logger
	Instance *configs.Instance // under its final name, see Instance.WithName
	Env      *process.Env      // of which a command needs no actor
	Sockets  []*os.File        // the sockets of [process.Sockets]

	// Stdio is 0, 1, 2 of an interactive command. Terminal says that 0 is a
	// terminal of its own.
	Stdio    [3]*os.File
	Terminal bool

	// Signals brings [Signals], Deaths SIGCHLD.
	Signals, Deaths <-chan os.Signal
	// Started is called when the container runs, with the pid of its PID 1.
	Started func(pid int)
}

// Result is how it ended.
type Result struct {
	Code int // for the exit of lithos_cmd
	// Err is why the program was not run, or what was not as asked; nil for a
	// program that ran, however it ended.
	Err error
	// Degraded are limits that could not be applied.
	Degraded []string
	// Left is what could not be removed.
	Left error
}

// Run starts the command and returns when nothing is left of it.
func Run(c Config) Result {
	system := actors.NewSystem(c.Log)
	done := make(chan Result, 1)
	r := &run{c: c, done: done}
	pid, err := system.Root.SpawnNamed(actors.TopProps("command", c.Log, r), "command")
	if err != nil {
		return Result{Code: CodeNotRun, Err: fmt.Errorf("cannot start the command's actor: %w", err)}
	}
	dispatcher := spawner.NewDispatcher()
	defer dispatcher.Close()
	r.start(system, pid, dispatcher)
	for {
		select {
		case sig := <-c.Signals:
			system.Root.Send(pid, &SignalReceived{sig})
		case <-c.Deaths:
			system.Root.Send(pid, &ChildEnded{})
		case result := <-done:
			return result
		}
	}
}
