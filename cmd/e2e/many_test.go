package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"
)

// Two hundred containers in ten sandboxes: all run within seconds, each is
// killed once in a random order, all come back, and at the end nothing is
// left (which newHost's clean-up checks for every test). It runs alone, so
// that its times mean something.
//
// Covers: N1, N2, N10
func TestTwoHundredContainersRun(t *testing.T) {
	const sandboxes = 10
	each := max(1, howMany/sandboxes)
	h := newHost(t)
	h.image("app", map[string]string{"app": simple("restart-timeout: 0.5\nmemory-limit: 64Mi", "wait")})
	var all []string
	for n := range sandboxes {
		name := "s" + strconv.Itoa(n)
		h.sandbox(name, "", fmt.Sprintf("app: {image: app, config: /config/app.yaml, instances: %d}", each))
		all = append(all, names(name+"/app", each)...)
	}
	mounts := lithosMounts()
	begin := time.Now()
	h.start()
	before := h.runningWithin(15*time.Second, all...)
	t.Logf("%d containers after %v", len(all), time.Since(begin).Round(time.Millisecond))

	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	order := slices.Clone(all)
	rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	begin = time.Now()
	for _, name := range order {
		// One time the program dies, another time its whole container.
		victim := before[name].program
		if rng.IntN(2) == 0 {
			victim = before[name].knot
		}
		kill(t, victim, killSignal)
	}
	eventually(t, "all of them back", 20*time.Second, func() error {
		now := h.instances()
		missing := 0
		for _, name := range all {
			if now[name].program == 0 || now[name].knot == before[name].knot {
				missing++
			}
		}
		if missing > 0 || len(now) != len(all) {
			return fmt.Errorf("%d are not back, %d are there", missing, len(now))
		}
		return nil
	})
	t.Logf("each killed once, all back after %v", time.Since(begin).Round(time.Millisecond))
	begin = time.Now()
	h.stop()
	t.Logf("all ended after %v", time.Since(begin).Round(time.Millisecond))
	if err := errors.Join(h.leftovers(), difference("mounts", mounts, lithosMounts())); err != nil {
		t.Errorf("right after the end: %v", err)
	}
}
