package simulation

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"time"

	"lithos/actors/fakekernel"
	"lithos/configs"
)

// run is the whole run: the number of steps, then a stop.
func (s *sim) run(steps int) {
	s.random = rand.New(rand.NewPCG(s.seed, 0x5eed))
	s.kernel = fakekernel.New()
	s.files = make(map[string]*sandboxFile)
	s.world.init(s)
	for range 1 + s.random.IntN(6) {
		s.edit()
	}
	s.startDaemon()
	s.pass(0)
	for step := 1; step <= steps && s.failure.Load() == nil; step++ {
		s.step.Store(int64(step))
		s.act()
		s.pass(s.howLong())
	}
	s.stop()
}

// howLong is the time until the next step. While everything fails again and
// again, with hardly a restart-timeout, little of it is enough.
func (s *sim) howLong() time.Duration {
	d := s.chooseTime()
	if s.world.ill > 0 || s.world.starve != nil || len(s.world.refuse) > 0 {
		d = min(d, 3*time.Second)
	}
	return d
}

func (s *sim) chooseTime() time.Duration {
	switch s.random.IntN(10) {
	case 0, 1, 2:
		return 0
	case 3, 4:
		return upTo(s.random, time.Millisecond)
	case 5, 6, 7:
		return upTo(s.random, time.Second)
	case 8:
		return upTo(s.random, 10*time.Second)
	}
	return upTo(s.random, 90*time.Second)
}

// act is one step.
func (s *sim) act() {
	switch n := s.random.IntN(1000); {
	case n < 280:
		for range 1 + s.random.IntN(3) {
			s.edit()
		}
		s.reload()
	case n < 330:
		s.edit() // without a reload
	case n < 350:
		s.world.loadError = true
		s.reload()
	case n < 390:
		s.world.loadTime = upTo(s.random, 2*time.Second)
		s.reload()
	case n < 650:
		s.end(statuses[s.random.IntN(len(statuses))])
	case n < 750:
		s.end(syscall.WaitStatus(syscall.SIGKILL)) // PID 1
	case n < 760:
		s.note("all containers are killed")
		for _, p := range s.kernel.Living() {
			s.kernel.End(p.PID, 9)
		}
	case n < 830:
		s.togglePort()
	case n < 880:
		s.starve()
	case n < 920:
		s.world.ill = []int{0, 0, 10, 30, 90}[s.random.IntN(5)]
		s.note("of 100 starts %d fail", s.world.ill)
	case n < 925:
		if list := s.kernel.Standbys(); len(list) > 0 {
			p := list[s.random.IntN(len(list))]
			s.note("the standby of %s is killed", p.Name)
			s.kernel.End(p.PID, 9)
		}
	case n < 940:
		p := s.kernel.AddStray(fmt.Sprint("stray", s.step.Load()), fakekernel.Behaviour{IgnoreTerm: s.random.IntN(2) == 0})
		s.note("an unknown child, pid %d", p.PID)
	case n < 975:
		s.crash()
	case n < 981:
		s.stop()
		if s.failure.Load() == nil {
			s.startDaemon()
		}
	}
}

func (s *sim) reload() {
	all := []syscall.Signal{syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2}
	s.signal(all[s.random.IntN(len(all))])
}

// end has a program end by itself.
func (s *sim) end(status syscall.WaitStatus) {
	if living := s.kernel.Living(); len(living) > 0 {
		p := living[s.random.IntN(len(living))]
		s.note("%s (pid %d) ends with status %#x", p.Name, p.PID, int(status))
		s.kernel.End(p.PID, status)
	}
}

func (s *sim) togglePort() {
	addr := fmt.Sprintf("0.0.0.0:%d", firstPort+s.random.IntN(lastPort-firstPort+1))
	w := &s.world
	w.mu.Lock()
	if w.refuse[addr] || len(w.refuse) > 2 || s.random.IntN(2) == 0 {
		clear(w.refuse)
	} else {
		w.refuse[addr] = true
	}
	w.mu.Unlock()
	s.note("ports that can't be opened: %v", slices.Sorted(maps.Keys(w.refuse)))
}

func (s *sim) starve() {
	s.world.starve = []error{nil, nil,
		fmt.Errorf("cannot fork: %w", syscall.EAGAIN), fmt.Errorf("cannot fork: %w", syscall.ENOMEM),
	}[s.random.IntN(4)]
	s.note("forks fail with: %v", s.world.starve)
}

