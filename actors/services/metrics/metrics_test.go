package metrics

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/rs/zerolog"

	"lithos/actors"
	"lithos/actors/services/api"
	"lithos/actors/services/status"
	"lithos/configs"
	"lithos/sysx/cgroup"
)

// stage is an exporter over a board that the test writes on.
type stage struct {
	*Exporter
	dir string
}

func newStage(t *testing.T, dir string) *stage {
	t.Helper()
	s := &stage{dir: dir}
	s.Exporter = Start(Config{
		Path: filepath.Join(dir, FileName), Board: status.New(), Registry: actors.NewRegistry(),
		Log: zerolog.New(zerolog.NewTestWriter(t)), Version: "1.2.3",
		Usage: func(name string) cgroup.Usage {
			u := cgroup.NoUsage
			u.Memory, u.CPU = 4096, time.Second
			u.Pressure = map[string]cgroup.Pressure{"cpu": {Some: time.Second}}
			return u
		},
		Self: func() Self { return Self{CPU: time.Second, Memory: 1 << 20, Files: 7} },
	})
	return s
}

func (s *stage) want(names ...string) {
	s.c.Board.BeginReload()
	wanted := map[string]*configs.Instance{}
	for _, name := range names {
		wanted[name] = &configs.Instance{Name: name, Fingerprint: "v1"}
	}
	s.c.Board.EndReload(&status.Config{Wanted: wanted, Sandboxes: 1}, "")
}

// read waits until the files say so.
func (s *stage) read(t *testing.T, want string) {
	t.Helper()
	var got string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		values, err := ReadFiles(filepath.Join(s.dir, FileName))
		if err != nil {
			got = err.Error()
			continue
		}
		var list []string
		for _, v := range values {
			list = append(list, fmt.Sprintf("%s.%s=%d", v.Group, v.Metric, v.N))
		}
		if got = strings.Join(list, " "); got == want {
			return
		}
	}
	t.Fatalf("got  %s\nwant %s", got, want)
}

// Q6: there is nothing of CPU or memory in them.
//
// Covers: Q1, Q2, Q3, Q6
func TestCantalFiles(t *testing.T) {
	s := newStage(t, t.TempDir())
	s.want("web/app.0", "web/app.1")
	s.c.Registry.Of("web/app").Started.Store(3)
	s.c.Registry.Of("web/app").Running.Store(1)
	s.c.Registry.Unknown.Store(2)
	s.c.Board.Touch()
	s.read(t, "master.restarts=0 master.sandboxes=1 master.containers=2 master.queue=4 "+
		"containers.started=3 containers.deaths=0 containers.failures=0 containers.running=1 containers.unknown=2 "+
		"processes.web.app.started=3 processes.web.app.deaths=0 processes.web.app.failures=0 processes.web.app.running=1")
	s.Close()
	// To the letter.
	meta, err := os.ReadFile(filepath.Join(s.dir, "metrics.meta"))
	if err != nil {
		t.Fatal(err)
	}
	const want = `counter 8: {"group":"master","metric":"restarts"}
level 8 signed: {"group":"master","metric":"sandboxes"}
level 8 signed: {"group":"master","metric":"containers"}
level 8 signed: {"group":"master","metric":"queue"}
counter 8: {"group":"containers","metric":"started"}
counter 8: {"group":"containers","metric":"deaths"}
counter 8: {"group":"containers","metric":"failures"}
level 8 signed: {"group":"containers","metric":"running"}
level 8 signed: {"group":"containers","metric":"unknown"}
counter 8: {"group":"processes.web.app","metric":"started"}
counter 8: {"group":"processes.web.app","metric":"deaths"}
counter 8: {"group":"processes.web.app","metric":"failures"}
level 8 signed: {"group":"processes.web.app","metric":"running"}
`
	if string(meta) != want {
		t.Errorf("the meta file has\n%s\nwant\n%s", meta, want)
	}
	values, err := os.ReadFile(filepath.Join(s.dir, "metrics.values"))
	if err != nil {
		t.Fatal(err)
	}
	if len(values) != os.Getpagesize() || binary.NativeEndian.Uint64(values[9*8:]) != 3 {
		t.Errorf("the values have %d bytes, %v", len(values), values[:13*8])
	}
	entries, _ := os.ReadDir(s.dir)
	if len(entries) != 2 {
		t.Errorf("files: %v", entries)
	}
}

