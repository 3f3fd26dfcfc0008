package fair

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// paced is the pace of what was started n times, every that often, until noon.
func paced(n int, every time.Duration) Pace {
	var p Pace
	for i := range n {
		p = p.Started(noon.Add(-every * time.Duration(n-1-i)))
	}
	return p
}

func TestPace(t *testing.T) {
	for _, c := range []struct {
		pace     Pace
		at       time.Duration // after noon
		from, to float64
	}{
		{Pace{}, 0, 0, 0},
		{paced(1, 0), 0, 1, 1},
		{paced(1, 0), halfLife, 0.5, 0.5},
		{paced(1, 0), 24 * 365 * time.Hour, 0, 1e-9},
		{paced(1000, time.Second), 0, 86, 88}, // 1/(1-2^(-1/60))
		{paced(2, halfLife), 0, 1.5, 1.5},
	} {
		if got := c.pace.Starts(noon.Add(c.at)); got < c.from || got > c.to {
			t.Errorf("%+v %s later: %v, want %v to %v", c.pace, c.at, got, c.from, c.to)
		}
	}
}

// names takes all.
func names(t *testing.T, q *Queue[string]) []string {
	t.Helper()
	var names []string
	for q.Len() > 0 {
		name, _ := q.Take()
		names = append(names, name)
	}
	if name, ok := q.Take(); ok {
		t.Errorf("an empty queue has %q", name)
	}
	return names
}

func TestOrderOfStarts(t *testing.T) {
	q := &Queue[string]{}
	q.Add("dies each second", paced(1000, time.Second), noon)
	q.Add("new", Pace{}, noon)
	q.Add("dies each minute", paced(100, time.Minute), noon)
	q.Add("died again", paced(2, 10*time.Second), noon)
	q.Add("also new", Pace{}, noon.Add(time.Second))
	q.Add("ran for an hour", Pace{}.Started(noon.Add(-2*time.Hour)).Started(noon.Add(-time.Hour)), noon.Add(-time.Second))
	q.Add("ran for a year", Pace{}.Started(noon.Add(-365*24*time.Hour)), noon.Add(time.Minute))
	got := names(t, q)
	// Each fourth is the one that has waited longest.
	want := []string{"ran for a year", "ran for an hour", "new", "dies each second", "also new", "died again", "dies each minute"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEqualStartsAreInOrderOfArrival(t *testing.T) {
	q := &Queue[string]{}
	var want []string
	for i := range 100 {
		want = append(want, fmt.Sprint(i))
		q.Add(want[i], paced(3, time.Second), noon.Add(time.Duration(i)*time.Hour))
	}
	if got := names(t, q); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// However many healthy ones come, one that is not is served after four times
// as many as there were before it.
func TestNoStartWaitsForEver(t *testing.T) {
	q := &Queue[string]{}
	const before = 10
	for i := range before {
		q.Add("healthy", Pace{}.Started(noon.Add(-time.Hour)), noon.Add(time.Duration(i)))
	}
	q.Add("flaps", paced(1000, time.Second), noon)
	for n := 1; ; n++ {
		q.Add("healthy", Pace{}.Started(noon.Add(-time.Hour)), noon)
		if name, _ := q.Take(); name == "flaps" {
			return
		}
		if n > eldest*(before+1) {
			t.Fatalf("it has waited for %d forks", n)
		}
	}
}

func TestPlace(t *testing.T) {
	q := &Queue[string]{}
	q.Add("flaps", paced(1000, time.Second), noon)
	q.Add("gives up", paced(2, time.Second), noon)
	q.Add("died again", paced(2, 10*time.Second), noon)
	q.Add("died again, too", paced(2, 10*time.Second), noon)
	q.Remove("gives up")
	q.Remove("nobody")
	for i, name := range []string{"died again", "died again, too", "flaps"} {
		if got := q.Place(name); got != i+1 {
			t.Errorf("%q has place %d, want %d", name, got, i+1)
		}
	}
	if got := q.Place("gives up"); got != 0 || q.Len() != 3 {
		t.Errorf("what was removed has place %d of %d", got, q.Len())
	}
}
