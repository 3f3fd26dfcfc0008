package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"lithos/actors/services/api"
	"lithos/actors/services/deaths"
	"lithos/actors/services/status"
	"lithos/configs"
	"lithos/sysx/sock"
)

// stage is a control socket over a board that the test writes on.
type stage struct {
	t      *testing.T
	board  *status.Board
	path   string
	client *api.Client
	reload chan struct{}
	deaths *deaths.Store
	mu     sync.Mutex
	level  string
	began  time.Time // when the program of each container was started, zero = not yet
}

func newStage(t *testing.T, group int) *stage {
	t.Helper()
	dir, err := os.MkdirTemp("", "control-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, board: status.New(), path: filepath.Join(dir, api.SocketName), reload: make(chan struct{}, 1), level: "warn", began: time.Now()}
	if s.deaths, err = deaths.New(deaths.Dir(dir), zerolog.Nop()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.deaths.Close)
	// The mode lets everybody in: who may ask is told by the kernel.
	l, err := sock.ListenUnix(s.path, 0o666, -1)
	if err != nil {
		t.Fatal(err)
	}
	server := Serve(l, Config{
		Board: s.board, Log: zerolog.Nop(), Version: "1.2.3", PID: 42, MasterFile: "/etc/lithos/master.yaml",
		Group: group, Reload: s.reload, Deaths: s.deaths,
		Level: func() string { s.mu.Lock(); defer s.mu.Unlock(); return s.level },
		SetLevel: func(l string) error {
			if l != "debug" {
				return errors.New("unknown log level")
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			s.level = l
			return nil
		},
		Probe: func(of []Probed) []Probe {
			s.mu.Lock()
			defer s.mu.Unlock()
			list := make([]Probe, len(of))
			if !s.began.IsZero() {
				for i := range list {
					list[i] = Probe{ProgramPID: 8, ProgramAge: time.Since(s.began)}
				}
			}
			return list
		},
	})
	t.Cleanup(func() { _ = server.Close() })
	s.client = api.NewClient(s.path)
	t.Cleanup(s.client.Close)
	return s
}

func version(name, fingerprint string) *configs.Instance {
	return &configs.Instance{Name: name, Fingerprint: fingerprint, Container: &configs.Container{Image: "/images/" + fingerprint, ConfigFile: "/c.yaml"}}
}

// want has the board show that this is wanted.
func (s *stage) want(wanted ...*configs.Instance) {
	if s.board.View().Reload.Done > 0 {
		s.board.BeginReload() // the first is that of the start
	}
	c := &status.Config{Wanted: map[string]*configs.Instance{}}
	for _, w := range wanted {
		c.Wanted[w.Name] = w
	}
	s.board.EndReload(c, "")
}

func running(v *configs.Instance, pid int) *status.Instance {
	return &status.Instance{
		Instance: api.Instance{Name: v.Name, State: status.Running, Since: time.Now(), PID: pid, Started: time.Now(), Starts: 1},
		Wanted:   v, Current: v,
	}
}

func (s *stage) status() *api.Status {
	s.t.Helper()
	st, err := s.client.Status(s.t.Context(), false)
	if err != nil {
		s.t.Fatal(err)
	}
	return st
}

func TestStatus(t *testing.T) {
	s := newStage(t, -1)
	s.want(version("web/app.0", "v1"), version("web/app.1", "v1"), version("web/app.10", "v1"), version("web/app.2", "v1"))
	s.board.Publish(running(version("web/app.0", "v1"), 100))
	s.board.Publish(running(version("web/app.2", "v0"), 102))
	s.board.Publish(&status.Instance{Instance: api.Instance{
		Name: "web/app.1", State: status.Waiting, Since: time.Now(), NextTry: time.Now().Add(time.Minute), NextTryWhy: "restart-timeout 1m",
		Starts: 3, FailuresInRow: 3, LastExit: &status.Exit{At: time.Now(), Words: "exited with code 3", Code: 3, Failure: true},
	}})
	st := s.status()
	if st.Daemon.Version != "1.2.3" || st.Daemon.PID != 42 || st.Daemon.ID != s.board.ID() || st.Daemon.LogLevel != "warn" {
		t.Errorf("daemon: %+v", st.Daemon)
	}
	if st.Reload.Done != 1 || st.Reload.Begun != 1 {
		t.Errorf("reload: %+v", st.Reload)
	}
	var got []string
	for _, in := range st.Instances {
		got = append(got, fmt.Sprint(in.Name, " ", in.State, " ", in.Conditions))
	}
	want := "web/app.0 running []|web/app.1 waiting [failing]|web/app.2 running [outdated]|web/app.10 pending []"
	if strings.Join(got, "|") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "|"), want)
	}
	if w := st.Instances[1].Words; !strings.HasPrefix(w, "waiting, next try in ") || !strings.HasSuffix(w, ", failing; the last one exited with code 3") {
		t.Errorf("words: %q", w)
	}
	in, err := s.client.Instance(t.Context(), "web/app.2")
	if err != nil || in.Running.Fingerprint != "v0" || in.Desired.Fingerprint != "v1" {
		t.Errorf("%+v, %v", in, err)
	}
	var refused *api.Error
	if _, err = s.client.Instance(t.Context(), "web/app.7"); !errors.As(err, &refused) || refused.Status != http.StatusNotFound {
		t.Errorf("an instance that is not there: %v", err)
	}
	list, err := s.client.Instances(t.Context(), "other", false)
	if err != nil || len(list.Instances) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

