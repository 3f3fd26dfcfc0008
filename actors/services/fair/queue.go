package fair

import (
	"math"
	"slices"
	"time"
)

// halfLife is after which time a start counts half in a [Pace].
const halfLife = time.Minute

// eldest is how often the one that has waited longest is served instead of the
// one whose turn it is: every fourth time. So none waits for more than four
// times as many forks as there were before it.
const eldest = 4

// Pace is how often something was started recently: its starts, each of which
// counts half as much after every [halfLife]. The zero value is that of
// something new.
type Pace struct {
	starts float64
	at     time.Time
}

// Started is the pace after one more start.
func (p Pace) Started(now time.Time) Pace {
	return Pace{p.Starts(now) + 1, now}
}

// Starts is what counts of all starts before now.
func (p Pace) Starts(now time.Time) float64 {
	if p.starts == 0 {
		return 0
	}
	return p.starts * math.Exp2(-float64(now.Sub(p.at))/float64(halfLife))
}

// Queue are those who wait. Something new counts as started once, just now.
//
// Starts count less by and by, for all alike: so the order of two never
// changes, and each has its rank when it comes. The zero value is an empty
// queue.
type Queue[T comparable] struct {
	epoch   time.Time   // that ranks are relative to
	waiting []ranked[T] // in order of arrival
	served  int
}

type ranked[T comparable] struct {
	who  T
	rank float64
}

// Len is how many wait.
func (q *Queue[T]) Len() int { return len(q.waiting) }

// Add takes one more.
func (q *Queue[T]) Add(who T, pace Pace, now time.Time) {
	if q.epoch.IsZero() {
		q.epoch = now
	}
	if pace.starts == 0 {
		pace = pace.Started(now)
	}
	// The logarithm of what its starts counted at the epoch.
	rank := math.Log2(pace.starts) + float64(pace.at.Sub(q.epoch))/float64(halfLife)
	q.waiting = append(q.waiting, ranked[T]{who, rank})
}

// Take gives whose turn it is, if anybody waits. A thousand are looked through
// in a microsecond or two, the start that follows takes hundreds.
func (q *Queue[T]) Take() (who T, ok bool) {
	if len(q.waiting) == 0 {
		return who, false
	}
	q.served++
	next := 0
	for i, r := range q.waiting {
		if q.served%eldest != 0 && r.rank < q.waiting[next].rank {
			next = i
		}
	}
	who = q.waiting[next].who
	q.waiting = slices.Delete(q.waiting, next, next+1)
	return who, true
}

// Remove takes one out that waits no more.
func (q *Queue[T]) Remove(who T) {
	q.waiting = slices.DeleteFunc(q.waiting, func(r ranked[T]) bool { return r.who == who })
}

// Place is how many are before one by what is known now, and this one: 1 is
// the next, 0 nobody who waits.
func (q *Queue[T]) Place(who T) int {
	at := slices.IndexFunc(q.waiting, func(r ranked[T]) bool { return r.who == who })
	if at < 0 {
		return 0
	}
	place := 1
	for i, r := range q.waiting {
		if r.rank < q.waiting[at].rank || i < at && r.rank == q.waiting[at].rank {
			place++
		}
	}
	return place
}
