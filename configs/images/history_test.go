package images

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 22, 5, 0, 0, 0, time.UTC)

// ago is a time so many days ago.
func ago(days float64) time.Time { return now.Add(-time.Duration(days * 24 * float64(time.Hour))) }

// logLine is a line of a config log: an entry for each image.
func logLine(at time.Time, images ...string) string {
	var entries []string
	for i, name := range images {
		entries = append(entries, fmt.Sprintf(`"p%d":{"instances":1,"image":%q,"config":"/c","kind":"Daemon"}`, i, name))
	}
	return at.Format(time.RFC3339) + " {" + strings.Join(entries, ",") + "}\n"
}

// since makes the rule of --history-days.
func since(days float64, least, most int) Rules {
	return Rules{Since: ago(days), Min: least, Max: most}
}

// Covers: S2
func TestKeepRulesSelectVersions(t *testing.T) {
	const def = 1000
	five := logLine(ago(50), "a") + logLine(ago(40), "b") + logLine(ago(30), "c") + logLine(ago(20), "d") + logLine(ago(10), "e")
	for _, test := range []struct {
		name  string
		log   string
		rules Rules
		want  string // images kept, oldest version first
	}{
		{"S2 without rules all versions", five, Rules{Max: def}, "a b c d e"},
		{"S2 vmax", five, Rules{Max: 2}, "d e"},
		{"S2 vmax 0", five, Rules{Max: 0}, ""},
		{"S2 vmin without days changes nothing", five, Rules{Min: 1, Max: def}, "a b c d e"},
		{"S2 days: what was in use within them", five, since(25, 0, def), "c d e"},
		{"S2 days: an image is used until it is replaced", five, since(15, 0, def), "d e"},
		{"S2 days: the latest is used now", five, since(1, 0, def), "e"},
		{"S2 days 0", five, since(0, 0, def), "e"},
		{"S2 days: before all", five, since(60, 0, def), "a b c d e"},
		{"S2 days: the very second of the replacement", five, since(20, 0, def), "d e"},
		{"S2 vmin keeps older ones", five, since(1, 3, def), "c d e"},
		{"S2 vmin and days: what is more counts", five, since(35, 2, def), "b c d e"},
		{"S2 vmax wins over days", five, since(45, 0, 2), "d e"},
		{"S2 vmax wins over vmin", five, since(1, 4, 2), "d e"},
		{"S2 vmin more than there are", five, since(1, 99, def), "a b c d e"},
		{"S2 the same images are one version",
			logLine(ago(5), "a") + logLine(ago(4), "b") + logLine(ago(3), "b") + logLine(ago(2), "b", "b"), Rules{Max: 2}, "a b"},
		{"S2 the order of processes is no version",
			logLine(ago(5), "x") + logLine(ago(4), "a", "b") + logLine(ago(3), "b", "a"), Rules{Max: 2}, "x a b"},
		{"S2 back again is a version of its own",
			logLine(ago(5), "a") + logLine(ago(4), "b") + logLine(ago(3), "a"), Rules{Max: 2}, "b a"},
		{"S2 no processes is no version",
			logLine(ago(5), "a") + logLine(ago(4)) + logLine(ago(3), "b"), Rules{Max: 2}, "a b"},
		{"S2 no processes ends the use",
			logLine(ago(50), "a") + logLine(ago(40)) + logLine(ago(3), "b"), since(30, 0, def), "b"},
		{"S2 no processes in between is no other version",
			logLine(ago(50), "x") + logLine(ago(40), "a") + logLine(ago(30)) + logLine(ago(20), "a"), Rules{Max: 2}, "x a"},
		{"S2 a clock set back makes nothing older",
			logLine(ago(5), "a") + logLine(ago(9000), "b") + logLine(ago(1), "c"), since(7, 0, def), "a b c"},
		{"S2 a clock set ahead",
			logLine(ago(-900), "a") + logLine(ago(3), "b") + logLine(ago(1), "c"), since(2, 0, def), "a b c"},
		{"S2 blank lines", "\n" + logLine(ago(5), "a") + "  \n\n" + logLine(ago(4), "b"), Rules{Max: def}, "a b"},
		{"S2 the last line without its end", strings.TrimSuffix(five, "\n"), Rules{Max: 1}, "e"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := writeLogs(t, test.log)
			log, err := ReadLog(dir, "web", test.rules)
			if err != nil {
				t.Fatal(err)
			}
			if got := kept(t, log); got != test.want {
				t.Errorf("kept %q, want %q", got, test.want)
			}
		})
	}
}

