package deaths

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"lithos/actors/services/api"
)

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := New(dir, zerolog.New(zerolog.NewTestWriter(t)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func death(name string, n int) *api.Death {
	return &api.Death{Name: name, Restart: n, Exit: api.Exit{At: time.Unix(int64(1700000000+n), 0), Words: "exited with code 3", Cause: "itself"}}
}

func restarts(list []api.Death) string {
	var b strings.Builder
	for _, d := range list {
		fmt.Fprint(&b, d.Restart, " ")
	}
	return b.String()
}

func TestTheLastTenOfEachAreKeptOverRestarts(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deaths")
	for run := range 3 {
		s := open(t, dir)
		for i := range 17 {
			s.Add(Entry{Death: death("web/app.0", 17*run+i), From: -1})
		}
		s.Add(Entry{Death: death("web/app.1", run), From: -1})
		s.Close()
	}
	s := open(t, dir)
	defer s.Close()
	list, err := s.Read("web/app.0")
	if err != nil || restarts(list) != "50 49 48 47 46 45 44 43 42 41 " {
		t.Errorf("kept %s, %v", restarts(list), err)
	}
	if list, err := s.Read("web/app.1"); err != nil || restarts(list) != "2 1 0 " {
		t.Errorf("of another: %s, %v", restarts(list), err)
	}
	if list, err := s.Read("web/none.0"); err != nil || len(list) != 0 {
		t.Errorf("of none: %v, %v", list, err)
	}
	if _, err := s.Read("../../etc/shadow"); err == nil {
		t.Error("a name that leads elsewhere is read")
	}
	all := s.All(3, func(name string) bool { return strings.HasPrefix(name, "web/") })
	if restarts(all) != "50 49 48 " {
		t.Errorf("of all: %s", restarts(all))
	}
	for _, c := range []struct {
		path string
		mode os.FileMode
	}{{"", 0o700}, {"web", 0o700}, {"web/app.0", 0o600}} {
		info, err := os.Stat(filepath.Join(dir, c.path))
		if err != nil || info.Mode().Perm() != c.mode {
			t.Errorf("%s has mode %v, want %v: only root may read it (%v)", c.path, info.Mode(), c.mode, err)
		}
	}
	left, _ := filepath.Glob(filepath.Join(dir, "*", "*"+temporary))
	if len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// A record that says "reported" implies an archived death, and the next daemon
// can tell whose it is.
func TestADeathIsThereWhenItWasAdded(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	created := time.Unix(1700000000, 0)
	for n := range 30 {
		d := death("web/app.0", n)
		d.PID = 100 + n
		s.AddNow(Entry{Death: d, From: -1})
		if list, err := Read(s.dir, d.Name); err != nil || len(list) == 0 || list[0].Restart != n {
			t.Fatalf("%d is not there: %v, %v", n, list, err)
		}
	}
	for _, c := range []struct {
		what, name string
		pid        int
		created    time.Time
		want       bool
	}{
		{"it", "web/app.0", 129, created.Add(20 * time.Second), true},
		{"the one before", "web/app.0", 128, created, false},
		{"another with its pid", "web/app.0", 129, created.Add(time.Hour), false},
		{"another instance", "web/app.1", 129, created, false},
		{"none", "web/app.0", 0, created, false},
	} {
		if got := s.Told(c.name, c.pid, c.created); (got != nil) != c.want {
			t.Errorf("%s: %+v", c.what, got)
		}
	}
	var none *Store
	none.AddNow(Entry{})
	if none.Told("web/app.0", 1, created) != nil {
		t.Error("no store has told something")
	}
}

func TestSomebodyClearsUp(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	for n := range compactAt + 2 {
		for _, name := range []string{"web/app.0", "web/app.1"} {
			s.AddNow(Entry{Death: death(name, n), From: -1})
		}
		if err := os.RemoveAll(filepath.Join(s.dir, "web")); err != nil {
			t.Fatal(err)
		}
	}
	s.AddNow(Entry{Death: death("web/app.0", 99), From: -1})
	if list, err := Read(s.dir, "web/app.0"); err != nil || restarts(list) != "99 " || s.Lost() != 0 {
		t.Errorf("kept %s, %d lost, %v", restarts(list), s.Lost(), err)
	}
}

func TestHalfALineIsNoHarm(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	s.Add(Entry{Death: death("web/app.0", 1), From: -1})
	s.Close()
	path := filepath.Join(dir, "web/app.0")
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.WriteString(`{"name":"web/app.0","at":"20`)
	_ = f.Close()
	s = open(t, dir)
	s.Add(Entry{Death: death("web/app.0", 2), From: -1})
	s.Close()
	if list, err := Read(dir, "web/app.0"); err != nil || restarts(list) != "2 1 " {
		t.Errorf("%s, %v", restarts(list), err)
	}
}

func TestTheWholeIsBounded(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	big := make([]byte, 1<<20)
	for i := range 20 {
		if err := s.write(record{fmt.Sprintf("web/app.%d", i), big, time.Unix(int64(i), 0)}); err != nil {
			t.Fatal(err)
		}
	}
	if s.bytes > maxBytes || len(s.files) != 16 {
		t.Errorf("%d bytes in %d files", s.bytes, len(s.files))
	}
	for i := range 20 {
		_, err := os.Stat(filepath.Join(s.dir, fmt.Sprintf("web/app.%d", i)))
		if (err == nil) != (i >= 4) {
			t.Errorf("file %d: %v", i, err)
		}
	}
}

func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	write := func(text string) int64 {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return int64(len(text))
	}
	many := strings.Repeat("line\n", 30)
	tests := []struct {
		name, text string
		from       int64
		want       []string
	}{
		{"since its start", "earlier\none\ntwo\n", 8, []string{"one", "two"}},
		{"nothing", "earlier\n", 8, nil},
		{"no newline at the end", "a\nb", 0, []string{"a", "b"}},
		{"it could not be started", "a\n", -1, nil},
		{"no text", "a\xff\r\n", 0, []string{"a�"}},
		{"many lines", many, 0, strings.Split(strings.Repeat("line ", 20), " ")[:20]},
		{"a log that was cut off meanwhile", "new\n", 100, []string{"new"}},
		{"long", strings.Repeat("x", 5000) + "\nlast\n", 0, []string{"last"}},
		{"one long line", strings.Repeat("x", 5000), 0, []string{"…" + strings.Repeat("x", tailBytes)}},
	}
	for _, test := range tests {
		to := write(test.text)
		if got := tail(path, test.from, to); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	if got := tail(filepath.Join(t.TempDir(), "none"), 0, 10); got != nil {
		t.Errorf("of no file: %q", got)
	}
	if got := tail("/dev/zero", 0, 10); got != nil {
		t.Errorf("of a device: %q", got)
	}
}

// TestAStormIsNotWaitedFor: who hands a death over continues at once.
func TestAStormIsNotWaitedFor(t *testing.T) {
	s := open(t, t.TempDir())
	s.mu.Lock()
	for i := range 3 * queueSize {
		s.Add(Entry{Death: death("web/app.0", i), From: -1})
	}
	s.mu.Unlock()
	if lost := s.Lost(); lost < queueSize {
		t.Errorf("%d are lost", lost)
	}
	s.Close()
	var none *Store
	none.Add(Entry{})
	none.Close()
	if none.Size("x") != 0 || none.Lost() != 0 || none.All(1, nil) != nil {
		t.Error("no store keeps something")
	}
}

// A death that cannot be written is shown all the same, and written later.
func TestDeathsWaitForTheDisk(t *testing.T) {
	dir := t.TempDir()
	inTheWay := filepath.Join(dir, "web")
	if err := os.WriteFile(inTheWay, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var said strings.Builder
		s, err := New(dir, zerolog.New(&said))
		if err != nil {
			t.Fatal(err)
		}
		s.files = map[string]*file{} // not of what is in the way
		for i := range 12 {
			s.Add(Entry{Death: death("web/app.0", i), From: -1})
		}
		s.Add(Entry{Death: death("web/app.1", 12), From: -1})
		time.Sleep(10 * retryPause)
		synctest.Wait()
		if n := strings.Count(said.String(), "Cannot archive"); n != 1 {
			t.Errorf("said %d times that it can't be kept: %s", n, said.String())
		}
		shown := func() string {
			list, err := s.Read("web/app.0")
			all := s.All(2, func(string) bool { return true })
			last := s.All(1, func(string) bool { return true })
			return fmt.Sprint(restarts(list), "/ ", restarts(all), "/ ", restarts(last), err)
		}
		const want = "11 10 9 8 7 6 5 4 3 2 / 12 11 / 12 <nil>"
		if got := shown(); got != want {
			t.Errorf("shown while they wait: %s", got)
		}
		if err := os.Remove(inTheWay); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * retryPause)
		synctest.Wait()
		if got := shown(); got != want || s.waiting != nil || s.Lost() != 0 {
			t.Errorf("shown when they are written: %s, %d wait", got, len(s.waiting))
		}
		if !strings.Contains(said.String(), "13 that had to wait, 0 lost") {
			t.Errorf("said %s", said.String())
		}
		s.Close()
	})
	if list, err := Read(dir, "web/app.0"); err != nil || len(list) != Keep {
		t.Errorf("%d kept, %v", len(list), err)
	}
}

func TestDeathsThatCanNeverBeWrittenAreCounted(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "web"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	for i := range waitBound {
		s.Add(Entry{Death: death("web/app.0", i), From: -1})
	}
	for i := range 5 {
		for len(s.queue) == cap(s.queue) {
			time.Sleep(time.Millisecond)
		}
		s.Add(Entry{Death: death("web/app.0", i), From: -1})
	}
	s.Close()
	if lost := s.Lost(); lost != waitBound+5 {
		t.Errorf("%d are lost", lost)
	}
}