// Covers: D12
func TestBrokenObjectsAreShownWithTheirProblems(t *testing.T) {
	s := newStage(t, -1)
	v := version("web/app.0", "v1")
	s.board.Publish(running(v, 7))
	s.board.BeginReload()
	s.board.EndReload(&status.Config{
		Wanted: map[string]*configs.Instance{v.Name: v},
		Problems: configs.Problems{
			{File: "/p/web.yaml", Line: 3, Column: 5, Path: "app.image", Text: "is required", Sandbox: "web", Process: "app"},
			{File: "/p/new.yaml", Text: "cannot be read", Sandbox: "new"},
		},
		Objects: []api.Object{{Sandbox: "web", Process: "app", State: api.ObjectFrozen}, {Sandbox: "new", State: api.ObjectRefused}},
	}, "")
	st := s.status()
	if len(st.Objects) != 2 || st.Objects[0].State != "frozen" || st.Objects[1].State != "refused" ||
		len(st.Objects[0].Problems) != 1 || st.Objects[0].Problems[0].Line != 3 || st.Objects[1].Problems[0].Text != "cannot be read" {
		t.Errorf("objects: %+v", st.Objects)
	}
	in := st.Instances[0]
	if len(in.Conditions) != 1 || in.Conditions[0] != api.ConditionFrozen || len(in.Problems) != 1 {
		t.Errorf("instance: %+v", in)
	}
}

