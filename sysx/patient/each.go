package patient

import (
	"sync"
	"time"
)

// Each is [Call] for many things, one after the other: f is called about each, and
// ok[i] is false where Call's would be. One goroutine does them all, as long as none
// hangs; with one for each of thousands, most of the time went into waking threads.
func Each[K comparable, V any](c *Calls[K], about []K, f func(K) V) (values []V, ok []bool) {
	r := &round[K, V]{
		calls: c, about: about, f: f,
		values: make([]V, len(about)), ok: make([]bool, len(about)), done: make(chan struct{}),
	}
	go r.work(0)
	timer := time.NewTimer(c.limit())
	defer timer.Stop()
	for last := -1; ; timer.Reset(c.limit()) {
		select {
		case <-r.done:
			return r.values, r.ok
		case <-timer.C:
			last = r.look(last)
		}
	}
}

// round is one Each.
type round[K comparable, V any] struct {
	calls *Calls[K]
	about []K
	f     func(K) V
	done  chan struct{} // closed when all are

	mu      sync.Mutex
	next    int // the one that is being done
	workers int // that were given up: who has a lower number is one
	values  []V
	ok      []bool
}

// work does the remaining items. It is for worker number n.
func (r *round[K, V]) work(n int) {
	for {
		i, goOn := r.take()
		if !goOn {
			close(r.done)
			return
		}
		v := r.f(r.about[i])
		if !r.put(n, i, v) {
			r.calls.returned(r.about[i])
			return
		}
	}
}

// take gives the next that may be asked.
func (r *round[K, V]) take() (i int, goOn bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.next < len(r.about) && r.calls.gaveUp(r.about[r.next]) {
		r.next++
	}
	return r.next, r.next < len(r.about)
}

// put keeps a result, unless it comes too late.
func (r *round[K, V]) put(n, i int, v V) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.workers != n {
		return false
	}
	r.values[i], r.ok[i] = v, true
	r.next++
	return true
}

// look gives up what was being done at the last look already, and has another continue.
func (r *round[K, V]) look(last int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next != last || r.next == len(r.about) {
		return r.next
	}
	r.calls.giveUp(r.about[r.next])
	r.next++
	r.workers++
	go r.work(r.workers)
	return -1
}
