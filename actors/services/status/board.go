package status

import (
	"crypto/rand"
	"maps"
	"slices"
	"sync"
	"time"

	"lithos/actors/services/api"
	"lithos/configs"
)

// ringSize is how many events are kept.
const ringSize = 2048

// Board is what everything looks like at present. A nil Board takes everything
// and shows nothing.
type Board struct {
	id      string
	started time.Time

	mu        sync.Mutex
	instances map[string]*Instance
	config    *Config
	reload    Reload
	ring      []Event // of the newest ringSize; event n is at n % ringSize
	seq       uint64  // of the newest event
	changed   chan struct{}
}

// New makes a Board of a daemon that starts now.
func New() *Board {
	return &Board{
		id:        rand.Text(),
		started:   time.Now(),
		instances: make(map[string]*Instance),
		config:    &Config{},
		// The first reading is over: a request from now on waits for another one.
		reload: Reload{Begun: 1},
	}
}

// Continue has the generations continue from those of the daemon that this one has
// taken over from, so that who waits for one there may wait for it here.
// Preconditions: no reading was begun yet but that of the start.
func (b *Board) Continue(begun uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reload.Begun = begun + 1
}

// ID tells this run of the daemon from all others: sequence numbers and
// generations start over with each.
func (b *Board) ID() string { return b.id }

// Started is when the daemon started.
func (b *Board) Started() time.Time { return b.started }

// Config is the root's view of the configs. It is never changed.
type Config struct {
	// Wanted are the daemons' instances of the merged plan, by name.
	Wanted    map[string]*configs.Instance
	Sandboxes int // of the merged plan
	// Problems are those of the last reading.
	Problems configs.Problems
	// Objects are the sandboxes and processes that are broken in it, without
	// their problems.
	Objects []api.Object
}

// Current tells whether the wanted version runs.
func (c *Config) Current(in *Instance) bool {
	wanted := c.Wanted[in.Name]
	return wanted != nil && in.Current != nil && in.Current.Fingerprint == wanted.Fingerprint
}

// Publish updates an instance.
func (b *Board) Publish(in *Instance) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.instances[in.Name]
	b.instances[in.Name] = in
	if before == nil || before.State != in.State || before.Starts != in.Starts {
		b.event(Event{At: in.Since, Type: api.EventState, Name: in.Name, State: in.State, PID: in.PID})
	}
	b.checkEvents(before, in)
	if in.LastExit != nil && !in.LastExitTold && (before == nil || before.LastExit != in.LastExit) {
		b.event(Event{At: in.LastExit.At, Type: api.EventDeath, Name: in.Name, State: in.State, PID: in.LastExit.PID, Text: in.LastExit.Words})
	}
	b.wake()
}

// checkEvents tells what the checks of an instance brought. Preconditions: the
// lock is held.
func (b *Board) checkEvents(before, in *Instance) {
	if before == nil {
		before = &Instance{}
	}
	e := Event{At: time.Now(), Name: in.Name, State: in.State, PID: in.PID}
	if in.Ready != nil && in.Ready.Ready && (before.Ready == nil || !before.Ready.Ready) {
		e.Type = api.EventReady
		b.event(e)
	}
	was, is := 0, 0
	if before.Health != nil && before.PID == in.PID {
		was = before.Health.Failures
	}
	if in.Health != nil {
		is = in.Health.Failures
	}
	switch {
	case in.Unhealthy != "" && before.Unhealthy == "":
		e.Type, e.Text = api.EventHealth, in.Unhealthy
		b.event(e)
	case in.Health != nil && is != was:
		e.Type, e.Text = api.EventHealth, in.Health.Why
		b.event(e)
	}
}

// Remove takes an instance off that is gone for good.
func (b *Board) Remove(name string) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.instances[name] == nil {
		return
	}
	delete(b.instances, name)
	b.event(Event{At: time.Now(), Type: api.EventGone, Name: name})
	b.wake()
}

// BeginReload counts a reading that begins, and returns its generation.
func (b *Board) BeginReload() uint64 {
	if b == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reload.Begun++
	return b.reload.Begun
}

// Show has what is known of the configs shown before the reading is done that
// was begun last.
func (b *Board) Show(config *Config) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.config = config
	b.wake()
}

// EndReload reports the result of the last reading: the config, or why it changed
// nothing.
func (b *Board) EndReload(config *Config, refused string) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.config = config
	b.reload.Done, b.reload.At, b.reload.Refused = b.reload.Begun, time.Now(), refused
	b.event(Event{At: b.reload.At, Type: api.EventReload, Reload: b.reload.Done, Text: refused})
	b.wake()
}

// Touch tells those who wait that something is different that is not on the
// Board itself.
func (b *Board) Touch() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wake()
}

// event adds one to the ring. Preconditions: the lock is held.
func (b *Board) event(e Event) {
	b.seq++
	e.Seq = b.seq
	if len(b.ring) < ringSize {
		b.ring = append(b.ring, e)
		return
	}
	b.ring[(b.seq-1)%ringSize] = e
}

func (b *Board) wake() {
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

// View is everything at one moment.
type View struct {
	Instances []*Instance // by name
	Config    *Config
	Reload    Reload
	Seq       uint64 // of the newest event that is in it
}

// View gives everything at this moment. Instances that are wanted but have
// not begun yet are in it, in the state [Pending].
func (b *Board) View() View {
	b.mu.Lock()
	v := View{Config: b.config, Reload: b.reload, Seq: b.seq}
	v.Instances = slices.AppendSeq(make([]*Instance, 0, len(b.instances)), maps.Values(b.instances))
	since := b.reload.At
	pending := make([]*configs.Instance, 0, 8)
	for name, wanted := range b.config.Wanted {
		if b.instances[name] == nil {
			pending = append(pending, wanted)
		}
	}
	b.mu.Unlock()
	for _, wanted := range pending {
		v.Instances = append(v.Instances, newPending(wanted, since))
	}
	slices.SortFunc(v.Instances, func(x, y *Instance) int { return configs.CompareNames(x.Name, y.Name) })
	return v
}

// Instance gives one of them, nil if there is none.
func (b *Board) Instance(name string) (*Instance, *Config) {
	b.mu.Lock()
	defer b.mu.Unlock()
	in := b.instances[name]
	if wanted := b.config.Wanted[name]; in == nil && wanted != nil {
		in = newPending(wanted, b.reload.At)
	}
	return in, b.config
}

// Changed is closed at the next change. A caller that must not miss one gets the
// channel before it reads.
func (b *Board) Changed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changed == nil {
		b.changed = make(chan struct{})
	}
	return b.changed
}

// Events gives at most limit of those after the number since, and how many
// between are not kept any more.
func (b *Board) Events(since uint64, limit int) (list []Event, missed uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if since >= b.seq {
		return nil, 0
	}
	if oldest := b.seq - uint64(len(b.ring)); since < oldest {
		missed, since = oldest-since, oldest
	}
	for n := since + 1; n <= b.seq && len(list) < limit; n++ {
		list = append(list, b.ring[(n-1)%ringSize])
	}
	return list, missed
}

// Seq is the number of the newest event.
func (b *Board) Seq() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seq
}
