package images

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Covers: P7, S4
func TestParseConfigLogLine(t *testing.T) {
	const stamp = "2026-11-22T05:00:00Z "
	for _, test := range []struct {
		name, line string
		want       string // images, blanks between
		wrong      string // in the error
	}{
		{name: "one process", line: stamp + `{"app":{"instances":1,"image":"v1","config":"/c","kind":"Daemon"}}`, want: "v1"},
		{name: "sorted, each once", line: stamp + `{"b":{"image":"x/2"},"a":{"image":"x/1"},"c":{"image":"x/2"}}`, want: "x/1 x/2"},
		{name: "fractions and a zone", line: `2026-11-22T05:00:00.123+02:00 {"a":{"image":"v"}}`, want: "v"},
		{name: "no process", line: stamp + `{}`},
		{name: "a carriage return", line: stamp + "{\"a\":{\"image\":\"v\"}}\r", want: "v"},
		{name: "no time", line: `{"app":{"image":"v1"}}`, wrong: "is not a time"},
		{name: "a bad time", line: `yesterday {"app":{"image":"v1"}}`, wrong: "does not begin with a time"},
		{name: "only a time", line: "2026-11-22T05:00:00Z", wrong: "is not a time and"},
		{name: "half a line", line: stamp + `{"app":{"image":"v1`, wrong: "no process config"},
		{name: "two lines in one", line: stamp + `{"a":{"ima` + stamp + `{"a":{"image":"v1"}}`, wrong: "no process config"},
		{name: "a line after a line", line: stamp + `{"a":{"image":"v0"}} ` + stamp + `{"a":{"image":"v1"}}`, wrong: "no process config"},
		{name: "null", line: stamp + `null`, wrong: "no process config"},
		{name: "a list", line: stamp + `[]`, wrong: "no process config"},
		{name: "no image", line: stamp + `{"a":{"config":"/c"}}`, wrong: `no image for the process "a"`},
		{name: "a null process", line: stamp + `{"a":null}`, wrong: `no image for the process "a"`},
		{name: "a number as image", line: stamp + `{"a":{"image":7}}`, wrong: "no process config"},
		{name: "an absolute image", line: stamp + `{"a":{"image":"/etc"}}`, wrong: "not a plain path"},
		{name: "out of the image-dir", line: stamp + `{"a":{"image":"../x"}}`, wrong: "not a plain path"},
		{name: "out of it later", line: stamp + `{"a":{"image":"a/../../x"}}`, wrong: "not a plain path"},
		{name: "the image-dir itself", line: stamp + `{"a":{"image":"."}}`, wrong: "not a plain path"},
		{name: "an empty image", line: stamp + `{"a":{"image":""}}`, wrong: "not a plain path"},
		{name: "a NUL", line: stamp + "{\"a\":{\"image\":\"a\\u0000\"}}", wrong: "control characters"},
		{name: "no UTF-8", line: stamp + "{\"a\":{\"image\":\"a\xff\"}}", wrong: "not UTF-8"},
	} {
		t.Run("P7 S4 "+test.name, func(t *testing.T) {
			_, images, err := ParseLine([]byte(test.line))
			if test.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), test.wrong) {
					t.Fatalf("got %q, %v; want an error with %q", images, err, test.wrong)
				}
				return
			}
			if err != nil || strings.Join(images, " ") != test.want {
				t.Fatalf("got %q, %v; want %q", images, err, test.want)
			}
		})
	}
}

// Covers: C17, S4
func TestParseUsedImagesLine(t *testing.T) {
	for _, test := range []struct {
		name, line string
		levels     int
		want       string
		wrong      string
	}{
		{name: "an image", line: "v1", levels: 1, want: "v1"},
		{name: "two levels", line: "web/v1", levels: 2, want: "web/v1"},
		{name: "blanks around", line: " \tv1 \r", levels: 1, want: "v1"},
		{name: "blanks inside", line: "v 1", levels: 1, want: "v 1"},
		{name: "empty", line: "  ", levels: 1},
		{name: "too shallow", line: "web", levels: 2, wrong: "1 path components"},
		{name: "too deep", line: "web/v1", levels: 1, wrong: "2 path components"},
		{name: "dot-dot", line: "../v1", levels: 2, wrong: "not a plain path"},
		{name: "only dots", line: "..", levels: 1, wrong: "not a plain path"},
		{name: "absolute", line: "/v1", levels: 1, wrong: "not a plain path"},
		{name: "a trailing slash", line: "v1/", levels: 1, wrong: "not a plain path"},
		{name: "no UTF-8", line: "v\xff", levels: 1, wrong: "not UTF-8"},
		{name: "a control character", line: "v\x01", levels: 1, wrong: "control characters"},
	} {
		t.Run("C17 S4 "+test.name, func(t *testing.T) {
			got, err := ParseListLine([]byte(test.line), test.levels)
			if (err != nil) != (test.wrong != "") || err != nil && !strings.Contains(err.Error(), test.wrong) || got != test.want {
				t.Errorf("got %q, %v; want %q, %q", got, err, test.want, test.wrong)
			}
		})
	}
}

