package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"lithos/actors/services/api"
	"lithos/actors/services/control"
	"lithos/actors/services/deaths"
	"lithos/actors/services/status"
	"lithos/configs"
	"lithos/sysx/sock"
)

// waiting is a switch of the sandbox web that waits for a daemon, which is the
// test.
type waiting struct {
	t     *testing.T
	board *status.Board
	store *deaths.Store
	ended chan error
}

// made is web/app.0, which lies in its fingerprint.
func made(fingerprint string) *configs.Instance {
	return &configs.Instance{Name: "web/app.0", Fingerprint: fingerprint, Container: &configs.Container{}}
}

// switchTo begins one, and returns when the daemon has read the file and wants
// that version, or has frozen what it had.
func switchTo(t *testing.T, wanted *configs.Instance, objects ...api.Object) *waiting {
	t.Helper()
	return switchFrom(t, nil, wanted, objects...)
}

// switchFrom begins one where there is an instance already.
func switchFrom(t *testing.T, before *status.Instance, wanted *configs.Instance, objects ...api.Object) *waiting {
	t.Helper()
	dir, err := os.MkdirTemp("", "switch-") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	store, err := deaths.New(filepath.Join(dir, "deaths"), zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	l, err := sock.ListenUnix(filepath.Join(dir, api.SocketName), 0o600, -1)
	if err != nil {
		t.Fatal(err)
	}
	reload := make(chan struct{})
	w := &waiting{t: t, board: status.New(), store: store, ended: make(chan error, 1)}
	server := control.Serve(l, control.Config{Board: w.board, Log: zerolog.Nop(), PID: 42, Deaths: store, Group: -1, Reload: reload, Level: func() string { return "warn" }})
	t.Cleanup(func() { _ = server.Close() })

	if before != nil {
		w.board.Publish(before)
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = null.Close() })
	s := &switcher{
		options: &options{sandbox: "web", wait: true, stable: time.Second, timeout: time.Minute}, stdout: null, stderr: null,
		target: "/processes/web.yaml",
	}
	go func() { w.ended <- s.reloadAndWait(&configs.Master{RuntimeDir: dir}) }()
	<-reload
	w.board.BeginReload()
	w.board.EndReload(&status.Config{Wanted: map[string]*configs.Instance{wanted.Name: wanted}, Sandboxes: 1, Objects: objects}, "")
	return w
}

// died is an instance that waits for its next start.
func died(wanted, last *configs.Instance, e status.Exit) *status.Instance {
	e.Fingerprint, e.At, e.Cause, e.Uptime = last.Fingerprint, time.Now(), api.CauseItself, 0.1
	in := &status.Instance{
		Instance: api.Instance{Name: wanted.Name, State: status.Waiting, NextTry: time.Now().Add(time.Hour), LastExit: &e},
		Wanted:   wanted, Current: last,
	}
	if e.Failure {
		in.FailuresInRow = 1
	}
	return in
}

func running(wanted *configs.Instance) *status.Instance {
	return &status.Instance{
		Instance: api.Instance{Name: wanted.Name, State: status.Running, PID: 7, Started: time.Now().Add(-time.Minute)},
		Wanted:   wanted, Current: wanted,
	}
}

// watched returns when what was published has been looked at: twice as long as
// the pause of the command between two looks.
func (w *waiting) watched() {
	w.t.Helper()
	select {
	case err := <-w.ended:
		w.t.Fatalf("it has ended: %v", err)
	case <-time.After(2 * look):
	}
}

func (w *waiting) end(want string) {
	w.t.Helper()
	select {
	case err := <-w.ended:
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			w.t.Errorf("it ends with %v, want %q", err, want)
		}
	case <-time.After(time.Minute):
		w.t.Errorf("no end, want %q", want)
	}
}

// The version before may end by itself until it is replaced. That says nothing
// about the new one.
//
// Covers: O9, R5
func TestDeathOfTheOldVersionIsNotCounted(t *testing.T) {
	v1, v2 := made("v1"), made("v2")
	for _, last := range []status.Exit{{Words: "exited with code 3", Code: 3, Failure: true}, {Words: "exited with code 0"}} {
		t.Run(last.Words, func(t *testing.T) {
			t.Parallel()
			w := switchTo(t, v2)
			w.board.Publish(died(v2, v1, last))
			w.watched()
			w.board.Publish(running(v2))
			w.end("")

			w = switchTo(t, v2)
			w.board.Publish(died(v2, v2, last))
			w.end("not all is up: web/app.0 ")
		})
	}
}

// A death before the switch is not counted as a failure of the new version, nor
// the reverse. The clock does not matter: it may be set meanwhile.
//
// Covers: O9, R5
func TestClockChangesDoNotMatter(t *testing.T) {
	v := made("v")
	for _, shift := range []time.Duration{-time.Hour, time.Hour} {
		t.Run(shift.String(), func(t *testing.T) {
			t.Parallel()
			last := died(v, v, status.Exit{Words: "exited with code 3", Code: 3, Failure: true})
			last.LastExit.At = time.Now().Add(shift)
			w := switchFrom(t, last, v)
			w.watched()
			again := died(v, v, status.Exit{Words: "exited with code 4", Code: 4, Failure: true})
			again.LastExit.At = time.Now().Add(-2 * shift)
			w.board.Publish(again)
			w.end("not all is up: web/app.0 ")
		})
	}
}

// Nor are its last words the new one's.
//
// Covers: O9, R5
func TestLastReportOfTheOldVersion(t *testing.T) {
	v1, v2 := made("v1"), made("v2")
	log := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(log, []byte("bye\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	failed := status.Exit{Words: "could not be started", Failure: true}
	for _, c := range []struct {
		last   *configs.Instance
		shared bool
		want   string // "" = nothing is said of them
	}{
		{v1, false, ""},
		{v2, false, ", its last line: bye"},
		{v2, true, ", its last line: bye (or another container's"},
	} {
		w := switchTo(t, v2)
		d := &api.Death{Name: v1.Name, Exit: api.Exit{At: time.Now(), Fingerprint: c.last.Fingerprint}, OutputShared: c.shared}
		w.store.Add(deaths.Entry{Death: d, Log: log, From: 0, To: w.store.Size(log)})
		w.board.Publish(died(v2, v2, failed))
		err := <-w.ended
		if !strings.Contains(err.Error(), c.want) || c.want == "" && strings.Contains(err.Error(), "bye") {
			t.Errorf("the last death is of %s: %v, want %q", c.last.Fingerprint, err, c.want)
		}
	}
}

// A file that the daemon can no longer use leaves the old version up, which is
// not the wanted one.
//
// Covers: D12, O9
func TestFrozenVersionIsNotUp(t *testing.T) {
	v1 := made("v1")
	w := switchTo(t, v1, api.Object{Sandbox: "web", Process: "app", State: api.ObjectFrozen})
	w.board.Publish(running(v1))
	w.end("the daemon can't use app")

	w = switchTo(t, v1, api.Object{Sandbox: "other", State: api.ObjectFrozen})
	w.board.Publish(running(v1))
	w.end("")
}
