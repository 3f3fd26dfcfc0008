package e2e

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"lithos/actors/services/api"
)

// cantalLine is a line of the meta file, as cantal's agent reads it.
var cantalLine = regexp.MustCompile(`^(counter|level) (\d+)( signed)?: (\{.*\})$`)

// cantal reads the metrics as an agent does: by the variable in the daemon's
// environment, `GROUP.METRIC` to value.
func (h *host) cantal() (map[string]int64, error) {
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", h.daemon.cmd.Process.Pid))
	if err != nil {
		return nil, err
	}
	path, name := "", ""
	for _, v := range strings.Split(string(environ), "\x00") {
		if p, ok := strings.CutPrefix(v, "CANTAL_PATH="); ok {
			path = p
		}
		if n, ok := strings.CutPrefix(v, "CANTAL_APPNAME="); ok {
			name = n
		}
	}
	if path != h.path("run/metrics") || name != "lithos" {
		return nil, fmt.Errorf("CANTAL_PATH is %q, CANTAL_APPNAME %q", path, name)
	}
	meta, err := os.ReadFile(path + ".meta")
	if err != nil {
		return nil, err
	}
	values, err := os.ReadFile(path + ".values")
	if err != nil {
		return nil, err
	}
	all, at := map[string]int64{}, 0
	for _, line := range strings.Split(strings.TrimSuffix(string(meta), "\n"), "\n") {
		m := cantalLine.FindStringSubmatch(line)
		if m == nil || m[2] != "8" || (m[1] == "level") != (m[3] != "") {
			return nil, fmt.Errorf("bad line %q", line)
		}
		var pair map[string]string
		if err := json.Unmarshal([]byte(m[4]), &pair); err != nil {
			return nil, err
		}
		all[pair["group"]+"."+pair["metric"]] = int64(binary.NativeEndian.Uint64(values[at:]))
		at += 8
	}
	return all, nil
}

// counts waits until the metrics say so.
func (h *host) counts(want map[string]int64) {
	h.t.Helper()
	eventually(h.t, "the metrics", 10*time.Second, func() error {
		got, err := h.cantal()
		if err != nil {
			return err
		}
		var errs []error
		for name, n := range want {
			if v, ok := got[name]; !ok || v != n {
				errs = append(errs, fmt.Errorf("%s is %d (%v), want %d", name, v, ok, n))
			}
		}
		return errors.Join(errs...)
	})
}

// Covers: O8, Q1, Q2, Q3, Q4, Q5
func TestCantalMetrics(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.image("app", map[string]string{"app": simple("", "wait"), "bad": simple("restart-timeout: 300", "run", "0", "1")})
	h.sandbox("box", "", "app: {image: app, config: /config/app.yaml, instances: 2}")
	h.sandbox("other", "", "bad: {image: app, config: /config/bad.yaml}")
	h.start()
	h.settled(api.Wait{Reload: 1, Sandbox: "box"})
	now := h.running("box/app.0", "box/app.1")
	h.counts(map[string]int64{
		"master.restarts": 0, "master.sandboxes": 2, "master.containers": 3, "master.queue": 1,
		"containers.started": 3, "containers.deaths": 1, "containers.failures": 1, "containers.running": 2, "containers.unknown": 0,
		"processes.box.app.started": 2, "processes.box.app.deaths": 0, "processes.box.app.failures": 0, "processes.box.app.running": 2,
		"processes.other.bad.started": 1, "processes.other.bad.deaths": 1, "processes.other.bad.failures": 1, "processes.other.bad.running": 0,
	})
	kill(t, now["box/app.0"].program, killSignal)
	kill(t, now["box/app.1"].program, syscall.SIGTERM)
	counted := map[string]int64{
		"master.restarts": 1, "master.sandboxes": 2, "master.containers": 4, "master.queue": 1,
		"processes.box.app.started": 5, "processes.box.app.deaths": 2, "processes.box.app.failures": 1, "processes.box.app.running": 3,
	}
	h.processes("box", "app: {image: app, config: /config/app.yaml, instances: 3}")
	h.reload("box")
	h.counts(counted)
	// Q5: what a stop ends is no failure.
	h.stop()
	h.start()
	h.counts(map[string]int64{
		"master.restarts": 2, "containers.failures": 3, "containers.running": 3,
		"processes.box.app.started": 8, "processes.box.app.deaths": 5, "processes.box.app.failures": 1, "processes.box.app.running": 3,
	})
	// After a KILL they continue, too.
	h.settled(api.Wait{Sandbox: "box"})
	h.daemon.signal(syscall.SIGKILL)
	<-h.daemon.done
	h.start()
	h.settled(api.Wait{Reload: 1, Sandbox: "box"})
	eventually(t, "the counters after a KILL", 10*time.Second, func() error {
		got, err := h.cantal()
		if err == nil && (got["processes.box.app.started"] < 8 || got["master.restarts"] != 3) {
			err = fmt.Errorf("%v", got)
		}
		return err
	})
}

// Covers: Q6
func TestPrometheusMetrics(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	port := h.port()
	h.master("metrics-listen: 127.0.0.1:" + strconv.Itoa(port))
	h.image("app", map[string]string{"app": simple("memory-limit: 64Mi", "wait")})
	h.sandbox("box", "", app)
	h.start()
	h.settled(api.Wait{Reload: 1})
	direct, err := h.control().Metrics(t.Context())
	must(t, err)
	r, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", port))
	must(t, err)
	defer r.Body.Close()
	listened, err := io.ReadAll(r.Body)
	must(t, err)
	http.DefaultClient.CloseIdleConnections()
	for _, text := range []string{direct, string(listened)} {
		for _, want := range []string{
			`lithos_container_state{sandbox="box",process="app",index="0",state="running"} 1`,
			`lithos_container_memory_limit_bytes{sandbox="box",process="app",index="0"} 6.7108864e+07`,
			`lithos_container_oom_kills_total{sandbox="box",process="app",index="0"} 0`,
			`lithos_container_cpu_seconds_total{sandbox="box",process="app",index="0"} `,
			`lithos_process_starts_total{sandbox="box",process="app"} 1`,
			`process_resident_memory_bytes `,
		} {
			if !strings.Contains(text, "\n"+want) {
				t.Errorf("%s is not in\n%s", want, text)
			}
		}
	}
}