// edit changes one thing in the files.
func (s *sim) edit() {
	r := s.random
	name := fmt.Sprint("s", r.IntN(4))
	f := s.files[name]
	switch {
	case f == nil:
		f = &sandboxFile{processes: make(map[string]*processEntry)}
		s.files[name] = f
	case r.IntN(40) == 0:
		s.note("edit: sandbox %s is removed", name)
		delete(s.files, name)
		return
	case r.IntN(15) == 0:
		f.broken = !f.broken
		s.note("edit: sandbox %s is broken: %v", name, f.broken)
		return
	case r.IntN(15) == 0:
		f.processesBroken = !f.processesBroken
		s.note("edit: the processes of %s are broken: %v", name, f.processesBroken)
		return
	}
	s.editProcess(name, f)
}

func (s *sim) editProcess(sandbox string, f *sandboxFile) {
	r := s.random
	name := fmt.Sprint("p", r.IntN(4))
	e := f.processes[name]
	if e == nil {
		e = &processEntry{kind: configs.KindDaemon, instances: 1 + r.IntN(3), version: r.IntN(8)}
		if r.IntN(10) == 0 {
			e.kind = configs.KindCommand
		}
		e.most = max(0, r.IntN(5)-2)
		f.processes[name] = e
		s.note("edit: %s/%s is new, version %d, %d instances", sandbox, name, e.version, e.instances)
		return
	}
	switch n := r.IntN(13); {
	case n == 12:
		e.most = r.IntN(3)
	case n < 1:
		delete(f.processes, name)
		s.note("edit: %s/%s is removed", sandbox, name)
		return
	case n < 3:
		e.broken = !e.broken
	case n < 6:
		e.version = r.IntN(8)
	case n < 9:
		e.instances = r.IntN(4)
	case n < 11:
		e.first = r.IntN(4)
	default:
		e.tweak++
	}
	s.note("edit: %s/%s is now %+v", sandbox, name, *e)
}

// longest is the longest kill-timeout of what may run.
const longest = 30 * time.Second

// stop ends the daemon, perhaps with a second TERM, and looks at what is left.
func (s *sim) stop() {
	if s.failure.Load() != nil {
		return
	}
	d, began := s.daemon, time.Now()
	// Cleaning up, twice, adds to the timeouts.
	limit := longest + 25*time.Second
	if !d.model.ready {
		limit *= 2 // first goes what nobody wants, then what does not continue
	}
	s.signal(syscall.SIGTERM)
	s.pass(0)
	s.world.mu.Lock()
	s.world.sealed = true
	s.world.mu.Unlock()
	if s.random.IntN(3) == 0 {
		s.pass(upTo(s.random, 5*time.Second))
		s.signal(syscall.SIGTERM)
	}
	for s.failure.Load() == nil {
		select {
		case err := <-d.root.Done:
			if err != nil {
				s.fail("the daemon ended with: %v", err)
			}
			s.ended(d)
			return
		default:
		}
		if time.Since(began) > limit {
			s.fail("the daemon does not end: %v live", len(s.kernel.Living()))
		}
		s.pass(500 * time.Millisecond)
	}
}

func (s *sim) ended(d *daemon) {
	d.root.Stop()
	d.run()
	select {
	case <-d.root.Stopped():
	default:
		s.fail("the root actor has not ended")
	}
	d.root.Close()
	d.mu.Lock()
	d.model.stopped = true
	d.mu.Unlock()
	left := slices.DeleteFunc(s.kernel.LeftBehind(), func(thing string) bool {
		// Unknown children are looked for at a reload; one that came later
		// is init's now.
		name, ok := strings.CutPrefix(thing, "process stray")
		return ok && len(s.kernel.SignalsOf(s.kernel.Latest("stray"+name))) == 0
	})
	if len(left) > 0 {
		s.fail("the daemon left behind: %v", left)
	}
	if n := len(d.board.View().Instances); n > 0 && len(d.model.wanted) == 0 {
		s.fail("%d instances are shown after the end", n)
	}
	if n := len(s.world.open); n > 0 {
		s.fail("%d sockets are open after the daemon's end", n)
	}
	s.world.forget()
}
