package deadline

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// ErrExceeded is the error of a call that was given up.
var ErrExceeded = errors.New("it does not answer in time")

// Calls are calls about things of one kind, which K tells apart. The zero value
// does not wait at all.
type Calls[K comparable] struct {
	// Limit is how long a call may take.
	Limit time.Duration
	// Next is the limit of other calls while one has been given up: what hangs
	// often does so for many. 0 is Limit.
	Next time.Duration

	mu        sync.Mutex
	abandoned map[K]bool // calls that were given up and have not returned
}

// Call calls f. The error is [ErrExceeded] if it has not returned in time, or if
// an earlier call about the same thing has not returned yet. Only the result of f
// may be used, nothing else that it sets.
func Call[K comparable, V any](c *Calls[K], about K, f func() (V, error)) (V, error) {
	return Walk(c, about, func(func()) (V, error) { return f() })
}

type result[V any] struct {
	v   V
	err error
}

// Walk is [Call] for work of many steps: f calls step at each of them, and each
// may take as long as the limit says.
func Walk[K comparable, V any](c *Calls[K], about K, f func(step func()) (V, error)) (v V, err error) {
	if c.isAbandoned(about) {
		return v, ErrExceeded
	}
	limit := c.limit()
	done, steps := make(chan result[V], 1), atomic.Int64{}
	go func() {
		v, err := f(func() { steps.Add(1) })
		done <- result[V]{v, err}
		c.returned(about)
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for last := int64(-1); last != steps.Load(); {
		last = steps.Load()
		timer.Reset(limit)
		select {
		case r := <-done:
			return r.v, r.err
		case <-timer.C:
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case r := <-done: // at the last moment
		return r.v, r.err
	default:
	}
	c.abandonLocked(about)
	return v, ErrExceeded
}

// limit is how long a call may take now.
func (c *Calls[K]) limit() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.abandoned) > 0 && c.Next > 0 {
		return c.Next
	}
	return c.Limit
}

func (c *Calls[K]) isAbandoned(about K) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.abandoned[about]
}

func (c *Calls[K]) abandon(about K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abandonLocked(about)
}

func (c *Calls[K]) abandonLocked(about K) {
	if c.abandoned == nil {
		c.abandoned = make(map[K]bool)
	}
	c.abandoned[about] = true
}

// returned is called after each call, also after one that was given up.
func (c *Calls[K]) returned(about K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.abandoned, about)
}
