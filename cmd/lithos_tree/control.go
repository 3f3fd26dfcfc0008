package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"github.com/rs/zerolog"

	"lithos/actors/control"
	"lithos/actors/control/api"
	"lithos/actors/deaths"
	"lithos/actors/logs"
	"lithos/actors/root"
	"lithos/actors/status"
	"lithos/configs"
	"lithos/spawn"
	"lithos/sysx/proc"
	"lithos/sysx/sock"
)

// controlSocket is the control socket; a nil one is none.
type controlSocket struct {
	server *control.Server
	log    zerolog.Logger
}

// serveControl opens the control socket. Without it the daemon does its work
// all the same, so what goes wrong is an error in the log.
func serveControl(m *configs.Master, set *logs.Set, board *status.Board, records *deaths.Store, requests chan<- struct{}, k *kernel) *controlSocket {
	log := set.Master()
	gid, mode := -1, fs.FileMode(0o600)
	if m.ControlGroup != "" {
		id, err := groupID(m.ControlGroup)
		if err != nil {
			log.Error().Msgf("Only root can use the control socket: %v; see control-group in %s", err, m.File)
		} else {
			gid, mode = id, 0o660
		}
	}
	listener, err := sock.ListenUnix(filepath.Join(m.RuntimeDir, api.SocketName), mode, gid)
	if err != nil {
		log.Error().Msgf("There is no control socket: %v", err)
		return nil
	}
	return &controlSocket{log: log, server: control.Serve(listener, control.Config{
		Board:      board,
		Deaths:     records,
		Log:        log,
		Version:    version,
		PID:        os.Getpid(),
		MasterFile: m.File,
		Group:      gid,
		Level:      set.Level,
		SetLevel:   set.SetLevel,
		Reload:     requests,
		Probe:      k.probe,
	})}
}

func (c *controlSocket) close() {
	if c == nil {
		return
	}
	if err := c.server.Close(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.log.Warn().Msgf("Cannot close the control socket: %v", err)
	}
}

func groupID(name string) (int, error) {
	if id, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(id), nil
	}
	group, err := user.LookupGroup(name)
	if err != nil {
		return 0, fmt.Errorf("there is no group %q on this host", name)
	}
	return strconv.Atoi(group.Gid)
}

// probe looks at a living container for somebody who asks on the control
// socket.
func (k *kernel) probe(name string, pid int) control.Probe {
	p := control.Probe{Usage: k.spawner.Usage(name)}
	if pid == 0 {
		return p
	}
	record, err := spawn.ReadRecord(filepath.Join(root.RecordsDir(k.master), name))
	if err != nil || record.Started == nil || record.Forked == nil || record.Forked.PID != pid {
		return p
	}
	children, err := proc.Children(pid)
	if err != nil {
		return p
	}
	for _, child := range children {
		if inner, err := proc.InnerPID(child); err == nil && inner == record.Started.PID {
			p.ProgramPID, p.ProgramStarted = child, record.Started.At
		}
	}
	return p
}
