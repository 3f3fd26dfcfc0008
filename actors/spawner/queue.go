package spawner

import (
	"math"
	"slices"
	"time"
)

// halfLife is after which time a start counts half in a [Pace].
const halfLife = time.Minute

// eldest is how often the request that has waited longest is served instead of
// the one whose turn it is: every fourth time. So none waits for more than four
// times as many forks as there were requests before it.
const eldest = 4

// Pace is how often something was started of late: its starts, each of which
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

// queue are the starts that wait. Who was started least of late comes first,
// so what has run for long before it died does not wait behind a thousand that
// die again and again; something new counts as started once, just now. Starts
// count less by and by, for all alike: so the order of two requests never
// changes, and each has its rank when it comes.
type queue struct {
	epoch   time.Time // that ranks are relative to
	waiting []ranked  // in order of arrival
	served  int
}

type ranked struct {
	m    *StartContainer
	rank float64
}

func (q *queue) add(m *StartContainer, now time.Time) {
	if q.epoch.IsZero() {
		q.epoch = now
	}
	pace := m.Pace
	if pace.starts == 0 {
		pace = pace.Started(now)
	}
	// The logarithm of what its starts counted at the epoch. A thousand
	// requests are looked through in a microsecond or two, a fork takes
	// hundreds.
	rank := math.Log2(pace.starts) + float64(pace.at.Sub(q.epoch))/float64(halfLife)
	q.waiting = append(q.waiting, ranked{m, rank})
}

// take gives whose turn it is, nil = nobody's.
func (q *queue) take() *StartContainer {
	if len(q.waiting) == 0 {
		return nil
	}
	q.served++
	next := 0
	for i, r := range q.waiting {
		if q.served%eldest != 0 && r.rank < q.waiting[next].rank {
			next = i
		}
	}
	m := q.waiting[next].m
	q.waiting = slices.Delete(q.waiting, next, next+1)
	return m
}