func TestWait(t *testing.T) {
	s := newStage(t, -1)
	old, wanted := version("web/app.0", "v1"), version("web/app.0", "v2")
	s.want(old)
	s.board.Publish(running(old, 7))
	look := func(w api.Wait) *api.WaitResult {
		t.Helper()
		r, err := s.client.Wait(t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := look(api.Wait{Sandbox: "web"}); !r.OK {
		t.Errorf("it runs: %v", r.Missing)
	}
	if r := look(api.Wait{Reload: 2}); r.OK || !strings.Contains(r.Missing[0], "generation 1 is done, not 2") {
		t.Errorf("a reload that is not done: %+v", r)
	}
	if r := look(api.Wait{State: "gone"}); r.OK {
		t.Error("it is not gone")
	}
	for state, want := range map[string]bool{"running": false, "settled": true, "gone": true} {
		if r := look(api.Wait{Instance: "web/ap.0", State: state}); r.OK != want || !want && !strings.Contains(r.Missing[0], "nothing of that name") {
			t.Errorf("%s of a name that there is not: %+v", state, r)
		}
	}
	if r := look(api.Wait{Stable: time.Hour}); r.OK || !strings.Contains(r.Missing[0], "not for 1h0m0s") {
		t.Errorf("it has not run for an hour: %+v", r)
	}
	done := make(chan *api.WaitResult)
	go func() {
		done <- look(api.Wait{Reload: 2, Sandbox: "web", Stable: 50 * time.Millisecond, Timeout: time.Minute})
	}()
	s.want(wanted)
	if r := look(api.Wait{Reload: 2}); r.OK || !strings.Contains(r.Missing[0], "an earlier version runs") {
		t.Errorf("the old one runs: %+v", r)
	}
	in := running(old, 7)
	in.State = status.Replacing
	s.board.Publish(in)
	s.board.Publish(running(wanted, 8))
	if r := <-done; !r.OK || r.Instances[0].PID != 8 {
		t.Errorf("%+v", r)
	}
	go func() { done <- look(api.Wait{State: "gone", Timeout: time.Minute}) }()
	s.want()
	s.board.Remove("web/app.0")
	if r := <-done; !r.OK {
		t.Errorf("it is gone: %v", r.Missing)
	}
	s.board.BeginReload()
	s.board.EndReload(&status.Config{}, "the master config is broken")
	if r := look(api.Wait{Reload: 4, Timeout: time.Hour}); r.OK || r.Missing[0] != "the reload was refused: the master config is broken" {
		t.Errorf("a refused reload: %+v", r)
	}
}

// A daemon that is told to stop as soon as it has begun leaves no socket behind.
//
// Covers: N4
func TestCloseRemovesTheSocketAtOnce(t *testing.T) {
	for range 200 {
		path := filepath.Join(t.TempDir(), "s")
		l, err := sock.ListenUnix(path, 0o600, -1)
		if err != nil {
			t.Fatal(err)
		}
		if err := Serve(l, Config{Board: status.New(), Log: zerolog.Nop()}).Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("the socket is left: %v", err)
		}
	}
}

// A container that is still being set up does not run yet, however long it takes.
func TestWait_ForTheProgram(t *testing.T) {
	s := newStage(t, -1)
	v := version("web/app.0", "v1")
	s.want(v)
	in := running(v, 7)
	in.Started = time.Now().Add(-30 * time.Second)
	s.board.Publish(in)
	began := func(at time.Time) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.began = at
	}
	for _, c := range []struct {
		began   time.Time
		missing string // "" = it is up
	}{
		{time.Time{}, "its program is not there yet"},
		{time.Now(), "runs for "},
		{in.Started.Add(time.Second), ""},
	} {
		began(c.began)
		r, err := s.client.Wait(t.Context(), api.Wait{Stable: 20 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if r.OK != (c.missing == "") || !r.OK && !strings.Contains(r.Missing[0], c.missing) {
			t.Errorf("%q: %+v", c.missing, r)
		}
	}
	began(time.Time{})
	done := make(chan *api.WaitResult)
	go func() {
		r, err := s.client.Wait(t.Context(), api.Wait{Stable: time.Second, Timeout: time.Minute})
		if err != nil {
			t.Error(err)
		}
		done <- r
	}()
	began(time.Now())
	if r := <-done; r == nil || !r.OK {
		t.Errorf("it was started in the meantime: %+v", r)
	}
}

func TestEventsGoOnWhereTheyWereLeft(t *testing.T) {
	s := newStage(t, -1)
	v := version("web/app.0", "v1")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	enough := errors.New("enough")
	var seq uint64
	follow := func(daemon string, since uint64, n int) []string {
		var got []string
		err := s.client.Events(ctx, daemon, since, func(e api.Event) error {
			if e.Type == api.EventHello {
				if e.Daemon != s.board.ID() {
					t.Errorf("hello of %q", e.Daemon)
				}
				return nil
			}
			seq = e.Seq
			got = append(got, fmt.Sprintf("%d %s %s %s%s", e.Seq, e.Type, e.Name, e.State, e.Text))
			if len(got) == n {
				return enough
			}
			return nil
		})
		if !errors.Is(err, enough) {
			t.Fatalf("after %v: %v", got, err)
		}
		return got
	}
	s.want(v)
	s.board.Publish(running(v, 7))
	first := follow("", 0, 2)
	in := running(v, 0)
	in.State, in.LastExit = status.Waiting, &status.Exit{At: time.Now(), Words: "exited with code 3"}
	s.board.Publish(in)
	s.board.Remove(v.Name)
	got := append(first, follow(s.board.ID(), seq, 3)...)
	want := []string{"1 reload  ", "2 state web/app.0 running", "3 state web/app.0 waiting", "4 death web/app.0 waitingexited with code 3", "5 gone web/app.0 "}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got := follow("another daemon", 4711, 5); len(got) != 5 {
		t.Errorf("after another daemon: %q", got)
	}
	for i := range 3000 {
		next := running(v, i+1)
		next.Starts = i
		s.board.Publish(next)
	}
	var missed uint64
	err := s.client.Events(ctx, s.board.ID(), 5, func(e api.Event) error {
		if e.Type == api.EventHello {
			return nil
		}
		missed = e.Missed
		return enough
	})
	if !errors.Is(err, enough) || missed != 3000-2048 {
		t.Errorf("missed %d, %v", missed, err)
	}
}

func TestLogLevelAndReload(t *testing.T) {
	s := newStage(t, -1)
	if err := s.client.SetLogLevel(t.Context(), "loud"); err == nil || !strings.Contains(err.Error(), "unknown log level") {
		t.Errorf("%v", err)
	}
	if err := s.client.SetLogLevel(t.Context(), "debug"); err != nil {
		t.Fatal(err)
	}
	if l, err := s.client.LogLevel(t.Context()); err != nil || l != "debug" {
		t.Errorf("%q, %v", l, err)
	}
	// The files were read before.
	if g, err := s.client.Reload(t.Context()); err != nil || g != 2 {
		t.Errorf("asked for while the daemon starts: generation %d, %v", g, err)
	}
	<-s.reload
	s.want()
	if g, err := s.client.Reload(t.Context()); err != nil || g != 2 {
		t.Errorf("generation %d, %v", g, err)
	}
	<-s.reload
}

// TestMain is the client of another user, too.
func TestMain(m *testing.M) {
	path := os.Getenv("CONTROL_TEST_SOCKET")
	if path == "" {
		os.Exit(m.Run())
	}
	c := api.NewClient(path)
	_, read := c.LogLevel(context.Background())
	write := c.SetLogLevel(context.Background(), "debug")
	fmt.Printf("read %v, write %v", read, write)
}

func (s *stage) asUser(uid uint32, groups ...uint32) string {
	s.t.Helper()
	// The test binary lies where others may not go.
	self := filepath.Join(filepath.Dir(s.path), "client")
	if _, err := os.Stat(self); err != nil {
		data, err := os.ReadFile("/proc/self/exe")
		if err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(self, data, 0o755); err != nil {
			s.t.Fatal(err)
		}
	}
	cmd := exec.Command(self)
	cmd.Env = []string{"CONTROL_TEST_SOCKET=" + s.path}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: 4000, Groups: groups}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

func TestWhoMayAsk(t *testing.T) {
	const all, readOnly, nothing = "read <nil>, write <nil>", "read <nil>, write only root may change something",
		"read only root may ask, and the control-group of the master config, write only root may ask, and the control-group of the master config"
	s := newStage(t, 4444)
	for _, c := range []struct {
		uid    uint32
		groups []uint32
		want   string
	}{
		{0, nil, all},
		{4000, nil, nothing},
		{4000, []uint32{4443, 4445}, nothing},
		{4000, []uint32{17, 4444}, readOnly},
	} {
		if got := s.asUser(c.uid, c.groups...); got != c.want {
			t.Errorf("user %d, groups %v: %s, want %s", c.uid, c.groups, got, c.want)
		}
	}
	s = newStage(t, -1)
	if got := s.asUser(4000, 4444); got != nothing {
		t.Errorf("without a control-group: %s", got)
	}
}

func TestWhatIsNotThere(t *testing.T) {
	s := newStage(t, -1)
	ask := func(method, path, body string) string {
		t.Helper()
		conn, err := net.Dial("unix", s.path)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body)
		text, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		head, rest, _ := strings.Cut(string(text), "\r\n\r\n")
		return strings.Fields(head)[1] + " " + strings.TrimSpace(rest)
	}
	for _, c := range []struct{ method, path, body, want string }{
		{"GET", "/", "", `404 {"status":404,"error":"there is nothing at /`},
		{"POST", "/v1/status", "", `405 {"status":405,"error":"POST is no method of /v1/status`},
		{"GET", "/v1/reload", "", `405`},
		{"GET", "/v1/status?usage=maybe", "", `400 {"status":400,"error":"usage is true or false, not \"maybe\""}`},
		{"GET", "/v1/wait?timeout=-1", "", `400 {"status":400,"error":"timeout is a number of seconds from 0 to 3600`},
		{"GET", "/v1/wait?timeout=NaN", "", `400`},
		{"GET", "/v1/wait?state=happy", "", `400 {"status":400,"error":"state is settled, running or gone`},
		{"GET", "/v1/events?since=x", "", `400`},
		{"PUT", "/v1/log-level", "debug", `400 {"status":400,"error":"cannot read the level`},
		{"PUT", "/v1/log-level", `{"level":"` + strings.Repeat("x", 5000) + `"}`, `400`},
	} {
		if got := ask(c.method, c.path, c.body); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s %s: %s", c.method, c.path, got)
		}
	}
}

