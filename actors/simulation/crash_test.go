package simulation

import (
	"fmt"
	"os"
	"syscall"
	"testing/synctest"
	"time"

	"lithos/actors"
	"lithos/actors/fakekernel"
	"lithos/actors/services/status"
	"lithos/configs"
	"lithos/spawn"
)

// crash kills the daemon in the midst of something, and starts the next after
// some time, which may be killed as well.
func (s *sim) crash() {
	for kills := 0; s.failure.Load() == nil && !s.daemon.model.stopped; kills++ {
		if kills == 0 {
			s.provoke()
		}
		// Most often among the messages, and else while it waits.
		if s.random.IntN(4) > 0 {
			s.daemon.fuse = 1 + s.random.IntN(100)
		}
		s.pass(upTo(s.random, 500*time.Millisecond))
		if s.failure.Load() != nil {
			return
		}
		s.kill()
		for range s.random.IntN(4) {
			time.Sleep(upTo(s.random, 2*time.Second))
			synctest.Wait()
			switch s.random.IntN(3) {
			case 0:
				s.edit()
			case 1:
				s.end(statuses[s.random.IntN(len(statuses))])
			}
		}
		s.startDaemon()
		if s.random.IntN(3) > 0 {
			return
		}
	}
}

// provoke has the daemon do something before it is killed.
func (s *sim) provoke() {
	switch s.random.IntN(6) {
	case 0, 1:
		s.edit()
		s.reload()
	case 2:
		for _, p := range s.kernel.Living() {
			s.kernel.End(p.PID, 9)
		}
	case 3:
		s.signal(syscall.SIGTERM)
	case 4:
		s.end(statuses[s.random.IntN(len(statuses))])
	}
}

func (s *sim) kill() {
	synctest.Wait() // forks and others may have begun
	s.note("the daemon is killed")
	s.daemon.abandon()
	s.kernel.DaemonDied()
	books := &s.world.books
	for _, p := range s.kernel.Living() {
		books.told[p.PID] = len(s.kernel.SignalsOf(p))
	}
	s.inherit()
	s.world.forget()
}

// inherit notes where the daemon that is killed was with each instance: the next
// one has to continue from there. One that was killed before it had adopted
// something has left that as it was.
func (s *sim) inherit() {
	for _, in := range s.daemon.board.View().Instances {
		if in.State == status.Pending || in.Wanted == nil || !s.kernel.Recorded(in.Name) {
			continue
		}
		h := &heritage{fingerprint: in.Wanted.Fingerprint, options: in.Wanted.JSON, failed: in.FailuresInRow, starts: in.Starts}
		// A start that was asked for, and perhaps not begun.
		h.asked = in.PID == 0 && in.State != status.Waiting
		if in.State == status.Waiting && in.Queued == nil {
			h.nextTry = in.NextTry
		}
		s.world.books.heritage[in.Name] = h
	}
}

// forget starts over with the next daemon.
func (w *world) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forked, w.failed, w.sealed, w.loads, w.loadError = 0, 0, false, nil, false
	clear(w.removing)
	clear(w.open)
}

// keep is what the daemon keeps for the next. Commands are no part of it.
func (d *daemon) keep(plan *configs.Plan) {
	kept := &configs.Plan{Master: plan.Master}
	for _, sb := range plan.Sandboxes {
		copied := *sb
		copied.Processes = nil
		for _, p := range sb.Processes {
			if p.Kind != configs.KindCommand {
				copied.Processes = append(copied.Processes, p)
			}
		}
		kept.Sandboxes = append(kept.Sandboxes, &copied)
	}
	d.s.kept, d.s.good = kept, d.model.good
}

func (s *sim) keptPlan() *configs.Plan {
	if m := s.mutation; m != nil && m.kept != nil && m.kept(s) {
		return nil
	}
	return s.kept
}

// books are what is known of containers over the lives of several daemons.
type books struct {
	starts  map[string]started // the latest of a name that left a record
	noted   map[int]bool       // ends that a daemon has seen, by pid
	cleared map[int]bool       // removed by a daemon that did not want it
	told    map[int]int        // signals that daemons before the present one sent
	// heritage is by name, until something happens to that.
	heritage map[string]*heritage
}

// heritage is what a daemon continues from.
type heritage struct {
	fingerprint, options string // of what was wanted
	failed, starts       int
	asked                bool      // the last start may have come to nothing
	nextTry              time.Time // zero = it was not waiting for that
}

// counted tells whether something is shown with the same counts.
func (h *heritage) counted(in *status.Instance) bool {
	return in.FailuresInRow == h.failed && (in.Starts == h.starts || h.asked && in.Starts == h.starts-1)
}

