package fakekernel

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"lithos/actors"
	"lithos/spawn/records"
	"lithos/sysx/sock"
)

func (k *Kernel) remove(name, stateDir, record string, all bool) error {
	k.mu.Lock()
	b := k.behaviour[name]
	k.mu.Unlock()
	if b.RemoveTime > 0 {
		time.Sleep(b.RemoveTime)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range k.procs {
		if p.Standby && !all {
			continue
		}
		if p.Name == name && p.Ended.IsZero() {
			return fmt.Errorf("fake: %s is cleaned up while it lives", name)
		}
	}
	delete(k.stateDirs, name)
	if all {
		delete(k.cgroups, name)
		delete(k.records, name)
	}
	return b.RemoveError
}

func (k *Kernel) readRecord(path string) (*records.Record, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	name := nameIn(path)
	if !k.cgroups[name] {
		return nil, fmt.Errorf("fake: the record of %s is gone", name)
	}
	return cmp.Or(k.behaviour[name].Record, &records.Record{}), nil
}

// nameIn is the container that a record's path is of.
func nameIn(path string) string {
	return filepath.Join(filepath.Base(filepath.Dir(path)), filepath.Base(path))
}

func (k *Kernel) listen(s actors.Socket) (*os.File, error) {
	if k.ListenError != nil {
		if err := k.ListenError(s); err != nil {
			return nil, err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, other := range k.sockets {
		if other.Addr == s.Addr && (!other.ReusePort || !s.ReusePort) {
			return nil, errors.New("address already in use")
		}
	}
	for _, p := range k.procs {
		for _, other := range p.inherited {
			if p.Ended.IsZero() && other.Addr == s.Addr && (!other.ReusePort || !s.ReusePort) {
				return nil, fmt.Errorf("address already in use, by %s", p.Name)
			}
		}
	}
	file := new(os.File)
	k.sockets[file] = s
	delete(k.shutDown, s)
	return file, nil
}

func (k *Kernel) accepts(file *os.File) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s, ok := k.sockets[file]
	if !ok {
		return false, os.ErrClosed
	}
	return !k.shutDown[s], nil
}

func (k *Kernel) restore(file *os.File, _ actors.Socket, _ bool) (sock.Restored, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s, ok := k.sockets[file]
	if !ok {
		return sock.Restored{}, os.ErrClosed
	}
	revived := k.shutDown[s]
	delete(k.shutDown, s)
	return sock.Restored{Revived: revived}, nil
}

func (k *Kernel) close(file *os.File) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.sockets[file]; ok {
		delete(k.sockets, file)
		return nil
	}
	if _, ok := k.byHandle[file]; ok {
		delete(k.byHandle, file)
		return nil
	}
	return os.ErrClosed
}

// Living are the processes that live, by name and then pid.
func (k *Kernel) Living() []*Proc {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []*Proc
	for _, p := range k.procs {
		if p.Ended.IsZero() && !p.Standby {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, func(a, b *Proc) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.PID, b.PID))
	})
	return list
}

// History are all processes of a name, from the first on.
func (k *Kernel) History(name string) []*Proc {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []*Proc
	for _, p := range k.history {
		if p.Name == name {
			list = append(list, p)
		}
	}
	return list
}

// Latest is the newest process of a name, nil if there was none.
func (k *Kernel) Latest(name string) *Proc {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.latest[name]
}

// SignalsOf are the signals that a process got.
func (k *Kernel) SignalsOf(p *Proc) []Signal {
	k.mu.Lock()
	defer k.mu.Unlock()
	return p.Signals
}

// Unreaped is how many children are dead and were not waited for.
func (k *Kernel) Unreaped() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.dead)
}

// Pidfds is how many pidfds of containers are open.
func (k *Kernel) Pidfds() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := 0
	for _, p := range k.byHandle {
		if !p.Stray {
			n++
		}
	}
	return n
}

// Starts is how often a container's start was tried.
func (k *Kernel) Starts(name string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.starts[name]
}

// Sockets are the sockets that are open, by address.
func (k *Kernel) Sockets() []actors.Socket {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.SortedFunc(maps.Values(k.sockets), func(a, b actors.Socket) int {
		return a.Addr.Compare(b.Addr)
	})
}

// Left behind: a stop must leave none of these.
func (k *Kernel) LeftBehind() (things []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range k.procs {
		if !p.Standby || p.Ended.IsZero() {
			things = append(things, "process "+p.Name)
		}
	}
	for name := range k.stateDirs {
		things = append(things, "state dir "+name)
	}
	for name := range k.cgroups {
		things = append(things, "cgroup "+name)
	}
	for _, s := range k.sockets {
		things = append(things, "socket "+s.Addr.String())
	}
	for _, p := range k.byHandle {
		if !p.Stray {
			things = append(things, "pidfd "+p.Name)
		}
	}
	slices.Sort(things)
	return things
}
