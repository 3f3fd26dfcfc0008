package deadline

import (
	"errors"
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
			v, err := Call(c, about, func() (int, error) { time.Sleep(answers); return 7, nil })
			got := err == nil
			if took := time.Since(began); got != ok || !ok && !errors.Is(err, ErrExceeded) || took != after || ok != (v == 7) {
				t.Errorf("%s: %d, %v after %s; want %v after %s", about, v, err, took, ok, after)
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
			_, err := Walk(c, "a", func(step func()) (bool, error) {
				for range steps {
					time.Sleep(each)
					step()
				}
				time.Sleep(each)
				return true, nil
			})
			return err == nil
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
			values, errs := Each(c, about, func(n int) (int, error) { time.Sleep(takes[n]); return 10 * n, nil })
			if took := time.Since(began); took > after {
				t.Errorf("after %s, want %s", took, after)
			}
			for i, n := range about {
				want, wantErr := 10*n, error(nil)
				if without[n] {
					want, wantErr = 0, ErrExceeded
				}
				if values[i] != want || errs[i] != wantErr {
					t.Errorf("about %d: %d, %v", n, values[i], errs[i])
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

func TestErrorsArePassedOn(t *testing.T) {
	failed := errors.New("failed")
	c := &Calls[int]{Limit: time.Minute}
	if v, err := Call(c, 1, func() (int, error) { return 3, failed }); v != 3 || err != failed {
		t.Errorf("%d, %v", v, err)
	}
	if values, errs := Each(c, []int{1}, func(int) (int, error) { return 3, failed }); values[0] != 3 || errs[0] != failed {
		t.Errorf("%v, %v", values, errs)
	}
}

func TestEachGivesUpTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Calls[int]{Limit: time.Second}
		values, errs := Each(c, []int{1, 2}, func(n int) (int, error) {
			if n == 2 {
				time.Sleep(time.Hour)
			}
			return n, nil
		})
		if values[0] != 1 || errs[0] != nil || values[1] != 0 || errs[1] != ErrExceeded {
			t.Errorf("%v, %v", values, errs)
		}
		time.Sleep(time.Hour)
	})
}
