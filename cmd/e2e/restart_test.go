package e2e

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"lithos/actors/services/api"
)

const dataVolume = "volumes: {/out: !Persistent {path: /data}}\n"

// starts reads the times that the program `run` wrote.
func (h *host) starts() []time.Time {
	var all []time.Time
	for _, f := range strings.Fields(h.read("data/starts")) {
		if n, err := strconv.ParseInt(f, 10, 64); err == nil {
			all = append(all, time.Unix(0, n))
		}
	}
	return all
}

// Covers: E6, N2, N3, X11
func TestRestartTimeoutRunsFromStartToStart(t *testing.T) {
	t.Parallel()
	// It lives for 0.3 s of the 0.5 s: counted from its end the distance
	// would be 0.8 s.
	h := one(t, simple("restart-timeout: 0.5\n"+dataVolume, "run", "300", "1", "/out/starts"))
	h.start()
	const n = 8
	eventually(t, "eight starts", 15*time.Second, func() error {
		if got := len(h.starts()); got < n {
			return fmt.Errorf("%d starts", got)
		}
		return nil
	})
	starts := h.starts()
	least := time.Hour
	for i := 1; i < n; i++ {
		least = min(least, starts[i].Sub(starts[i-1]))
	}
	// The program takes the times itself, and its own start varies; the limit
	// allows for that once. Without a delay they would be 0.3 s apart.
	if d := starts[n-1].Sub(starts[0]); d < (n-1)*400*time.Millisecond {
		t.Errorf("%d starts took %v, want 0.5 s between them: %v", n, d, starts)
	}
	// A busy machine delays one or the other, not all.
	if least > within(700*time.Millisecond) {
		t.Errorf("the starts are at least %v apart, want 0.5 s: %v", least, starts)
	}
}

// One that lived longer than its restart-timeout starts again at once.
//
// Covers: E6, N2
func TestLongLivedProcessRestartsAtOnce(t *testing.T) {
	t.Parallel()
	h := one(t, simple("restart-timeout: 1\n"+dataVolume, "run", "1200", "1", "/out/starts"))
	h.start()
	eventually(t, "four starts", 30*time.Second, func() error {
		if n := len(h.starts()); n < 4 {
			return fmt.Errorf("%d starts", n)
		}
		return nil
	})
	starts := h.starts()
	least := time.Hour
	for n := 1; n < 4; n++ {
		least = min(least, starts[n].Sub(starts[n-1])-1200*time.Millisecond)
	}
	if least > within(500*time.Millisecond) {
		t.Errorf("the starts came at least %v after the death before them", least)
	}
}

// A container that can't even be built is tried again after restart-timeout,
// and runs as soon as the reason is gone, without a reload.
//
// Covers: H1, K13, N3, P8
func TestStartErrorIsRetriedAndNamed(t *testing.T) {
	t.Parallel()
	h := one(t, simple("restart-timeout: 0.3\nvolumes: {/missing: !Persistent {path: /data}}\n", "wait"))
	h.start()
	eventually(t, "the reason in a log", 10*time.Second, func() error {
		for _, l := range strings.Split(h.read("log/box.log"), "\n") {
			if strings.Contains(l, "/missing") && strings.Contains(l, "box/app.0") {
				return nil
			}
		}
		return errors.New("no line of the log names the missing mount point and the container")
	})
	if n := len(h.instances()); n > 1 {
		t.Errorf("%d containers of one instance", n)
	}
	must(t, mkdir(h.path("images/app/missing")))
	h.running("box/app.0")
}

// With restart-process-only the container stays: its PID 1, its tmpfs and its
// stray children.
//
// Covers: E18
func TestRestartProcessOnlyKeepsTheContainer(t *testing.T) {
	t.Parallel()
	h := one(t, simple(`
		restart-process-only: true
		restart-timeout: 0.2
		volumes:
		  /out: !Persistent {path: /data}
		  /scratch: !Tmpfs {size: 1Mi}
		`, "run", "400", "3", "/scratch/starts"))
	h.start()
	first := h.running("box/app.0")["box/app.0"]
	var second instance
	eventually(t, "the next program in the same container", 10*time.Second, func() error {
		second = h.instances()["box/app.0"]
		switch {
		case second.program == 0:
			return errors.New("no program")
		case second.program == first.program:
			return errors.New("still the first one")
		}
		return nil
	})
	if second.knot != first.knot {
		t.Errorf("PID 1 was %d and is %d", first.knot, second.knot)
	}
	eventually(t, "three starts in the same tmpfs", 10*time.Second, func() error {
		starts := text(fmt.Sprintf("/proc/%d/root/scratch/starts", first.knot))
		if n := strings.Count(starts, "\n"); n < 3 {
			return fmt.Errorf("%d starts", n)
		}
		return nil
	})
}

