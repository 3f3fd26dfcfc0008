package actors

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// Counters count what happened to all instances of one process of a sandbox
// (requirement Q2). Its process actors add to them, and whoever exports metrics
// reads them.
type Counters struct {
	Started  atomic.Int64
	Deaths   atomic.Int64
	Failures atomic.Int64 // see N9 for what counts
	Running  atomic.Int64 // gauge
	// SocketsShutDown counts listening sockets that had been shut down when a
	// container died.
	SocketsShutDown atomic.Int64
	// Causes counts Deaths by their cause, and the starts that failed before
	// there was a process.
	Causes [CauseCount]atomic.Int64
}

// Registry has the counters of all processes. A process that is gone keeps
// its counters as long as the daemon lives, so that they never go back.
type Registry struct {
	// Restarts counts reloads, and starts of the daemon but the first (Q1).
	Restarts atomic.Int64
	// Unknown is how many children nobody knows (Q3), a gauge.
	Unknown atomic.Int64

	mu        sync.Mutex
	processes map[string]*Counters
	// gone is what earlier daemons had counted of processes that had been
	// gone by their end.
	gone Totals
}

// Totals are the counters of all processes together (Q3).
type Totals struct{ Started, Deaths, Failures, Running int64 }

// NewRegistry makes an empty one.
func NewRegistry() *Registry { return &Registry{processes: make(map[string]*Counters)} }

// Of gives the counters of a process by its name ("SANDBOX/PROCESS"). Those of
// a nil Registry are for nobody.
func (r *Registry) Of(process string) *Counters {
	if r == nil {
		return &Counters{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.processes[process]
	if c == nil {
		c = &Counters{}
		r.processes[process] = c
	}
	return c
}

// Names are the processes that have counters, sorted.
func (r *Registry) Names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.processes))
}

// Totals adds all up.
func (r *Registry) Totals() Totals {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.gone
	for _, c := range r.processes {
		t.Started += c.Started.Load()
		t.Deaths += c.Deaths.Load()
		t.Failures += c.Failures.Load()
		t.Running += c.Running.Load()
	}
	return t
}

// Continue has the counters continue from those of an earlier daemon (O8).
// Preconditions: nothing was counted yet.
func (r *Registry) Continue(restarts int64, all Totals, processes map[string]Totals) {
	r.Restarts.Store(restarts)
	r.gone = Totals{Started: all.Started, Deaths: all.Deaths, Failures: all.Failures}
	for name, t := range processes {
		c := r.Of(name)
		c.Started.Store(t.Started)
		c.Deaths.Store(t.Deaths)
		c.Failures.Store(t.Failures)
		r.gone.Started -= t.Started
		r.gone.Deaths -= t.Deaths
		r.gone.Failures -= t.Failures
	}
}
