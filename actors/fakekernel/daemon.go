package fakekernel

import (
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"lithos/actors"
	"lithos/spawn/records"
	"lithos/spawn/wire"
)

// DaemonDied is what the kernel does when the daemon is killed: its children
// are init's, which reaps those that are dead, and what it had open is closed.
func (k *Kernel) DaemonDied() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.daemons++
	k.standbysDied()
	k.dead = nil
	select {
	case <-k.Deaths:
	default:
	}
	for pid, p := range k.procs {
		if p.Foreign = true; p.Stray || !p.Ended.IsZero() {
			delete(k.procs, pid)
		}
	}
	clear(k.byHandle)
	clear(k.sockets)
}

// Remains are the records of containers for the next daemon, by name.
func (k *Kernel) Remains() actors.Leftovers {
	k.mu.Lock()
	defer k.mu.Unlock()
	names := maps.Clone(k.cgroups) // all that have a record have one, too
	maps.Copy(names, k.stateDirs)
	var left actors.Leftovers
	for _, name := range slices.Sorted(maps.Keys(names)) {
		l := actors.Leftover{Name: name, StateDir: "state/" + name, Record: "records/" + name}
		p := k.latest[name]
		if p != nil && p.Ended.IsZero() {
			l.PID, l.StartTime = p.PID, uint64(p.PID)
		}
		if record := k.records[name]; record != nil {
			info := *record
			l.KillTimeout = time.Duration(info.Created.KillTimeout * float64(time.Second))
			if p != nil && p.Request != nil && p.Request.RecordHead.At.Equal(info.Created.At) {
				pid1Wrote(&info, p)
			}
			l.Info = &info
		}
		l.Noted = l.PID == 0 && l.Info != nil && l.Info.Noted
		left.Containers = append(left.Containers, l)
	}
	return left
}

// noteEnd writes it into the record.
func (k *Kernel) noteEnd(path string, counts records.Tally) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	record := k.records[nameIn(path)]
	if record == nil {
		return fs.ErrNotExist
	}
	record.Noted, record.Tally = true, &counts
	return nil
}

// Recorded tells whether a container has a record.
func (k *Kernel) Recorded(name string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.records[name] != nil
}

// Opened is the process of an open pidfd, nil = it is not one.
func (k *Kernel) Opened(pidfd *os.File) *Proc {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.byHandle[pidfd]
}

// Lives tells whether a process lives.
func (k *Kernel) Lives(p *Proc) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return p.Ended.IsZero()
}

// Traceable tells whether the record of a process shows that it has been there.
func (k *Kernel) Traceable(p *Proc) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return p.reported || p.lived() >= setupTime
}

// setupTime is what PID 1 takes until it writes that its program was started.
const setupTime = 10 * time.Millisecond

func (p *Proc) lived() time.Duration {
	if p.Ended.IsZero() {
		return time.Since(p.Started)
	}
	return p.Ended.Sub(p.Started)
}

// pid1Wrote adds what PID 1 itself has written.
func pid1Wrote(info *records.Record, p *Proc) {
	if p.lived() >= setupTime {
		info.Started = &wire.ProgramStarted{At: p.Started}
	}
	if own := p.behave.Record; own != nil && !p.Ended.IsZero() {
		info.Failed, info.Exited = own.Failed, own.Exited
	}
}
