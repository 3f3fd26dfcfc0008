package simulation

import (
	"fmt"
	"syscall"
	"time"

	"lithos/actors/fakekernel"
	"lithos/actors/listener"
	"lithos/actors/process"
	"lithos/actors/root"
	"lithos/actors/services/status"
	"lithos/actors/spawner"
	"lithos/configs"
	"lithos/spawn"
)

// model is what a daemon is expected to do, learnt from the messages that reach
// its actors.
type model struct {
	helpers   int // the root's children without a name, so far
	listener  *box
	good      good
	wanted    map[string]*configs.Instance
	ready     bool // leftovers are gone, the plan is applied
	stopping  bool
	stopped   bool
	instances map[string]*observed
	// options are all containers that were ever wanted, by name and
	// fingerprint, as the files have them.
	options map[string]*configs.Container
	// versions are the fingerprints that a name was ever wanted with, "" for
	// not wanted.
	versions map[string]map[string]bool
	adopted  int64 // containers of an earlier daemon whose ends are this one's to count
}

// observed is what was seen of one instance.
type observed struct {
	desired *configs.Instance
	attempt time.Time // its last start
	ran     bool      // another container is to run: restart-timeout says nothing about its first start
	leasing bool      // it asked for sockets, and the fork is yet to be asked for
	lease   uint32    // the generation of the latest such question
	nextTry time.Time // that was shown
}

func (m *model) reset() {
	*m = model{
		instances: make(map[string]*observed), options: make(map[string]*configs.Container),
		versions: make(map[string]map[string]bool),
	}
}

func (m *model) apply(snap snapshot) {
	m.good = m.good.merged(snap)
	m.wanted = m.good.instances()
	for name, inst := range m.wanted {
		m.options[name+" "+inst.Fingerprint] = inst.Container
		if m.versions[name] == nil {
			m.versions[name] = make(map[string]bool)
		}
		m.versions[name][inst.Fingerprint] = true
	}
	for name, versions := range m.versions {
		if m.wanted[name] == nil {
			versions[""] = true
		}
	}
}

// steady tells whether this daemon was told nothing but to run a name as that.
func (m *model) steady(name, fingerprint string) bool {
	return !m.stopping && len(m.versions[name]) == 1 && m.versions[name][fingerprint]
}

func (m *model) of(name string) *observed {
	o := m.instances[name]
	if o == nil {
		o = &observed{}
		m.instances[name] = o
	}
	return o
}

// posted looks at a message that is sent.
func (m *model) posted(d *daemon, message any) {
	switch t := message.(type) {
	case *listener.LeaseSockets:
		m.attempt(d, t.Owner)
		o := m.of(t.Owner)
		o.leasing, o.lease = true, t.Gen
	case *spawner.StartContainer:
		name := t.Request.Spec.Name
		if o := m.of(name); o.leasing {
			o.leasing = false
		} else {
			m.attempt(d, name)
		}
	}
}

// attempt is the beginning of a start.
func (m *model) attempt(d *daemon, name string) {
	o, now := m.of(name), time.Now()
	heritage := d.s.world.books.heritage
	if h := heritage[name]; m.goesOn(h, name) && now.Before(h.nextTry) {
		d.s.fail("%s is started %s before the time that the daemon before had shown", name, h.nextTry.Sub(now))
	}
	delete(heritage, name)
	if last, ok := d.s.world.books.starts[name]; ok && o.attempt.IsZero() && m.steady(name, last.fingerprint) {
		if wait := m.options[name+" "+last.fingerprint].RestartTimeout; now.Sub(last.at) < wait {
			d.s.fail("%s is started %s after its start by the daemon before, its restart-timeout is %s", name, now.Sub(last.at), wait)
		}
	}
	if !o.ran && !o.attempt.IsZero() {
		if wait := m.options[name+" "+o.desired.Fingerprint].RestartTimeout; now.Sub(o.attempt) < wait {
			d.s.fail("%s is started again after %s, its restart-timeout is %s", name, now.Sub(o.attempt), wait)
		}
		if now.Before(o.nextTry) {
			d.s.fail("%s is started again %s before the time that was shown", name, o.nextTry.Sub(now))
		}
	}
	o.attempt, o.ran, o.nextTry = now, false, time.Time{}
}

