package rotation

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"lithos/actors"
	"lithos/actors/services/status"
	"lithos/sysx/proc"
	"lithos/sysx/rotate"
)

// How often files are looked at, and rotations logged.
const (
	longest    = time.Second
	shortest   = 20 * time.Millisecond
	logEvery   = 10 * time.Second
	closeLimit = 2 * time.Second
)

// Limit is what one sandbox's file may take.
type Limit struct {
	Path string
	Max  int64 // bytes; 0 = no limit
	Keep int   // parts beside it
}

// Keeper is the goroutine. A nil Keeper rotates nothing.
type Keeper struct {
	board *status.Board
	stop  chan struct{}
	done  chan struct{}
	woken chan struct{}

	moved, dropped atomic.Int64 // bytes, of all

	mu      sync.Mutex
	targets map[string]*target // by sandbox; what is in them is the goroutine's
}

// target is one sandbox's file.
type target struct {
	sandbox string
	limit   Limit
	log     zerolog.Logger

	seen     bool // a rotation of an earlier daemon was finished
	size     int64
	at       time.Time // of size
	problem  string    // that was logged last
	writers  writers
	rotated  total
	loggedAt time.Time
}

// total counts the bytes rotated since the last line of the log.
type total struct {
	times            int
	moved, dropped   int64
	since, sampledAt time.Time
}

// New starts it.
func New(board *status.Board) *Keeper {
	k := &Keeper{
		board: board, stop: make(chan struct{}), done: make(chan struct{}), woken: make(chan struct{}, 1),
		targets: make(map[string]*target),
	}
	go k.run()
	return k
}

// Set sets the size of a sandbox's file, and the log of its rotations.
// It never waits.
func (k *Keeper) Set(sandbox string, limit Limit, log zerolog.Logger) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if old := k.targets[sandbox]; old != nil && old.limit == limit {
		return // its log is the same, too: a reload changes that in place
	}
	t := &target{sandbox: sandbox, limit: limit, log: log}
	if limit.Max > 0 {
		t.writers.since = proc.Now()
	}
	k.targets[sandbox] = t
	select {
	case k.woken <- struct{}{}:
	default:
	}
}

// Forget leaves the file of a sandbox as it is: the sandbox is gone.
func (k *Keeper) Forget(sandbox string) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.targets, sandbox)
}

// Totals are how many bytes were moved to other files, and dropped since they came
// faster than they can be kept, in the life of this daemon.
func (k *Keeper) Totals() (moved, dropped int64) {
	if k == nil {
		return 0, 0
	}
	return k.moved.Load(), k.dropped.Load()
}

// Close ends it, and does not wait for long: a rotation that is under way may be
// interrupted at any point.
func (k *Keeper) Close() {
	if k == nil {
		return
	}
	close(k.stop)
	select {
	case <-k.done:
	case <-time.After(closeLimit):
	}
}

func (k *Keeper) run() {
	defer close(k.done)
	timer := time.NewTimer(longest)
	defer timer.Stop()
	for {
		select {
		case <-k.stop:
			return
		case <-timer.C:
		case <-k.woken:
		}
		if wait, any := k.look(); any {
			timer.Reset(wait)
		} else {
			timer.Stop() // until there is something to do
		}
	}
}

// look checks all files, and says when to look again, if ever.
func (k *Keeper) look() (wait time.Duration, any bool) {
	k.mu.Lock()
	list := make([]*target, 0, len(k.targets))
	for _, t := range k.targets {
		list = append(list, t)
	}
	k.mu.Unlock()
	wait = longest
	for _, t := range list {
		if k.stopped() {
			return wait, false
		}
		if next, more := k.check(t); more {
			wait, any = min(wait, next), true
		}
	}
	return wait, any
}

