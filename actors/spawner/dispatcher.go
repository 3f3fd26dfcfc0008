package spawner

import (
	"runtime"
	"sync"
)

// Dispatcher runs the mailbox of one actor on one locked thread.
type Dispatcher struct {
	mu     sync.Mutex
	wake   *sync.Cond
	queue  []func()
	closed bool
}

// NewDispatcher starts the thread.
func NewDispatcher() *Dispatcher {
	d := &Dispatcher{}
	d.wake = sync.NewCond(&d.mu)
	go d.run()
	return d
}

// Schedule implements actor.Dispatcher; it never waits.
func (d *Dispatcher) Schedule(fn func()) {
	d.mu.Lock()
	d.queue = append(d.queue, fn)
	d.mu.Unlock()
	d.wake.Signal()
}

// Throughput implements actor.Dispatcher: how many messages are handled before
// other goroutines get a turn, which here there are none to give it to.
func (d *Dispatcher) Throughput() int { return 300 }

// Close ends the thread after the queued functions.
func (d *Dispatcher) Close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.wake.Signal()
}

func (d *Dispatcher) run() {
	// Never unlocked: when the goroutine ends its thread ends with it, and
	// no other goroutine gets a thread that has forked.
	runtime.LockOSThread()
	for {
		d.mu.Lock()
		for len(d.queue) == 0 && !d.closed {
			d.wake.Wait()
		}
		if len(d.queue) == 0 {
			d.mu.Unlock()
			return
		}
		fn := d.queue[0]
		d.queue[0] = nil
		d.queue = d.queue[1:]
		if len(d.queue) == 0 {
			d.queue = nil
		}
		d.mu.Unlock()
		fn()
	}
}