// see looks at a message that is about to be handled.
func (m *model) see(d *daemon, b *box, message any) {
	switch t := message.(type) {
	case *process.RunInstance:
		o := m.of(nameOf(b))
		o.desired, o.ran, o.leasing = t.Instance, true, false
		delete(d.s.world.books.heritage, nameOf(b))
		// Nor does it for the next daemon, which may want the one before again.
		delete(d.s.world.books.starts, nameOf(b))
	case *process.AdoptInstance:
		m.of(nameOf(b)).desired = t.Instance
		if !t.Adopted.Noted {
			m.adopted++
		}
	case *process.ProcessExited:
		m.ended(d, nameOf(b), t.Exit.PID)
		delete(d.s.world.books.heritage, nameOf(b))
	case *process.UpdateInstance:
		o := m.of(nameOf(b))
		o.desired, o.nextTry = t.Instance, time.Time{}
		if h := d.s.world.books.heritage[nameOf(b)]; h != nil && t.Instance.JSON != h.options {
			delete(d.s.world.books.heritage, nameOf(b))
		}
	case *listener.LeaseFailed:
		if o := m.of(nameOf(b)); t.Gen == o.lease {
			o.leasing = false
		}
	case *root.SignalReceived:
		m.stopping = m.stopping || t.Signal == syscall.SIGTERM
	}
	if b.id != "root" {
		return
	}
	switch fmt.Sprintf("%T", message) {
	case "*root.leftoversCleared":
		m.ready = true
	case "*root.planLoaded":
		w := &d.s.world
		w.mu.Lock()
		snap := w.loads[0]
		w.loads = w.loads[1:]
		w.mu.Unlock()
		if snap != nil && !m.stopping {
			m.apply(snap)
			d.s.note("the new plan is applied: %d containers", len(m.wanted))
		}
	}
}

// late looks at a timer that fires: it has to be waited for. The daemon's lock
// is held.
func (m *model) late(d *daemon, name, kind string) {
	if m.stopped {
		switch kind {
		case "*root.strayTimeoutElapsed", "*root.planLoaded", "*root.childrenListed":
		default:
			d.s.fail("%s for %s comes after the daemon's end", kind, name)
		}
		return
	}
	in, _ := d.board.Instance(name)
	switch kind {
	case "*process.elapsed RestartElapsed":
		if in == nil || in.State != status.Waiting {
			d.s.fail("a restart timer of %s fires, which does not wait", name)
		}
	case "*process.elapsed KillElapsed":
		if in == nil || in.State != status.Restarting && in.State != status.Replacing && in.State != status.Stopping {
			d.s.fail("a kill timer of %s fires, which is not being ended", name)
		}
	}
}

// check is called when everything sleeps: whatever is not as it is to be has
// to have a reason that ends.
func (s *sim) check() {
	d := s.daemon
	if s.failure.Load() != nil || d.model.stopped {
		return
	}
	if !d.model.ready {
		if time.Since(d.began) > longest+15*time.Second {
			s.fail("what an earlier daemon left is not cleared after %s", time.Since(d.began))
		}
		return
	}
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	living := make(map[string]*fakekernel.Proc)
	for _, p := range s.kernel.Living() {
		switch {
		case p.Stray:
			continue
		case living[p.Name] != nil:
			s.broken("%s runs twice: pids %d and %d", p.Name, living[p.Name].PID, p.PID)
		}
		living[p.Name] = p
	}
	if len(s.world.loads) > 0 {
		s.broken("the configs were read, and the root did not hear of it")
	}
	if n := s.kernel.Unreaped(); n > 0 {
		s.broken("%d children are dead and were not reaped", n)
	}
	shown := make(map[string]*status.Instance)
	for _, in := range d.board.View().Instances {
		shown[in.Name] = in
		s.checkInstance(in, living[in.Name])
	}
	waits := s.checkStandbys(shown)
	for name, inst := range d.model.wanted {
		if !d.model.stopping {
			s.checkWanted(name, inst, shown, living[name])
		}
	}
	for name, p := range living {
		if shown[name] == nil {
			s.broken("%s runs (pid %d) and is nobody's", name, p.PID)
		}
	}
	s.checkSockets(shown, living, waits)
	s.checkCounters(len(living))
}

// broken is fail with the world's lock held.
func (s *sim) broken(format string, args ...any) {
	s.world.mu.Unlock()
	defer s.world.mu.Lock()
	s.fail(format, args...)
}

