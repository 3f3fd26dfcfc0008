package main

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestAnswer(t *testing.T) {
	dir := t.TempDir()
	s := service{
		name: "demo/hello.1", greeting: "howdy",
		visits: filepath.Join(dir, "visits"), scratch: filepath.Join(dir, "scratch"),
	}
	if err := os.WriteFile(s.visits, []byte("41\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if got, want := w.Body.String(), "howdy from demo/hello.1: visit 42, 1 in this container\n"; got != want {
		t.Errorf("answer is %q, want %q", got, want)
	}
	w = httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("GET", "/favicon.ico", nil))
	if w.Code != 404 {
		t.Errorf("/favicon.ico gives %d, want 404", w.Code)
	}
}

func TestAnswerTellsWhatIsWrong(t *testing.T) {
	s := service{visits: filepath.Join(t.TempDir(), "missing", "visits")}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != 500 || !strings.Contains(w.Body.String(), "cannot count the visit") {
		t.Errorf("got %d %q, want 500 and the reason", w.Code, w.Body)
	}
}

// Instances are processes of their own: each call reopens the file, as
// they do, so that the lock is what keeps them apart.
func TestCountTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "visits")
	const visitors, each = 8, 50
	var wg sync.WaitGroup
	for range visitors {
		wg.Go(func() {
			for range each {
				if _, err := count(path); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n, err := count(path); err != nil || n != visitors*each+1 {
		t.Errorf("count is %d, %v, want %d", n, err, visitors*each+1)
	}
}

func TestCountRefusesOtherContent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "visits")
	if err := os.WriteFile(path, []byte("no number"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := count(path); err == nil || !strings.Contains(err.Error(), "holds no number") {
		t.Errorf("got %v, want an error that says what the file holds", err)
	}
}

func TestInheritedRefusesSeveralSockets(t *testing.T) {
	if _, err := inherited("2"); err == nil || !strings.Contains(err.Error(), "LISTEN_FDS") {
		t.Errorf("got %v, want an error that names LISTEN_FDS", err)
	}
}
