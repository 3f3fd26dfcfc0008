package simulation

import (
	"flag"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var (
	seedFlag     = flag.Uint64("seed", 0, "the seed to replay; 0 = as many as -seeds")
	firstFlag    = flag.Uint64("first", 1, "the first seed of a soak")
	seedsFlag    = flag.Int("seeds", 0, "how many seeds a soak runs; 0 = no limit but -duration")
	stepsFlag    = flag.Int("steps", 1000, "steps of each seed")
	durationFlag = flag.Duration("duration", 0, "when a soak ends; 0 = when its seeds have been run")
)

// run simulates one seed; the result is the first broken invariant, and the
// last of what happened.
func run(t *testing.T, seed uint64, steps int, m *mutation, verbose bool) (failure, trace string) {
	s := &sim{seed: seed, mutation: m, verbose: verbose}
	defer func() {
		// Goroutines that are left have synctest panic.
		if reason := recover(); reason != nil && failure == "" {
			failure, trace = fmt.Sprintf("panic: %v", reason), s.story()
		}
	}()
	synctest.Test(t, func(*testing.T) {
		s.run(steps)
		if text := s.failure.Load(); text != nil {
			failure = *text
		}
		trace = s.story()
		s.abandon()
	})
	return failure, trace
}

func report(t *testing.T, seed uint64, steps int, failure, trace string) {
	t.Errorf("seed %d: %s\nreplay: go test ./actors/simulation -run Soak -seed %d -steps %d -v\nthe last of what happened:\n%s",
		seed, failure, seed, steps, trace)
}

// many runs seeds on all cores until one is broken, and counts.
func many(t *testing.T, first uint64, seeds, steps int, until time.Time) (ran int64) {
	next, failed := atomic.Uint64{}, atomic.Bool{}
	next.Store(first)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for !failed.Load() && (until.IsZero() || time.Now().Before(until)) {
				seed := next.Add(1) - 1
				if seeds > 0 && seed >= first+uint64(seeds) {
					return
				}
				if failure, trace := run(t, seed, steps, nil, false); failure != "" {
					failed.Store(true)
					report(t, seed, steps, failure, trace)
					return
				}
				atomic.AddInt64(&ran, 1)
			}
		})
	}
	workers.Wait()
	return ran
}

// TestSimulation is the part that CI runs.
//
// Covers: D12, G12, N3, N8, O1
func TestSimulatedDaemonKeepsItsInvariants(t *testing.T) {
	many(t, 1, 12, 150, time.Time{})
}

// TestSoak runs as long as it is told to, or replays one seed.
func TestSoak(t *testing.T) {
	switch {
	case *seedFlag != 0:
		if failure, trace := run(t, *seedFlag, *stepsFlag, nil, testing.Verbose()); failure != "" {
			report(t, *seedFlag, *stepsFlag, failure, trace)
		}
	case *seedsFlag > 0 || *durationFlag > 0:
		began, until := time.Now(), time.Time{}
		if *durationFlag > 0 {
			until = began.Add(*durationFlag)
		}
		ran := many(t, *firstFlag, *seedsFlag, *stepsFlag, until)
		fmt.Printf("%d seeds from %d on, %d steps, in %s\n", ran, *firstFlag, ran*int64(*stepsFlag), time.Since(began).Round(time.Second))
	default:
		many(t, 1000, 2, 50, time.Time{})
	}
}

// TestTheSameSeedIsTheSameRun: otherwise nothing could be replayed.
func TestTheSameSeedIsTheSameRun(t *testing.T) {
	for seed := uint64(1); seed <= 2; seed++ {
		_, first := run(t, seed, 150, nil, false)
		_, second := run(t, seed, 150, nil, false)
		if first != second {
			t.Errorf("seed %d runs differently:\n%s\n--- and then:\n%s", seed, first, second)
		}
	}
}

// TestMutations: each fault is caught by one of the invariants, soon.
func TestMutationsAreCaught(t *testing.T) {
	const seeds, steps = 40, 150
	for _, mutate := range mutations {
		t.Run(strings.ReplaceAll(mutate().name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= seeds; seed++ {
				if failure, _ := run(t, seed, steps, mutate(), false); failure != "" {
					t.Logf("seed %d: %s", seed, failure)
					return
				}
			}
			t.Errorf("%d seeds of %d steps do not show it", seeds, steps)
		})
	}
}
