package simulation

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"sync"
	"syscall"
	"time"

	"lithos/actors"
	"lithos/actors/fakekernel"
	"lithos/configs"
	"lithos/spawn"
	"lithos/spawn/records"
	"lithos/spawn/wire"
)

// world is what the simulation knows of the fake kernel's side, beyond what
// that tells: it stands between the kernel and the actors.
type world struct {
	s  *sim
	mu sync.Mutex

	killTimeouts map[int]time.Duration // by pid, as the files have them
	refuse       map[string]bool       // ports that can't be opened
	sick         map[string]bool       // by name: it failed a check since its start, and may be ended
	starve       error                 // why forks fail at present
	ill          int                   // of 100 starts, how many fail
	removing     map[string]int        // clean-ups under way
	open         map[*os.File]actors.Socket
	forked       int64         // starts that went well, since the daemon's start
	failed       int64         // and that did not
	promoted     int64         // starts of all daemons that had a standby
	sealed       bool          // the daemon stops: nothing may be started
	loadTime     time.Duration // of the next reading
	loadError    bool
	loads        []snapshot // read, and not yet reported to the root; nil = refused
	books        books
}

func (w *world) init(s *sim) {
	w.s = s
	w.books.init()
	w.killTimeouts = make(map[int]time.Duration)
	w.refuse, w.sick = make(map[string]bool), make(map[string]bool)
	w.removing = make(map[string]int)
	w.open = make(map[*os.File]actors.Socket)
	s.kernel.Behave = w.behave
	s.kernel.BehaveStandby = w.behaveStandby
	s.kernel.ListenError = func(socket actors.Socket) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.refuse[socket.Addr.String()] {
			return errors.New("address already in use, by another program")
		}
		return nil
	}
}

// chance is a source of its own for each start, so that it does not matter
// in which order they are asked for.
func (w *world) chance(name string, n int, what uint64) *rand.Rand {
	return rand.New(rand.NewPCG(w.s.seed^hash(name), uint64(n)<<8|what))
}

func upTo(r *rand.Rand, limit time.Duration) time.Duration {
	return time.Duration(1 + r.Int64N(int64(limit)))
}

// statuses of PID 1: its normal end, others, signals.
var statuses = []syscall.WaitStatus{0, 1 << 8, 2 << 8, 3 << 8, spawn.ExitNormal << 8, 9, 15, 11}

