package patient

import (
	"sync"
	"sync/atomic"
	"time"
)

// Calls are those about things of one kind, which K tells apart. The zero value
// does not wait at all.
type Calls[K comparable] struct {
	// Limit is how long a call may take.
	Limit time.Duration
	// Next is how long another one may take while one has been given up: what
	// hangs often does so for many. 0 is as long.
	Next time.Duration

	mu    sync.Mutex
	given map[K]bool // up, and they have not returned
}

// Call calls f. Ok is false if it has not returned in time, or if an earlier call
// about the same thing has not returned yet. Only its result may be used of what f
// does.
func Call[K comparable, V any](c *Calls[K], about K, f func() V) (v V, ok bool) {
	return Walk(c, about, func(func()) V { return f() })
}

// Walk is [Call] for what takes many steps: f calls step at each of them, and each
// may take as long as the limit says.
func Walk[K comparable, V any](c *Calls[K], about K, f func(step func()) V) (v V, ok bool) {
	c.mu.Lock()
	limit := c.Limit
	if len(c.given) > 0 && c.Next > 0 {
		limit = c.Next
	}
	given := c.given[about]
	c.mu.Unlock()
	if given {
		return v, false
	}
	result, steps := make(chan V, 1), atomic.Int64{}
	go func() {
		result <- f(func() { steps.Add(1) })
		c.mu.Lock()
		delete(c.given, about)
		c.mu.Unlock()
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for last := int64(-1); last != steps.Load(); {
		last = steps.Load()
		timer.Reset(limit)
		select {
		case v := <-result:
			return v, true
		case <-timer.C:
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case v := <-result: // at the last moment
		return v, true
	default:
	}
	if c.given == nil {
		c.given = make(map[K]bool)
	}
	c.given[about] = true
	return v, false
}
