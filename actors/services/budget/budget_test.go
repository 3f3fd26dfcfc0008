package budget

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"lithos/actors/services/fair"
	"lithos/configs"
)

// asker asks for restarts and notes when they were allowed.
type asker struct {
	b     *Budget
	began time.Time
	mu    sync.Mutex
	order []string
	at    map[string]time.Duration
}

func newAsker(limit configs.RestartBudget) *asker {
	a := &asker{b: New(zerolog.Nop()), began: time.Now(), at: map[string]time.Duration{}}
	a.b.Set(limit)
	return a
}

func (a *asker) note(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.order = append(a.order, name)
	a.at[name] = time.Since(a.began)
}

func (a *asker) ask(name string, pace fair.Pace) *Wait {
	w := a.b.Ask(pace, func() { a.note(name) })
	if w == nil {
		a.note(name)
	}
	return w
}

// often is the pace of what was started n times just now.
func often(n int) (p fair.Pace) {
	for range n {
		p = p.Started(time.Now())
	}
	return p
}

func within(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	if got < want || got > want+time.Millisecond {
		t.Errorf("%s: after %s, want %s", what, got, want)
	}
}

func TestBurstThenRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAsker(configs.RestartBudget{Rate: 2, Burst: 3})
		for i := range 10 {
			a.ask(fmt.Sprint(i), often(1))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for i := range 10 {
			within(t, fmt.Sprint("restart ", i), a.at[fmt.Sprint(i)], time.Duration(max(0, i-2))*time.Second/2)
		}
		n := a.b.Numbers()
		if n.Rate != 2 || n.Burst != 3 || n.Waiting != 0 || n.Delayed != 7 || math.Abs(n.Waited.Seconds()-14) > 0.01 {
			t.Errorf("numbers %+v", n)
		}
		// A quiet minute fills it again, up to the burst.
		for i := 10; i < 14; i++ {
			if w := a.ask(fmt.Sprint(i), often(1)); (w == nil) != (i < 13) {
				t.Errorf("restart %d: %v", i, w)
			}
		}
	})
}

func TestWhoWasStartedLeastComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAsker(configs.RestartBudget{Rate: 1, Burst: 1})
		healthy := often(1)
		time.Sleep(time.Hour)
		a.began = time.Now()
		for i := range 100 {
			a.ask(fmt.Sprint("flap ", i), often(20))
		}
		time.Sleep(500 * time.Millisecond)
		w := a.ask("healthy", healthy)
		at, why := w.Next()
		within(t, "as told", at.Sub(a.began), time.Second)
		if want := "restart-budget of the host, 1 a second, 1 at once: place 1 of 100 in the queue, the fewest recent starts first"; why != want {
			t.Errorf("%q, want %q", why, want)
		}
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		within(t, "the healthy one", a.at["healthy"], time.Second)
		if len(a.order) != 101 {
			t.Errorf("%d of 101 were allowed", len(a.order))
		}
		if _, why := w.Next(); why != "restart-budget allowed it" {
			t.Errorf("afterwards: %q", why)
		}
	})
}

// Flapping containers share the budget about equally.
func TestFairShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(zerolog.Nop())
		b.Set(configs.RestartBudget{Rate: 10, Burst: 1})
		const flapping = 20
		var got [flapping]int
		for i := range flapping {
			// Some ask again at once, others take their time.
			rest := time.Duration(i%4) * 10 * time.Millisecond
			go func() {
				var pace fair.Pace
				for end := time.Now().Add(100 * time.Second); time.Now().Before(end); {
					allowed := make(chan struct{})
					if b.Ask(pace, func() { close(allowed) }) != nil {
						<-allowed
					}
					got[i]++
					pace = pace.Started(time.Now())
					time.Sleep(rest)
				}
			}()
		}
		time.Sleep(200 * time.Second)
		synctest.Wait()
		least, most := slices.Min(got[:]), slices.Max(got[:])
		if least < 45 || most > 55 {
			t.Errorf("shares from %d to %d of 50 each: %v", least, most, got)
		}
	})
}

func TestChangesOfTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAsker(configs.RestartBudget{})
		for i := range 1000 {
			if a.ask(fmt.Sprint(i), often(5)) != nil {
				t.Fatal("without a limit a restart has to wait")
			}
		}
		a.b.Set(configs.RestartBudget{Rate: 0.001, Burst: 1})
		a.began = time.Now()
		for _, name := range []string{"first", "second", "third", "fourth"} {
			a.ask(name, often(1))
		}
		time.Sleep(time.Second)
		a.b.Set(configs.RestartBudget{Rate: 1, Burst: 5})
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		a.b.Set(configs.RestartBudget{Rate: 1, Burst: 5}) // the same again
		a.b.Set(configs.RestartBudget{})
		within(t, "first", a.at["first"], 0)
		within(t, "by the new rate", a.at["second"], 1999*time.Millisecond)
		within(t, "without a limit", a.at["third"], 2100*time.Millisecond)
		within(t, "without a limit", a.at["fourth"], 2100*time.Millisecond)
	})
}

func TestWithdrawnRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAsker(configs.RestartBudget{Rate: 1, Burst: 1})
		a.ask("first", often(1))
		second := a.ask("second", often(1))
		third := a.ask("third", often(1))
		a.ask("fourth", often(1))
		second.Withdraw()
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		// It was allowed, but who asked did not want it any more.
		third.Withdraw()
		if want := []string{"first", "third", "fourth"}; !slices.Equal(a.order, want) {
			t.Errorf("allowed %q, want %q", a.order, want)
		}
		if n := a.b.Numbers(); n.Waiting != 0 {
			t.Errorf("%d wait", n.Waiting)
		}
	})
}

func TestNoBudgetAtAll(t *testing.T) {
	var b *Budget
	b.Set(configs.RestartBudget{Rate: 1, Burst: 1})
	if b.Ask(fair.Pace{}, nil) != nil || b.Numbers() != (Numbers{}) {
		t.Error("nothing bounds something")
	}
}

func TestTheLogSaysItOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		b := New(zerolog.New(&log))
		b.Set(configs.RestartBudget{Rate: 0.5, Burst: 1})
		for range 150 {
			b.Ask(fair.Pace{}, func() {})
			time.Sleep(time.Second)
		}
		if n := strings.Count(log.String(), "Restarts wait for restart-budget (0.5 a second, 1 at once)"); n < 2 || n > 3 {
			t.Errorf("%d lines in 150 seconds:\n%s", n, &log)
		}
		b.Set(configs.RestartBudget{})
	})
}
