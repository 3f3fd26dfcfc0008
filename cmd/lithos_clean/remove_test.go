package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lithos/cmd/lithos_clean/imagedir"
	"lithos/configs/images"
	"lithos/sysx/lockfile"
)

// An image that others begin to use between two steps of a removal is there,
// under its name and whole.
//
// Covers: S2
func TestImageUsedMeanwhileIsKept(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(h *host)
	}{
		{"a config is switched to it", func(h *host) { h.uses("web", "v0") }},
		{"a new sandbox uses it", func(h *host) {
			h.sandbox("two", "used-images-list: DIR/list")
			h.write("list", "v0")
			h.write("processes/two.yaml", "{}")
		}},
		{"the daemon logs it", func(h *host) { h.history("web", "v1", "v0") }},
		{"a container is started from it", func(h *host) { h.record("app.0", h.path("images/v0"), 0, 0) }},
		{"a process runs from it", func(h *host) {
			root := h.path("images/v0")
			if _, err := os.Stat(root); err != nil {
				root = h.path("images/" + hidden("v0"))
			}
			process(h.t, root, "program")
		}},
		{"the process config breaks", func(h *host) { h.write("processes/web.yaml", "app: [") }},
		{"the process config is gone", func(h *host) { must(h.t, os.Remove(h.path("processes/web.yaml"))) }},
		{"the sandbox config breaks", func(h *host) { h.write("sandboxes/web.yaml", "image-dir: [") }},
		{"the sandbox is gone", func(h *host) { must(h.t, os.Remove(h.path("sandboxes/web.yaml"))) }},
		{"the sandbox moves", func(h *host) { h.sandbox("web", "image-dir: DIR/elsewhere") }},
		{"auto-clean is switched off", func(h *host) { h.sandbox("web", "auto-clean: false") }},
		{"the master config breaks", func(h *host) { h.write("master.yaml", "[") }},
		{"the log breaks", func(h *host) { h.write("log/web.log", "junk") }},
		{"the records can't be read", func(h *host) {
			must(h.t, os.RemoveAll(h.path("run/containers")))
			h.write("run/containers", "")
		}},
		{"something is mounted in it", func(h *host) {
			dir := h.path("images/v0")
			if _, err := os.Stat(dir); err != nil {
				dir = h.path("images/" + hidden("v0"))
			}
			bind(h.t, h.path("log"), filepath.Join(dir, "mnt"))
		}},
	} {
		for _, step := range []string{stepFound, stepAside} {
			t.Run("S2 "+test.name+", "+step, func(t *testing.T) {
				h := web(t, []string{"v1"}, "v0")
				h.write("images/v0/config/a.yaml", "text")
				r := h.between(func(at string) {
					if at == step {
						test.do(h)
					}
				}, "--delete-unused", "-v")
				h.left("v0", "v1")
				if _, err := os.Stat(h.path("images/v0/config/a.yaml")); err != nil {
					t.Error(err)
				}
				if strings.Contains(r.stdout, "Deleting") || step == stepAside && !strings.Contains(r.stdout, `Restoring "DIR/images/v0": `) {
					t.Errorf("%+v", r)
				}
			})
		}
	}
}

// Covers: S2
func TestUploadMeanwhileIsKept(t *testing.T) {
	h := web(t, []string{"v1"}, "v0")
	h.mkdir("images/v0/deep")
	waitFor(t, func() bool { return h.clean("--unused", "--keep-recent", "1s").stdout != "" })
	r := h.between(func(step string) {
		if step == stepAside {
			h.uploads("images/" + hidden("v0") + "/deep/file")
		}
	}, "--delete-unused", "--keep-recent", "1s")
	h.left("v0", "v1")
	if r.code != 0 || !strings.Contains(r.stdout, `Restoring "DIR/images/v0": it is being changed`) {
		t.Errorf("%+v", r)
	}
}

// An image that comes under the name of one that is set aside is another one.
func TestAnImageThatComesAgain(t *testing.T) {
	h := web(t, []string{"v1"}, "v0")
	h.write("images/v0/old", "")
	r := h.between(func(step string) {
		if step == stepAside {
			h.write("images/v0/new", "")
			h.uses("web", "v0")
		}
	}, "--delete-unused")
	h.printed(r)
	h.left("v0", "v1")
	if _, err := os.Stat(h.path("images/v0/new")); err != nil {
		t.Error(err)
	}
}

func TestAnImageThatComesAgainAndTheOldOneRuns(t *testing.T) {
	h := web(t, []string{"v1"}, "v0")
	r := h.between(func(step string) {
		if step == stepAside {
			h.mkdir("images/v0")
			process(t, h.path("images/"+hidden("v0")), "program")
		}
	}, "--delete-unused")
	h.left(hidden("v0"), "v0", "v1")
	if r.code != 2 || !strings.Contains(r.stderr, `the image "DIR/images/v0" is used (process `) || !strings.Contains(r.stderr, "cannot be renamed back") {
		t.Errorf("%+v", r)
	}
}

