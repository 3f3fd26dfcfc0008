package main

import (
	"errors"
	"path/filepath"
	"sync"
	"time"

	"lithos/actors/control"
	"lithos/actors/root"
	"lithos/spawn"
	"lithos/sysx/proc"
)

// programs are those that were found below PID 1s, by the names of their
// containers. To find one takes ten files of /proc, to look whether it is still
// there takes one, and somebody may ask for all of a thousand each second.
type programs struct {
	mu    sync.Mutex
	known map[string]program
}

type program struct {
	knot, pid int
	start     uint64 // clock ticks since boot
	began     time.Time
}

// maxKnown bounds what is left of containers that are gone.
const maxKnown = 10_000

func (p *programs) get(name string) program {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known[name]
}

func (p *programs) set(name string, found program) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil || len(p.known) >= maxKnown {
		p.known = make(map[string]program)
	}
	p.known[name] = found
}

// probe looks at a living container for somebody who asks on the control
// socket.
func (k *kernel) probe(name string, pid int) control.Probe {
	p := control.Probe{Usage: k.spawner.Usage(name)}
	if pid == 0 {
		return p
	}
	found := k.programs.get(name)
	alive, stopped, err := found.look()
	if err == nil && (found.knot != pid || !alive) {
		if found, err = k.find(name, pid); err == nil && found.pid == 0 {
			return p
		}
		if err == nil {
			k.programs.set(name, found)
			_, stopped, err = found.look()
		}
	}
	if err != nil {
		p.Silent = true
		return p
	}
	p.Stopped = stopped // of a stopped PID 1 its actor is told
	p.ProgramPID, p.ProgramStarted, p.ProgramAge = found.pid, found.began, proc.Since(found.start)
	return p
}

// look tells whether it is still there, and PID 1's, and whether a signal keeps
// it from running. The error is [proc.ErrSilent].
func (p program) look() (alive, stopped bool, err error) {
	stat, err := proc.Look(p.pid)
	if errors.Is(err, proc.ErrSilent) {
		return false, false, err
	}
	alive = err == nil && stat.StartTime == p.start && stat.PPID == p.knot && stat.Alive()
	return alive, alive && stat.Stopped(), nil
}

// find looks for the program of a container below its PID 1. The error is
// [proc.ErrSilent].
func (k *kernel) find(name string, knot int) (program, error) {
	record, err := spawn.ReadRecord(filepath.Join(root.RecordsDir(k.master), name))
	if err != nil || record.Started == nil || record.Forked == nil || record.Forked.PID != knot {
		return program{}, nil
	}
	children, err := proc.Children(knot)
	if err != nil {
		return program{}, nil
	}
	for _, child := range children {
		if inner, err := proc.InnerPID(child); err != nil || inner != record.Started.PID {
			continue
		}
		stat, err := proc.Look(child)
		if errors.Is(err, proc.ErrSilent) {
			return program{}, err
		}
		if err == nil {
			return program{knot, child, stat.StartTime, record.Started.At}, nil
		}
	}
	return program{}, nil
}
