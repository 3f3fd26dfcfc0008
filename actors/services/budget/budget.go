package budget

import (
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"lithos/actors/services/fair"
	"lithos/configs"
)

// toldEvery is the least time between two lines of the log that say that
// restarts wait: on a host where many flap they always do, with gaps.
const toldEvery = time.Minute

// Budget is what all restarts of the host share. A nil one bounds nothing. All
// is safe to call from any goroutine.
type Budget struct {
	log zerolog.Logger

	mu      sync.Mutex
	limit   configs.RestartBudget
	tokens  float64
	at      time.Time // of tokens
	queue   fair.Queue[*Wait]
	timer   *time.Timer // for the next token, nil = nobody waits for it
	told    time.Time
	delayed int64
	waited  time.Duration
}

// New makes one that bounds nothing yet.
func New(log zerolog.Logger) *Budget { return &Budget{log: log} }

// Wait is a restart that waits for the budget.
type Wait struct {
	budget  *Budget
	began   time.Time
	allowed func()
}

// Set changes the limit. Queued restarts wait by the new one, or are allowed at
// once without one.
func (b *Budget) Set(limit configs.RestartBudget) {
	if b == nil {
		return
	}
	b.change(func() {
		b.refill()
		if b.limit.Rate == 0 {
			b.tokens = limit.Burst // nothing was spent of it
		}
		b.limit = limit
		b.tokens = min(b.tokens, limit.Burst)
	})
}

// Ask wants a restart of what was started at that pace. It is allowed at once,
// and the result is nil; or allowed is called some time, from any goroutine,
// unless [Wait.Withdraw] comes before.
func (b *Budget) Ask(pace fair.Pace, allowed func()) *Wait {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.take() {
		return nil
	}
	w := &Wait{b, time.Now(), allowed}
	b.queue.Add(w, pace, w.began)
	b.delayed++
	b.await()
	if b.told.IsZero() || w.began.Sub(b.told) >= toldEvery {
		b.told = w.began
		b.log.Warn().Msgf("Restarts wait for restart-budget (%s); lithos_ps --why tells of each", b.limit)
	}
	return w
}

// Withdraw takes a restart back that is not wanted any more. If it was allowed
// already, another gets it.
func (w *Wait) Withdraw() {
	b := w.budget
	b.change(func() {
		if b.queue.Place(w) != 0 {
			b.queue.Remove(w)
			return
		}
		b.refill()
		b.tokens = min(b.tokens+1, b.limit.Burst)
	})
}

// change calls apply, and allows the restarts that it makes possible.
func (b *Budget) change(apply func()) {
	b.mu.Lock()
	apply()
	var due []*Wait
	for b.queue.Len() > 0 && b.take() {
		w, _ := b.queue.Take()
		b.waited += time.Since(w.began)
		due = append(due, w)
	}
	b.await()
	b.mu.Unlock()
	for _, w := range due {
		w.allowed()
	}
}

// await has the timer at the next token, if anybody waits for it.
// Preconditions: the lock is held, the queue has no token.
func (b *Budget) await() {
	if b.timer != nil {
		b.timer.Stop()
		b.timer = nil
	}
	if b.queue.Len() > 0 {
		// A little late rather than a little early, which would be once more
		// for nothing.
		missing := time.Duration((1-b.tokens)/b.limit.Rate*float64(time.Second)) + time.Microsecond
		b.timer = time.AfterFunc(missing, func() { b.change(func() {}) })
	}
}

// take spends a token, if there is one. Preconditions: the lock is held.
func (b *Budget) take() bool {
	if b.limit.Rate == 0 {
		return true
	}
	b.refill()
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// refill counts the tokens that have come. Preconditions: the lock is held.
func (b *Budget) refill() {
	now := time.Now()
	b.tokens = min(b.limit.Burst, b.tokens+now.Sub(b.at).Seconds()*b.limit.Rate)
	b.at = now
}

// Next estimates when the restart will be allowed, and explains it. A container
// with fewer recent starts may go first.
func (w *Wait) Next() (at time.Time, why string) {
	b := w.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	place := b.queue.Place(w)
	if place == 0 || b.limit.Rate == 0 {
		return time.Now(), "restart-budget allowed it"
	}
	b.refill()
	wait := max(0, float64(place)-b.tokens) / b.limit.Rate
	return b.at.Add(time.Duration(wait * float64(time.Second))),
		fmt.Sprintf("restart-budget of the host, %s: place %d of %d in the queue, the fewest recent starts first", b.limit, place, b.queue.Len())
}

// Numbers are for metrics.
type Numbers struct {
	Rate    float64 // restarts a second, 0 = no bound
	Burst   float64
	Waiting int           // restarts that wait now
	Delayed int64         // restarts that had to wait
	Waited  time.Duration // by those that were allowed, together
}

// Numbers gives them as they are now.
func (b *Budget) Numbers() Numbers {
	if b == nil {
		return Numbers{}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return Numbers{b.limit.Rate, b.limit.Burst, b.queue.Len(), b.delayed, b.waited}
}
