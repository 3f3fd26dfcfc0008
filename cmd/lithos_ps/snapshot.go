package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"lithos/actors/services/api"
	"lithos/actors/services/deaths"
	"lithos/cmd/internal/reader"
	"lithos/configs"
	"lithos/configs/document"
	"lithos/spawn"
	"lithos/spawn/records"
	"lithos/sysx/proc"
)

// Where a snapshot is from.
const (
	sourceDaemon = "daemon"
	sourceFiles  = "files" // the runtime directory, the configs and /proc
)

// stateStopped is a state beside those of the daemon: dead, and no daemon is
// there to start it.
const stateStopped = "stopped"

// snapshot is everything at one moment, and what --json writes. Fields of the
// control socket have its names and meanings (docs/control.md).
type snapshot struct {
	At     time.Time   `json:"at"`
	Source string      `json:"source"` // "daemon" or "files"
	Daemon *api.Daemon `json:"daemon,omitempty"`
	Reload *api.Reload `json:"reload,omitempty"`
	// Problems and Objects are absent without a daemon: lithos_check has them.
	Problems  []api.Problem `json:"problems,omitempty"`
	Objects   []api.Object  `json:"objects,omitempty"`
	Instances []*row        `json:"instances"`
	// Trees is the format of the original: running containers, by supervisor.
	Trees []tree `json:"trees"`

	config    string // the master config
	processes processes
}

// row is one instance.
type row struct {
	api.Instance
	Threads int  `json:"threads,omitempty"` // of all its processes, PID 1 too
	Command bool `json:"command,omitempty"` // a container of lithos_cmd
}

func socket(m *configs.Master) string { return filepath.Join(m.RuntimeDir, api.SocketName) }

func recordsDir(m *configs.Master) string { return filepath.Join(m.RuntimeDir, "containers") }

func fromDaemon(status *api.Status) *snapshot {
	s := &snapshot{
		At: time.Now(), Source: sourceDaemon, Daemon: &status.Daemon, Reload: &status.Reload,
		Problems: status.Problems, Objects: status.Objects, config: status.Daemon.Config,
	}
	for _, in := range status.Instances {
		s.Instances = append(s.Instances, &row{Instance: in})
	}
	return s
}

// fromFiles makes the snapshot without a daemon. Unreadable records are an error:
// running containers would be shown as stopped.
func fromFiles(m *configs.Master) (*snapshot, error) {
	if _, err := os.ReadDir(recordsDir(m)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("lithos_tree does not run, and only root can read its files: %w", err)
	}
	s := &snapshot{At: time.Now(), Source: sourceFiles, config: m.File}
	rows := map[string]*row{}
	for name, record := range readRecords(m) {
		if r := recorded(name, record, s.At); r != nil {
			rows[name] = r
		}
	}
	// A broken config hides wanted instances, not running ones.
	plan, _ := reader.Load(configs.Options{MasterFile: m.File})
	for name, in := range wanted(plan) {
		r := rows[name]
		if r == nil {
			r = newRow(name)
			r.State = stateStopped
			rows[name] = r
		}
		r.Desired = &api.Version{Image: in.Container.Image, Config: in.Container.ConfigFile, Fingerprint: in.Fingerprint}
		if limit := in.Container.MemoryLimit; limit > 0 {
			r.Usage = &api.Usage{MemoryLimit: &limit}
		}
	}
	for _, r := range rows {
		r.Words = r.State
		if r.State == stateStopped {
			r.LastExit = newer(r.LastExit, m, r.Name)
			r.Words += ", since lithos_tree does not run"
		}
		s.Instances = append(s.Instances, r)
	}
	return s, nil
}

// newer is the daemon's own record of the last death, which knows more, unless
// the container died after its daemon.
func newer(e *api.Exit, m *configs.Master, name string) *api.Exit {
	list, err := deaths.Read(deaths.Dir(m.RuntimeDir), name)
	if err != nil || len(list) == 0 || e != nil && e.At.After(list[0].At.Add(time.Second)) {
		return e
	}
	return &list[0].Exit
}

// wanted are the daemons of a plan by their names.
func wanted(plan *configs.Plan) map[string]*configs.Instance {
	all := map[string]*configs.Instance{}
	if plan == nil {
		return all
	}
	for _, sandbox := range plan.Sandboxes {
		for _, p := range sandbox.Processes {
			if p.Kind != configs.KindDaemon {
				continue
			}
			for _, in := range p.Instances {
				all[in.Name] = in
			}
		}
	}
	return all
}