// The waits after the failures in a row are 0.2, 0.8 and then 1.5 s, from start
// to start.
//
// Covers: E6, N3
func TestBackoffSlowsRepeatedFailures(t *testing.T) {
	t.Parallel()
	h := one(t, simple("restart-timeout: 0.2\nrestart-backoff: {factor: 4, cap: 1.5}\n"+dataVolume, "run", "0", "3", "/out/starts"))
	h.start()
	eventually(t, "five starts", 20*time.Second, func() error {
		if n := len(h.starts()); n < 5 {
			return fmt.Errorf("%d starts", n)
		}
		return nil
	})
	// All four waits together, less what the first start itself may take on a
	// busy machine; with restart-timeout alone they are 0.8 s.
	starts := h.starts()
	if d := starts[4].Sub(starts[0]); d < 2500*time.Millisecond {
		t.Errorf("five starts took %v, want about 4 s", d)
	}
	eventually(t, "the wait in the status", 10*time.Second, func() error {
		app, err := h.control().Instance(t.Context(), "box/app.0")
		must(t, err)
		if app.State != api.StateWaiting || !strings.Contains(app.NextTryWhy, "1.5s: restart-timeout 200ms * 4^") {
			return fmt.Errorf("%s, %q", app.State, app.NextTryWhy)
		}
		return nil
	})
}

// Six restarts for the whole host, and then none for a quarter of an hour: what
// flaps uses them up, and what did not is first in the queue.
//
// Covers: N3
func TestRestartBudgetLimitsTheHost(t *testing.T) {
	t.Parallel()
	h := newHost(t, "restart-budget: {rate: 0.001, burst: 6}")
	h.image("app", map[string]string{
		"flap": simple("restart-timeout: 0.1\n"+dataVolume, "run", "0", "3", "/out/starts"),
		"app":  simple("restart-timeout: 0.1", "wait"),
	})
	h.sandbox("box", "writable-paths: {/data: "+h.path("data")+"}", `
		flap: {image: app, config: /config/flap.yaml, instances: 4}
		app: {image: app, config: /config/app.yaml}
		`)
	must(t, os.Chmod(h.path("data"), 0o777))
	h.start()
	client := h.control()
	waits := func(name, place string) {
		eventually(t, name+" in the queue", 20*time.Second, func() error {
			in, err := client.Instance(t.Context(), name)
			if err != nil {
				return err
			}
			if want := "restart-budget of the host, 0.001 a second, 6 at once: place " + place; in.State != api.StateWaiting || !strings.HasPrefix(in.NextTryWhy, want) {
				return fmt.Errorf("%s, %q", in.State, in.NextTryWhy)
			}
			return nil
		})
	}
	metric := func(want string) {
		eventually(t, want, 20*time.Second, func() error {
			text, err := client.Metrics(t.Context())
			if err != nil {
				return err
			}
			if !strings.Contains(text, "\n"+want+"\n") {
				return errors.New("not in the metrics")
			}
			return nil
		})
	}
	metric("lithos_restarts_waiting 4")
	if n := len(h.starts()); n != 4+6 {
		t.Errorf("%d starts of four instances, want six restarts", n)
	}
	program := h.running("box/app.0")["box/app.0"].program
	must(t, syscall.Kill(program, syscall.SIGKILL))
	waits("box/app.0", "1 of 5 in the queue")

	// A reload brings another budget, to who waits, too.
	h.master("restart-budget: 100")
	h.reload("box")
	h.programs("box/app.0")
	metric("lithos_restart_budget_rate 100")
	h.master()
	h.reload("box")
	metric("lithos_restart_budget_rate 0")
	before := len(h.starts())
	eventually(t, "starts without a budget", 20*time.Second, func() error {
		if n := len(h.starts()); n < before+4 {
			return fmt.Errorf("%d starts", n-before)
		}
		return nil
	})
}