func (w *world) behave(name string, n int) fakekernel.Behaviour {
	r := w.chance(name, n, 0)
	b := fakekernel.Behaviour{Status: statuses[r.IntN(len(statuses))], IgnoreTerm: r.IntN(12) == 0}
	switch r.IntN(4) {
	case 0:
		b.TermTime = upTo(r, 100*time.Millisecond)
	case 1:
		b.TermTime = upTo(r, 8*time.Second)
	}
	if r.IntN(8) == 0 {
		b.ReportTime = upTo(r, 100*time.Millisecond)
	}
	// The answer to a probe.
	good := 14 + w.chance(name, n, 3).IntN(8)
	b.Check = func(asked int) error {
		if w.chance(name, n<<16|asked, 4).IntN(20) <= good {
			return nil
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.sick[name] = true
		return errors.New("it does not serve")
	}
	w.mu.Lock()
	delete(w.sick, name)
	w.mu.Unlock()
	w.mu.Lock()
	ill, starve := w.ill, w.starve
	w.mu.Unlock()
	if starve != nil {
		b.ForkError = starve
		return b
	}
	if r.IntN(100) >= ill {
		if r.IntN(4) == 0 {
			b.Lifetime = upTo(r, 2*time.Minute)
		}
		return b
	}
	switch r.IntN(7) {
	case 0:
		b.ForkError = fmt.Errorf("cannot fork: %w", syscall.EAGAIN)
	case 1:
		b.ForkError = fmt.Errorf("cannot fork: %w", syscall.ENOMEM)
	case 2:
		b.Instant = true
	case 3:
		b.Lifetime = upTo(r, time.Millisecond)
		b.Status, b.Record = 1<<8, &records.Record{Failed: "cannot mount a volume"}
	case 4:
		b.Lifetime = upTo(r, 3*time.Second)
		b.Record = &records.Record{Exited: &wire.ProgramExited{Code: 3}}
	case 5:
		b.Lifetime = upTo(r, time.Minute)
	case 6:
		b.ForkPanic = true
	}
	if b.ForkPanic {
		// The log says "Internal error" then, as it should; errors of
		// all kinds are the same to the actors.
		b.ForkPanic, b.ForkError = false, errors.New("cannot make the cgroup")
	}
	return b
}

// kernel is the fake as one daemon sees it.
func (w *world) kernel(d *daemon) *actors.Kernel {
	k := w.s.kernel.Actors()
	inner := *k
	k.Start = func(r *spawn.Request) (*spawn.Child, error) { return w.start(d, &inner, r) }
	k.Remove = func(name, stateDir, record string, all bool) error {
		return w.remove(d, &inner, name, stateDir, record, all)
	}
	k.Wait = func() (actors.Exit, bool) { return w.wait(&inner) }
	k.Listen = func(socket actors.Socket) (*os.File, error) {
		file, err := inner.Listen(socket)
		w.mu.Lock()
		defer w.mu.Unlock()
		if err == nil {
			w.open[file] = socket
		}
		return file, err
	}
	k.Close = func(file *os.File) error {
		if d.left() {
			return nil
		}
		if m := w.s.mutation; m != nil && m.close != nil && m.close(w.s, file) {
			return nil
		}
		w.mu.Lock()
		delete(w.open, file)
		w.mu.Unlock()
		return inner.Close(file)
	}
	k.Signal = func(pidfd *os.File, sig syscall.Signal) error {
		if d.left() {
			return nil
		}
		w.judge(d, w.s.kernel.Opened(pidfd), sig)
		if m := w.s.mutation; m != nil && m.signal != nil && m.signal(w.s, sig) {
			return nil
		}
		return inner.Signal(pidfd, sig)
	}
	w.afterlife(d, k)
	w.standbys(d, k)
	k.Load = func(before *configs.Plan) (*configs.Plan, configs.Problems) {
		plan, problems := w.load(d)
		if w.s.step.Load()%2 == 0 {
			reuse(before, plan)
		}
		return plan, problems
	}
	return k
}

// reuse takes instances from the plan before where configs.Load would.
func reuse(before, plan *configs.Plan) {
	if before == nil || plan == nil {
		return
	}
	earlier := map[string][]*configs.Instance{}
	for _, sb := range before.Sandboxes {
		for _, p := range sb.Processes {
			earlier[sb.Name+"/"+p.Name] = p.Instances
		}
	}
	for _, sb := range plan.Sandboxes {
		for _, p := range sb.Processes {
			if same := earlier[sb.Name+"/"+p.Name]; reflect.DeepEqual(same, p.Instances) {
				p.Instances = same
			}
		}
	}
}

func (w *world) start(d *daemon, inner *actors.Kernel, r *spawn.Request) (*spawn.Child, error) {
	name := r.Spec.Name
	random := w.chance(name, w.s.kernel.Starts(name), 1)
	w.mu.Lock()
	sealed := w.sealed // at its begin; what was begun before may end later
	w.mu.Unlock()
	if random.IntN(3) == 0 {
		time.Sleep(upTo(random, 200*time.Millisecond))
	}
	if d.left() {
		return nil, errors.New("the daemon is dead")
	}
	w.succeeds(w.s.kernel.Latest(name))
	if sealed {
		w.s.fail("%s is started while the daemon stops", name)
	}
	for i, file := range r.Sockets {
		w.mu.Lock()
		_, open := w.open[file]
		w.mu.Unlock()
		if !open {
			w.s.fail("%s is started with socket %d closed", name, i)
		}
	}
	w.begins(r)
	child, err := inner.Start(r)
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.s.kernel.Latest(name); p != nil && p.Request == r {
		if c := d.model.options[name+" "+r.RecordHead.Fingerprint]; c != nil {
			w.killTimeouts[p.PID] = c.KillTimeout
		}
	}
	if d.left() {
		return nil, errors.New("the daemon is dead")
	}
	if err != nil {
		w.failed++
		return nil, err
	}
	w.forked++
	if child.Waited {
		w.promoted++
	}
	return child, nil
}

// left tells whether the daemon is no more: what it still does has no effect.
func (d *daemon) left() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dead || d.model.stopped
}

func (w *world) remove(d *daemon, inner *actors.Kernel, name, stateDir, record string, all bool) error {
	w.mu.Lock()
	w.removing[name]++
	w.mu.Unlock()
	random := w.chance(name, w.s.kernel.Starts(name), 2)
	// Never without time: a program that ends at once, with no
	// restart-timeout, would stop the clock.
	limit := 2 * time.Millisecond
	if random.IntN(5) == 0 {
		limit = 3 * time.Second
	}
	time.Sleep(100*time.Microsecond + upTo(random, limit))
	if d.left() {
		return nil
	}
	w.mu.Lock()
	if w.removing[name]--; w.removing[name] == 0 {
		delete(w.removing, name)
	}
	w.mu.Unlock()
	if w.s.mutation != nil && w.s.mutation.remove != nil && w.s.mutation.remove(w.s, all) {
		return nil
	}
	w.removed(d, name, all)
	err := inner.Remove(name, stateDir, record, all)
	if err == nil && random.IntN(30) == 0 {
		err = errors.New("cannot remove a file of the state dir")
	}
	return err
}

func (w *world) wait(inner *actors.Kernel) (actors.Exit, bool) {
	for {
		exit, ok := inner.Wait()
		if ok && w.s.mutation != nil && w.s.mutation.wait != nil && w.s.mutation.wait(w.s) {
			continue
		}
		return exit, ok
	}
}

// load reads the files, as they are when it is done.
func (w *world) load(d *daemon) (*configs.Plan, configs.Problems) {
	w.mu.Lock()
	wait := w.loadTime
	w.loadTime = 0
	w.mu.Unlock()
	time.Sleep(wait)
	if d.left() {
		return nil, nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.loadError {
		w.loadError = false
		w.loads = append(w.loads, nil)
		return nil, nil
	}
	snap := w.s.snapshot()
	w.loads = append(w.loads, snap)
	return w.s.mutated(snap).plan(), nil
}
