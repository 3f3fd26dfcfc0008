package main

import (
	"errors"
	"os"
	"syscall"
	"time"

	"lithos/actors"
	"lithos/sysx/proc"
	"lithos/sysx/sock"
)

// watch follows a container that is no child: wait4 does not tell of it. A
// child of this process' earlier life, before an exec, is reaped like others.
func (k *kernel) watch(pid int, startTime uint64, pidfd *os.File, ended func(actors.Exit)) error {
	s, err := proc.ReadStat(pid)
	switch {
	case errors.Is(err, proc.ErrGone):
	case err != nil:
		return err
	case s.PPID == os.Getpid():
		return nil
	case s.Stopped():
		go awaitGoingOn(pid, startTime, ended)
	}
	watcher, err := k.watcher()
	if err != nil {
		return err
	}
	return watcher.Watch(pidfd, func() {
		at := time.Now()
		// It may take a moment, and the others must not wait for it.
		go func() {
			status, ok := proc.AwaitOrphanStatus(pid, startTime, pidfd)
			ended(actors.Exit{PID: pid, Status: syscall.WaitStatus(status), At: at, Unknown: !ok})
		}()
	})
}

// stoppedPause is between two looks at a PID 1 that is stopped and no child: of its
// continuing nobody tells.
const stoppedPause = time.Second

// goesOn is the status of a child that was stopped and continues, as wait4 has it.
const goesOn = syscall.WaitStatus(0xffff)

// awaitGoingOn waits until a process is not stopped any more, or is none.
func awaitGoingOn(pid int, startTime uint64, told func(actors.Exit)) {
	for {
		time.Sleep(stoppedPause)
		switch s, err := proc.ReadStat(pid); {
		case err != nil && !errors.Is(err, proc.ErrGone): // the next look tells
		case err != nil || s.StartTime != startTime || !s.Alive():
			return // its end is told otherwise
		case !s.Stopped():
			told(actors.Exit{PID: pid, Status: goesOn, At: time.Now()})
			return
		}
	}
}

// takeSockets copies every listening socket of a PID 1 that is of the host's network:
// it has none but those that the daemon gave it.
func (k *kernel) takeSockets(pid int, pidfd *os.File, wanted []actors.Socket) (sockets []actors.Socket, files []*os.File) {
	taken, errs := sock.TakeAll(pid, pidfd)
	for _, err := range errs {
		k.log.Error().Msgf("Cannot look at all sockets of pid %d: %v", pid, err)
	}
	for _, t := range taken {
		sockets, files = append(sockets, asWanted(t, wanted)), append(files, t.File)
	}
	return sockets, files
}

// asWanted is a socket as it is wanted now, if it is, or as far as it is known.
func asWanted(taken sock.Taken, wanted []actors.Socket) actors.Socket {
	for _, want := range wanted {
		if taken.Is(want.Addr) {
			return want
		}
	}
	return actors.Socket{Addr: taken.Addr, ReusePort: taken.ReusePort, Backlog: actors.UnknownBacklog}
}