// check looks at one file; more says that it has to be looked at again.
func (k *Keeper) check(t *target) (next time.Duration, more bool) {
	defer actors.Recover(t.log, "rotation of the output of sandbox "+t.sandbox, func(error) { next, more = longest, true })
	more = t.limit.Max > 0
	if t.seen && !more {
		return longest, false
	}
	info, err := os.Lstat(t.limit.Path)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			t.fail(err)
		}
		return longest, more // made by the first container that starts
	}
	wait := t.pace(info.Size())
	if more {
		k.sample(t, info)
	}
	if !t.seen || more && info.Size() > t.limit.Max {
		err := k.rotate(t)
		if !more {
			t.seen = true
			return longest, false // whether it could be or not
		}
		if err != nil {
			t.fail(err)
			return longest, true
		}
		t.seen, t.problem = true, ""
		if info, err := os.Lstat(t.limit.Path); err == nil {
			t.size, t.at = info.Size(), time.Now()
		}
	}
	t.report()
	return wait, more
}

// pace is half the time that it takes to write as much as the limit, at the speed
// since the last look.
func (t *target) pace(size int64) time.Duration {
	now := time.Now()
	grown, passed := size-t.size, now.Sub(t.at)
	t.size, t.at = size, now
	if grown <= 0 || passed > 10*longest {
		return longest
	}
	wait := float64(t.limit.Max) / 2 / float64(grown) * float64(passed)
	return time.Duration(min(max(wait, float64(shortest)), float64(longest)))
}

// rotate cuts the file down until it is below its limit. With no limit it only
// continues where another daemon, that had one, was killed.
func (k *Keeper) rotate(t *target) error {
	f, err := rotate.Open(t.limit.Path, t.limit.Keep)
	if err != nil {
		return err
	}
	defer f.Close()
	all := (int64(t.limit.Keep) + 1) * t.limit.Max
	waiting, err := f.Waiting()
	if err != nil || t.limit.Max == 0 || waiting <= t.limit.Max {
		return err
	}
	if waiting > all+t.limit.Max {
		n, err := f.Drop(waiting - all)
		t.rotated.dropped += n
		k.dropped.Add(n)
		if err != nil {
			return err
		}
	}
	moved, parts, err := f.Rotate(t.limit.Max, t.limit.Keep+1)
	t.rotated.times += parts
	t.rotated.moved += moved
	k.moved.Add(moved)
	return err
}

func (k *Keeper) stopped() bool {
	select {
	case <-k.stop:
		return true
	default:
		return false
	}
}

// fail logs a problem, once until it is another one.
func (t *target) fail(err error) {
	if err.Error() != t.problem {
		t.problem = err.Error()
		t.log.Error().Msgf("Cannot keep the output of sandbox %q within its stdio-log-max-size: %v. It grows on until that is mended", t.sandbox, err)
	}
}

// report logs the rotated bytes.
func (t *target) report() {
	now := time.Now()
	if t.rotated.times == 0 && t.rotated.dropped == 0 || now.Sub(t.loggedAt) < logEvery {
		return
	}
	r := t.rotated
	text := fmt.Sprintf("Rotated the output of sandbox %q: %d bytes went to %s.1", t.sandbox, r.moved, t.limit.Path)
	if r.times > 1 {
		text += fmt.Sprintf(" and on, in %d parts", r.times)
	}
	event := t.log.Warn().Str("event", "rotation").Int64("bytes", r.moved)
	if r.dropped > 0 {
		text += fmt.Sprintf("; %d bytes were dropped: it is written faster than it can be kept, see stdio-log-keep", r.dropped)
		event = event.Int64("dropped", r.dropped)
	}
	if most, ok := t.writers.busiest(); ok {
		text += fmt.Sprintf("; the noisiest is %q with process %q (pid %d), which wrote %d bytes", most.container, most.comm, most.pid, most.bytes)
		event = event.Str("container", most.container).Int("pid", most.pid).Int64("written", most.bytes)
		if !r.since.IsZero() {
			text += fmt.Sprintf(" in %s", now.Sub(r.since).Round(10*time.Millisecond))
		}
	}
	event.Msg(text)
	t.rotated, t.loggedAt = total{since: now, sampledAt: r.sampledAt}, now
	t.writers.clear()
}
