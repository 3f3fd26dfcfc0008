package records

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A clock that was set since the start, by a day in any direction, makes nothing
// older or younger.
//
// Covers: N3
func TestRecordTimesFollowTheClock(t *testing.T) {
	const day, age = 24 * time.Hour, time.Second // a machine may have been booted just now
	for _, jump := range []time.Duration{-day, 0, day} {
		line := fmt.Sprintf(`{"created":{"name":"a/b.0","at":%q,"boot_ns":%d}}`,
			time.Now().Add(jump-age).Format(time.RFC3339Nano), int64(sinceBoot()-age))
		line += "\n" + fmt.Sprintf(`{"noted":true,"tally":{"tried":%q,"boot_ns":%d,"starts":1}}`,
			time.Now().Add(jump-age).Format(time.RFC3339Nano), int64(sinceBoot()-age))
		r := readText(t, line)
		for what, at := range map[string]time.Time{"it was made": r.Created.At, "the last try was": r.Counts().Tried} {
			if got := time.Since(at); got < age || got > age+20*time.Second {
				t.Errorf("the clock was set by %s: %s %s ago, want %s", jump, what, got, age)
			}
		}
	}
	// One without, and one that can't be: as it stands there.
	at := time.Now().Add(-day).Round(0)
	for _, more := range []string{"", `,"boot_ns":0`, `,"boot_ns":9223372036854775807`} {
		line := fmt.Sprintf(`{"created":{"name":"a/b.0","at":%q%s}}`, at.Format(time.RFC3339Nano), more)
		if got := readText(t, line).Created.At; !got.Equal(at) {
			t.Errorf("with %q: %s, want %s", more, got, at)
		}
	}
}

// Which of two lines is the later one is told by their order.
func TestARecordIsInOrderWhateverTheClockSays(t *testing.T) {
	const started, exited = `{"started":{"pid":2,"at":"2026-01-02T00:00:00Z"}}`, `{"exited":{"code":3,"at":"2026-01-01T00:00:00Z"}}`
	if r := readText(t, started+"\n"+exited); r.Again || r.Exited == nil {
		t.Errorf("ended: %+v", r)
	}
	if r := readText(t, started+"\n"+exited+"\n"+started); !r.Again {
		t.Errorf("started again: %+v", r)
	}
}

func readText(t *testing.T, text string) *Record {
	t.Helper()
	path := filepath.Join(t.TempDir(), "record")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