// checkInstance holds what is shown of an instance against the kernel.
func (s *sim) checkInstance(in *status.Instance, p *fakekernel.Proc) {
	d, now := s.daemon, time.Now()
	pid := 0
	if p != nil {
		pid = p.PID
	}
	switch {
	case d.busy.Load() > 0:
		// The fork may be done, and its report not sent yet.
	case in.PID != pid:
		s.broken("%s is shown with pid %d (%s), and has %d", in.Name, in.PID, in.State, pid)
	}
	if h := s.world.books.heritage[in.Name]; in.State != status.Pending && d.model.goesOn(h, in.Name) && !h.counted(in) {
		s.broken("%s is shown with %d starts and %d failures in a row, the daemon before had %d and %d", in.Name, in.Starts, in.FailuresInRow, h.starts, h.failed)
	}
	ended := false
	if p != nil {
		ended = s.checkEnding(p)
	}
	o := d.model.of(in.Name)
	under := s.world.removing[in.Name] > 0 || s.world.cleaning() || d.busy.Load() > 0
	switch in.State {
	case status.Pending:
		if !d.model.stopping {
			s.broken("%s is pending and nobody begins with it", in.Name)
		}
	case status.Starting:
		if d.busy.Load() == 0 {
			s.broken("%s is starting, and nothing is being forked", in.Name)
		}
	case status.Running:
		if p != nil && ended {
			s.broken("%s is shown as running and was told to end", in.Name)
		}
	case status.Waiting:
		o.nextTry = in.NextTry
		if !in.NextTry.After(now) && !under {
			s.broken("%s waits for a time that is over since %s: no timer", in.Name, now.Sub(in.NextTry))
		}
	case status.Restarting, status.Replacing, status.Stopping:
		if !ended && !under {
			s.broken("%s is %s and nothing brings that to an end", in.Name, in.State)
		}
	}
	if d.model.stopping || d.model.wanted[in.Name] == nil {
		if in.State != status.Stopping && in.State != status.Pending {
			s.broken("%s is to run no more and is %s", in.Name, in.State)
		}
	}
}

// cleaning: so many clean-ups run that others have to wait for them.
func (w *world) cleaning() bool {
	n := 0
	for _, c := range w.removing {
		n += c
	}
	return n >= 8
}

// ended: each end is seen once, whoever is the daemon by then.
func (m *model) ended(d *daemon, name string, pid int) {
	if pid == 0 {
		// Its daemon was killed before its record had the pid.
		pid = d.s.kernel.Latest(name).PID
	}
	noted := d.s.world.books.noted
	if noted[pid] {
		d.s.fail("the end of %s (pid %d) is noted once more", name, pid)
	}
	noted[pid] = true
}

// checkEnding tells whether a container was told to end, and fails if it lives
// after it should have been killed.
func (s *sim) checkEnding(p *fakekernel.Proc) (told bool) {
	var since time.Time
	for _, sig := range s.kernel.SignalsOf(p)[s.world.books.told[p.PID]:] {
		switch {
		case sig.Signal == syscall.SIGKILL:
			return true
		case sig.Signal == spawn.StopSignal && since.IsZero():
			since = sig.At
		}
	}
	if since.IsZero() {
		return false
	}
	if limit := s.world.killTimeouts[p.PID] + time.Second; time.Since(since) > limit {
		s.broken("%s (pid %d) has been told to end %s ago and was not killed", p.Name, p.PID, time.Since(since))
	}
	return true
}

// checkWanted: what is wanted runs, or will.
func (s *sim) checkWanted(name string, wanted *configs.Instance, shown map[string]*status.Instance, p *fakekernel.Proc) {
	in := shown[name]
	switch {
	case in == nil:
		s.broken("%s is wanted and nobody's", name)
	case in.State == status.Stopping:
		s.broken("%s is wanted and is being ended for good", name)
	case s.waitsForTurn(wanted, shown):
	case in.Wanted == nil || in.Wanted.Fingerprint != wanted.Fingerprint || in.Wanted.JSON != wanted.JSON:
		s.broken("%s is to be another version than what its actor knows", name)
	case in.State == status.Running && p != nil && p.Request.RecordHead.Fingerprint != wanted.Fingerprint:
		s.broken("%s runs version %s, wanted is %s", name, p.Request.RecordHead.Fingerprint, wanted.Fingerprint)
	}
}