// TestManyClients: who keeps his connections and says nothing keeps others of
// his kind out, and not root.
func TestManyClients(t *testing.T) {
	s := newStage(t, -1)
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for range rootConnections {
		c, err := net.Dial("unix", s.path)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	for {
		// The last ones may not have been accepted yet.
		if _, err := s.client.LogLevel(t.Context()); err != nil {
			if !strings.Contains(err.Error(), "too many connections") {
				t.Fatal(err)
			}
			break
		}
		s.client.Close()
	}
	conns[0].Close()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		_, err := s.client.LogLevel(t.Context())
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func TestNobodyListens(t *testing.T) {
	c := api.NewClient(filepath.Join(t.TempDir(), "s"))
	if _, err := c.Status(t.Context(), false); !errors.Is(err, api.ErrNotRunning) {
		t.Errorf("%v", err)
	}
}

// A client that was told of a death finds it in the archive, although that is
// written asynchronously.
//
// Covers: O9
func TestShownDeathIsFoundInTheArchive(t *testing.T) {
	s := newStage(t, -1)
	for n := range 200 {
		s.deaths.Add(deaths.Entry{Death: &api.Death{Name: "web/app.0", Exit: api.Exit{At: time.Now(), PID: n}}, From: -1})
		list, err := s.client.Deaths(t.Context(), "web/app.0")
		if err != nil || len(list) == 0 || list[0].PID != n {
			t.Fatalf("%v, the newest of %d is not the one of pid %d", err, len(list), n)
		}
		all, err := s.client.AllDeaths(t.Context(), "web", 1)
		if err != nil || len(all) == 0 || all[0].PID != n {
			t.Fatalf("%v, the newest of all is not the one of pid %d", err, n)
		}
	}
}