// A lithos_switch that has checked its config but not put it in place yet
// finds the image when it is done.
//
// Covers: S2
func TestCleanWaitsForASwitch(t *testing.T) {
	h := web(t, []string{"v1"}, "v0")
	lock, err := lockfile.LockDir(h.path("processes"), func() { t.Error("it is locked already") })
	must(t, err)
	var switched sync.WaitGroup
	r := h.between(func(step string) {
		switch step {
		case stepFound:
			switched.Go(func() {
				time.Sleep(100 * time.Millisecond) // longer than lithos_clean would need
				h.left("v0", "v1")
				h.uses("web", "v0")
				if err := lock.Close(); err != nil {
					t.Error(err)
				}
			})
		case stepAside:
			h.left("v0", "v1")
		case stepDoomed:
			other, err := lockfile.LockDir(h.path("processes"), func() { t.Error("a switch would wait for the removal") })
			must(t, err)
			must(t, other.Close())
		}
	}, "--delete-unused")
	switched.Wait()
	h.left("v0", "v1")
	if r.code != 0 || !strings.Contains(r.stderr, "a lithos_switch is at work, waiting for it") {
		t.Errorf("%+v", r)
	}
}

func TestTwoAtTheSameTime(t *testing.T) {
	h := web(t, []string{"v1"}, "v0")
	s, err := imagedir.Open(h.path("images"))
	must(t, err)
	must(t, s.Lock())
	if r := h.clean("--delete-unused"); r.code != 2 || !strings.Contains(r.stderr, "another lithos_clean is at work there") {
		t.Errorf("%+v", r)
	}
	h.left("v0", "v1")
	h.printed(h.clean("--unused"), "v0")
	must(t, s.Close())
	h.printed(h.clean("--delete-unused"))
	h.left("v1")
}

// A run that was killed after it set an image aside.
func TestWhatAnInterruptedRunLeft(t *testing.T) {
	long := strings.Repeat("l", 255)
	h := web(t, []string{"v1", long, "v2"}, "v0")
	for _, name := range []string{"v0", "v1", long} {
		must(t, os.Rename(h.path("images/"+name), h.path("images/"+hidden(name))))
	}
	h.mkdir("images/" + hidden("v2")) // v2 was uploaded again
	h.mkdir("images/.hidden")         // of somebody else
	h.printed(h.clean("--unused"), hidden("v0"), hidden("v2"))
	r := h.clean("--delete-unused", "--keep-recent", "1h", "-v")
	if r.code != 0 || !strings.Contains(r.stdout, `Restoring "DIR/images/v1": config log of web`) || !strings.Contains(r.stdout, `Deleting "DIR/images/.lithos_clean-v0"`) {
		t.Errorf("%+v", r)
	}
	h.left(".hidden", "v1", "v2", long)
}

func TestWhatAnInterruptedRunLeftAndRuns(t *testing.T) {
	h := web(t, []string{"v1"}, "v0")
	must(t, os.Rename(h.path("images/v0"), h.path("images/"+hidden("v0"))))
	process(t, h.path("images/"+hidden("v0")), "program")
	if r := h.clean("--delete-unused"); r.code != 0 {
		t.Errorf("%+v", r)
	}
	h.left(hidden("v0"), "v1") // nothing says its name
}

func TestARemovalThatFailsIsTold(t *testing.T) {
	h := web(t, []string{"v1"}, "v0", "v9")
	r := h.between(func(step string) {
		if step == stepDoomed {
			bind(t, h.path("log"), h.path("images/"+hidden("v0")+"/mnt"))
		}
	}, "--delete-unused")
	if r.code != 2 || !strings.Contains(r.stderr, `cannot remove the image "DIR/images/v0", the rest of it is in "DIR/images/.lithos_clean-v0"`) {
		t.Errorf("%+v", r)
	}
	h.left(hidden("v0"), "v1") // the others are removed all the same
}

// The daemon rotates a log between the look and the removal.
//
// Covers: S6
func TestReplacedLogIsKept(t *testing.T) {
	h := web(t, []string{"v1"})
	h.write("log/web.log.7", "")
	info, err := os.Lstat(h.path("log/web.log.7"))
	must(t, err)
	must(t, os.Rename(h.path("log/web.log.7"), h.path("log/web.log.8")))
	h.write("log/web.log.7", "needed")
	c := &cleaner{o: &options{}, report: newReport(&options{}, os.Stdout, os.Stderr)}
	if s := c.removeLog(images.LogFile{Path: h.path("log/web.log.7"), Info: info}); s == stateDeleted {
		t.Error("deleted")
	}
	if _, err := os.Stat(h.path("log/web.log.7")); err != nil {
		t.Error(err)
	}
}

func TestDeletingTakesRoot(t *testing.T) {
	h := web(t, []string{"v1"}, "v0")
	var out, errs strings.Builder
	o := &options{config: h.path("master.yaml"), action: actionDelete, max: 1000}
	c := &cleaner{o: o, report: newReport(o, &out, &errs)}
	if code := c.run(); code != 2 || !strings.Contains(errs.String(), "must be run as root") {
		t.Errorf("%d, %s", code, errs.String())
	}
	h.left("v0", "v1")
}

func TestFailuresAreOneLineEach(t *testing.T) {
	var out, errs strings.Builder
	r := newReport(&options{}, &out, &errs)
	r.failure(errors.Join(errors.New("one"), errors.New("two\nlines\x1b[2J"), errors.New(`"quoted" \ ünï`)))
	r.failure(errors.New("one"))
	if want := "lithos_clean: one\nlithos_clean: two\\nlines\\x1b[2J\nlithos_clean: \"quoted\" \\ ünï\n"; errs.String() != want {
		t.Errorf("got %q, want %q", errs.String(), want)
	}
	if r.finish() != exitScan {
		t.Error("the exit code")
	}
}

func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not in time")
		}
	}
}
