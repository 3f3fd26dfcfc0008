package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// PID 1 has no Go runtime (spawn/knot/bare.go) but in containers that need more
// than that. Where it can't continue, Go's runtime takes over, and so a fault of it
// would be seen nowhere but here.
//
// Covers: K2
func TestMostContainersRunPID1WithoutARuntime(t *testing.T) {
	t.Parallel()
	if runtime.GOARCH != "amd64" {
		return // there is the general path only
	}
	h := newHost(t)
	rest := strings.Replace(simple("", "wait"), "user-id: 1000\ngroup-id: 1000", "user-id: 7\ngroup-id: 8", 1)
	h.image("app", map[string]string{"app": rest, "again": rest + "restart-process-only: true\n"})
	const processes = "app: {image: app, config: /config/app.yaml}\n"
	h.sandbox("plain", "", processes)
	h.sandbox("mapped", dedent(userMaps)+"map-image-owners: true\n", processes)
	h.sandbox("general", "", strings.Replace(processes, "app.yaml", "again.yaml", 1))
	h.start()
	running := h.running("plain/app.0", "mapped/app.0", "general/app.0")
	for name, bare := range map[string]bool{"plain/app.0": true, "mapped/app.0": true, "general/app.0": false} {
		i := running[name]
		dir := fmt.Sprintf("/proc/%d", i.knot)
		// Memory of the set-up is freed when the program runs.
		eventually(t, name+" without what its set-up needed", 10*time.Second, func() error {
			private, tasks := privateMemory(t, dir), entries(t, dir+"/task")
			switch {
			case bare && (private > 100<<10 || tasks != 1):
				return fmt.Errorf("PID 1 has %d bytes to itself and %d threads", private, tasks)
			case !bare && private < 100<<10:
				return fmt.Errorf("PID 1 has only %d bytes to itself: is it of the general path?", private)
			}
			return nil
		})
	}
	kill(t, running["plain/app.0"].program, killSignal)
	h.successor("plain/app.0", running["plain/app.0"], 10*time.Second)
}

// privateMemory is what a process shares with no other, bytes.
func privateMemory(t *testing.T, dir string) (n int64) {
	t.Helper()
	rollup, err := os.ReadFile(filepath.Join(dir, "smaps_rollup"))
	must(t, err)
	for line := range strings.Lines(string(rollup)) {
		var kb int64
		if name, rest, _ := strings.Cut(line, ":"); strings.HasPrefix(name, "Private_") {
			_, err := fmt.Sscanf(strings.TrimSpace(rest), "%d kB", &kb)
			must(t, err)
			n += kb << 10
		}
	}
	return n
}

func entries(t *testing.T, dir string) int {
	t.Helper()
	all, err := os.ReadDir(dir)
	must(t, err)
	return len(all)
}