// readRecords reads what containers have left in the runtime directory, by name.
func readRecords(m *configs.Master) map[string]*records.Record {
	all := map[string]*records.Record{}
	dir := recordsDir(m)
	files, _ := filepath.Glob(filepath.Join(dir, "*", "*.*"))
	for _, file := range files {
		name, err := filepath.Rel(dir, file)
		if err != nil || spawn.IsStandby(name) {
			continue
		}
		if record, err := records.Read(file); err == nil {
			all[name] = record
		}
	}
	return all
}

// recorded is what a record says of its container; nil for a command that has
// ended.
func recorded(name string, record *records.Record, now time.Time) *row {
	r := newRow(name)
	r.Command = spawn.IsCommand(name)
	r.Restarts = max(record.Created.Restarts-1, 0)
	if f := record.Forked; f != nil && f.StartTime != 0 && proc.MayBeSame(f.PID, f.StartTime) {
		r.State, r.PID, r.Started = api.StateRunning, f.PID, record.Created.At
		r.Since, r.Uptime = r.Started, now.Sub(r.Started).Seconds()
		r.Running = &api.Version{Image: record.Created.Image, Fingerprint: record.Created.Fingerprint}
		if len(f.Degraded) > 0 {
			r.Degraded, r.Conditions = f.Degraded, []string{api.ConditionDegraded}
		}
		if stat, err := proc.ReadStat(f.PID); err == nil && stat.Stopped() {
			r.Conditions = append(r.Conditions, api.ConditionSuspended)
		}
		return r
	}
	if r.Command {
		return nil
	}
	r.State = stateStopped
	r.LastExit = lastExit(record)
	return r
}

// lastExit is how the container of a record ended, as far as PID 1 knew.
func lastExit(record *records.Record) *api.Exit {
	e := &api.Exit{Code: -1}
	switch {
	case record.Failed != "":
		e.Words, e.Cause, e.Failure = "could not be set up: "+record.Failed, api.CauseSetup, true
	case record.Exited != nil && record.Exited.Signal != 0:
		e.Signal = record.Exited.Signal
		e.Words = "was ended by signal " + strconv.Itoa(e.Signal)
		e.At, e.Uptime = record.Exited.At, record.Exited.Uptime.Seconds()
	case record.Exited != nil:
		e.Code = record.Exited.Code
		e.At, e.Uptime = record.Exited.At, record.Exited.Uptime.Seconds()
		e.Words = "exited with code " + strconv.Itoa(e.Code)
	default:
		return nil
	}
	return e
}

func newRow(name string) *row {
	r := &row{}
	r.Name = name
	n := configs.ParseInstanceName(name)
	r.Sandbox, r.Process, r.Index = n.Sandbox, n.Process, n.Index
	return r
}

// addCommands adds the containers of lithos_cmd, which the daemon knows nothing
// of. Only root can see them.
func (s *snapshot) addCommands(m *configs.Master) {
	files, _ := filepath.Glob(filepath.Join(recordsDir(m), "*", "cmd.*"))
	for _, file := range files {
		name, err := filepath.Rel(recordsDir(m), file)
		if err != nil || !spawn.IsCommand(name) {
			continue
		}
		record, err := records.Read(file)
		if err != nil {
			continue
		}
		if r := recorded(name, record, s.At); r != nil {
			r.Words = "a command, running"
			s.Instances = append(s.Instances, r)
		}
	}
}

func (s *snapshot) sort() {
	slices.SortFunc(s.Instances, func(a, b *row) int { return configs.CompareNames(a.Name, b.Name) })
}

// choose leaves only what one of the names means: a sandbox, a process or an
// instance. No names mean everything.
func (s *snapshot) choose(names []string) error {
	if len(names) == 0 {
		return nil
	}
	used := map[string]bool{}
	var known []string
	for _, r := range s.Instances {
		known = append(known, r.Name, r.Sandbox+"/"+r.Process, r.Sandbox)
	}
	matches := func(sandbox, process, instance string) bool {
		hit := false
		for _, n := range names {
			n := strings.TrimSuffix(n, "/")
			if n == sandbox || n == sandbox+"/"+process || n == instance {
				hit, used[n] = true, true
			}
		}
		return hit
	}
	s.Instances = slices.DeleteFunc(s.Instances, func(r *row) bool { return !matches(r.Sandbox, r.Process, r.Name) })
	s.Objects = slices.DeleteFunc(s.Objects, func(o api.Object) bool { return !matches(o.Sandbox, o.Process, "") })
	for _, n := range names {
		if n = strings.TrimSuffix(n, "/"); used[n] {
			continue
		}
		if meant := document.Suggest(n, known); meant != "" {
			return fmt.Errorf("there is no sandbox, process or instance %q, did you mean %s?", n, meant)
		}
		return fmt.Errorf("there is no sandbox, process or instance %q; lithos_ps without a name lists all", n)
	}
	return nil
}
