package main

import (
	"cmp"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"

	"github.com/rs/zerolog"

	"lithos/actors"
	"lithos/actors/services/api"
	"lithos/actors/services/budget"
	"lithos/actors/services/control"
	"lithos/actors/services/deaths"
	"lithos/actors/services/logs"
	"lithos/actors/services/metrics"
	"lithos/actors/services/rotation"
	"lithos/actors/services/status"
	"lithos/cmd/internal/setup"
	"lithos/configs"
	"lithos/sysx/proc"
	"lithos/sysx/sock"
)

// observers export the state of the daemon. A failed one is logged, and the
// daemon works without it.
type observers struct {
	log      zerolog.Logger
	board    *status.Board
	registry *actors.Registry
	records  *deaths.Store
	budget   *budget.Budget
	rotation *rotation.Keeper
	exporter *metrics.Exporter
	control  *control.Server
	socket   *sock.Unix // of control
	listener *http.Server
}

// observe opens all of them.
func observe(m *configs.Master, set *logs.Set, requests chan<- struct{}, k *kernel, left *handover) *observers {
	o := &observers{log: set.Master(), board: status.New(), registry: actors.NewRegistry(), budget: budget.New(set.Master())}
	if left != nil {
		o.board.Continue(left.Generation)
	}
	o.rotation = rotation.New(o.board)
	var err error
	if o.records, err = deaths.New(deaths.Dir(m.RuntimeDir), o.log); err != nil {
		o.log.Error().Msgf("How containers die is not kept: %v", err)
	}
	o.exporter = metrics.Start(metrics.Config{
		Path: cmp.Or(os.Getenv(cantalPath), filepath.Join(m.RuntimeDir, metrics.FileName)), Board: o.board, Registry: o.registry, Deaths: o.records,
		Budget: o.budget, Rotation: o.rotation, Log: o.log, Version: version, Usage: k.spawner.UsageAndWaits, Self: self,
	})
	if m.MetricsListen.IsValid() {
		l, err := net.Listen("tcp", m.MetricsListen.String())
		if err != nil {
			o.log.Error().Msgf("Metrics can't be asked for on the metrics-listen of %s: %v", m.File, err)
		} else {
			o.listener = o.exporter.Serve(l)
		}
	}
	o.serveControl(m, set, requests, k, left.take(fileControl))
	return o
}

// serveControl continues with the socket that this process had before an exec.
func (o *observers) serveControl(m *configs.Master, set *logs.Set, requests chan<- struct{}, k *kernel, socket *os.File) {
	gid, mode := -1, fs.FileMode(0o600)
	if m.ControlGroup != "" {
		id, err := setup.GroupID(m.ControlGroup)
		if err != nil {
			o.log.Error().Msgf("Only root can use the control socket: %v; see control-group in %s", err, m.File)
		} else {
			gid, mode = id, 0o660
		}
	}
	path := filepath.Join(m.RuntimeDir, api.SocketName)
	var err error
	if socket != nil {
		if o.socket, err = sock.InheritUnix(path, socket, mode, gid); err != nil {
			o.log.Warn().Msgf("Making another control socket: %v", err)
		}
	}
	if o.socket == nil {
		o.socket, err = sock.ListenUnix(path, mode, gid)
	}
	if err != nil {
		o.log.Error().Msgf("There is no control socket: %v", err)
		return
	}
	o.control = control.Serve(o.socket, control.Config{
		Board:      o.board,
		Deaths:     o.records,
		Log:        o.log,
		Version:    version,
		PID:        os.Getpid(),
		MasterFile: m.File,
		Group:      gid,
		Level:      set.Level,
		SetLevel:   set.SetLevel,
		Reload:     requests,
		Metrics:    o.exporter.WriteText,
		Probe:      k.probe,
	})
}

// drain writes the queued records and ends all answers, for the next program in
// this process. It returns the control socket, nil if there is none: new
// connections queue in it.
func (o *observers) drain() *os.File {
	o.records.Flush(flushPatience)
	o.exporter.Close()
	if o.control == nil {
		return nil
	}
	file, err := o.socket.File()
	if err != nil {
		o.log.Warn().Msgf("The next lithos_tree has to make another control socket: %v", err)
		return nil
	}
	o.socket.KeepName()
	o.control.Drain(answerPatience)
	return file
}

func (o *observers) close() {
	if o.control != nil {
		if err := o.control.Close(); err != nil {
			o.log.Warn().Msgf("Cannot close the control socket: %v", err)
		}
	}
	if o.listener != nil {
		_ = o.listener.Close()
	}
	o.rotation.Close()
	o.exporter.Close()
	o.records.Close()
}

// self is the usage of this process, for the metrics.
func self() metrics.Self {
	used, err := proc.Self()
	if err != nil {
		return metrics.Self{}
	}
	return metrics.Self{CPU: used.CPU, Memory: used.Memory, Files: used.Files}
}

// The variables by which cantal's agent finds the metrics (Q4). It reads
// /proc/PID/environ, so they have to be there when the program is executed.
const (
	cantalPath = "CANTAL_PATH"
	cantalName = "CANTAL_APPNAME"
)

// announceMetrics executes this program again, once, if the environment does
// not say where its metrics are.
func announceMetrics(m *configs.Master) error {
	if os.Getenv(cantalPath) != "" {
		return nil
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find this program's own file: %w", err)
	}
	env := append(os.Environ(), cantalPath+"="+filepath.Join(m.RuntimeDir, metrics.FileName))
	if os.Getenv(cantalName) == "" {
		env = append(env, cantalName+"=lithos")
	}
	if err := syscall.Exec(program, os.Args, env); err != nil {
		return fmt.Errorf("cannot execute %s once more, with %s: %w", program, cantalPath, err)
	}
	return nil
}