// writeLogs writes web.log, web.log.1 …
func writeLogs(t *testing.T, texts ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i, text := range texts {
		if text != "" {
			writeLog(t, dir, i, text)
		}
	}
	return dir
}

func writeLog(t *testing.T, dir string, number int, text string) {
	t.Helper()
	name := "web.log"
	if number > 0 {
		name = fmt.Sprintf("web.log.%d", number)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func kept(t *testing.T, log *Log) string {
	t.Helper()
	var names []string
	for _, v := range log.Kept {
		if v.Broken != "" {
			names = append(names, "BROKEN")
		}
		names = append(names, v.Images...)
	}
	return strings.Join(names, " ")
}

func unneeded(log *Log) string {
	var names []string
	for _, f := range log.Unneeded {
		names = append(names, filepath.Base(f.Path))
	}
	return strings.Join(names, " ")
}

// Covers: P7, S2, S6
func TestRotatedLogsAreRead(t *testing.T) {
	oldest := logLine(ago(50), "a") + logLine(ago(40), "b")
	middle := logLine(ago(30), "c") + logLine(ago(20), "d")
	newest := logLine(ago(10), "e")
	for _, test := range []struct {
		name     string
		logs     []string
		rules    Rules
		want     string
		unneeded string
	}{
		{"P7 the older file has the older versions", []string{newest, middle, oldest}, Rules{Max: 1000}, "a b c d e", ""},
		{"S2 vmax counts the latest", []string{newest, middle, oldest}, Rules{Max: 2}, "d e", "web.log.2"},
		{"S2 days reach into older files", []string{newest, middle, oldest}, since(35, 0, 1000), "b c d e", ""},
		{"S6 a file that is older than all that is kept", []string{newest, middle, oldest}, since(15, 0, 1000), "d e", "web.log.2"},
		{"S6 it takes one version too many to know", []string{newest, middle, oldest}, Rules{Max: 3}, "c d e", ""},
		{"S6 the current file is always needed", []string{middle + newest, oldest}, Rules{Max: 1}, "e", "web.log.1"},
		{"P7 a gap, as while it is rotated", []string{"", middle, "", oldest}, Rules{Max: 1000}, "a b c d", ""},
		{"P7 a version that goes on in the next file", []string{logLine(ago(5), "d"), middle}, since(15, 0, 1000), "d", ""},
		{"P7 only rotated files", []string{"", newest}, Rules{Max: 1000}, "e", ""},
		{"P7 an empty current file", []string{"\n", newest}, Rules{Max: 1000}, "e", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			log, err := ReadLog(writeLogs(t, test.logs...), "web", test.rules)
			if err != nil {
				t.Fatal(err)
			}
			if got := kept(t, log); got != test.want {
				t.Errorf("kept %q, want %q", got, test.want)
			}
			if got := unneeded(log); got != test.unneeded {
				t.Errorf("unneeded %q, want %q", got, test.unneeded)
			}
		})
	}
}

// Covers: P7
func TestHundredthLogIsRead(t *testing.T) {
	dir := writeLogs(t, logLine(ago(1), "b"))
	writeLog(t, dir, 100, logLine(ago(9), "a"))
	writeLog(t, dir, 101, logLine(ago(10), "never"))
	log, err := ReadLog(dir, "web", Rules{Max: 1000})
	if err != nil || kept(t, log) != "a b" {
		t.Errorf("%v, %+v", err, log)
	}
}

// The daemon may rotate the log between two of our reads: what was
// SANDBOX.log is met again as SANDBOX.log.1, and must not count twice.
//
// Covers: P7, S2
func TestLogWithTwoNamesIsReadOnce(t *testing.T) {
	dir := writeLogs(t, logLine(ago(5), "b")+logLine(ago(4), "c"))
	if err := os.Link(filepath.Join(dir, "web.log"), filepath.Join(dir, "web.log.1")); err != nil {
		t.Fatal(err)
	}
	writeLog(t, dir, 2, logLine(ago(9), "a"))
	log, err := ReadLog(dir, "web", Rules{Max: 3})
	if err != nil || kept(t, log) != "a b c" {
		t.Errorf("%v, kept %q", err, kept(t, log))
	}
}

// Covers: S4
func TestBrokenLinesAreErrors(t *testing.T) {
	junk := "junk\n"
	for _, test := range []struct {
		name  string
		logs  []string
		rules Rules
		want  string
	}{
		{"S4 a broken line among what is kept", []string{logLine(ago(9), "a") + junk + logLine(ago(5), "b")}, Rules{Max: 1000}, "a BROKEN b"},
		{"S4 the latest line", []string{logLine(ago(9), "a") + junk}, since(1, 0, 1000), "a BROKEN"},
		{"S4 used until the next good line", []string{logLine(ago(9), "a") + junk + logLine(ago(5), "b")}, since(7, 0, 1000), "a BROKEN b"},
		{"S4 one that is too old for the rules", []string{junk + logLine(ago(9), "a") + logLine(ago(5), "b")}, since(7, 0, 1000), "a b"},
		{"S4 one beyond vmax", []string{junk + logLine(ago(9), "a") + logLine(ago(5), "b")}, Rules{Max: 2}, "a b"},
		{"S4 one within vmin", []string{junk + logLine(ago(9), "a") + logLine(ago(5), "b")}, since(1, 3, 1000), "BROKEN a b"},
		{"S4 in an older file", []string{logLine(ago(5), "b"), junk + logLine(ago(9), "a")}, Rules{Max: 1000}, "BROKEN a b"},
		{"S4 in a file that is not needed", []string{logLine(ago(9), "a") + logLine(ago(5), "b"), junk}, Rules{Max: 1}, "b"},
		{"S4 many of them are one", []string{strings.Repeat(junk, 100_000)}, Rules{Max: 1000}, "BROKEN"},
		{"S4 it is not the same as no processes", []string{logLine(ago(9)) + junk}, Rules{Max: 1000}, "BROKEN"},
	} {
		t.Run(test.name, func(t *testing.T) {
			log, err := ReadLog(writeLogs(t, test.logs...), "web", test.rules)
			if err != nil {
				t.Fatal(err)
			}
			if got := kept(t, log); got != test.want {
				t.Errorf("kept %q, want %q", got, test.want)
			}
		})
	}
	log, err := ReadLog(writeLogs(t, logLine(ago(9), "a")+"\n"+junk), "web", Rules{Max: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(log.Kept, func(v Version) bool { return v.Broken != "" }); i < 0 || !strings.Contains(log.Kept[i].Broken, "web.log:3: ") {
		t.Errorf("the place of the line is missing: %+v", log.Kept)
	}
}

// Covers: S3, S4
func TestUnreadableLogsAreErrors(t *testing.T) {
	for name, make := range map[string]func(t *testing.T, dir string){
		"S3 no log":       func(*testing.T, string) {},
		"S3 an empty log": func(t *testing.T, dir string) { writeLog(t, dir, 0, "\n\n") },
		"S4 a directory":  func(t *testing.T, dir string) { mkdir(t, filepath.Join(dir, "web.log")) },
		"S4 an old one is a directory": func(t *testing.T, dir string) {
			writeLog(t, dir, 0, logLine(ago(1), "a"))
			mkdir(t, filepath.Join(dir, "web.log.1"))
		},
		"S4 a line without end": func(t *testing.T, dir string) {
			writeLog(t, dir, 0, logLine(ago(1), "a"))
			if err := os.Truncate(filepath.Join(dir, "web.log"), maxLine+1000); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			make(t, dir)
			if log, err := ReadLog(dir, "web", Rules{Max: 1000}); err == nil {
				t.Errorf("no error, kept %q", kept(t, log))
			}
		})
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
}
