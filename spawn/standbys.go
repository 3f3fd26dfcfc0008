package spawn

import (
	"errors"
	"fmt"
	"lithos/spawn/wire"
	"lithos/sysx/inroot"
	"lithos/sysx/proc"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Inspect discards a standby if one of the files that it was built from has been
// replaced, or can't be looked at. The error names it. It is for any goroutine.
func (s *Spawner) Inspect(h *Standby) error {
	h.mu.Lock()
	stamps := h.stamps
	h.mu.Unlock()
	for _, before := range stamps {
		now, err := stampOf(before.path, before.changed != unix.Timespec{})
		if err == nil && now != before {
			err = fmt.Errorf("%s is another by now", before.path)
		}
		if err != nil {
			s.Discard(h)
			return err
		}
	}
	return nil
}

// Prepare builds the container of a request into its Standby. It has no record
// yet: RecordHead of the request is ignored.
//
// Preconditions: as for [Spawner.Start].
func (s *Spawner) Prepare(r *Request) error {
	if err := r.check(); err != nil {
		return err
	}
	if r.Network != nil {
		return errors.New("two containers can't have one address")
	}
	h := r.Standby
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return ErrDiscarded
	}
	b := &built{key: r.key(), sockets: slices.Clone(r.Sockets), record: standbyOf(r.Record), stateDir: standbyOf(r.Spec.StateDir)}
	asStandby := *r
	asStandby.Record, asStandby.Argv = b.record, slices.Clone(r.Argv)
	for i, arg := range asStandby.Argv {
		if arg == wire.FlagName {
			asStandby.Argv[i] = wire.FlagNext
			break
		}
	}
	// A daemon that was killed may have left it.
	if err := inroot.RemoveAll(b.stateDir); err != nil {
		return err
	}
	if err := b.connect(r.Spec.Name); err != nil {
		return err
	}
	l := s.newLaunch(&asStandby)
	defer l.close()
	l.standby = b
	l.donation = append(l.donation, b.peer)
	l.spec.StateDir, l.spec.Standby = b.stateDir, true
	child, err := l.run()
	if err != nil {
		b.socket.Close()
		return errors.Join(err, b.remove())
	}
	b.child, b.head, b.forked = child, l.head, l.forked
	h.built = b
	s.standbys.Store(child.PID, b)
	return nil
}

// promote makes the standby of a request its container; nil = there is none that is
// the same, and there will be none.
func (s *Spawner) promote(r *Request) *Child {
	h := r.Standby
	h.mu.Lock()
	defer h.mu.Unlock()
	b := h.built
	if h.over, h.built = true, nil; b == nil {
		return nil
	}
	head := r.RecordHead
	head.Identity = identity(r)
	if b.key != r.key() || !slices.Equal(b.sockets, r.Sockets) || b.become(r.Spec.Name, r.Record, r.Spec.StateDir, head) != nil {
		go s.dismiss(b)
		return nil
	}
	child := b.child
	child.Started, child.Waited = time.Now(), true
	s.standbys.Delete(child.PID)
	b.socket.Close()
	// As with any other start, but afterwards.
	m := s.groups.join(r.Spec.Name, &r.Limits)
	for _, f := range m.files {
		f.Close()
	}
	if child.Degraded = m.degraded; m.renew != nil {
		child.Degraded = append(child.Degraded, m.renew()...)
	}
	s.mounts.hold(r.Spec, child)
	return child
}

// Discard ends and removes the standby, if there is one, and waits for that. There
// will be no other one in h.
func (s *Spawner) Discard(h *Standby) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over = true
	if b := h.built; b != nil {
		h.built = nil
		s.dismiss(b)
	}
}

func (s *Spawner) dismiss(b *built) {
	defer s.standbys.Delete(b.child.PID)
	_ = proc.Signal(b.child.PIDFD, syscall.SIGKILL)
	b.socket.Close()
	_, _ = proc.AwaitEnd(b.child.PIDFD, removePatience)
	b.child.PIDFD.Close()
	if b.child.Notice != nil {
		b.child.Notice.Close()
	}
	_ = b.remove()
}

// DiscardAll ends and removes all standbys before this process executes another
// program, which would find unknown children. Nothing may be prepared any more.
func (s *Spawner) DiscardAll() {
	var all sync.WaitGroup
	s.standbys.Range(func(_, b any) bool {
		all.Go(func() {
			_ = proc.Signal(b.(*built).child.PIDFD, syscall.SIGKILL)
			_, _ = proc.AwaitEnd(b.(*built).child.PIDFD, removePatience)
			_ = b.(*built).remove()
		})
		return true
	})
	all.Wait()
}

// IsStandby tells whether a child waits, or has not ended yet.
func (s *Spawner) IsStandby(pid int) bool {
	_, ok := s.standbys.Load(pid)
	return ok
}
