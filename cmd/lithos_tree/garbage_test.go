package main

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

func TestASmallHeapMayGrowByMoreThanAPart(t *testing.T) {
	for live, want := range map[uint64]int{
		0: mostPercent, 1 << 20: mostPercent, 6 << 20: mostPercent, 12 << 20: 50, 15 << 20: 40, 20 << 20: gcPercent, 1 << 40: gcPercent,
	} {
		if got := percentFor(live); got != want {
			t.Errorf("%d bytes: %d %%, want %d", live, got, want)
		}
	}
}

// daemonMemory is that of a daemon that does what its numbers say.
type daemonMemory struct {
	*memory
	allocated, heap uint64
	given           int
}

func newDaemonMemory() *daemonMemory {
	d := &daemonMemory{heap: 2 << 20}
	d.memory = &memory{
		now:   func() amounts { return amounts{time.Now(), d.allocated, d.heap} },
		give:  func() { d.given, d.heap = d.given+1, 2<<20 },
		usual: func() {},
	}
	return d
}

// work allocates for so many seconds, as much in each.
func (d *daemonMemory) work(seconds int, bytes uint64) {
	for range seconds * 4 {
		d.mu.Lock()
		d.allocated, d.heap = d.allocated+bytes/4, d.heap+bytes/4
		d.mu.Unlock()
		time.Sleep(time.Second / 4)
		synctest.Wait()
	}
}

// times is how often memory was given back.
func (d *daemonMemory) times() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.given
}

func TestMemoryIsGivenBackAtRest(t *testing.T) {
	for _, one := range []struct {
		name string
		do   func(d *daemonMemory)
		want int
	}{
		{"nothing was done", func(*daemonMemory) {}, 0},
		{"little was collected", func(d *daemonMemory) { d.collected() }, 0},
		{"a plan was applied, which took no more", func(d *daemonMemory) { d.applied() }, 1},
		{"after work that took long", func(d *daemonMemory) {
			d.applied()
			d.work(20, 1<<20)
			if n := d.times(); n != 0 {
				t.Errorf("given back %d times in the middle of the work", n)
			}
		}, 1},
		{"after questions", func(d *daemonMemory) { d.work(5, 1<<20); d.collected() }, 1},
		{"with little work all the time", func(d *daemonMemory) {
			d.applied()
			d.work(10, 64<<10)
			for range 9 {
				d.work(20, 64<<10)
				d.collected()
			}
		}, 4},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := newDaemonMemory()
			d.left = d.now()
			d.left.at = time.Time{}
			one.do(d)
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if n := d.times(); n != one.want {
				t.Errorf("%s: given back %d times, want %d", one.name, n, one.want)
			}
		})
	}
}

func TestTheRuntimeTellsOfEachCollection(t *testing.T) {
	m := newMemory()
	told := make(chan struct{}, 100)
	m.usual = func() { told <- struct{}{} }
	m.awaitCollection()
	for i := range 3 {
		for len(told) > 0 {
			<-told
		}
		runtime.GC()
		select {
		case <-told:
		case <-time.After(time.Minute):
			t.Fatalf("not of collection %d", i)
		}
	}
}
