package root

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"lithos/actors"
	"lithos/actors/process"
	"lithos/actors/services/deaths"
	"lithos/configs"
	"lithos/spawn"
	"lithos/spawn/records"
)

// The patience with a container that a dead daemon left, beyond its own
// kill-timeout, after which its PID 1 kills it; and after the KILL.
const (
	leftoverGrace     = time.Second
	leftoverKillGrace = 10 * time.Second
)

// lookPause is between two looks at what could not be found out: the host has too
// little memory or too few files, mostly. lookLog is how often the log says so.
const (
	lookPause = 100 * time.Millisecond
	lookLog   = time.Minute
)

// insist repeats a look until it finds out, however long that takes. Only then
// anything is started: one look that fails is no death, and a second container
// beside the first would be worse than to wait.
func insist(log zerolog.Logger, what string, look func() error) {
	var told time.Time
	for {
		err := look()
		if err == nil {
			return
		}
		if now := time.Now(); told.IsZero() || now.Sub(told) >= lookLog {
			told = now
			log.Error().Msgf("Cannot find out %s, trying again; nothing is started before: %v", what, err)
		}
		time.Sleep(lookPause)
	}
}

// openLiving opens a container that an earlier daemon left; nil if it is dead.
func openLiving(kernel *actors.Kernel, log zerolog.Logger, l *actors.Leftover) (pidfd *os.File) {
	insist(log, fmt.Sprintf("whether container %q of an earlier daemon lives (pid %d)", l.Name, l.PID), func() (err error) {
		if pidfd, err = kernel.OpenProcess(l.PID, l.StartTime); errors.Is(err, os.ErrProcessDone) {
			err = nil
		}
		return err
	})
	return pidfd
}

// findLeftovers looks for what a daemon that is dead has left (M6), and opens what
// of it keeps running.
func findLeftovers(kernel *actors.Kernel, log zerolog.Logger, wanted map[string]*configs.Instance, m *leftoversFound) {
	var left actors.Leftovers
	var err error
	insist(log, "what an earlier daemon left", func() error {
		left, err = kernel.Leftovers()
		return left.Unsure
	})
	if err != nil {
		log.Error().Msgf("Cannot list leftovers of an earlier daemon: %v", err)
	}
	for _, text := range left.Unknown {
		log.Warn().Msg(text)
	}
	for _, l := range left.Containers {
		if a, ok := openAdoptable(kernel, log, l, wanted[l.Name]); ok {
			m.adopted = append(m.adopted, a)
			continue
		}
		m.unwanted = append(m.unwanted, l)
		if l.PID != 0 {
			m.living++
			m.longest = max(m.longest, l.KillTimeout)
		}
	}
}

// clearLeftovers ends and removes what is not wanted, before anything new is
// started: a container's place must be free.
func clearLeftovers(kernel *actors.Kernel, log zerolog.Logger, store *deaths.Store, unwanted []actors.Leftover) {
	var all sync.WaitGroup
	for _, l := range unwanted {
		all.Go(func() {
			defer actors.Recover(log, "clearing of "+l.Name, nil)
			clearLeftover(kernel, log, store, l)
		})
	}
	all.Wait()
}

func clearLeftover(kernel *actors.Kernel, log zerolog.Logger, store *deaths.Store, l actors.Leftover) {
	if l.PID != 0 && !endLeftover(kernel, log, l) {
		log.Error().Msgf("Container %q of an earlier daemon (pid %d) does not end: keeping its files", l.Name, l.PID)
		return
	}
	tellLeftover(kernel, log, store, l)
	level := zerolog.WarnLevel
	if spawn.IsStandby(l.Name) {
		level = zerolog.InfoLevel // where it is used, each has one
	}
	log.WithLevel(level).Msgf("Removing leftovers of an earlier daemon: %q", l.Name)
	if err := kernel.Remove(l.Name, l.StateDir, l.Record, true); err != nil {
		log.Error().Msgf("Cannot remove leftovers of %q: %v", l.Name, err)
	}
	// The sandbox's, if that was the last one.
	kernel.RemoveDir(filepath.Dir(l.StateDir))
	kernel.RemoveDir(filepath.Dir(l.Record))
}

// tellLeftover tells how it ended, unless that was told before. Those of commands
// were told to whoever waited for them.
func tellLeftover(kernel *actors.Kernel, log zerolog.Logger, store *deaths.Store, l actors.Leftover) {
	if l.Info == nil || spawn.IsCommand(l.Name) {
		return
	}
	if l.PID != 0 {
		record, err := kernel.ReadRecord(l.Record)
		if err != nil {
			log.Warn().Msgf("Cannot read how %q ended: %v", l.Name, err)
			return
		}
		info := *record
		info.Created = l.Info.Created
		if info.Forked == nil {
			info.Forked = &records.Forked{PID: l.PID, StartTime: l.StartTime}
		}
		l.Info = &info
	}
	process.TellLeft(log, store, l, l.PID != 0)
}

// endLeftover ends a living container that is not our child; it tells whether
// it is dead.
func endLeftover(kernel *actors.Kernel, log zerolog.Logger, l actors.Leftover) bool {
	pidfd := openLiving(kernel, log, &l)
	if pidfd == nil {
		return true
	}
	defer func() { _ = kernel.Close(pidfd) }()
	log.Warn().Msgf("Container %q of an earlier daemon runs (pid %d): ending it", l.Name, l.PID)
	if signalled(kernel, log, l, pidfd, spawn.StopSignal) && kernel.AwaitEnd(pidfd, l.KillTimeout+leftoverGrace) {
		return true
	}
	log.Error().Msgf("Container %q of an earlier daemon did not end within its kill-timeout: killing it", l.Name)
	return signalled(kernel, log, l, pidfd, syscall.SIGKILL) && kernel.AwaitEnd(pidfd, leftoverKillGrace)
}

func signalled(kernel *actors.Kernel, log zerolog.Logger, l actors.Leftover, pidfd *os.File, sig syscall.Signal) bool {
	err := kernel.Signal(pidfd, sig)
	if err != nil {
		log.Error().Msgf("Cannot signal %q of an earlier daemon (pid %d): %v", l.Name, l.PID, err)
	}
	return err == nil
}
