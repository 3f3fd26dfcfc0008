package deadline

import (
	"sync"
	"time"
)

// Each is [Call] for many things, one after the other: f is called about each, and
// errs has its error, or Call's. One goroutine does them all, as long as none
// hangs; with one for each of thousands, most of the time went into waking threads.
func Each[K comparable, V any](c *Calls[K], about []K, f func(K) (V, error)) (values []V, errs []error) {
	r := &round[K, V]{
		calls: c, about: about, f: f,
		values: make([]V, len(about)), errs: make([]error, len(about)), done: make(chan struct{}),
	}
	go r.work(0)
	timer := time.NewTimer(c.limit())
	defer timer.Stop()
	for last := -1; ; timer.Reset(c.limit()) {
		select {
		case <-r.done:
			return r.values, r.errs
		case <-timer.C:
			last = r.look(last)
		}
	}
}

// round is one Each.
type round[K comparable, V any] struct {
	calls *Calls[K]
	about []K
	f     func(K) (V, error)
	done  chan struct{} // closed when all are

	mu     sync.Mutex
	next   int // index of the call under way
	worker int // number of the goroutine at work; those with a lower one were given up
	values []V
	errs   []error
}

// work does the remaining items. It is for worker number n.
func (r *round[K, V]) work(n int) {
	for {
		i, goOn := r.take()
		if !goOn {
			close(r.done)
			return
		}
		v, err := r.f(r.about[i])
		if !r.put(n, i, v, err) {
			r.calls.returned(r.about[i])
			return
		}
	}
}

// take gives the next that may be asked.
func (r *round[K, V]) take() (i int, goOn bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.next < len(r.about) && r.calls.isAbandoned(r.about[r.next]) {
		r.errs[r.next] = ErrExceeded
		r.next++
	}
	return r.next, r.next < len(r.about)
}

// put keeps a result, unless it comes too late.
func (r *round[K, V]) put(n, i int, v V, err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.worker != n {
		return false
	}
	r.values[i], r.errs[i] = v, err
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
	r.calls.abandon(r.about[r.next])
	r.errs[r.next] = ErrExceeded
	r.next++
	r.worker++
	go r.work(r.worker)
	return -1
}
