package fakekernel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"lithos/actors"
	"lithos/configs"
	"lithos/spawn"
	"lithos/spawn/readiness"
	"lithos/spawn/records"
	"lithos/sysx/cgroup"
)

// Behaviour is what one start does. The zero value runs until it gets TERM,
// and then ends at once.
type Behaviour struct {
	ForkError error
	ForkPanic bool
	ForkTime  time.Duration // how long the spawner is busy with it
	// ReportTime is how long it lives before its record has its pid, and the
	// fork is reported.
	ReportTime time.Duration
	// Lifetime is after how long it ends by itself; 0 = never.
	Lifetime time.Duration
	// Instant has it die before the fork is reported.
	Instant bool
	Status  syscall.WaitStatus // of PID 1, when it ends by itself
	// TermTime is how long it takes to end after TERM; IgnoreTerm that it
	// does not, IgnoreKill not even after KILL.
	TermTime   time.Duration
	IgnoreTerm bool
	IgnoreKill bool
	Degraded   []string
	// Record is its record after its death.
	Record *records.Record
	// RemoveTime is how long its clean-up takes, RemoveError how it ends.
	RemoveTime  time.Duration
	RemoveError error
	// Check is the answer to the n-th probe (from 0) of this start; nil =
	// it serves. CheckTime is how long it takes for that.
	Check     func(n int) error
	CheckTime time.Duration
	// SettingUp has it never execute its program.
	SettingUp bool
	// ShutsDown has its program call shutdown(2) on its sockets before it ends.
	ShutsDown bool
}

// Proc is one process.
type Proc struct {
	PID      int
	Name     string
	Request  *spawn.Request
	Started  time.Time
	Ended    time.Time // zero while it lives
	Signals  []Signal
	Foreign  bool // not a child of the daemon
	Stray    bool // a child that nobody started
	Standby  bool // it waits, and is no container yet
	Sockets  []string
	promoted chan struct{} // of a standby
	status   syscall.WaitStatus
	behave   Behaviour
	handle   *os.File
	ended    chan struct{}
	lifetime *time.Timer
	// inherited are the sockets that it has copies of.
	inherited []actors.Socket
	reported  bool // its record has its pid
	checks    int  // that it was asked
}

// Signal is one signal that a process got.
type Signal struct {
	Signal syscall.Signal
	At     time.Time
}

// Kernel is the fake.
type Kernel struct {
	// Signals and Deaths are to be given to the root.
	Signals, Deaths chan os.Signal
	// Behave returns the behaviour of the n-th start (from 0) of a container; nil is
	// the zero Behaviour for all.
	Behave func(name string, n int) Behaviour
	// BehaveStandby is the same for the n-th standby.
	BehaveStandby func(name string, n int) StandbyBehaviour
	// LoadFunc reads the configs of a reload.
	LoadFunc func() (*configs.Plan, configs.Problems)
	// ListenError is asked before a socket is made.
	ListenError func(actors.Socket) error
	// FailingLooks are the errors of the next attempts to open a process.
	FailingLooks []error
	// Left are the leftovers of an earlier daemon.
	Left actors.Leftovers
	// LeftTime is how long it takes to find them.
	LeftTime time.Duration

	mu        sync.Mutex
	daemons   int // how many have died
	lastPID   int
	procs     map[int]*Proc      // living and not yet reaped
	byHandle  map[*os.File]*Proc // open pidfds
	dead      []actors.Exit      // to be reaped
	sockets   map[*os.File]actors.Socket
	shutDown  map[actors.Socket]bool
	starts    map[string]int
	stateDirs map[string]bool
	cgroups   map[string]bool
	behaviour map[string]Behaviour // the latest of each name
	places    map[*spawn.Standby]*place
	standbys  map[string]int // how many were prepared
	history   []*Proc
	latest    map[string]*Proc           // of each name
	records   map[string]*records.Record // as they are on disk, without PID 1's lines
}

