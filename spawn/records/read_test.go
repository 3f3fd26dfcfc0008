package records

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lithos/spawn/wire"
)

var at = time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)

func lineOf(t *testing.T, e event) string {
	t.Helper()
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + "\n"
}

func TestReadRecord(t *testing.T) {
	created := Created{Name: "web/app.0", Fingerprint: "f", Image: "/i", At: at, Restarts: 3, KillTimeout: 5.5}
	forked := Forked{PID: 77, StartTime: 12345, Degraded: []string{"no memory limit"}}
	first, second := wire.ProgramStarted{PID: 2, At: at}, wire.ProgramStarted{PID: 101, At: at.Add(time.Second)}
	tally := Tally{Tried: at, Fingerprint: "f", Starts: 5, Failed: 2, Row: 1, Chance: 0.25}
	exited := wire.ProgramExited{Code: 1, MaxRSS: 5, At: at}
	head := lineOf(t, event{Created: &created}) + lineOf(t, event{Forked: &forked})
	started := string(wire.AppendStarted(nil, &first))
	restarted := string(wire.AppendExited(nil, &exited)) + string(wire.AppendStarted(nil, &second))
	const crash = "fatal error: all goroutines are asleep\n\ngoroutine 1 [running]:\nmap[{\"a\":1}]\n"
	tests := []struct {
		name, text string
		want       Record
	}{
		{"empty", "", Record{}},
		{"the supervisor's lines", head, Record{Created: created, Forked: &forked}},
		{"restart-process-only", head + started + restarted, Record{Created: created, Forked: &forked, Started: &second, Exited: &exited, Again: true}},
		{"failed and killed", head + string(wire.AppendFailed(nil, "no \"/bin/x\"")) + string(wire.AppendKilling(nil)),
			Record{Created: created, Forked: &forked, Failed: `no "/bin/x"`, Killing: true}},
		{"told", head + restarted + notedLine(tally), Record{Created: created, Forked: &forked, Started: &second, Exited: &exited, Again: true, Noted: true, Tally: &tally}},
		{"told after half a line", head + started[:20] + notedLine(tally), Record{Created: created, Forked: &forked, Crash: started[:20], Noted: true, Tally: &tally}},
		{"told by a lithos without counts", head + "{\"noted\":true}\n", Record{Created: created, Forked: &forked, Noted: true}},
		{"a crash", head + crash, Record{Created: created, Forked: &forked,
			Crash: "fatal error: all goroutines are asleep\ngoroutine 1 [running]:\nmap[{\"a\":1}]"}},
		{"a half line at the end", head + started[:20], Record{Created: created, Forked: &forked, Crash: started[:20]}},
		{"a half line before another", head + started[:20] + restarted, Record{Created: created, Forked: &forked, Started: &second, Exited: &exited, Again: true, Crash: started[:20]}},
		{"crash text before a line", head + "panic: x" + started, Record{Created: created, Forked: &forked, Started: &first, Crash: "panic: x"}},
		{"not UTF-8", "\xff\x00\n", Record{Crash: "?\x00"}},
		{"an event of a later release", head + `{"paused":{"at":1}}` + "\n", Record{Created: created, Forked: &forked}},
		{"what the supervisor found out later", head + started + ReadyLine(at) + UnhealthyLine("no \"answer\""),
			Record{Created: created, Forked: &forked, Started: &first, Ready: at, Unhealthy: `no "answer"`}},
		{"why it was ended", head + started + EndingLine("replaced"), Record{Created: created, Forked: &forked, Started: &first, Ending: "replaced"}},
		{"more than is read", head + strings.Repeat(started, 2000) + restarted, Record{Created: created, Forked: &forked, Started: &second, Exited: &exited, Again: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "record")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := Read(path)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(*got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", *got, tt.want)
			}
		})
	}
}

func TestReadRecord_Errors(t *testing.T) {
	dir := t.TempDir()
	fifo, link := filepath.Join(dir, "fifo"), filepath.Join(dir, "link")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "none"), dir, fifo, link} {
		if r, err := Read(path); err == nil {
			t.Errorf("%s is read: %+v", path, r)
		}
	}
}

