package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"lithos/actors"
	"lithos/actors/process"
	"lithos/cmd/internal/setup"
	"lithos/configs"
	"lithos/spawn"
	"lithos/spawn/records"
	"lithos/sysx/cgroup"
	"lithos/sysx/proc"
)

// newKernel is the real one, as far as a command needs it.
func newKernel(knot string, m *configs.Master, log zerolog.Logger) (*actors.Kernel, error) {
	config := spawn.Config{Knot: knot}
	if m.CgroupName != "" {
		tree, err := cgroup.Open(cgroup.Config{
			Name: m.CgroupName, Controllers: m.CgroupControllers, OnDemand: m.CgroupOnDemand, Stay: true,
		})
		if err != nil {
			return nil, fmt.Errorf("%w; mount the controllers, change cgroup-controllers in %s, or switch cgroups off with `cgroup-name: null`", err, m.File)
		}
		config.Cgroups = tree
	}
	s := spawn.NewSpawner(config)
	return &actors.Kernel{
		Start:       s.Start,
		Remove:      s.Remove,
		ReadRecord:  records.Read,
		OpenSecrets: (*configs.Container).OpenSecrets,
		Spent:       s.Spent,
		Close:       (*os.File).Close,
		Signal:      signalProcess,
		Wait:        func() (actors.Exit, bool) { return wait(log) },
		OpenProcess: proc.OpenSame,
		AwaitEnd: func(pidfd *os.File, limit time.Duration) bool {
			dead, err := proc.AwaitEnd(pidfd, limit)
			return err == nil && dead
		},
		Leftovers: func() (actors.Leftovers, error) { return leftovers(s, m) },
	}, nil
}

func signalProcess(pidfd *os.File, sig syscall.Signal) error {
	if err := proc.Signal(pidfd, sig); !errors.Is(err, proc.ErrGone) {
		return err
	}
	return nil
}

func wait(log zerolog.Logger) (actors.Exit, bool) {
	exit, ok, err := proc.Wait()
	if err != nil {
		log.Error().Msgf("%v", err)
	}
	return exit, ok
}

// leftovers are those of containers that have a record: without one they may be
// of another host directory with the same cgroup-name, and are for the daemon
// to judge.
func leftovers(s *spawn.Spawner, m *configs.Master) (actors.Leftovers, error) {
	found, err := s.CommandLeftovers(setup.RecordsDir(m), m.StateDir)
	if found.Unsure != nil {
		return actors.Leftovers{}, found.Unsure
	}
	var left actors.Leftovers
	for _, l := range found.Containers {
		if l.Info != nil {
			left.Containers = append(left.Containers, actors.Leftover{
				Name: l.Name, StateDir: l.StateDir, Record: l.Record, PID: l.PID, StartTime: l.StartTime,
				KillTimeout: time.Duration(l.Info.Created.KillTimeout * float64(time.Second)),
			})
		}
	}
	return left, err
}

// listen opens the sockets that the command inherits. The daemon's own are the
// daemon's: a port that it holds can only be shared with reuse-port.
func listen(c *configs.Container) (files []*os.File, err error) {
	defer func() {
		if err != nil {
			closeAll(files)
		}
	}()
	for _, s := range process.Sockets(c) {
		f, err := s.Listen(nil)
		if err != nil {
			return files, err
		}
		files = append(files, f)
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}
