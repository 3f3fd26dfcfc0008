package main

import (
	"errors"
	"path/filepath"
	"sync"
	"time"

	"lithos/actors/root"
	"lithos/actors/services/control"
	"lithos/spawn/records"
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

// maxKnown bounds the entries of dead containers.
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

// probe inspects containers for a request on the control socket.
func (k *kernel) probe(of []control.Probed) []control.Probe {
	found := make([]program, len(of))
	for i, c := range of {
		found[i] = k.programs.get(c.Name)
	}
	list := make([]control.Probe, len(of))
	for i, seen := range look(found) {
		list[i] = k.probeOne(of[i], found[i], seen)
		list[i].Usage = k.spawner.Usage(of[i].Name)
	}
	return list
}

// probeOne is probe of a container whose program was found before, or not; but
// for what it uses.
func (k *kernel) probeOne(c control.Probed, found program, seen sight) (p control.Probe) {
	if c.PID == 0 {
		return p
	}
	if seen.err == nil && (found.knot != c.PID || !seen.alive) {
		if found, seen.err = k.find(c.Name, c.PID); seen.err == nil && found.pid == 0 {
			return p
		}
		if seen.err == nil {
			k.programs.set(c.Name, found)
			seen = look([]program{found})[0]
		}
	}
	if seen.err != nil {
		p.Silent = true
		return p
	}
	p.Stopped = seen.stopped // of a stopped PID 1 its actor is told
	p.ProgramPID, p.ProgramStarted, p.ProgramAge = found.pid, found.began, proc.Since(found.start)
	return p
}

// sight is what was seen of a program: whether it is still there, and PID 1's, and
// whether a signal keeps it from running. The error is [proc.ErrSilent].
type sight struct {
	alive, stopped bool
	err            error
}

func look(programs []program) []sight {
	pids := make([]int, len(programs))
	for i, p := range programs {
		pids[i] = p.pid
	}
	stats, errs := proc.EachWithDeadline(pids, proc.ReadStat)
	seen := make([]sight, len(programs))
	for i, p := range programs {
		switch stat := stats[i]; {
		case errors.Is(errs[i], proc.ErrSilent):
			seen[i].err = errs[i]
		case errs[i] == nil:
			seen[i].alive = stat.StartTime == p.start && stat.PPID == p.knot && stat.Alive()
			seen[i].stopped = seen[i].alive && stat.Stopped()
		}
	}
	return seen
}

// find looks for the program of a container below its PID 1. The error is
// [proc.ErrSilent].
func (k *kernel) find(name string, knot int) (program, error) {
	record, err := records.Read(filepath.Join(root.RecordsDir(k.master), name))
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