// A crash may put anything there, of any size.
func TestReadRecord_BoundedMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record")
	for name, text := range map[string]string{
		"one long line": strings.Repeat("x", 4<<20),
		"braces":        strings.Repeat(`{"`, 2<<20),
		"lines":         strings.Repeat("\n", 4<<20),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Read(path)
		if err != nil || len(r.Crash) > recordHead+recordTail {
			t.Errorf("%s: %d bytes of crash, %v", name, len(r.Crash), err)
		}
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add([]byte(fmt.Sprintf("%s%s", wire.AppendKilling(nil), wire.AppendFailed(nil, "x"))))
	f.Add([]byte(`{"created":{"name":"a/b.0","kill_timeout":5}}` + "\nx"))
	f.Add([]byte(`{"created":{"name":"a/b.0"{"killing":true}` + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		whole, end := parse(text, true), parse(text, false)
		whole.Created, end.Created = Created{}, Created{}
		if strings.Contains(whole.Crash, `{"created":{`) {
			return // something that is JSON, and no event
		}
		if !reflect.DeepEqual(whole, end) {
			t.Errorf("of the whole %+v, of the end %+v", whole, end)
		}
	})
}

func TestReadEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record")
	created := lineOfEvent(event{Created: &Created{Name: "web/app.0", Identity: &Identity{Workdir: "/"}, Tally: &Tally{Starts: 3}}})
	text := created + ForkedLine(Forked{PID: 7, StartTime: 99}) + string(wire.AppendStarted(nil, &wire.ProgramStarted{PID: 2, At: at}))
	// Half a line, of a disk that was full, hides nothing behind it.
	text += `{"created":{"name":"web/app.0",` + string(wire.AppendKilling(nil))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	whole, err := Read(path)
	if err != nil || whole.Created.Name != "web/app.0" || whole.Forked == nil || !whole.Killing {
		t.Fatalf("the record is %+v, %v", whole, err)
	}
	end, err := ReadEnd(path)
	whole.Created = Created{}
	if err != nil || !reflect.DeepEqual(end, whole) {
		t.Errorf("its end is %+v, want %+v, %v", end, whole, err)
	}
}

// The reader without package json agrees with that package.
func FuzzOwnLines(f *testing.F) {
	late := time.Date(2024, 2, 29, 23, 59, 59, 123456000, time.UTC)
	for _, line := range [][]byte{
		wire.AppendStarted(nil, &wire.ProgramStarted{PID: 2, At: late}),
		wire.AppendExited(nil, &wire.ProgramExited{Code: -1, Signal: 9, Asked: true, UserTime: 1, SysTime: 2, MaxRSS: 1 << 40, Uptime: time.Hour, At: late}),
		wire.AppendExited(nil, &wire.ProgramExited{Code: 255, At: at}),
		[]byte(ForkedLine(Forked{PID: 4194304, StartTime: 123456})),
	} {
		line = line[:len(line)-1]
		if _, ok := parseOwn(line); !ok {
			f.Errorf("%s is left to package json", line)
		}
		f.Add(line)
	}
	for _, line := range []string{
		`{"started":{"pid":02,"at":"2024-02-29T12:00:00Z"}}`, `{"started":{"pid":2,"at":"2024-02-30T12:00:00Z"}}`,
		`{"forked":{"pid":2,"start_time":-1}}`, `{"forked":{"pid":2,"start_time":18446744073709551615}}`,
		`{"started":{"pid":2,"at":null}}`, `{"started":{"pid":,"at":"2024-02-29T12:00:00Z"}}`, `{"started":{"pid":2,"at":"2024-02-29T12:00:00Z"}}x`,
		`{"started":{"pid":12345678901234567890,"at":"2024-02-29T12:00:00Z"}}`, `{"started":{"pid":2`, `{"exited":{"code":0,"signal":0,"asked":nope`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		own, ok := parseOwn(line)
		if !ok {
			return
		}
		var other event
		if err := json.Unmarshal(line, &other); err != nil || !reflect.DeepEqual(own, other) {
			t.Errorf("%s: %+v, by package json %+v, %v", line, own, other, err)
		}
	})
}

func BenchmarkReadRecordLines(b *testing.B) {
	text := wire.AppendExited(wire.AppendStarted(nil, &wire.ProgramStarted{PID: 2, At: at}), &wire.ProgramExited{Code: 1, MaxRSS: 5, At: at})
	for b.Loop() {
		parseRecord(text)
	}
}
