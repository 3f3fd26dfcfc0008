package metrics

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"time"

	"lithos/actors"
	"lithos/actors/services/api"
	"lithos/actors/services/status"
	"lithos/configs"
	"lithos/sysx/cgroup"
)

// ContentType is that of the text format.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// text is a page of the text format that is being written. A family's samples
// have to be together, so each is written at a time.
type text struct{ b bytes.Buffer }

// family begins one; kind is counter or gauge.
func (t *text) family(name, kind, help string) {
	fmt.Fprintf(&t.b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

// sample writes one; labels are names and values in turn.
func (t *text) sample(name string, value float64, labels ...string) {
	t.b.WriteString(name)
	for i := 0; i+1 < len(labels); i += 2 {
		t.b.WriteString([]string{"{", ","}[min(i, 1)])
		t.b.WriteString(labels[i])
		t.b.WriteString(`="`)
		t.b.WriteString(escape.Replace(labels[i+1]))
		t.b.WriteByte('"')
	}
	if len(labels) > 0 {
		t.b.WriteByte('}')
	}
	t.b.WriteByte(' ')
	t.b.Write(strconv.AppendFloat(nil, value, 'g', -1, 64))
	t.b.WriteByte('\n')
}

var escape = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// one writes a family of one sample.
func (t *text) one(name, kind, help string, value float64, labels ...string) {
	t.family(name, kind, help)
	t.sample(name, value, labels...)
}

const (
	counter = "counter"
	gauge   = "gauge"
)

// WriteText writes all metrics in the text format of Prometheus. It waits
// while too many others ask.
func (e *Exporter) WriteText(w io.Writer) error {
	e.asked <- struct{}{}
	defer func() { <-e.asked }()
	t := &text{}
	view, now := e.c.Board.View(), time.Now()
	e.daemonText(t)
	e.configText(t, view)
	e.processText(t, view)
	e.containerText(t, view, now)
	e.usageText(t, view)
	runtimeText(t)
	_, err := w.Write(t.b.Bytes())
	return err
}

func (e *Exporter) daemonText(t *text) {
	t.one("lithos_build_info", gauge, "The version of lithos_tree and of the Go it was built with; always 1.", 1,
		"version", e.c.Version, "goversion", runtime.Version())
	t.one("lithos_start_time_seconds", gauge, "When lithos_tree started, in seconds since 1970.", seconds(e.c.Board.Started()))
	t.one("lithos_restarts_total", counter, "Reloads of the configs, and starts of lithos_tree but the first.", float64(e.c.Registry.Restarts.Load()))
	t.one("lithos_unknown_children", gauge, "Children of lithos_tree that are none of its containers; they are being ended.", float64(e.c.Registry.Unknown.Load()))
	t.one("lithos_death_records_lost_total", counter, "Deaths that could not be kept, for instance since too many came at a time.", float64(e.c.Deaths.Lost()))
	budget := e.c.Budget.Numbers()
	t.one("lithos_restart_budget_rate", gauge, "Restarts a second that restart-budget allows; 0 for no bound.", budget.Rate)
	t.one("lithos_restart_budget_burst", gauge, "Restarts at once that restart-budget allows after a quiet time; 0 for no bound.", budget.Burst)
	t.one("lithos_restarts_waiting", gauge, "Restarts that wait for restart-budget.", float64(budget.Waiting))
	t.one("lithos_restarts_delayed_total", counter, "Restarts that had to wait for restart-budget, since lithos_tree started.", float64(budget.Delayed))
	t.one("lithos_restart_delay_seconds_total", counter, "Time that restarts have waited for restart-budget, all together, since lithos_tree started.", budget.Waited.Seconds())
	moved, dropped := e.c.Rotation.Totals()
	t.one("lithos_stdio_rotated_bytes_total", counter, "Output of programs that went from its file to another because of stdio-log-max-size.", float64(moved))
	t.one("lithos_stdio_dropped_bytes_total", counter, "Output of programs that came faster than stdio-log-max-size and stdio-log-keep can hold, and was dropped.", float64(dropped))
	if e.c.Self == nil {
		return
	}
	self := e.c.Self()
	t.one("process_cpu_seconds_total", counter, "CPU time of lithos_tree itself.", self.CPU.Seconds())
	t.one("process_resident_memory_bytes", gauge, "Resident memory of lithos_tree itself.", float64(self.Memory))
	t.one("process_open_fds", gauge, "Open descriptors of lithos_tree itself.", float64(self.Files))
}

func (e *Exporter) configText(t *text, view status.View) {
	c := view.Config
	t.one("lithos_sandboxes", gauge, "Sandboxes in the configs.", float64(c.Sandboxes))
	t.one("lithos_containers_wanted", gauge, "Containers that the configs ask for.", float64(len(c.Wanted)))
	refused := 0.0
	if view.Reload.Refused != "" {
		refused = 1
	}
	t.one("lithos_config_refused", gauge, "Whether the last reload was refused as a whole.", refused)
	t.one("lithos_config_reload_time_seconds", gauge, "When the configs were read last, in seconds since 1970.", seconds(view.Reload.At))
	problems, objects := map[configs.Severity]float64{}, map[string]float64{}
	for _, p := range c.Problems {
		problems[p.Severity]++
	}
	for _, o := range c.Objects {
		objects[o.State]++
	}
	t.family("lithos_config_problems", gauge, "Problems of the configs at the last reading.")
	for _, s := range []configs.Severity{configs.SeverityError, configs.SeverityWarning} {
		t.sample("lithos_config_problems", problems[s], "severity", s.String())
	}
	t.family("lithos_config_broken_objects", gauge, "Sandboxes and processes that are broken in the configs: frozen ones run an earlier version, refused ones do not run.")
	t.sample("lithos_config_broken_objects", objects[api.ObjectFrozen], "state", api.ObjectFrozen)
	t.sample("lithos_config_broken_objects", objects[api.ObjectRefused], "state", api.ObjectRefused)
}

func (e *Exporter) processText(t *text, view status.View) {
	// Also those that are gone by now: how they went is worth a look.
	names := e.c.Registry.Names()
	for _, in := range view.Instances {
		names = append(names, configs.ParseInstanceName(in.Name).Group())
	}
	slices.Sort(names)
	names = slices.Compact(names)
	for _, f := range []struct {
		name, kind, help string
		value            func(*actors.Counters) int64
	}{
		{"lithos_process_starts_total", counter, "Starts of containers of the process.", func(c *actors.Counters) int64 { return c.Started.Load() }},
		{"lithos_process_deaths_total", counter, "Deaths of containers of the process, for any reason.", func(c *actors.Counters) int64 { return c.Deaths.Load() }},
		{"lithos_process_failures_total", counter, "Deaths that are failures, as the manual defines them.", func(c *actors.Counters) int64 { return c.Failures.Load() }},
		{"lithos_process_sockets_shut_down_total", counter, "Listening sockets that a program had shut down by the time it ended, since lithos_tree started; they are restored.",
			func(c *actors.Counters) int64 { return c.SocketsShutDown.Load() }},
		{"lithos_process_running", gauge, "Containers of the process that run.", func(c *actors.Counters) int64 { return c.Running.Load() }},
	} {
		t.family(f.name, f.kind, f.help)
		for _, name := range names {
			n := configs.ParseInstanceName(name)
			t.sample(f.name, float64(f.value(e.c.Registry.Of(name))), "sandbox", n.Sandbox, "process", n.Process)
		}
	}
	const causes = "lithos_process_deaths_by_cause_total"
	t.family(causes, counter, "Deaths, and starts that failed, by their cause, since lithos_tree started.")
	for _, name := range names {
		n := configs.ParseInstanceName(name)
		c := e.c.Registry.Of(name)
		for cause := range actors.CauseCount {
			t.sample(causes, float64(c.Causes[cause].Load()), "sandbox", n.Sandbox, "process", n.Process, "cause", cause.String())
		}
	}
}

// labels are those of a container.
func labels(name string, more ...string) []string {
	n := configs.ParseInstanceName(name)
	return append([]string{"sandbox", n.Sandbox, "process", n.Process, "index", strconv.Itoa(n.Index)}, more...)
}

var states = []status.State{status.Pending, status.Starting, status.Running, status.Waiting, status.Restarting, status.Replacing, status.Stopping}

func (e *Exporter) containerText(t *text, view status.View, now time.Time) {
	const state = "lithos_container_state"
	t.family(state, gauge, "The state of the container: 1 for the one that it is in.")
	for _, in := range view.Instances {
		for _, s := range states {
			t.sample(state, yes(in.State == s), labels(in.Name, "state", string(s))...)
		}
	}
	for _, f := range []struct {
		name, kind, help string
		value            func(*status.Instance) (float64, bool)
	}{
		{"lithos_container_state_time_seconds", gauge, "When it came into its state, in seconds since 1970.",
			func(in *status.Instance) (float64, bool) { return seconds(in.Since), true }},
		{"lithos_container_start_time_seconds", gauge, "When it was started, in seconds since 1970, if it runs.",
			func(in *status.Instance) (float64, bool) { return seconds(in.Started), in.PID != 0 }},
		{"lithos_container_starts_total", counter, "Tries to start it since lithos_tree started.",
			func(in *status.Instance) (float64, bool) { return float64(in.Starts), true }},
		{"lithos_container_failing", gauge, "Whether its last one failed and none has run for ten seconds since.",
			func(in *status.Instance) (float64, bool) { return yes(in.Failing(now)), true }},
		{"lithos_container_failures_in_row", gauge, "Failures without one between that ran for ten seconds.",
			func(in *status.Instance) (float64, bool) { return float64(in.Failures(now)), true }},
		{"lithos_container_degraded", gauge, "Whether it runs without something that was asked for.",
			func(in *status.Instance) (float64, bool) { return yes(len(in.Degraded) > 0), true }},
		{"lithos_container_ready", gauge, "Whether it is ready, where it runs and its config has ready.",
			func(in *status.Instance) (float64, bool) { return yes(!in.NotReady()), in.Ready != nil }},
		{"lithos_container_healthcheck_failures", gauge, "Failures of its healthcheck in a row, where its config has one and it is checked.",
			func(in *status.Instance) (float64, bool) {
				if in.Health == nil {
					return 0, false
				}
				return float64(in.Health.Failures), true
			}},
		{"lithos_container_outdated", gauge, "Whether it runs an earlier config.",
			func(in *status.Instance) (float64, bool) { return yes(in.PID != 0 && !view.Config.Current(in)), true }},
		{"lithos_container_last_exit_code", gauge, "The exit code of its last death; -1 if there was none.",
			func(in *status.Instance) (float64, bool) {
				return lastExit(in, func(e *status.Exit) float64 { return float64(e.Code) })
			}},
		{"lithos_container_last_exit_signal", gauge, "The signal of its last death; 0 if there was none.",
			func(in *status.Instance) (float64, bool) {
				return lastExit(in, func(e *status.Exit) float64 { return float64(e.Signal) })
			}},
		{"lithos_container_last_exit_time_seconds", gauge, "When it died last, in seconds since 1970.",
			func(in *status.Instance) (float64, bool) {
				return lastExit(in, func(e *status.Exit) float64 { return seconds(e.At) })
			}},
	} {
		t.family(f.name, f.kind, f.help)
		for _, in := range view.Instances {
			if value, known := f.value(in); known {
				t.sample(f.name, value, labels(in.Name)...)
			}
		}
	}
}

func lastExit(in *status.Instance, value func(*status.Exit) float64) (float64, bool) {
	if in.LastExit == nil {
		return 0, false
	}
	return value(in.LastExit), true
}

// usageText has the metrics of the cgroups.
func (e *Exporter) usageText(t *text, view status.View) {
	usage := make([]cgroup.Usage, len(view.Instances))
	for i, in := range view.Instances {
		usage[i] = cgroup.NoUsage
		if e.c.Usage != nil {
			usage[i] = e.c.Usage(in.Name)
		}
	}
	for _, f := range []struct {
		name, kind, help string
		value            func(*cgroup.Usage) float64
	}{
		{"lithos_container_memory_bytes", gauge, "Memory of the container, with the page cache.", func(u *cgroup.Usage) float64 { return float64(u.Memory) }},
		{"lithos_container_memory_peak_bytes", gauge, "The most memory of the container.", func(u *cgroup.Usage) float64 { return float64(u.MemoryPeak) }},
		{"lithos_container_memory_limit_bytes", gauge, "The limit of its memory; 0 for none.", func(u *cgroup.Usage) float64 { return float64(u.MemoryLimit) }},
		{"lithos_container_oom_kills_total", counter, "Processes of the container that the kernel killed for want of memory.", func(u *cgroup.Usage) float64 { return float64(u.OOMKills) }},
		{"lithos_container_cpu_seconds_total", counter, "CPU time of the container.", func(u *cgroup.Usage) float64 { return cpu(u.CPU) }},
		{"lithos_container_cpu_throttled_seconds_total", counter, "Time that it was held up by a CPU quota.", func(u *cgroup.Usage) float64 { return cpu(u.Throttled) }},
		{"lithos_container_processes", gauge, "Processes in the container.", func(u *cgroup.Usage) float64 { return float64(u.Processes) }},
	} {
		t.family(f.name, f.kind, f.help)
		for i, in := range view.Instances {
			if value := f.value(&usage[i]); value != cgroup.Unknown {
				t.sample(f.name, value, labels(in.Name)...)
			}
		}
	}
	const pressure = "lithos_container_pressure_seconds_total"
	t.family(pressure, counter, "Time that some, or all, of its processes waited for a resource; cgroup version 2 only.")
	for i, in := range view.Instances {
		for _, what := range []string{"cpu", "memory", "io"} {
			if p, known := usage[i].Pressure[what]; known {
				t.sample(pressure, p.Some.Seconds(), labels(in.Name, "resource", what, "kind", "some")...)
				t.sample(pressure, p.Full.Seconds(), labels(in.Name, "resource", what, "kind", "full")...)
			}
		}
	}
}

func cpu(d time.Duration) float64 {
	if d == cgroup.Unknown {
		return cgroup.Unknown
	}
	return d.Seconds()
}

// runtimeText has the metrics of the Go runtime.
func runtimeText(t *text) {
	families := []struct{ name, kind, help, from string }{
		{"go_goroutines", gauge, "Goroutines of lithos_tree.", "/sched/goroutines:goroutines"},
		{"go_heap_bytes", gauge, "Live objects on the heap of lithos_tree.", "/memory/classes/heap/objects:bytes"},
		{"go_memory_bytes", gauge, "All memory that the Go runtime of lithos_tree has from the system.", "/memory/classes/total:bytes"},
		{"go_allocated_bytes_total", counter, "Memory allocated by lithos_tree.", "/gc/heap/allocs:bytes"},
		{"go_gc_cycles_total", counter, "Garbage collections of lithos_tree.", "/gc/cycles/total:gc-cycles"},
		{"go_gc_cpu_seconds_total", counter, "CPU time of garbage collections of lithos_tree, estimated.", "/cpu/classes/gc/total:cpu-seconds"},
	}
	samples := make([]metrics.Sample, len(families))
	for i, f := range families {
		samples[i].Name = f.from
	}
	metrics.Read(samples)
	for i, f := range families {
		switch v := samples[i].Value; v.Kind() {
		case metrics.KindUint64:
			t.one(f.name, f.kind, f.help, float64(v.Uint64()))
		case metrics.KindFloat64:
			t.one(f.name, f.kind, f.help, v.Float64())
		}
	}
}

func yes(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// seconds since 1970, 0 for no time.
func seconds(at time.Time) float64 {
	if at.IsZero() {
		return 0
	}
	return float64(at.UnixMilli()) / 1000
}
