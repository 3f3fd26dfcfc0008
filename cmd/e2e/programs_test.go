//go:build !guest

// Not in the virtual machine: the images with all these programs are not there.

package e2e

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"lithos/cmd/internal/catalog"
)

const programsDir = "../../examples/programs"

var updateSeen = flag.Bool("update", false, "write what was seen into examples/programs")

// TestPrograms runs the programs of examples/programs, each with its own config,
// and compares what it does with what stands there: those of CI, or all with
// LITHOS_E2E_PROGRAMS=all.
func TestPrograms(t *testing.T) {
	rows, err := catalog.Load(programsDir)
	must(t, err)
	all := os.Getenv("LITHOS_E2E_PROGRAMS") == "all"
	image := filepath.Join(imagesDir, "programs")
	if all {
		image += "-all"
	}
	versions, err := os.ReadFile(filepath.Join(image, "packages"))
	if err != nil {
		t.Fatalf("the image is missing (%v); run `make images` or `make programs`", err)
	}
	for _, row := range rows {
		if !row.CI && !all {
			continue
		}
		t.Run(row.Name, func(t *testing.T) {
			t.Parallel()
			seen := observe(t, row, image)
			seen.Version = programVersion(row, string(versions))
			alternatives(row, seen)
			if *updateSeen {
				must(t, row.WriteSeen(seen))
				return
			}
			compare(t, row, seen)
		})
	}
}

// programVersion is that of the row's first package.
func programVersion(row *catalog.Row, installed string) string {
	for _, named := range [][]string{row.PyPI, row.NPM, row.Maven, row.Go, row.Crate} {
		if len(named) > 0 {
			return named[0]
		}
	}
	for line := range strings.Lines(installed) {
		if line = strings.TrimSpace(line); len(row.Debian) > 0 && strings.HasPrefix(line, row.Debian[0]+" ") {
			return line
		}
	}
	return ""
}

// alternatives has an ending that a row has as one of several ("exit 0 or signal
// 15") be what stands there.
func alternatives(row *catalog.Row, seen catalog.Seen) {
	for signal, ending := range seen.Stop {
		if all := row.Seen.Stop[signal].Ends; slices.Contains(strings.Split(all, " or "), ending.Ends) {
			ending.Ends = all
			seen.Stop[signal] = ending
		}
	}
}

// compare wants what was seen before, times by half and four seconds, which a busy
// machine may need; versions may differ, which is said.
func compare(t *testing.T, row *catalog.Row, seen catalog.Seen) {
	t.Helper()
	want := row.Seen
	if want.Version != seen.Version {
		t.Logf("the version is %s, the row is about %s", seen.Version, want.Version)
		seen.Version = want.Version
	}
	for signal, ending := range seen.Stop {
		before := want.Stop[signal]
		if low, high := before.Seconds/2-1, int(within(time.Duration(before.Seconds*3/2+4)*time.Second).Seconds()); ending.Seconds < low || ending.Seconds > high {
			t.Errorf("%s: it took %d s, not %d to %d", signal, ending.Seconds, low, high)
		}
		ending.Seconds = before.Seconds
		seen.Stop[signal] = ending
	}
	a, b := reflect.ValueOf(want), reflect.ValueOf(seen)
	for i := range a.NumField() {
		was, is := a.Field(i), b.Field(i)
		if was.Kind() == reflect.Slice && was.Len() == 0 && is.Len() == 0 {
			continue
		}
		if !reflect.DeepEqual(was.Interface(), is.Interface()) {
			t.Errorf("%s: %+v, the row has %+v (make programs UPDATE=1 writes it)", a.Type().Field(i).Name, is.Interface(), was.Interface())
		}
	}
}

// programHost is a host with a copy of the image, to put a row's files in. The
// copy is of hard links, beside the image, as TMPDIR may be another file system.
func programHost(t *testing.T, image string) *host {
	t.Helper()
	image, err := filepath.EvalSymlinks(image)
	must(t, err)
	dir, err := os.MkdirTemp(filepath.Dir(image), ".run-")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	must(t, os.Chmod(dir, 0o755))
	h := newHost(t)
	must(t, os.Remove(h.path("images")))
	must(t, os.Symlink(dir, h.path("images")))
	if out, err := exec.Command("cp", "-al", image, filepath.Join(dir, "programs")).CombinedOutput(); err != nil {
		t.Fatalf("cannot link the image: %v: %.500s", err, out)
	}
	must(t, os.WriteFile(h.path("images", "programs", "notify"), nil, 0o644))
	must(t, os.Mkdir(h.path("images", "programs", "config"), 0o755))
	return h
}
