package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lithos/configs"
	"lithos/sysx/lockfile"
	"lithos/sysx/proc"
)

// tellDaemon sends QUIT to the daemon. That none runs is a warning only.
func (s *switcher) tellDaemon(m *configs.Master) error {
	path := filepath.Join(m.RuntimeDir, "master.pid")
	pid, err := signalDaemon(path)
	var absent *notRunning
	switch {
	case errors.As(err, &absent):
		if !s.json {
			fmt.Fprintf(s.stderr, "warning: lithos_tree does not run (%v); it will read the file when it starts\n", err)
		}
		return nil
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%s is in place, but the daemon was not reloaded: only root may do that, by kill -QUIT $(cat %s)", s.target, path)
	case err != nil:
		return fmt.Errorf("%s is in place, but the daemon was not reloaded: %w", s.target, err)
	}
	s.daemon = pid
	s.say("lithos_tree (pid %d) reads it", pid)
	return nil
}

// notRunning says why no daemon is thought to run.
type notRunning struct{ why string }

func (e *notRunning) Error() string { return e.why }

// signalDaemon sends QUIT to the process in the pid file. It has to hold the
// file's lock or, as the original does not lock it, to be called lithos_tree:
// a pid that was left there may be anything by now, which QUIT would end.
func signalDaemon(path string) (int, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, &notRunning{"there is no " + path}
	}
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 1 {
		return 0, &notRunning{"there is no pid in " + path}
	}
	// Opened first, so that the inspected process gets the signal.
	process, err := proc.OpenPIDFD(pid)
	if errors.Is(err, proc.ErrGone) {
		return 0, &notRunning{fmt.Sprintf("the pid %d of %s does not exist", pid, path)}
	}
	if err != nil {
		return 0, err
	}
	defer process.Close()
	if !isDaemon(path, pid) {
		return 0, &notRunning{fmt.Sprintf("the pid %d of %s is another process", pid, path)}
	}
	if err := proc.Signal(process, unix.SIGQUIT); errors.Is(err, proc.ErrGone) {
		return 0, &notRunning{fmt.Sprintf("pid %d has just ended", pid)}
	} else if err != nil {
		return 0, err
	}
	return pid, nil
}

func isDaemon(path string, pid int) bool {
	stat, err := proc.ReadStat(pid)
	if err != nil || !stat.Alive() {
		return false
	}
	held, err := lockfile.Holds(path, pid)
	return err == nil && held || stat.Comm == "lithos_tree"
}
