package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Covers: S2
func TestImagesOfRunningContainersAreKept(t *testing.T) {
	for _, test := range []struct {
		name string
		make func(h *host, image string)
		why  string
	}{
		{"a living container", func(h *host, image string) {
			h.record("app.0", image, os.Getpid(), startTime(h.t, os.Getpid()))
		}, fmt.Sprintf("container web/app.0 (pid %d)", os.Getpid())},
		{"one that is being started", func(h *host, image string) { h.record("app.0", image, 0, 0) }, "container web/app.0, which is being started"},
		{"one that waits for its restart", func(h *host, image string) {
			h.record("app.0", image, os.Getpid(), startTime(h.t, os.Getpid())-1)
		}, "container web/app.0, which may be started again"},
		{"the root directory of a process", func(h *host, image string) { process(h.t, image, "program") },
			"process "},
		{"a root below another name", func(h *host, image string) {
			bind(h.t, image, h.path("mnt/root"))
			process(h.t, h.path("mnt/root"), "program")
		}, "process "},
		{"the command line of lithos_knot", func(h *host, image string) {
			process(h.t, "/", "/usr/bin/lithos_knot", "--name", "web/app.3", "--master", h.path("master.yaml"), "--config", `{"image":"old","config":"/a"}`)
		}, "container web/app.3 (pid "},
		{"the command line of another daemon's", func(h *host, image string) {
			process(h.t, "/", "/usr/bin/lithos_knot", "--name", "box/app.3", "--master", "/x", "--config", `{"image":"old","config":"/a"}`)
		}, "container box/app.3 (pid "},
		{"the root directory of lithos_knot", func(h *host, image string) {
			process(h.t, image, "/usr/bin/lithos_knot", "--name", "box/app.3\x1b[2J", "--master", "/x", "--config", `{"image":"other"}`)
		}, "container box/app.3\\x1b[2J (pid "},
		{"something mounted in it", func(h *host, image string) { bind(h.t, h.path("log"), filepath.Join(image, "mnt")) }, `mount point "DIR/images/old/mnt"`},
		{"a volume", func(h *host, image string) { h.sandbox("web", "writable-paths: {/db: DIR/images/old/data}") }, "/db of writable-paths of web"},
		{"the image-dir of another sandbox, by a mount", func(h *host, image string) {
			bind(h.t, image, h.path("mnt/bound"))
			h.sandbox("two", "image-dir: DIR/mnt/bound\nauto-clean: false")
			h.write("processes/two.yaml", "{}")
		}, "image-dir of two"},
		{"images of it when there were less levels", func(h *host, _ string) {
			h.sandbox("web", "image-dir-levels: 2")
			h.mkdir("images/new/v1")
			h.mkdir("images/old/bin")
			h.uses("web", "new/v1")
			h.history("web", "old", "new/v1")
		}, ""},
		{"a link to it in the list", func(h *host, image string) {
			must(h.t, os.Symlink("old", h.path("images/current")))
			h.sandbox("web", "used-images-list: DIR/list")
			h.write("list", "v1\ncurrent\n")
		}, "used-images-list of web"},
	} {
		t.Run("S2 "+test.name, func(t *testing.T) {
			h := web(t, []string{"v1"}, "old")
			test.make(h, h.path("images/old"))
			why := h.clean("--unused", "-v")
			if why.code != 0 || strings.Contains(why.stdout, "old") || test.why != "" && !strings.Contains(why.stderr, `keeping "DIR/images/old": `+test.why) {
				t.Errorf("%+v", why)
			}
			if r := h.clean("--delete-unused"); r.code != 0 || strings.Contains(r.stdout, "old") {
				t.Errorf("%+v", r)
			}
			if _, err := os.Stat(h.path("images/old/config")); err != nil {
				t.Error(err)
			}
		})
	}
}

// An image of a running container is used, even if nothing else says so.
//
// Covers: S1
func TestUsedListsRunningImages(t *testing.T) {
	h := web(t, []string{"v1"}, "old")
	h.record("app.0", h.path("images/old"), os.Getpid(), startTime(t, os.Getpid()))
	h.record("app.1", h.path("images/v1"), os.Getpid(), startTime(t, os.Getpid()))
	h.printed(h.clean("--used"), "old", "v1")
	if r := h.clean("--used", "-v"); !strings.Contains(r.stdout, "\"DIR/images/v1\"\tconfig log of web, container web/app.1 (pid") {
		t.Errorf("%+v", r)
	}
}

// A program in a container can call itself what it likes; and images of two
// sandboxes may have the same name.
func TestAFalseKnotKeepsNothingElse(t *testing.T) {
	h := web(t, []string{"v1"}, "v0")
	for _, config := range []string{`{"image":"."}`, `{"image":"../images"}`, `{"image":""}`, `{"image":"a/b/c"}`, `[`, `{"image":7}`, `{"image":"/"}`} {
		process(t, "/", "lithos_knot", "--name", "x", "--config", config)
	}
	process(t, t.TempDir(), "lithos_knot", "--name", "web/app.0", "--master", h.path("master.yaml"), "--config", `{"image":"v0"}`)
	process(t, "/", "lithos_knot", "--name", "other/app.0", "--master", h.path("master.yaml"), "--config", `{"image":"v0"}`)
	process(t, "/", "lithos_knot")
	process(t, "/", "lithos_knot", "--config")
	h.printed(h.clean("--unused"), "v0")
}

func TestRecordsThatCannotBeRead(t *testing.T) {
	h := web(t, []string{"v1"}, "v0")
	h.write("run/containers/stray", "")
	h.mkdir("run/containers/web/app.0")
	h.write("run/containers/web/app.1", "no JSON\n")
	h.write("run/containers/web/app.2", `{"created":{"image":"relative"}}`+"\n")
	must(t, os.Symlink("/etc/passwd", h.path("run/containers/web/app.3")))
	h.printed(h.clean("--unused"), "v0")
	// Without knowing what runs nothing is removed.
	must(t, os.RemoveAll(h.path("run/containers")))
	h.write("run/containers", "a file")
	if r := h.clean("--delete-unused"); r.code != 2 || !strings.Contains(r.stderr, "cannot see the records of containers") {
		t.Errorf("%+v", r)
	}
	h.left("v0", "v1")
	must(t, os.RemoveAll(h.path("run")))
	h.printed(h.clean("--unused"), "v0")
}

func TestWithin(t *testing.T) {
	paths := []string{"/a", "/a b", "/a.b/c", "/a/b", "/a/b/c", "/ab"}
	for dir, want := range map[string]string{
		"/a": "/a /a/b /a/b/c", "/a/b": "/a/b /a/b/c", "/a/b/c": "/a/b/c", "/b": "", "/a.b": "/a.b/c", "/": strings.Join(paths, " "),
	} {
		if got := strings.Join(within(paths, dir), " "); got != want {
			t.Errorf("within %s: %s, want %s", dir, got, want)
		}
	}
}
