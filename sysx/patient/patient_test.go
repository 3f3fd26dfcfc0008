package patient

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Calls[string]{Limit: time.Second, Next: 20 * time.Millisecond}
		// call wants an answer, or none, after so long.
		call := func(about string, answers time.Duration, ok bool, after time.Duration) {
			t.Helper()
			began := time.Now()
			v, got := Call(c, about, func() int { time.Sleep(answers); return 7 })
			if took := time.Since(began); got != ok || took != after || ok != (v == 7) {
				t.Errorf("%s: %d, %v after %s; want %v after %s", about, v, got, took, ok, after)
			}
		}
		call("a", 0, true, 0)
		call("a", 900*time.Millisecond, true, 900*time.Millisecond)
		call("a", time.Hour, false, time.Second)
		call("a", 0, false, 0)                                      // it is not asked again
		call("b", 10*time.Millisecond, true, 10*time.Millisecond)   // others are
		call("c", 100*time.Millisecond, false, 20*time.Millisecond) // not for as long
		time.Sleep(time.Second)
		call("c", 0, true, 0) // it has answered
		call("a", 0, false, 0)
		time.Sleep(time.Hour)
		call("a", 900*time.Millisecond, true, 900*time.Millisecond)
		call("b", 900*time.Millisecond, true, 900*time.Millisecond)
	})
}

func TestWalk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Calls[string]{Limit: time.Second}
		// walk takes steps of a time each, the last of which is not told.
		walk := func(steps int, each time.Duration) (ok bool) {
			_, ok = Walk(c, "a", func(step func()) bool {
				for range steps {
					time.Sleep(each)
					step()
				}
				time.Sleep(each)
				return true
			})
			return ok
		}
		if !walk(100, 900*time.Millisecond) {
			t.Error("given up though it went on all the time")
		}
		began := time.Now()
		if walk(3, 3*time.Second) || time.Since(began) > 2*time.Second {
			t.Errorf("not given up, or late: after %s", time.Since(began))
		}
		time.Sleep(time.Hour)
	})
}

func TestEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Calls[int]{Limit: time.Second, Next: 20 * time.Millisecond}
		takes := map[int]time.Duration{3: time.Hour, 5: 900 * time.Millisecond, 6: 15 * time.Millisecond, 9: time.Hour}
		// each wants answers about all but some, after so long.
		each := func(about []int, without map[int]bool, after time.Duration) {
			t.Helper()
			began := time.Now()
			values, ok := Each(c, about, func(n int) int { time.Sleep(takes[n]); return 10 * n })
			if took := time.Since(began); took > after {
				t.Errorf("after %s, want %s", took, after)
			}
			for i, n := range about {
				if ok[i] == without[n] || ok[i] && values[i] != 10*n || !ok[i] && values[i] != 0 {
					t.Errorf("about %d: %d, %v", n, values[i], ok[i])
				}
			}
		}
		all := []int{1, 2, 3, 4, 6, 7, 8, 9}
		each(nil, nil, 0)
		each([]int{1, 5, 2}, nil, 900*time.Millisecond)
		each(all, map[int]bool{3: true, 9: true}, 2100*time.Millisecond)
		each(all, map[int]bool{3: true, 9: true}, 15*time.Millisecond) // these are not asked again
		time.Sleep(time.Hour)
		synctest.Wait()
		takes[3], takes[9] = 0, 0
		each(all, nil, 15*time.Millisecond) // they have answered
	})
}

func TestEachGivesUpTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Calls[int]{Limit: time.Second}
		values, ok := Each(c, []int{1, 2}, func(n int) int {
			if n == 2 {
				time.Sleep(time.Hour)
			}
			return n
		})
		if values[0] != 1 || !ok[0] || values[1] != 0 || ok[1] {
			t.Errorf("%v, %v", values, ok)
		}
		time.Sleep(time.Hour)
	})
}
