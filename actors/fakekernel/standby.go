package fakekernel

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"syscall"
	"time"

	"lithos/spawn"
)

// StandbyBehaviour is what one standby does. The zero value waits.
type StandbyBehaviour struct {
	PrepareError error
	// PrepareTime is how long the spawner is busy with it, BuildTime how long it
	// takes until it waits.
	PrepareTime, BuildTime time.Duration
	Lifetime               time.Duration // 0 = it waits for ever
	// Outdated makes it differ from the next container.
	Outdated bool
}

// place is a standby.
type place struct {
	over   bool
	proc   *Proc // nil = none
	behave StandbyBehaviour
	heard  bool
}

// placeOf gives it; the lock is held.
func (k *Kernel) placeOf(h *spawn.Standby) *place {
	p := k.places[h]
	if p == nil {
		p = &place{}
		k.places[h] = p
	}
	return p
}

func (k *Kernel) prepare(r *spawn.Request) error {
	name, b := r.Spec.Name, StandbyBehaviour{}
	k.mu.Lock()
	if k.BehaveStandby != nil {
		n := k.standbys[name]
		k.standbys[name]++
		b = k.BehaveStandby(name, n)
	}
	daemon := k.daemons
	k.mu.Unlock()
	time.Sleep(b.PrepareTime)
	k.mu.Lock()
	defer k.mu.Unlock()
	at := k.placeOf(r.Standby)
	switch {
	case daemon != k.daemons:
		return errors.New("fake: the daemon is dead")
	case at.over:
		return spawn.ErrDiscarded
	case b.PrepareError != nil:
		return b.PrepareError
	}
	for _, other := range k.procs {
		if other.Standby && other.Name == name && other.Ended.IsZero() {
			return fmt.Errorf("fake: two standbys of %s", name)
		}
	}
	k.lastPID++
	p := &Proc{
		PID: k.lastPID, Name: name, Started: time.Now(), handle: new(os.File), ended: make(chan struct{}), promoted: make(chan struct{}), Standby: true, Request: r,
	}
	for _, file := range r.Sockets {
		s, ok := k.sockets[file]
		if !ok {
			return errors.New("fake: a socket of the standby is closed")
		}
		p.inherited = append(p.inherited, s)
	}
	k.procs[p.PID] = p
	at.proc, at.behave = p, b
	if b.Lifetime > 0 {
		p.lifetime = time.AfterFunc(b.Lifetime, func() { k.End(p.PID, syscall.WaitStatus(syscall.SIGKILL)) })
	}
	return nil
}

func (k *Kernel) awaitStandby(h *spawn.Standby) error {
	k.mu.Lock()
	at := k.placeOf(h)
	if at.over || at.proc == nil {
		k.mu.Unlock()
		return spawn.ErrDiscarded
	}
	first, ended, promoted, built := !at.heard, at.proc.ended, at.proc.promoted, at.behave.BuildTime
	at.heard = true
	k.mu.Unlock()
	if first {
		select {
		case <-time.After(built + time.Microsecond):
			return nil
		case <-ended:
		case <-promoted:
		}
	}
	select {
	case <-ended:
	case <-promoted:
	}
	return errors.New("it has ended")
}

// promote takes the standby of a start for its container; nil = it makes another.
// The lock is held.
func (k *Kernel) promote(r *spawn.Request) *Proc {
	if r.Standby == nil {
		return nil
	}
	at := k.placeOf(r.Standby)
	p := at.proc
	at.over, at.proc = true, nil
	if p == nil || !p.Ended.IsZero() {
		return nil
	}
	spec, other := *p.Request.Spec, *r.Spec
	if at.behave.Outdated || !reflect.DeepEqual(spec, other) || !slices.Equal(p.Request.Sockets, r.Sockets) {
		k.end(p, syscall.WaitStatus(syscall.SIGKILL))
		return nil
	}
	if p.lifetime != nil {
		p.lifetime.Stop()
		p.lifetime = nil
	}
	close(p.promoted)
	p.Standby, p.Started, p.inherited = false, time.Now(), nil
	return p
}

func (k *Kernel) inspectStandby(h *spawn.Standby) error {
	k.mu.Lock()
	outdated := k.placeOf(h).behave.Outdated
	k.mu.Unlock()
	if outdated {
		k.discard(h)
		return errors.New("its image is another by now")
	}
	return nil
}

func (k *Kernel) discard(h *spawn.Standby) {
	k.mu.Lock()
	defer k.mu.Unlock()
	at := k.placeOf(h)
	at.over = true
	if at.proc != nil {
		k.end(at.proc, syscall.WaitStatus(syscall.SIGKILL))
		at.proc = nil
	}
}

// standbysDied is the end of the daemon for what waits for its word. The lock is held.
func (k *Kernel) standbysDied() {
	for pid, p := range k.procs {
		if p.Standby {
			if p.Ended.IsZero() {
				k.end(p, 0)
			}
			delete(k.procs, pid)
		}
	}
	clear(k.places)
}

// Standbys are those that live, by name.
func (k *Kernel) Standbys() []*Proc {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []*Proc
	for _, p := range k.procs {
		if p.Standby && p.Ended.IsZero() {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, func(a, b *Proc) int { return cmp.Compare(a.Name, b.Name) })
	return list
}
