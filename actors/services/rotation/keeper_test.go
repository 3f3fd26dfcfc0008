package rotation

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"lithos/actors/services/status"
)

// said is a log that may be read meanwhile.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// eventually waits for something; the limit is only for what never comes.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for begin := time.Now(); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begin) > time.Minute {
			t.Fatalf("there is not %s", what)
		}
	}
}

const least = 64 << 10

// lines are numbered lines, n bytes or a little more.
func lines(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintln(&b, "line", i, strings.Repeat("x", i%100))
	}
	return b.String()
}

func fill(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(path string) string {
	text, _ := os.ReadFile(path)
	return string(text)
}

// rest is what is in a file without the line of ours.
func rest(path string) string {
	text := strings.TrimLeft(read(path), "\x00")
	if strings.HasPrefix(text, "-----") {
		_, text, _ = strings.Cut(text, "\n")
	}
	return text
}

func TestAFileIsCutDown(t *testing.T) {
	k := New(status.New())
	defer k.Close()
	path := filepath.Join(t.TempDir(), "box.log")
	text := lines(2 * least)
	fill(t, path, text)
	var log said
	k.Set("box", Limit{Path: path, Max: least, Keep: 3}, zerolog.New(&log))
	eventually(t, "a line of the log", func() bool { return strings.Contains(log.String(), "Rotated the output of sandbox") })
	if got := read(path+".2") + read(path+".1") + rest(path); got != text {
		t.Errorf("%d bytes of %d", len(got), len(text))
	}
	if moved, dropped := k.Totals(); dropped != 0 || moved < least {
		t.Errorf("counted %d moved, %d dropped", moved, dropped)
	}
}

// A burst beyond all parts is dropped at the end of a line, and counted.
func TestABurstIsBounded(t *testing.T) {
	k := New(status.New())
	defer k.Close()
	path := filepath.Join(t.TempDir(), "box.log")
	text := lines(20 * least)
	fill(t, path, text)
	var log said
	k.Set("box", Limit{Path: path, Max: least, Keep: 2}, zerolog.New(&log))
	eventually(t, "a line of the log", func() bool { return strings.Contains(log.String(), "bytes were dropped") })
	got := read(path+".2") + read(path+".1") + rest(path)
	if !strings.HasSuffix(text, "\n"+got) || len(got) < 2*least || len(got) > 4*least {
		t.Errorf("%d bytes are left, beginning with %.40q", len(got), got)
	}
	if _, err := os.Stat(path + ".3"); err == nil {
		t.Error("there is a third part")
	}
	// Of parts that were made and removed again it is not said that they were dropped.
	moved, dropped := k.Totals()
	if dropped < 15*least || int64(len(got)) > int64(len(text))-dropped || moved == 0 {
		t.Errorf("counted %d moved, %d dropped", moved, dropped)
	}
}

// Off, and forgotten, a file is left as it is; a problem is said once.
func TestFilesThatAreLeftAlone(t *testing.T) {
	k := New(status.New())
	defer k.Close()
	dir := t.TempDir()
	text := lines(3 * least)
	var log said
	for _, name := range []string{"off", "target", "last"} {
		fill(t, filepath.Join(dir, name), text)
	}
	if err := os.Symlink("target", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	logger := zerolog.New(&log)
	k.Set("off", Limit{Path: filepath.Join(dir, "off"), Keep: 3}, logger)
	k.Set("link", Limit{Path: filepath.Join(dir, "link"), Max: least, Keep: 3}, logger)
	eventually(t, "what is wrong", func() bool { return strings.Contains(log.String(), "not a regular file") })
	k.Forget("link")
	k.Set("last", Limit{Path: filepath.Join(dir, "last"), Max: least, Keep: 3}, logger)
	eventually(t, "the last one rotated", func() bool { return strings.Contains(log.String(), "Rotated the output") })
	if read(filepath.Join(dir, "off")) != text || read(filepath.Join(dir, "target")) != text {
		t.Error("a file was changed")
	}
	if n := strings.Count(log.String(), "not a regular file"); n != 1 {
		t.Errorf("it is said %d times", n)
	}
}

func TestTheLoudest(t *testing.T) {
	n := writers{processes: map[process]*written{
		{1, 1}: {container: "box/a.0", pid: 1, bytes: 50}, {2, 1}: {container: "box/a.0", pid: 2, bytes: 60},
		{3, 1}: {container: "box/b.0", pid: 3, bytes: 100}, {4, 1}: {container: "box/c.0", pid: 4},
	}}
	if most, ok := n.busiest(); !ok || most.pid != 2 {
		t.Errorf("the busiest process of the busiest container is %+v", most)
	}
	n.clear()
	if most, ok := n.busiest(); ok {
		t.Errorf("nobody wrote, but %+v", most)
	}
}
