package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lithos/actors/services/api"
)

// At no time does more than one instance not serve, and what does not come up stops
// the change: the others run on as they are, also beyond the daemon's death.
//
// Covers: O1
func TestMaxUnavailableReplacesOneAtATime(t *testing.T) {
	t.Parallel()
	h := &troubled{host: newHost(t)}
	port := h.port()
	version := func(v string) string {
		return port3(dataVolume+"environ: {VERSION: "+v+"}\nready: {command: [/bin/e2e, e2e-program, exists, /out/"+v+"], interval: 0.2, timeout: 10}\n", port)
	}
	h.image("app", map[string]string{"1": version("one"), "2": version("two")})
	entry := func(v int) string {
		return fmt.Sprintf("app: {image: app, config: /config/%d.yaml, instances: 3, max-unavailable: 1}", v)
	}
	h.sandbox("box", "writable-paths: {/data: "+h.path("data")+"}\n", entry(1))
	must(t, mkdir(h.path("data")))
	h.write("data/one", "")
	h.start()
	all := names("box/app", 3)
	before := h.running(all...)
	client := h.control()
	// unavailable are those that do not serve, outdated those that are to be replaced.
	look := func() (unavailable, outdated []string, err error) {
		status, err := client.Status(t.Context(), false)
		if err != nil {
			return nil, nil, err
		}
		for _, in := range status.Instances {
			if in.State != api.StateRunning || in.Ready == nil || !in.Ready.Ready {
				unavailable = append(unavailable, in.Name)
			}
			if slices.Contains(in.Conditions, api.ConditionOutdated) || in.State == api.StateReplacing {
				outdated = append(outdated, in.Name)
			}
		}
		return unavailable, outdated, nil
	}
	until := func(what string, wantUnavailable, wantOutdated []string) {
		t.Helper()
		eventually(t, what, 60*time.Second, func() error {
			unavailable, outdated, err := look()
			if err != nil {
				return err
			}
			if len(unavailable) > max(1, len(wantUnavailable)) {
				t.Fatalf("%s: %q do not serve", what, unavailable)
			}
			if !slices.Equal(unavailable, wantUnavailable) || !slices.Equal(outdated, wantOutdated) {
				return fmt.Errorf("%q do not serve, %q are outdated", unavailable, outdated)
			}
			return nil
		})
	}
	eventually(t, "that all are ready", 60*time.Second, func() error {
		if unavailable, _, err := look(); err != nil || len(unavailable) > 0 {
			return fmt.Errorf("%q are not: %v", unavailable, err)
		}
		return nil
	})
	connect := hammer(port)

	h.write("new.yaml", entry(2))
	if r := h.switchTo("--dry-run", "box", h.path("new.yaml")); r.code != 0 || !strings.Contains(r.stdout, "replace  box/app.0 … box/app.2 (3), 1 at a time\n") {
		t.Errorf("lithos_switch --dry-run: %s", r)
	}
	h.processes("box", entry(2))
	h.reload("box")
	until("the first, which is not ready", all[:1], all[1:])
	h.says(`The config of container "box/app.1" changed: it waits for its turn, at most 1 of "app" are replaced at a time`)
	eventually(t, "lithos_ps", 20*time.Second, func() error {
		return h.psShows(nil, `app\.0 +running, unready`, `app\.1 +running, outdated`)
	})
	if err := h.psShows([]string{"--why", "box/app.1"}, `(?m)^waits for its turn to be replaced`); err != nil {
		t.Error(err)
	}

	// The daemon that comes continues where that one was.
	h.killDaemon()
	h.start()
	h.says(`Adopted container "box/app.2"`)
	until("the first, after the daemon's death", all[:1], all[1:])
	now := h.instances()
	for _, name := range all[1:] {
		if now[name].program != before[name].program {
			t.Errorf("%s was %+v and is %+v", name, before[name], now[name])
		}
	}

	// Back, and to the end.
	h.processes("box", entry(1))
	h.reload("box")
	until("the change taken back", nil, nil)
	now = h.instances()
	for i, name := range all {
		if kept := now[name].program == before[name].program; kept != (i > 0) {
			t.Errorf("%s was %+v and is %+v", name, before[name], now[name])
		}
	}
	h.write("data/two", "")
	h.processes("box", entry(2))
	h.reload("box")
	until("all of the new version", nil, nil)
	for name, in := range h.instances() {
		if in.program == now[name].program {
			t.Errorf("%s still is what it was", name)
		}
	}
	if _, err := connect(); err != nil {
		t.Errorf("the port refused: %v", err)
	}
}