// Covers: C17, S3, S4
func TestUsedImagesList(t *testing.T) {
	dir := t.TempDir()
	write := func(text string) string {
		file := filepath.Join(dir, "list")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	got, err := ReadList(write("v1\n\n  v2\nv3"), 1)
	if err != nil || !slices.Equal(got, []string{"v1", "v2", "v3"}) {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := ReadList(write(""), 1); err != nil || len(got) > 0 {
		t.Errorf("an empty list: %q, %v", got, err)
	}
	if _, err := ReadList(write("v1\nv2/x\nv3\n"), 1); err == nil || !strings.Contains(err.Error(), "list:2:") {
		t.Errorf("a broken line: %v", err)
	}
	if _, err := ReadList(filepath.Join(dir, "missing"), 1); err == nil {
		t.Error("a missing list is taken as an empty one")
	}
	if _, err := ReadList(dir, 1); err == nil {
		t.Error("a directory is taken as a list")
	}
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadList(fifo, 1); err == nil {
		t.Error("a FIFO is taken as a list")
	}
}

// An accepted name stays below the image-dir, and all images that a JSON reader
// finds in the line are kept.
func FuzzP7_ParseLine(f *testing.F) {
	for _, s := range []string{
		`2026-11-22T05:00:00Z {"app":{"instances":1,"image":"v1","config":"/c","kind":"Daemon"}}`,
		`2026-11-22T05:00:00+01:00 {"a":{"image":"a/b"},"b":{"image":"a/c"}}`,
		`2026-11-22T05:00:00Z {"a":{"image":"../x"}}`, `x {}`, ` `, "\xff \xff", `2026-11-22T05:00:00Z {"a":{"IMAGE":"v"}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		_, images, err := ParseLine(line)
		if err != nil {
			return
		}
		for _, name := range images {
			if !filepath.IsLocal(name) || filepath.Clean(name) != name || name == "." {
				t.Errorf("accepted the image %q", name)
			}
		}
		if !slices.IsSorted(images) || len(slices.Compact(slices.Clone(images))) != len(images) {
			t.Errorf("%q is not sorted", images)
		}
		var all map[string]struct{ Image string }
		_, text, _ := strings.Cut(string(line), " ")
		if err := json.Unmarshal([]byte(text), &all); err != nil {
			t.Fatalf("accepted what is no JSON: %v", err)
		}
		for _, p := range all {
			if !slices.Contains(images, p.Image) {
				t.Errorf("%q is not in %q", p.Image, images)
			}
		}
		// It can be written and read again.
		again := make(map[string]map[string]string)
		for _, name := range images {
			again[name] = map[string]string{"image": name}
		}
		js, err := json.Marshal(again)
		if err != nil {
			t.Fatal(err)
		}
		_, twice, err := ParseLine(append([]byte(time.Unix(0, 0).UTC().Format(time.RFC3339)+" "), js...))
		if err != nil || !slices.Equal(images, twice) {
			t.Errorf("%q became %q, %v", images, twice, err)
		}
	})
}

func FuzzC17_ParseListLine(f *testing.F) {
	for _, s := range []string{"v1", " a/b ", "../x", "/x", "a//b", ".", "..", "\xff", "a/..", "a\x00b"} {
		f.Add([]byte(s), 1)
		f.Add([]byte(s), 2)
	}
	f.Fuzz(func(t *testing.T, line []byte, levels int) {
		if levels < 1 || levels > 16 {
			return
		}
		name, err := ParseListLine(line, levels)
		if err != nil || name == "" {
			if name != "" {
				t.Errorf("%q beside an error", name)
			}
			return
		}
		if !filepath.IsLocal(name) || filepath.Clean(name) != name || strings.Count(name, "/")+1 != levels {
			t.Errorf("accepted %q with %d levels", name, levels)
		}
		if again, err := ParseListLine([]byte(name), levels); again != name || err != nil {
			t.Errorf("%q became %q, %v", name, again, err)
		}
	})
}