// waitsForTurn tells whether an instance may be another version still: as many of
// the others as max-unavailable allows are the new one, and do not serve yet.
func (s *sim) waitsForTurn(wanted *configs.Instance, shown map[string]*status.Instance) bool {
	most := s.daemon.model.good[wanted.Sandbox][wanted.Process].most
	if most == 0 {
		return false
	}
	for _, in := range shown {
		other := s.daemon.model.wanted[in.Name]
		if other == nil || other.Sandbox != wanted.Sandbox || other.Process != wanted.Process || other.Name == wanted.Name ||
			in.Wanted == nil || in.Wanted.Fingerprint != other.Fingerprint {
			continue
		}
		serves := in.State == status.Running
		if in.Ready != nil {
			serves = serves && !in.NotReady()
		} else {
			serves = serves && time.Since(in.Started) >= 5*time.Second
		}
		if !serves {
			most--
		}
	}
	return most <= 0
}

// checkSockets: what is open is somebody's, and everybody has what he is to
// have.
func (s *sim) checkSockets(shown map[string]*status.Instance, living map[string]*fakekernel.Proc, waits map[string]bool) {
	most := make(map[uint16]int) // how many may have a port
	for name, in := range shown {
		var holders []*configs.Instance
		switch in.State {
		case status.Starting, status.Replacing:
			holders = append(holders, in.Wanted, in.Current)
		case status.Running, status.Restarting, status.Stopping, status.Waiting:
			if waits[name] || living[name] != nil || in.State == status.Stopping && s.daemon.busy.Load() > 0 {
				holders = append(holders, in.Current)
			}
		}
		has := make(map[uint16]bool)
		for _, holder := range holders {
			if holder != nil {
				for _, port := range holder.Container.TCPPorts {
					has[port.Port] = true
				}
			}
		}
		p := living[name]
		if p == nil && in.State == status.Replacing {
			p = s.kernel.Latest(name) // whose sockets are kept for the next one
		}
		if p != nil { // an earlier daemon may have made it from another config
			for _, port := range s.kernel.Ports(p) {
				has[port] = true
			}
		}
		for port := range has {
			most[port]++
		}
	}
	open := make(map[uint16]int)
	for _, socket := range s.world.open {
		port := socket.Addr.Port()
		open[port]++
		if !socket.ReusePort && most[port] == 0 || socket.ReusePort && open[port] > most[port] {
			s.broken("a socket of port %d is open, and nobody is left who leased it (%d open, %d users)", port, open[port], most[port])
		}
	}
	for name, p := range living {
		if in := shown[name]; p.Foreign {
			s.checkCopied(in, p, open)
			continue
		}
		for _, file := range p.Request.Sockets {
			if _, ok := s.world.open[file]; !ok {
				s.broken("%s runs and its socket was closed", name)
			}
		}
	}
}

// checkCopied: the daemon has the sockets of what it adopted, so that they stay
// open when that is replaced.
func (s *sim) checkCopied(in *status.Instance, p *fakekernel.Proc, open map[uint16]int) {
	if in == nil || in.Current == nil || in.State != status.Running || in.Current.Fingerprint != p.Request.RecordHead.Fingerprint {
		return
	}
	if in.Wanted.Fingerprint != in.Current.Fingerprint {
		return // it waits for its turn, and the daemon does not know which ports its config had
	}
	for _, port := range in.Current.Container.TCPPorts {
		if open[port.Port] == 0 {
			s.broken("%s was adopted and the daemon does not have its socket of port %d", in.Name, port.Port)
		}
	}
}

// checkCounters holds the counters against what happened.
func (s *sim) checkCounters(living int) {
	if s.daemon.busy.Load() > 0 {
		return
	}
	t, w := s.daemon.registry.Totals(), &s.world
	if t.Running != int64(living) {
		s.broken("the counters say that %d run, %d do", t.Running, living)
	}
	if started := w.forked + w.failed; t.Started != started {
		s.broken("the counters say %d starts, there were %d", t.Started, started)
	}
	if deaths := w.forked + s.daemon.model.adopted - int64(living) + w.failed; t.Deaths != deaths {
		s.broken("the counters say %d deaths, there were %d", t.Deaths, deaths)
	}
	causes := int64(0)
	for _, name := range s.daemon.registry.Names() {
		c := s.daemon.registry.Of(name)
		for i := range c.Causes {
			causes += c.Causes[i].Load()
		}
	}
	if causes != t.Deaths || t.Failures > t.Deaths {
		s.broken("%d deaths by their causes and %d failures of %d deaths", causes, t.Failures, t.Deaths)
	}
	if n := s.kernel.Pidfds(); n != living {
		s.broken("%d pidfds are open for %d containers", n, living)
	}
}
