package records

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A new report of an end replaces the old one: a taken port is retried for days.
//
// Covers: N3
func TestNoteEndIsReadBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record")
	if err := NoteEnd(path, Tally{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a record: %v", err)
	}
	created := lineOf(t, event{Created: &Created{Name: "web/app.0", Restarts: 2}})
	size := func() int64 {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	for _, before := range []string{
		created, created + `{"noted":true}` + "\n", created + notedLine(Tally{Starts: 1})[:40],
		created + `{"noted":true,"tally":{}}` + strings.Repeat(" ", 300) + "\n",
	} {
		if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		var first int64
		for n := range 50 {
			want := Tally{Tried: at.Add(time.Duration(n) * time.Hour), Fingerprint: "f", Starts: 1 << n, Failed: n, Row: n, Chance: 1 / float64(n+1)}
			if err := NoteEnd(path, want); err != nil {
				t.Fatal(err)
			}
			want.Boot = bootTime(want.Tried)
			got, err := Read(path)
			if err == nil && want.Boot != 0 {
				got.Tally.Boot = want.Boot // as exact as two looks at two clocks
			}
			if err != nil || !got.Noted || got.Counts() != want || got.Created.Name != "web/app.0" {
				t.Fatalf("after %d: %+v, %v", n, got, err)
			}
			if n == 0 {
				first = size()
			}
		}
		if now := size(); now != first || first > int64(len(before))+tallyWidth {
			t.Errorf("after %q it had %d bytes, now %d", before, first, now)
		}
	}
}

// The counts are those of the start until an end is told, and a lithos that kept
// none knew how many starts there were.
//
// Covers: N3
func TestRecordHoldsItsCounts(t *testing.T) {
	for _, tt := range []struct {
		record Record
		want   Tally
	}{
		{Record{Created: Created{Restarts: 2}}, Tally{Starts: 3}},
		{Record{Created: Created{Restarts: 2, Tally: &Tally{Starts: 3, Row: 2}}}, Tally{Starts: 3, Row: 2}},
		{Record{Created: Created{Restarts: 2, Tally: &Tally{Starts: 3, Row: 2}}, Tally: &Tally{Starts: 3, Row: 3}}, Tally{Starts: 3, Row: 3}},
	} {
		if got := tt.record.Counts(); got != tt.want {
			t.Errorf("%+v, want %+v", got, tt.want)
		}
	}
}

// A lithos that knows no tally takes the line for what it was: one event that is
// set, and nothing but a field that it passes over.
//
// Covers: N3
func TestNoteIsReadByThePreviousRelease(t *testing.T) {
	var old struct {
		Noted bool `json:"noted"`
	}
	line := notedLine(Tally{Tried: at, Fingerprint: strings.Repeat("f", 64), Starts: 1 << 30, Failed: 1 << 30, Row: 1 << 30, Chance: 1.0 / 3, NotForked: true})
	if err := json.Unmarshal([]byte(line), &old); err != nil || !old.Noted {
		t.Errorf("%q: %v", line, err)
	}
	if len(line) != tallyWidth {
		t.Errorf("the longest line has %d bytes", len(line))
	}
}