// goesOn tells whether something may be expected of the heritage of a name: a
// daemon that wants something else starts over.
func (m *model) goesOn(h *heritage, name string) bool {
	return h != nil && m.steady(name, h.fingerprint) && m.wanted[name].JSON == h.options
}

type started struct {
	fingerprint string
	at          time.Time
}

func (b *books) init() {
	b.starts, b.told = make(map[string]started), make(map[int]int)
	b.noted, b.cleared = make(map[int]bool), make(map[int]bool)
	b.heritage = make(map[string]*heritage)
}

// afterlife is what a daemon needs for what another has left.
func (w *world) afterlife(d *daemon, k *actors.Kernel) {
	inner, m := *k, w.s.mutation
	looks := map[int]int{}
	// fails tells whether a look at a process does, for want of descriptors, say.
	fails := func(pid int) bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		looks[pid]++
		return w.chance(fmt.Sprint("a look at ", pid, d.began), looks[pid], 6).IntN(6) == 0
	}
	k.Leftovers = func() (actors.Leftovers, error) {
		if fails(0) {
			return actors.Leftovers{Unsure: syscall.EMFILE}, nil
		}
		left := w.s.kernel.Remains()
		if m != nil && m.left != nil {
			for i := range left.Containers {
				m.left(&left.Containers[i])
			}
		}
		return left, nil
	}
	k.OpenProcess = func(pid int, startTime uint64) (*os.File, error) {
		if d.left() {
			return nil, os.ErrProcessDone
		}
		if fails(pid) {
			return nil, syscall.ENFILE
		}
		return inner.OpenProcess(pid, startTime)
	}
	k.AwaitEnd = func(pidfd *os.File, limit time.Duration) bool {
		if d.left() || m != nil && m.awaitEnd != nil && m.awaitEnd(w.s) {
			return true
		}
		return inner.AwaitEnd(pidfd, limit)
	}
	k.Watch = func(pid int, startTime uint64, pidfd *os.File, ended func(actors.Exit)) error {
		if m != nil && m.watch != nil && m.watch(w.s) {
			return nil
		}
		return inner.Watch(pid, startTime, pidfd, ended)
	}
	k.TakeSockets = func(pid int, pidfd *os.File, wanted []actors.Socket) ([]actors.Socket, []*os.File) {
		if d.left() || m != nil && m.takes != nil && m.takes(w.s) {
			return nil, nil
		}
		sockets, files := inner.TakeSockets(pid, pidfd, wanted)
		w.mu.Lock()
		defer w.mu.Unlock()
		for i, file := range files {
			w.open[file] = sockets[i]
		}
		return sockets, files
	}
}

// judge: a container is ended for a reason.
func (w *world) judge(d *daemon, p *fakekernel.Proc, sig syscall.Signal) {
	if p == nil || p.Stray || sig != spawn.StopSignal && sig != syscall.SIGKILL {
		return
	}
	w.mu.Lock()
	sick := w.sick[p.Name]
	w.mu.Unlock()
	if !sick && d.model.steady(p.Name, p.Request.RecordHead.Fingerprint) {
		w.s.fail("%s (pid %d) gets %v, and is what was wanted all the time", p.Name, p.PID, sig)
	}
}

// succeeds: what a container follows is dead, and its end was noted.
func (w *world) succeeds(old *fakekernel.Proc) {
	if old == nil {
		return
	}
	w.mu.Lock()
	known := w.books.noted[old.PID] || w.books.cleared[old.PID]
	w.mu.Unlock()
	switch {
	case w.s.kernel.Lives(old):
		w.s.fail("%s is started while it lives (pid %d)", old.Name, old.PID)
	case !known && w.s.kernel.Traceable(old):
		w.s.fail("%s is started and the end of the one before (pid %d) was not noted", old.Name, old.PID)
	}
}

// begins notes a start, from which restart-timeout counts.
func (w *world) begins(r *spawn.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.books.starts[r.Spec.Name] = started{r.RecordHead.Fingerprint, r.RecordHead.At}
}

// removed notes what a daemon takes away.
func (w *world) removed(d *daemon, name string, all bool) {
	p := w.s.kernel.Latest(name)
	w.mu.Lock()
	defer w.mu.Unlock()
	b := &w.books
	if all {
		delete(b.heritage, name)
	}
	if all && !d.model.steady(name, b.starts[name].fingerprint) {
		delete(b.starts, name)
	}
	if p != nil && !b.noted[p.PID] && !d.model.ready && d.model.wanted[name] == nil {
		b.cleared[p.PID] = true
	}
}