// New makes a fake kernel.
func New() *Kernel {
	return &Kernel{
		Signals:   make(chan os.Signal, 64),
		Deaths:    make(chan os.Signal, 1),
		procs:     make(map[int]*Proc),
		byHandle:  make(map[*os.File]*Proc),
		sockets:   make(map[*os.File]actors.Socket),
		shutDown:  make(map[actors.Socket]bool),
		starts:    make(map[string]int),
		stateDirs: make(map[string]bool),
		cgroups:   make(map[string]bool),
		behaviour: make(map[string]Behaviour),
		places:    make(map[*spawn.Standby]*place),
		standbys:  make(map[string]int),
		latest:    make(map[string]*Proc),
		records:   make(map[string]*records.Record),
		lastPID:   100,
	}
}

// Actors is the fake as actors see it.
func (k *Kernel) Actors() *actors.Kernel {
	return &actors.Kernel{
		Start:      k.start,
		Remove:     k.remove,
		ReadRecord: k.readRecord,

		SurveyStandby:  func(*spawn.Standby, *spawn.Spec) error { return nil },
		Prepare:        k.prepare,
		AwaitStandby:   k.awaitStandby,
		InspectStandby: k.inspectStandby,
		Discard:        k.discard,

		SettingUp:   k.settingUp,
		OpenSecrets: (*configs.Container).OpenSecrets,
		Spent:       func(string) cgroup.Spent { return cgroup.NothingSpent },
		AppendLine:  func(string, string) error { return nil },
		NoteEnd:     k.noteEnd,
		Check:       k.check,
		AwaitNotice: func(*os.File) error { return errors.New("fake: there are no pipes") },
		PeekNotice: func(*os.File, time.Time) (readiness.Message, error) {
			return readiness.Message{}, errors.New("fake: there are no sockets")
		},
		DropNotice: func(*os.File) error { return nil },
		TakeNotice: func(int, *os.File, *records.Created) (*os.File, error) {
			return nil, errors.New("fake: there are no pipes")
		},
		Listen:      k.listen,
		Accepts:     k.accepts,
		Restore:     k.restore,
		Close:       k.close,
		Signal:      k.signal,
		Wait:        k.wait,
		OOMKilled:   func(int, time.Time) bool { return false },
		Children:    k.children,
		SignalChild: k.signalChild,
		Load:        func(*configs.Plan) (*configs.Plan, configs.Problems) { return k.LoadFunc() },
		Leftovers:   k.leftovers,
		OpenProcess: k.openProcess,
		AwaitEnd:    k.awaitEnd,
		Watch:       k.watch,
		TakeSockets: k.takeSockets,
		RemoveDir:   func(string) {},
	}
}

func (k *Kernel) start(r *spawn.Request) (*spawn.Child, error) {
	name := r.Spec.Name
	k.mu.Lock()
	n := k.starts[name]
	k.starts[name]++
	b := Behaviour{}
	if k.Behave != nil {
		b = k.Behave(name, n)
	}
	k.behaviour[name] = b
	k.mu.Unlock()
	if b.ForkTime > 0 {
		time.Sleep(b.ForkTime)
	}
	if b.ForkPanic {
		panic("fork panics as it was told to")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cgroups[name] = true
	k.records[name] = &records.Record{Created: r.RecordHead}
	if b.ForkError != nil {
		return nil, b.ForkError
	}
	if k.stateDirs[name] {
		return nil, fmt.Errorf("fake: the state dir of %s is still there", name)
	}
	k.stateDirs[name] = true
	p := k.promote(r)
	waited := p != nil
	if waited {
		p.behave = b
		k.enter(p)
	} else {
		p = k.add(name, b)
	}
	p.Request = r
	for _, file := range r.Sockets {
		s, ok := k.sockets[file]
		if !ok {
			return nil, errors.New("fake: a socket of the request is closed")
		}
		p.Sockets = append(p.Sockets, s.Addr.String())
		p.inherited = append(p.inherited, s)
	}
	switch {
	case b.Instant:
		k.end(p, b.Status)
	case b.Lifetime > 0:
		p.lifetime = time.AfterFunc(b.Lifetime, func() { k.End(p.PID, b.Status) })
	}
	if b.ReportTime > 0 {
		daemon := k.daemons
		k.mu.Unlock()
		time.Sleep(b.ReportTime)
		k.mu.Lock()
		if daemon != k.daemons {
			return nil, errors.New("fake: the daemon is dead")
		}
	}
	p.reported = true
	k.records[name].Forked = &records.Forked{PID: p.PID, StartTime: uint64(p.PID)}
	return &spawn.Child{PID: p.PID, PIDFD: p.handle, Started: p.Started, Degraded: b.Degraded, Waited: waited}, nil
}

// add makes a process. The lock is held.
func (k *Kernel) add(name string, b Behaviour) *Proc {
	k.lastPID++
	p := &Proc{
		PID: k.lastPID, Name: name, Started: time.Now(), behave: b,
		handle: new(os.File), ended: make(chan struct{}),
	}
	k.enter(p)
	return p
}

// enter makes it known. The lock is held.
func (k *Kernel) enter(p *Proc) {
	k.procs[p.PID] = p
	k.byHandle[p.handle] = p
	k.history = append(k.history, p)
	k.latest[p.Name] = p
}

// AddStray makes a child of the daemon that no actor knows.
func (k *Kernel) AddStray(name string, b Behaviour) *Proc {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.add(name, b)
	p.Stray = true
	return p
}

// NextPID has the next process get this pid.
func (k *Kernel) NextPID(pid int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lastPID = pid - 1
}

// AddLeftover makes a living container of an earlier daemon, with its entry
// in Left.
func (k *Kernel) AddLeftover(name string, b Behaviour, killTimeout time.Duration) *Proc {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.add(name, b)
	p.Foreign = true
	delete(k.byHandle, p.handle) // the dead daemon's
	k.stateDirs[name], k.cgroups[name], k.behaviour[name] = true, true, b
	k.Left.Containers = append(k.Left.Containers, actors.Leftover{
		Name: name, PID: p.PID, StartTime: uint64(p.PID), KillTimeout: killTimeout,
	})
	return p
}

func (k *Kernel) leftovers() (actors.Leftovers, error) {
	time.Sleep(k.LeftTime)
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.Left, nil
}

// SetLeft changes what is left while the daemon runs.
func (k *Kernel) SetLeft(left actors.Leftovers) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.Left = left
}

