package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lithos/sysx/rotate"
)

const (
	startLine = `2026-01-31T12:00:00Z: ----- Starting "web/app.0": "/bin/app" "a \"b\" -----" -----`
	deathLine = `2026-01-31T12:00:05Z: ----- Process "web/app.0" exited with code 1, uptime 5s -----`
)

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		startLine:                             "start web/app.0 12:00:00",
		deathLine:                             "death web/app.0 12:00:05",
		"no newline" + deathLine:              "output - -, death web/app.0 12:00:05",
		"2026-01-31T13:00:00.5+01:00 a":       "output - 12:00:00.5",
		"[2026-01-31 12:00:01,25Z] a":         "output - 12:00:01.25",
		"2026-01-31 12:00:01 a":               "output - -", // of which zone?
		"2026-13-31T12:00:01Z a":              "output - -",
		"":                                    "output - -",
		"2026-01-31T12:00:07Z: ----- x -----": "mark - 12:00:07",
	} {
		var got []string
		for _, l := range parse("web", []byte(text)) {
			name, at := "-", "-"
			if l.Container != "" {
				name = l.Container
			}
			if !l.Time.IsZero() {
				at = l.Time.UTC().Format("15:04:05.999")
			}
			got = append(got, l.Kind+" "+name+" "+at)
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// logs is a directory with logs.
type logs struct {
	t   *testing.T
	dir string
}

func newLogs(t *testing.T) *logs { return &logs{t, t.TempDir()} }

func (l *logs) path(sandbox string) string { return filepath.Join(l.dir, sandbox+".log") }

func (l *logs) write(sandbox, text string) {
	l.t.Helper()
	f, err := os.OpenFile(l.path(sandbox), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

// rotate moves all but a rest to parts of so many bytes.
func (l *logs) rotate(sandbox string, most int64, keep int) {
	l.t.Helper()
	f, err := rotate.Open(l.path(sandbox), keep)
	if err == nil {
		_, _, err = f.Rotate(most, keep)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *logs) open(o options) *reader {
	l.t.Helper()
	r := &reader{dir: l.dir, o: &o}
	if err := r.choose(); err != nil {
		l.t.Fatal(err)
	}
	return r
}

// read is the texts that there are to read.
func (l *logs) read(r *reader) (texts []string) {
	l.t.Helper()
	if err := r.each(func(l line) error { texts = append(texts, l.Text); return nil }); err != nil {
		l.t.Fatal(err)
	}
	return texts
}

func numbered(from, to int) (lines []string) {
	for i := from; i < to; i++ {
		lines = append(lines, fmt.Sprintf("line %d %s", i, strings.Repeat("x", i%200)))
	}
	return lines
}

func text(lines []string) string { return strings.Join(lines, "\n") + "\n" }

func TestTheLastLines(t *testing.T) {
	all := numbered(0, 8000) // some chunks
	for _, n := range []int{-1, 0, 1, 2, 100, 3000, 7999, 8000, 9000} {
		l := newLogs(t)
		l.write("web", text(all))
		want := all[len(all)-min(len(all), max(n, 0)):]
		if n < 0 {
			want = all
		}
		if got := l.read(l.open(options{lines: n})); !slices.Equal(got, want) {
			t.Errorf("%d lines: got %d, want %d", n, len(got), len(want))
		}
	}
}

func TestALineWithoutAnEndIsOneUnlessItIsFollowed(t *testing.T) {
	l := newLogs(t)
	l.write("web", "a\nb")
	if got := l.read(l.open(options{lines: 1})); !slices.Equal(got, []string{"b"}) {
		t.Errorf("got %q", got)
	}
	r := l.open(options{lines: -1, follow: true})
	if got := l.read(r); !slices.Equal(got, []string{"a"}) {
		t.Errorf("followed: %q", got)
	}
	l.write("web", "c\n")
	if got := l.read(r); !slices.Equal(got, []string{"bc"}) {
		t.Errorf("followed: %q", got)
	}
}

func TestRotationLosesAndRepeatsNothing(t *testing.T) {
	l := newLogs(t)
	all := numbered(0, 9000)
	l.write("web", text(all[:3000]))
	r := l.open(options{lines: -1, follow: true})
	got := l.read(r)
	for from := 3000; from < 9000; from += 1000 {
		l.write("web", text(all[from:from+1000]))
		l.rotate("web", 64<<10, 30)
		got = append(got, l.read(r)...)
	}
	if !slices.Equal(got, all) {
		t.Errorf("followed are %d lines, written were %d", len(got), len(all))
	}
	if got := l.read(l.open(options{lines: -1})); !slices.Equal(got, all) {
		t.Errorf("read are %d lines, written were %d", len(got), len(all))
	}
	if got := l.read(l.open(options{lines: 5000})); !slices.Equal(got, all[4000:]) {
		t.Errorf("of the last 5000 lines %d are read", len(got))
	}
}

// Lines older than the oldest part are gone.
func TestTheOldestPartsAreGone(t *testing.T) {
	l := newLogs(t)
	all := numbered(0, 9000)
	for from := 0; from < 9000; from += 1000 {
		l.write("web", text(all[from:from+1000]))
		l.rotate("web", 64<<10, 2)
	}
	got := l.read(l.open(options{lines: -1}))
	if len(got) < 100 || len(got) > 8000 || !slices.Equal(got, all[len(all)-len(got):]) {
		t.Errorf("read are %d lines, not the last ones", len(got))
	}
}

func TestAFileThatIsEmptiedIsReadAnew(t *testing.T) {
	l := newLogs(t)
	l.write("web", "before, and long\n")
	r := l.open(options{lines: -1, follow: true})
	l.read(r)
	if err := os.Truncate(l.path("web"), 0); err != nil {
		t.Fatal(err)
	}
	l.write("web", "after\n")
	if got := l.read(r); !slices.Equal(got, []string{"after"}) {
		t.Errorf("got %q", got)
	}
}

func at(clock string) time.Time {
	t, err := time.Parse(time.RFC3339, "2026-01-31T"+clock+"Z")
	if err != nil {
		panic(err)
	}
	return t
}

func TestSinceAndUntil(t *testing.T) {
	lines := []string{"a", "2026-01-31T12:00:00Z b", "c", "2026-01-31T12:10:00Z d", "e", "2026-01-31T12:20:00Z f", "g"}
	for _, tt := range []struct{ since, until, want string }{
		{"12:00:00", "12:30:00", "a b c d e f g"},
		{"12:00:01", "12:30:00", "c d e f g"}, // c may be of any time up to 12:10
		{"12:10:00", "12:30:00", "c d e f g"},
		{"12:15:00", "12:30:00", "e f g"},
		{"12:25:00", "12:30:00", "g"},
		{"11:00:00", "12:10:00", "a b c d e"},
		{"11:00:00", "11:30:00", "a"},
	} {
		l := newLogs(t)
		l.write("web", text(lines))
		got := l.read(l.open(options{lines: -1, since: at(tt.since), until: at(tt.until)}))
		for i := range got {
			got[i] = got[i][len(got[i])-1:]
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("since %s until %s: %q, want %q", tt.since, tt.until, got, tt.want)
		}
	}
}

func TestSandboxesAreMergedByTime(t *testing.T) {
	l := newLogs(t)
	l.write("a", "2026-01-31T12:00:00Z 1\nof 1\n2026-01-31T12:00:03Z 4\n")
	l.write("b", "2026-01-31T12:00:01Z 2\n2026-01-31T12:00:02Z 3\n2026-01-31T12:00:04Z 5\n")
	var got []string
	for _, s := range l.read(l.open(options{lines: -1})) {
		got = append(got, s[len(s)-1:])
	}
	if strings.Join(got, "") != "112345" {
		t.Errorf("got %q", got)
	}
}

func TestNamesChoose(t *testing.T) {
	l := newLogs(t)
	other := strings.ReplaceAll(deathLine, "app.0", "app.b.0")
	l.write("web", text([]string{startLine, "out", other}))
	l.write("db", "of db\n")
	l.write("db.log.1", "no log of a sandbox")
	for name, want := range map[string]int{"web": 3, "web/app": 2, "web/app.0": 2, "web/app.b": 2, "web/app.b.0": 2, "web/app.1": 1, "db": 1} {
		if got := l.read(l.open(options{lines: -1, names: []string{name}})); len(got) != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	r := &reader{dir: l.dir, o: &options{names: []string{"wbe"}}}
	if err := r.choose(); err == nil || !strings.Contains(err.Error(), `there is no log of "wbe"`) || !strings.Contains(err.Error(), "db, ") {
		t.Errorf("the error is %v", err)
	}
}

func TestANewSandboxIsFollowed(t *testing.T) {
	l := newLogs(t)
	l.write("a", "1\n")
	r := l.open(options{lines: -1, follow: true})
	l.read(r)
	l.write("b", "2\n")
	r.discover()
	if got := l.read(r); !slices.Equal(got, []string{"2"}) {
		t.Errorf("got %q", got)
	}
}

func TestPrint(t *testing.T) {
	deaths := &causes{read: func(name string) ([]deathAt, error) {
		if name != "web/app.0" {
			return nil, os.ErrPermission
		}
		return []deathAt{{at("12:00:05").Add(300 * time.Millisecond), "oom"}, {at("11:00:00"), "itself"}}, nil
	}}
	for _, tt := range []struct {
		p          printer
		line, want string
	}{
		{printer{}, "plain\x1b[2J", "plain\x1b[2J"},
		{printer{escape: true}, "a\tü\x1b[2J\xff", "a\tü\\x1b[2J\\xff"},
		{printer{label: true}, "plain", "web | plain"},
		{printer{}, deathLine, deathLine + " cause: oom"},
		{printer{color: true}, deathLine, "\x1b[1;31m" + deathLine + " cause: oom\x1b[0m"},
		{printer{}, strings.Replace(deathLine, "app.0", "app.1", 1), strings.Replace(deathLine, "app.0", "app.1", 1)},
		{printer{json: true}, "a <b>\xff", `{"sandbox":"web","kind":"output","text":"a <b>` + "\uFFFD" + `"}`},
		{printer{json: true}, "2026-01-31T12:00:00Z a", `{"sandbox":"web","kind":"output","time":"2026-01-31T12:00:00Z","text":"2026-01-31T12:00:00Z a"}`},
	} {
		var out bytes.Buffer
		tt.p.out, tt.p.causes = &out, deaths
		for _, l := range parse("web", []byte(tt.line)) {
			if err := tt.p.print(l); err != nil {
				t.Fatal(err)
			}
		}
		if got := strings.TrimSuffix(out.String(), "\n"); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.line, got, tt.want)
		}
	}
}

func TestOptions(t *testing.T) {
	now := at("12:00:00")
	parse := func(args ...string) (*options, int) {
		o, code, _ := parseOptions(args, now, io.Discard, io.Discard)
		return o, code
	}
	for _, args := range []string{"-n x", "-n -1", "--since yesterday", "--since -5m", "-f --until 5m", "--color --no-color", "--since 1m --until 2m"} {
		if _, code := parse(strings.Split(args, " ")...); code != exitUsage {
			t.Errorf("%s: exit code %d", args, code)
		}
	}
	for text, want := range map[string]time.Time{
		"10m": at("11:50:00"), "1h30m": at("10:30:00"), "1d": now.Add(-24 * time.Hour), "2026-01-31T11:00:00Z": at("11:00:00"),
		"2026-01-31 11:00": at("11:00:00"), "11:00": at("11:00:00"), "2026-01-31": at("00:00:00"),
	} {
		if o, code := parse("--since", text); code != 0 || !o.since.Equal(want) {
			t.Errorf("--since %s: %s, exit code %d", text, o.since, code)
		}
	}
	for args, want := range map[string]int{"": -1, "-f": 10, "-f --since 1m": -1, "-n 5": 5, "--tail all -f": -1, "-fn 3": 3} {
		if o, code := parse(strings.Fields(args)...); code != 0 || o.lines != want {
			t.Errorf("%q: %d lines, exit code %d", args, o.lines, code)
		}
	}
}
