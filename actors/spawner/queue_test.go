package spawner

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"

	"lithos/actors"
	"lithos/spawn"
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

func (q *queue) addNamed(name string, pace Pace, now time.Time) {
	q.add(&StartContainer{Request: request(name), Pace: pace}, now)
}

func (q *queue) order() []string {
	var names []string
	for m := q.take(); m != nil; m = q.take() {
		names = append(names, m.Request.Spec.Name)
	}
	return names
}

func TestOrderOfStarts(t *testing.T) {
	q := &queue{}
	q.addNamed("dies each second", paced(1000, time.Second), noon)
	q.addNamed("new", Pace{}, noon)
	q.addNamed("dies each minute", paced(100, time.Minute), noon)
	q.addNamed("died again", paced(2, 10*time.Second), noon)
	q.addNamed("also new", Pace{}, noon.Add(time.Second))
	q.addNamed("ran for an hour", Pace{}.Started(noon.Add(-2*time.Hour)).Started(noon.Add(-time.Hour)), noon.Add(-time.Second))
	q.addNamed("ran for a year", Pace{}.Started(noon.Add(-365*24*time.Hour)), noon.Add(time.Minute))
	got := q.order()
	// Each fourth is the one that has waited longest.
	want := []string{"ran for a year", "ran for an hour", "new", "dies each second", "also new", "died again", "dies each minute"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEqualStartsAreInOrderOfArrival(t *testing.T) {
	q := &queue{}
	var want []string
	for i := range 100 {
		want = append(want, fmt.Sprint(i))
		q.addNamed(want[i], paced(3, time.Second), noon.Add(time.Duration(i)*time.Hour))
	}
	if got := q.order(); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// However many healthy ones come, one that is not is served after four times
// as many as there were before it.
func TestNoStartWaitsForEver(t *testing.T) {
	q := &queue{}
	const before = 10
	for i := range before {
		q.addNamed("healthy", Pace{}.Started(noon.Add(-time.Hour)), noon.Add(time.Duration(i)))
	}
	q.addNamed("flaps", paced(1000, time.Second), noon)
	for n := 1; ; n++ {
		q.addNamed("healthy", Pace{}.Started(noon.Add(-time.Hour)), noon)
		if q.take().Request.Spec.Name == "flaps" {
			return
		}
		if n > eldest*(before+1) {
			t.Fatalf("it has waited for %d forks", n)
		}
	}
}

// A thousand containers are asked to start while a fork is under way, and
// then one that has run for long: it is among the next two.
func TestAHealthyContainerIsForkedBeforeAThousandThatFlap(t *testing.T) {
	began, slow := make(chan struct{}), make(chan struct{})
	var mu sync.Mutex
	var order []string
	kernel := &actors.Kernel{Start: func(r *spawn.Request) (*spawn.Child, error) {
		mu.Lock()
		order = append(order, r.Spec.Name)
		first := len(order) == 1
		mu.Unlock()
		if first {
			close(began)
			<-slow
		}
		return &spawn.Child{PID: 1}, nil
	}}
	system := actors.NewSystem(zerolog.Nop())
	reports := &collector{}
	root := system.Root.Spawn(reports.props("root"))
	dispatcher := NewDispatcher()
	defer dispatcher.Close()
	pid := system.Root.Spawn(actors.TopProps("spawner", zerolog.Nop(), New(kernel, zerolog.Nop(), root), actor.WithDispatcher(dispatcher)))
	now := time.Now()
	flapping := Pace{}.Started(now).Started(now)
	for range 1000 {
		system.Root.Send(pid, &StartContainer{Request: request("flaps"), ReplyTo: root, Pace: flapping})
	}
	<-began
	system.Root.Send(pid, &StartContainer{Request: request("healthy"), ReplyTo: root, Pace: Pace{}.Started(now.Add(-time.Hour))})
	close(slow)
	reports.wait(t, 2*1001)
	if at := slices.Index(order, "healthy"); at < 1 || at > 2 {
		t.Errorf("it was forked after %d others", at)
	}
}
