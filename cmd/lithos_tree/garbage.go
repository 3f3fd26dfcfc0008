package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"

	"lithos/cmd/internal/reader"
	"lithos/configs"
)

// gcPercent keeps the heap small. The daemon makes little garbage and has all
// the time in the world: memory is what it competes for with the programs.
const gcPercent = 30

// Where the heap is small, that percentage of it is what a few restarts leave, or
// a tenth of what a question after a thousand containers takes, and the collector
// took a third of the time of these: it may grow by someGarbage, bytes, as long as
// that is not more than mostPercent. All of it is given back at rest.
const (
	someGarbage = 6 << 20
	mostPercent = 100
)

// loadingPercent is for the time in which configs are read and a plan is
// applied: all that is made then is needed or is garbage at the end, and to
// look for it on the way was a third of a reload's processor time.
const loadingPercent = 300

// loadingTime ends that at the latest: a plan that is refused is never applied.
const loadingTime = 5 * time.Second

// restLook is between two looks whether the daemon is at rest: it is where it has
// allocated less than restBytes since the last.
const (
	restLook  = time.Second
	restBytes = 256 << 10
)

// After garbage was collected by itself, memory is given back if there is at least
// worthGiving more of it than the last time, and at most once in givePause: what is
// needed of it again has to be asked for again.
const (
	worthGiving = 1 << 20
	givePause   = time.Minute
)

// memory gives the daemon's memory back to the host when it has come to rest after
// work: a plan's application, restarts, questions. The collector alone would
// leave some 30 % of garbage, on pages that it keeps for more, and the heap as it
// was at its largest is only given back slowly.
type memory struct {
	now         func() amounts
	give, usual func()

	mu      sync.Mutex
	loading *time.Timer // ends the time of loadingPercent, nil = it is over
	look    *time.Timer // nil = nothing has happened since memory was given back
	planned bool        // a plan was applied since
	before  amounts     // at the last look
	left    amounts     // when memory was last given back
}

// amounts are the bytes allocated since the start, and the present size of the heap.
type amounts struct {
	at              time.Time
	allocated, heap uint64
}

func newMemory() *memory { return &memory{now: readAmounts, give: giveBack, usual: collectAsUsual} }

// watch has each collection of garbage looked at, from now on. The first plan,
// which is made already, is to be applied next.
func (m *memory) watch() {
	m.mu.Lock()
	m.loading = time.AfterFunc(loadingTime, m.loaded)
	m.mu.Unlock()
	m.awaitCollection()
}

// awaitCollection has a piece of garbage made, and is called when it is collected.
func (m *memory) awaitCollection() {
	runtime.AddCleanup(new(*int), func(m *memory) {
		m.collected()
		m.awaitCollection()
	}, m)
}

// load reads the configs at a reload.
func (m *memory) load(images *reader.Reader, o configs.Options) (*configs.Plan, configs.Problems) {
	m.mu.Lock()
	if m.loading != nil {
		m.loading.Stop()
	}
	debug.SetGCPercent(loadingPercent)
	m.loading = time.AfterFunc(loadingTime, m.loaded)
	m.mu.Unlock()
	return images.Load(o)
}

func (m *memory) loaded() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loading = nil
	m.usual()
}

// applied is told that a plan was.
func (m *memory) applied() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.planned = true
	m.lookIn(restLook)
}

// collected is told that garbage was.
func (m *memory) collected() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.loading == nil {
		m.usual()
	}
	// The one that the runtime makes every two minutes finds next to nothing.
	if m.now().heap >= m.left.heap+worthGiving {
		m.lookIn(restLook)
	}
}

// lookIn is for who holds the lock.
func (m *memory) lookIn(wait time.Duration) {
	if m.look == nil {
		m.before = m.now()
		m.look = time.AfterFunc(wait, m.atRest)
	}
}

// atRest gives memory back if it is worth it, and looks again later if not yet.
func (m *memory) atRest() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.look = nil
	now := m.now()
	pause := m.left.at.Add(givePause).Sub(now.at)
	switch {
	case now.allocated-m.before.allocated >= restBytes:
		m.lookIn(restLook)
		return
	case m.planned:
	case now.heap < m.left.heap+worthGiving:
		return
	case pause > 0:
		m.lookIn(pause)
		return
	}
	if m.loading != nil {
		m.loading.Stop()
		m.loading = nil
	}
	m.planned = false
	m.give()
	m.left = m.now()
}

// giveBack collects all garbage and gives its memory back to the host, and the
// pages of the program that were needed for the work.
func giveBack() {
	debug.FreeOSMemory()
	collectAsUsual()
	// It has a little more memory than it needs, if that fails.
	_ = dropProgram()
}

// collectAsUsual is how garbage is collected while no configs are read.
func collectAsUsual() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/gogc:percent"}}
	metrics.Read(live)
	// To set it stops all threads for a moment.
	if percent := percentFor(live[0].Value.Uint64()); uint64(percent) != live[1].Value.Uint64() {
		debug.SetGCPercent(percent)
	}
}

// percentFor is the percentage for a heap of which so many bytes are needed.
func percentFor(live uint64) int {
	return max(gcPercent, min(mostPercent, int(100*someGarbage/max(live, 1))))
}

func readAmounts() amounts {
	s := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"}, {Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(s)
	a := amounts{at: time.Now(), allocated: s[0].Value.Uint64()}
	for _, one := range s[1:] {
		a.heap += one.Value.Uint64()
	}
	return a
}
