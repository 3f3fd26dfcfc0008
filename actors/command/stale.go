package command

import (
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"lithos/actors"
	"lithos/spawn"
)

const killPatience = 10 * time.Second

// ClearStale ends and removes what commands have left whose lithos_cmd was
// killed. The daemon does the same when it starts; where none is started for
// months, the next command does it.
func ClearStale(kernel *actors.Kernel, log zerolog.Logger) {
	left, err := kernel.Leftovers()
	if err != nil {
		log.Error().Msgf("Cannot list leftovers of earlier commands: %v", err)
	}
	for _, l := range left.Containers {
		if !spawn.IsCommand(l.Name) {
			continue // the daemon's, dead or alive
		}
		if l.PID != 0 && !end(kernel, l) {
			log.Error().Msgf("Command %q (pid %d), whose lithos_cmd is gone, does not end", l.Name, l.PID)
			continue
		}
		log.Warn().Msgf("Removing leftovers of command %q, whose lithos_cmd was killed", l.Name)
		if err := kernel.Remove(l.Name, l.StateDir, l.Record, true); err != nil {
			log.Error().Msgf("Cannot remove leftovers of command %q: %v", l.Name, err)
		}
	}
}

// end ends a living container; it tells whether it is dead.
func end(kernel *actors.Kernel, l actors.Leftover) bool {
	pidfd, err := kernel.OpenProcess(l.PID, l.StartTime)
	if err != nil {
		return true
	}
	defer func() { _ = kernel.Close(pidfd) }()
	if kernel.Signal(pidfd, spawn.StopSignal) == nil && kernel.AwaitEnd(pidfd, l.KillTimeout+grace) {
		return true
	}
	return kernel.Signal(pidfd, syscall.SIGKILL) == nil && kernel.AwaitEnd(pidfd, killPatience)
}
