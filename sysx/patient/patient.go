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
	if c.gaveUp(about) {
		return v, false
	}
	limit := c.limit()
	result, steps := make(chan V, 1), atomic.Int64{}
	go func() {
		result <- f(func() { steps.Add(1) })
		c.returned(about)
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
	c.give(about)
	return v, false
}

// limit is how long a call may take now.
func (c *Calls[K]) limit() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.given) > 0 && c.Next > 0 {
		return c.Next
	}
	return c.Limit
}

// gaveUp tells whether a call was given up that has not returned yet.
func (c *Calls[K]) gaveUp(about K) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.given[about]
}

func (c *Calls[K]) giveUp(about K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.give(about)
}

// give is giveUp for who holds the lock.
func (c *Calls[K]) give(about K) {
	if c.given == nil {
		c.given = make(map[K]bool)
	}
	c.given[about] = true
}

// returned is told of a call that has, perhaps after it was given up.
func (c *Calls[K]) returned(about K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.given, about)
}