// AddOrphan makes a living container of an earlier daemon that has a record,
// and copies of that daemon's sockets.
func (k *Kernel) AddOrphan(name string, b Behaviour, created records.Created, sockets ...actors.Socket) *Proc {
	p := k.AddLeftover(name, b, time.Duration(created.KillTimeout*float64(time.Second)))
	k.mu.Lock()
	defer k.mu.Unlock()
	created.Name = name
	p.inherited = sockets
	k.Left.Containers[len(k.Left.Containers)-1].Info = &records.Record{
		Created: created, Forked: &records.Forked{PID: p.PID, StartTime: uint64(p.PID)},
	}
	return p
}

func (k *Kernel) watch(pid int, _ uint64, pidfd *os.File, ended func(actors.Exit)) error {
	k.mu.Lock()
	p := k.byHandle[pidfd]
	k.mu.Unlock()
	if p == nil {
		return errors.New("fake: bad pidfd")
	}
	go func() {
		<-p.ended
		ended(actors.Exit{PID: pid, Status: p.status, At: time.Now()})
	}()
	return nil
}

// Ports are those of the sockets that a PID 1 has copies of.
func (k *Kernel) Ports(p *Proc) (ports []uint16) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range p.inherited {
		ports = append(ports, s.Addr.Port())
	}
	return ports
}

func (k *Kernel) takeSockets(_ int, pidfd *os.File, wanted []actors.Socket) (sockets []actors.Socket, files []*os.File) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.byHandle[pidfd].inherited {
		file, known := new(os.File), actors.Socket{Addr: s.Addr, ReusePort: s.ReusePort, Backlog: actors.UnknownBacklog}
		for _, want := range wanted {
			if want.Addr == s.Addr {
				known = want
			}
		}
		k.sockets[file] = s
		sockets, files = append(sockets, known), append(files, file)
	}
	return sockets, files
}

// check asks the living process of that name.
func (k *Kernel) check(ctx context.Context, name, _ string, _ *configs.Check) error {
	k.mu.Lock()
	p := k.latest[name]
	if p == nil || !p.Ended.IsZero() {
		k.mu.Unlock()
		return errors.New("fake: nobody is there")
	}
	n := p.checks
	p.checks++
	k.mu.Unlock()
	if p.behave.CheckTime > 0 {
		select {
		case <-time.After(p.behave.CheckTime):
		case <-ctx.Done():
			return errors.New("fake: no answer in time")
		}
	}
	if p.behave.Check == nil {
		return nil
	}
	return p.behave.Check(n)
}

