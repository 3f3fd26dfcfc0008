package metrics

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"lithos/actors"
	"lithos/actors/services/budget"
	"lithos/actors/services/deaths"
	"lithos/actors/services/rotation"
	"lithos/actors/services/status"
	"lithos/configs"
	"lithos/sysx/cgroup"
)

// pause is the least time between two updates of the files.
const pause = 20 * time.Millisecond

// FileName is the name of the files in the runtime-dir (Q4), where the
// environment has no CANTAL_PATH.
const FileName = "metrics"

// Config is what metrics are made of.
type Config struct {
	Path     string // of the cantal files, without their suffixes
	Board    *status.Board
	Registry *actors.Registry
	Deaths   *deaths.Store
	Budget   *budget.Budget
	Rotation *rotation.Keeper
	Log      zerolog.Logger
	Version  string
	// Usage reads the usage of a container.
	Usage func(name string) cgroup.Usage
	// Self is the daemon's own usage.
	Self func() Self
}

// Self is the usage of the daemon's process.
type Self struct {
	CPU    time.Duration
	Memory int64 // resident, bytes
	Files  int   // open descriptors
}

// Exporter exports metrics.
type Exporter struct {
	c      Config
	files  cantal
	failed bool // has been told
	stop   chan struct{}
	done   chan struct{}
	// asked bounds how many questions are answered at a time.
	asked chan struct{}
}

// Start reads the counters of an earlier daemon, and exports from now on.
// Preconditions: nothing was counted yet.
func Start(c Config) *Exporter {
	e := &Exporter{
		c: c, files: cantal{path: c.Path}, stop: make(chan struct{}), done: make(chan struct{}),
		asked: make(chan struct{}, 4),
	}
	e.goOn()
	e.update()
	go e.run()
	return e
}

// Close brings the files up to date for the last time.
func (e *Exporter) Close() {
	close(e.stop)
	<-e.done
}

func (e *Exporter) run() {
	defer close(e.done)
	for {
		changed := e.c.Board.Changed()
		e.update()
		select {
		case <-changed:
		case <-e.stop:
			e.update()
			return
		}
		select {
		case <-time.After(pause):
		case <-e.stop:
		}
	}
}

// update writes the files; what goes wrong is said once.
func (e *Exporter) update() {
	defer actors.Recover(e.c.Log, "metrics", nil)
	err := e.files.update(e.values())
	if err != nil && !e.failed {
		e.c.Log.Error().Msgf("%v", err)
	}
	e.failed = err != nil
}

// goOn reads the counters of an earlier daemon (O8).
func (e *Exporter) goOn() {
	values, err := ReadFiles(e.c.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		e.c.Log.Warn().Msgf("The counters restart at zero: cannot read those of the last daemon: %v", err)
		return
	}
	restarts := int64(1)
	var all actors.Totals
	processes := make(map[string]actors.Totals)
	for _, v := range values {
		process, ok := strings.CutPrefix(v.Group, "processes.")
		switch {
		case v.Group == "master" && v.Metric == "restarts":
			restarts += v.N
		case v.Group == "containers":
			all = with(all, v)
		case ok:
			// A sandbox may have a dot in its name, a process has none.
			if dot := strings.LastIndexByte(process, '.'); dot > 0 {
				name := process[:dot] + "/" + process[dot+1:]
				processes[name] = with(processes[name], v)
			}
		}
	}
	e.c.Registry.Continue(restarts, all, processes)
}

func with(t actors.Totals, v Value) actors.Totals {
	switch v.Metric {
	case "started":
		t.Started = v.N
	case "deaths":
		t.Deaths = v.N
	case "failures":
		t.Failures = v.N
	}
	return t
}

// values are all that the cantal protocol gets, in the order of the files.
func (e *Exporter) values() []Value {
	view, registry := e.c.Board.View(), e.c.Registry
	sandboxes, queue := view.Config.Sandboxes, registry.Unknown.Load()
	shown := make(map[string]bool)
	for name := range view.Config.Wanted {
		shown[configs.ParseInstanceName(name).Group()] = true
	}
	for _, in := range view.Instances {
		shown[configs.ParseInstanceName(in.Name).Group()] = true
		switch in.State {
		case status.Waiting, status.Starting, status.Pending:
			queue++
		}
	}
	all := registry.Totals()
	values := []Value{
		{"master", "restarts", false, registry.Restarts.Load()},
		{"master", "sandboxes", true, int64(sandboxes)},
		{"master", "containers", true, int64(len(view.Config.Wanted))},
		{"master", "queue", true, queue},
		{"containers", "started", false, all.Started},
		{"containers", "deaths", false, all.Deaths},
		{"containers", "failures", false, all.Failures},
		{"containers", "running", true, all.Running},
		{"containers", "unknown", true, registry.Unknown.Load()},
	}
	for _, name := range slices.Sorted(maps.Keys(shown)) {
		c, group := registry.Of(name), "processes."+strings.Replace(name, "/", ".", 1)
		values = append(values,
			Value{group, "started", false, c.Started.Load()},
			Value{group, "deaths", false, c.Deaths.Load()},
			Value{group, "failures", false, c.Failures.Load()},
			Value{group, "running", true, c.Running.Load()})
	}
	return values
}