// Covers: O8
func TestCountersSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	s := newStage(t, dir)
	s.want("web/app.0", "we.b/old.0")
	for i, name := range []string{"web/app", "we.b/old"} {
		c := s.c.Registry.Of(name)
		c.Started.Store(int64(10 + i))
		c.Deaths.Store(5)
		c.Failures.Store(2)
		c.Running.Store(5)
	}
	s.c.Board.Touch()
	s.Close()
	s = newStage(t, dir)
	s.want("web/app.0")
	s.read(t, "master.restarts=1 master.sandboxes=1 master.containers=1 master.queue=1 "+
		"containers.started=21 containers.deaths=10 containers.failures=4 containers.running=0 containers.unknown=0 "+
		"processes.web.app.started=10 processes.web.app.deaths=5 processes.web.app.failures=2 processes.web.app.running=0")
	s.Close()
	// The sums still include processes that were gone by then.
	s = newStage(t, dir)
	s.want("web/app.0")
	s.c.Registry.Of("web/app").Started.Add(1)
	s.c.Board.Touch()
	s.read(t, "master.restarts=2 master.sandboxes=1 master.containers=1 master.queue=1 "+
		"containers.started=22 containers.deaths=10 containers.failures=4 containers.running=0 containers.unknown=0 "+
		"processes.web.app.started=11 processes.web.app.deaths=5 processes.web.app.failures=2 processes.web.app.running=0")
	s.Close()
	if err := os.WriteFile(filepath.Join(dir, "metrics.meta"), []byte("counter\x00"), 0o644); err != nil {
		t.Fatal(err)
	}
	s = newStage(t, dir)
	defer s.Close()
	s.read(t, "master.restarts=0 master.sandboxes=0 master.containers=0 master.queue=0 "+
		"containers.started=0 containers.deaths=0 containers.failures=0 containers.running=0 containers.unknown=0")
}

func TestReadFilesOfOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m")
	meta := "pad 8\nstate 16: {\"state\": \"x\"}\ncounter 8: {\"group\": \"g\", \"metric\": \"m\"}\nlevel 8 float: {\"metric\": \"f\"}\nlevel 8 signed: {\"metric\":\"l\",\"group\":\"h\"}\n"
	data := make([]byte, 8+16+8+8+8)
	binary.NativeEndian.PutUint64(data[24:], 7)
	binary.NativeEndian.PutUint64(data[40:], ^uint64(0))
	write := func(meta string, data []byte) {
		t.Helper()
		if err := os.WriteFile(path+".meta", []byte(meta), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+".values", data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(meta, data)
	values, err := ReadFiles(path)
	if err != nil || fmt.Sprint(values) != "[{g m false 7} {h l true -1}]" {
		t.Errorf("%v, %v", values, err)
	}
	for _, bad := range []string{"counter 8\n", "counter: {}\n", "counter 0: {}\n", "counter 99999999: {}\n", "counter x: {}\n", "\n", meta + meta} {
		write(bad, data)
		if values, err := ReadFiles(path); err == nil {
			t.Errorf("%q is taken for %v", bad, values)
		}
	}
}

func page(t *testing.T, s *stage) string {
	t.Helper()
	var b bytes.Buffer
	if err := s.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestTextFormat is `promtool check metrics`, by the package that it uses.
func TestTextFormat(t *testing.T) {
	s := newStage(t, t.TempDir())
	defer s.Close()
	empty := page(t, s)
	s.want("web/app.0", `we"ird\/app.0`)
	s.c.Board.Publish(&status.Instance{Instance: api.Instance{Name: "web/app.0", State: status.Waiting, Since: time.Now(), Starts: 2,
		LastExit: &status.Exit{At: time.Now(), Code: 3, Failure: true}, FailuresInRow: 2}})
	s.c.Registry.Of("web/app").Causes[actors.CauseOOM].Add(1)
	full := page(t, s)
	for _, text := range []string{empty, full} {
		problems, err := promlint.New(strings.NewReader(text)).Lint()
		if err != nil || len(problems) > 0 {
			t.Errorf("promtool says %v, %v of\n%s", problems, err, text)
		}
		var parser expfmt.TextParser
		if _, err := parser.TextToMetricFamilies(strings.NewReader(text)); err != nil {
			t.Error(err)
		}
	}
	for _, want := range []string{
		`lithos_build_info{version="1.2.3",goversion="`,
		"lithos_containers_wanted 2\n",
		`lithos_container_state{sandbox="web",process="app",index="0",state="waiting"} 1` + "\n",
		`lithos_container_state{sandbox="web",process="app",index="0",state="running"} 0` + "\n",
		`lithos_container_failing{sandbox="web",process="app",index="0"} 1` + "\n",
		`lithos_container_failures_in_row{sandbox="web",process="app",index="0"} 2` + "\n",
		`lithos_container_last_exit_code{sandbox="web",process="app",index="0"} 3` + "\n",
		`lithos_container_memory_bytes{sandbox="web",process="app",index="0"} 4096` + "\n",
		`lithos_container_pressure_seconds_total{sandbox="web",process="app",index="0",resource="cpu",kind="some"} 1` + "\n",
		`lithos_process_starts_total{sandbox="web",process="app"} 0` + "\n",
		`lithos_process_deaths_by_cause_total{sandbox="web",process="app",cause="oom"} 1` + "\n",
		`lithos_process_deaths_by_cause_total{sandbox="web",process="app",cause="operator"} 0` + "\n",
		`sandbox="we\"ird\\"`,
		"process_resident_memory_bytes 1.048576e+06\n",
		"go_goroutines ",
	} {
		if !strings.Contains(full, want) {
			t.Errorf("%s is not in\n%s", want, full)
		}
	}
	if strings.Contains(full, "oom_kills_total{") {
		t.Error("what is unknown is told")
	}
}

func TestMetricsListen(t *testing.T) {
	s := newStage(t, t.TempDir())
	defer s.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := s.Serve(l)
	defer server.Close()
	// Silent clients, one less than the limit.
	for range maxConnections - 1 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	get := func(path string) (int, string) {
		t.Helper()
		r, err := http.Get("http://" + l.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, string(text)
	}
	if code, text := get("/metrics"); code != 200 || !strings.Contains(text, "lithos_sandboxes 0\n") {
		t.Errorf("%d %s", code, text)
	}
	for _, path := range []string{"/", "/v1/status", "/debug/pprof/"} {
		if code, _ := get(path); code != 404 {
			t.Errorf("%s: %d", path, code)
		}
	}
}

// offDashboard are the metrics that the dashboard does not ask for: they are in
// others, or for alerts, or for a look at one container.
var offDashboard = []string{
	"lithos_config_problems", "lithos_config_refused", "lithos_config_reload_time_seconds", "lithos_container_last_exit_code",
	"lithos_container_last_exit_signal", "lithos_container_last_exit_time_seconds", "lithos_container_memory_peak_bytes",
	"lithos_container_oom_kills_total", "lithos_container_outdated", "lithos_container_processes", "lithos_container_start_time_seconds",
	"lithos_container_starts_total", "lithos_process_deaths_total", "lithos_process_failures_total", "lithos_process_running",
	"lithos_process_sockets_shut_down_total",
	"lithos_restart_budget_burst", "lithos_restarts_total", "lithos_sandboxes", "lithos_start_time_seconds", "lithos_unknown_children",
}

// TestDashboard: what the dashboard asks for is there, and it asks for what is
// there.
func TestDashboard(t *testing.T) {
	data, err := os.ReadFile("../../../packaging/grafana/lithos.json")
	if err != nil {
		t.Fatal(err)
	}
	type place struct{ X, Y, W, H int }
	var dashboard struct {
		Panels []struct {
			ID      int
			Title   string
			GridPos place
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(data, &dashboard); err != nil {
		t.Fatal(err)
	}
	s := newStage(t, t.TempDir())
	defer s.Close()
	text := page(t, s)
	asked := make(map[string]bool)
	ids, places := make(map[int]bool), make(map[[2]int]string)
	for _, panel := range dashboard.Panels {
		if ids[panel.ID] {
			t.Errorf("%s has the id %d of another panel", panel.Title, panel.ID)
		}
		ids[panel.ID] = true
		for x := range panel.GridPos.W {
			for y := range panel.GridPos.H {
				at := [2]int{panel.GridPos.X + x, panel.GridPos.Y + y}
				if places[at] != "" {
					t.Fatalf("%s lies on %s", panel.Title, places[at])
				}
				places[at] = panel.Title
			}
		}
		for _, target := range panel.Targets {
			for _, name := range regexp.MustCompile(`\b(lithos|go|process)_[a-z_]+`).FindAllString(target.Expr, -1) {
				asked[name] = true
				if !strings.Contains(text, "# TYPE "+name+" ") {
					t.Errorf("%s asks for %s, which is not there", panel.Title, name)
				}
			}
		}
	}
	for _, family := range regexp.MustCompile(`(?m)^# TYPE (lithos_[a-z_]+) `).FindAllStringSubmatch(text, -1) {
		if name := family[1]; asked[name] == slices.Contains(offDashboard, name) {
			t.Errorf("%s: asked for by the dashboard: %v; in offDashboard: %v", name, asked[name], !asked[name])
		}
	}
}