// settingUp tells whether the living process of a record is being set up.
func (k *Kernel) settingUp(record string) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for name, p := range k.latest {
		if strings.HasSuffix(record, "/"+name) && p.Ended.IsZero() {
			return p.behave.SettingUp, nil
		}
	}
	return false, errors.New("fake: there is no such record")
}

// End has a process end by itself.
func (k *Kernel) End(pid int, status syscall.WaitStatus) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p := k.procs[pid]; p != nil {
		k.end(p, status)
	}
}

// end makes a process dead. The lock is held.
func (k *Kernel) end(p *Proc, status syscall.WaitStatus) {
	if !p.Ended.IsZero() {
		return
	}
	p.Ended, p.status = time.Now(), status
	close(p.ended)
	if p.behave.ShutsDown {
		for _, s := range p.inherited {
			k.shutDown[s] = true
		}
	}
	if p.lifetime != nil {
		p.lifetime.Stop()
	}
	if p.Foreign {
		delete(k.procs, p.PID)
		return
	}
	k.dead = append(k.dead, actors.Exit{PID: p.PID, Status: status})
	select {
	case k.Deaths <- syscall.SIGCHLD:
	default: // one that waits there stands for this one too
	}
}

func (k *Kernel) wait() (actors.Exit, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.dead) == 0 {
		return actors.Exit{}, false
	}
	// Deaths at one moment have a reproducible order.
	first := 0
	for i, exit := range k.dead {
		if exit.PID < k.dead[first].PID {
			first = i
		}
	}
	exit := k.dead[first]
	k.dead = slices.Delete(k.dead, first, first+1)
	exit.At = time.Now()
	delete(k.procs, exit.PID)
	return exit, true
}

func (k *Kernel) signal(pidfd *os.File, sig syscall.Signal) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.byHandle[pidfd]
	if p == nil {
		return errors.New("fake: bad pidfd")
	}
	k.deliver(p, sig)
	return nil
}

// deliver carries out a signal. The lock is held.
func (k *Kernel) deliver(p *Proc, sig syscall.Signal) {
	if !p.Ended.IsZero() || sig == syscall.SIGCONT { // nothing is stopped here
		return
	}
	p.Signals = append(p.Signals, Signal{sig, time.Now()})
	switch {
	case sig == syscall.SIGKILL && !p.behave.IgnoreKill:
		k.end(p, syscall.WaitStatus(syscall.SIGKILL))
	case (sig == spawn.StopSignal || p.Stray && sig == syscall.SIGTERM) && !p.behave.IgnoreTerm:
		if p.behave.TermTime == 0 {
			k.end(p, 0)
			return
		}
		time.AfterFunc(p.behave.TermTime, func() { k.End(p.PID, 0) })
	}
}

func (k *Kernel) children(without []int) ([]actors.Child, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []actors.Child
	for _, p := range k.procs {
		if _, known := slices.BinarySearch(without, p.PID); !known && !p.Foreign && !p.Standby && p.Ended.IsZero() {
			list = append(list, actors.Child{PID: p.PID, StartTime: uint64(p.PID), Command: p.Name})
		}
	}
	slices.SortFunc(list, func(a, b actors.Child) int { return a.PID - b.PID })
	return list, nil
}

func (k *Kernel) signalChild(c actors.Child, sig syscall.Signal) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.procs[c.PID]
	if p == nil || !p.Ended.IsZero() {
		return os.ErrProcessDone
	}
	k.deliver(p, sig)
	return nil
}

func (k *Kernel) openProcess(pid int, startTime uint64) (*os.File, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.procs[pid]
	if len(k.FailingLooks) > 0 {
		err := k.FailingLooks[0]
		k.FailingLooks = k.FailingLooks[1:]
		return nil, err
	}
	if p == nil || startTime != uint64(p.PID) {
		return nil, os.ErrProcessDone
	}
	handle := new(os.File)
	k.byHandle[handle] = p
	return handle, nil
}

func (k *Kernel) awaitEnd(pidfd *os.File, limit time.Duration) bool {
	k.mu.Lock()
	p := k.byHandle[pidfd]
	k.mu.Unlock()
	select {
	case <-p.ended:
		return true
	case <-time.After(limit):
		return false
	}
}
