package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// stopSeconds bounds the daemon's end: the kill-timeout of hello.yaml, the
// second that lithos_tree adds to it, and room for a slow machine.
const stopSeconds = 30

// daemon is a running lithos_tree.
type daemon struct {
	cmd     *exec.Cmd
	pidFile string
	ended   chan struct{} // closed when it was waited for
}

// startDaemon runs lithos_tree with its log going to out. It gets a process
// group of its own: a Ctrl-C reaches it through us, once.
//
// Preconditions: the calling thread outlives the daemon.
func (h *host) startDaemon(out *os.File) (*daemon, error) {
	cmd := exec.Command(h.program("lithos_tree"), "--config", h.master(), "--log-stderr")
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start lithos_tree: %w", err)
	}
	d := &daemon{cmd: cmd, pidFile: h.pidFile(), ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // the status is read from ProcessState
		close(d.ended)
	}()
	return d, nil
}

// check is an error if the daemon has ended.
func (d *daemon) check() error {
	select {
	case <-d.ended:
		return fmt.Errorf("lithos_tree ended by itself: %s", d.cmd.ProcessState)
	default:
		return nil
	}
}

// signal sends a signal to the daemon; one that has ended needs none.
func (d *daemon) signal(s os.Signal) { _ = d.cmd.Process.Signal(s) }

// stop asks the daemon to end and waits for it.
func (d *daemon) stop() error {
	// It listens to signals when its pid file is there, TERM before would
	// end it in the middle of something.
	_ = waitFor(5, func() error {
		if d.check() != nil {
			return nil
		}
		_, err := os.Stat(d.pidFile)
		return err
	})
	d.signal(syscall.SIGTERM)
	select {
	case <-d.ended:
	case <-time.After(stopSeconds * time.Second):
		d.signal(syscall.SIGKILL)
		<-d.ended
		return fmt.Errorf("lithos_tree did not end within %d s of TERM", stopSeconds)
	}
	if !d.cmd.ProcessState.Success() {
		return fmt.Errorf("lithos_tree ended with: %s", d.cmd.ProcessState)
	}
	return nil
}

// errNow marks an error that waiting does not mend.
var errNow = errors.New("gave up")

// waitFor polls until f succeeds; its last error says what was missing when
// the time was over.
func waitFor(seconds float64, f func() error) error {
	deadline := time.Now().Add(time.Duration(seconds * float64(time.Second)))
	for {
		err := f()
		if err == nil || errors.Is(err, errNow) {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("after %g s: %w", seconds, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// checkEnd returns an error if a stopped daemon left processes, mounts or groups,
// and removes them.
func (h *host) checkEnd() error {
	left, err := h.leftovers()
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("lithos_tree left behind: %s", strings.Join(left, ", "))
	}
	if err != nil {
		h.sweep()
	}
	return err
}
