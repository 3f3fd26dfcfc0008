package main

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"lithos/sysx/proc"
)

// Covers: S1
func TestActionsListAndDelete(t *testing.T) {
	h := web(t, []string{"v1", "v2"}, "v0")
	h.printed(h.clean(), "v1", "v2")
	h.printed(h.clean("--used"), "v1", "v2")
	h.printed(h.clean("--unused"), "v0")
	h.printed(h.clean("--delete-unused", "--unused", "--used"), "v1", "v2") // the last one counts
	h.left("v0", "v1", "v2")
	h.printed(h.clean("--delete-unused"))
	h.left("v1", "v2")
	h.printed(h.clean("--delete-unused"))
}

// Covers: S1
func TestUsedListsMissingImages(t *testing.T) {
	h := web(t, []string{"v1", "v2"})
	must(t, os.RemoveAll(h.path("images/v1")))
	h.printed(h.clean("--used"), "v1", "v2")
}

// Covers: S2
func TestKeepRulesOnTheCommandLine(t *testing.T) {
	h := web(t, []string{"v1", "v2", "v3", "v4", "v5"}, "never")
	for _, test := range []struct {
		args   string
		unused string
	}{
		{"", "never"},
		{"-D 3", "never v1 v2 v3"}, // v4 was replaced two days ago, v3 four
		{"--history-days 5", "never v1 v2"},
		{"--history-days=5", "never v1 v2"},
		{"-D 0", "never v1 v2 v3 v4"},
		{"-D 0 --vmin 2", "never v1 v2 v3"},
		{"-D 0 --versions-min 4", "never v1"},
		{"--vmax 2", "never v1 v2 v3"},
		{"--versions-max 1", "never v1 v2 v3 v4"},
		{"--vmax 0", "never v1 v2 v3 v4"}, // the current config, always
		{"-D 100 --vmax 3", "never v1 v2"},
		{"-D 2147483647", "never"},
	} {
		t.Run("S2 "+test.args, func(t *testing.T) {
			h := &host{t, h.dir}
			h.printed(h.clean(append(strings.Fields(test.args), "--unused")...), strings.Fields(test.unused)...)
		})
	}
	if r := h.clean("--unused", "--vmin", "3"); !strings.Contains(r.stderr, "--versions-min does nothing without --history-days") {
		t.Errorf("S2 no word about a useless flag: %q", r.stderr)
	}
}

// The current config counts whatever the log says; and what is in the log as
// the latest version, which may still run.
//
// Covers: S2
func TestCurrentConfigIsAlwaysKept(t *testing.T) {
	h := web(t, []string{"v1", "v2"}, "v3")
	h.uses("web", "v3")
	h.printed(h.clean("--unused", "-D", "0"), "v1")
	h.printed(h.clean("--unused", "--vmax", "0"), "v1", "v2")
}

// Covers: S2
func TestKeepRecentKeepsUploads(t *testing.T) {
	h := web(t, []string{"v1"}, "upload", "other")
	h.mkdir("images/other/deep/er/still")
	h.printed(h.clean("--delete-unused", "--keep-recent", "1h"))
	h.left("other", "upload", "v1")
	// A change somewhere in it is an upload, too; the mtime is no help, for
	// that comes from elsewhere.
	h.uploads("images/other/deep/er/still/file")
	waitFor(t, func() bool { return h.clean("--unused", "--keep-recent", "1s").stdout != "" })
	h.printed(h.clean("--delete-unused", "--keep-recent", "1s"))
	h.left("other", "v1")
}

// Covers: S2
func TestKeepRecentSaysWhy(t *testing.T) {
	h := web(t, []string{"v1"}, "upload")
	if r := h.clean("--unused", "--keep-recent", "2h", "-v"); r.stdout != "" || !strings.Contains(r.stderr, `keeping "DIR/images/upload": changed within 2h0m0s`) {
		t.Errorf("%+v", r)
	}
}

// Covers: S3, S4, S5
func TestUnsafeImageDirsAreSkipped(t *testing.T) {
	for _, test := range []struct {
		name string
		make func(h *host)
		code int
		want string
	}{
		{"S3 no list and no log", func(h *host) { h.write("master.yaml", "runtime-dir: DIR/run\nconfig-log-dir: null") }, 1, "neither config-log-dir"},
		{"S3 no log yet", func(h *host) { os.Remove(h.path("log/web.log")) }, 2, "there is no config log"},
		{"S4 a broken line", func(h *host) { h.write("log/web.log", "junk\n") }, 2, "DIR/log/web.log:1: "},
		{"S4 no used-images-list", func(h *host) { h.sandbox("web", "used-images-list: DIR/list") }, 2, "used-images-list of the sandbox web"},
		{"S5 auto-clean", func(h *host) { h.sandbox("two", "auto-clean: false"); h.write("processes/two.yaml", "{}") }, 1, "conflicting auto-clean"},
		{"S5 levels", func(h *host) { h.sandbox("two", "image-dir-levels: 2"); h.write("processes/two.yaml", "{}") }, 1, "conflicting image-dir-levels"},
		{"a broken process config", func(h *host) { h.write("processes/web.yaml", "app: [") }, 1, "DIR/processes/web.yaml:1:"},
		{"a missing process config", func(h *host) { os.Remove(h.path("processes/web.yaml")) }, 1, "cannot read the process config"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := web(t, []string{"v1"}, "v0")
			// Another image-dir is none the worse for it, while the sandbox
			// configs themselves are right.
			h.sandbox("fine", "image-dir: DIR/fine\nused-images-list: DIR/fine.list")
			h.write("processes/fine.yaml", "{}")
			h.write("fine.list", "")
			h.mkdir("fine/unused")
			test.make(h)
			for _, action := range []string{"--used", "--unused", "--delete-unused"} {
				r := h.clean(action)
				if r.code != test.code || !strings.Contains(r.stderr, test.want) || !strings.Contains(r.stderr, `"DIR/images"`) {
					t.Errorf("%s: %+v", action, r)
				}
				if action == "--unused" && r.stdout != "\"DIR/fine/unused\"\n" {
					t.Errorf("%s: %+v", action, r)
				}
			}
			h.left("v0", "v1")
			if _, err := os.Stat(h.path("fine/unused")); err == nil {
				t.Error("the other image-dir was not cleaned")
			}
		})
	}
}

// Covers: S4
func TestBrokenSandboxMakesEveryImageDirUnsafe(t *testing.T) {
	h := web(t, []string{"v1"}, "v0")
	h.write("sandboxes/bad.yaml", "image-dir: [")
	for _, action := range []string{"--unused", "--delete-unused"} {
		if r := h.clean(action); r.code != 1 || r.stdout != "" || !strings.Contains(r.stderr, "the sandbox bad is broken") || !strings.Contains(r.stderr, "DIR/sandboxes/bad.yaml:1:") {
			t.Errorf("%+v", r)
		}
	}
	h.left("v0", "v1")
}

// Covers: C18, S5
func TestAutoCleanFalseKeepsImages(t *testing.T) {
	h := web(t, []string{"v1"}, "v0")
	h.sandbox("web", "auto-clean: false")
	h.printed(h.clean("--unused"))
	h.printed(h.clean("--delete-unused"))
	h.left("v0", "v1")
	h.printed(h.clean("--used"), "v1")
}

// Covers: C17, S3
func TestUsedImagesListDecides(t *testing.T) {
	h := web(t, []string{"v1", "v2"}, "v0", "v9")
	h.sandbox("web", "used-images-list: DIR/list")
	h.write("list", "v0\nnever-there\n")
	h.printed(h.clean("--used"), "never-there", "v0", "v2")
	h.printed(h.clean("--delete-unused", "-D", "0"))
	h.left("v0", "v2")
}

// Covers: S5
func TestSharedImageDir(t *testing.T) {
	h := web(t, []string{"v1", "v2"}, "v3", "v4")
	h.sandbox("two", "")
	h.uses("two", "v4")
	h.history("two", "v4")
	must(t, os.Symlink(h.path("images"), h.path("link")))
	h.sandbox("three", "image-dir: DIR/link\nused-images-list: DIR/list")
	h.write("processes/three.yaml", "{}")
	h.write("list", "v3")
	h.mkdir("images/v5")
	r := h.clean("--unused", "--vmax", "1")
	if r.code != 0 || r.stdout != "\"DIR/link/v1\"\n\"DIR/link/v5\"\n" {
		t.Errorf("%+v", r)
	}
	h.clean("--delete-unused", "--vmax", "1")
	h.left("v2", "v3", "v4")
}

// Covers: S6
func TestCleanLogsRemovesOldConfigLogs(t *testing.T) {
	h := web(t, []string{"v1", "v2"})
	h.write("log/web.log.1", "2020-01-01T00:00:00Z {\"app\":{\"image\":\"v0\"}}\n")
	h.write("log/web.log.2", "junk\n")
	h.write("log/other.log.1", "junk\n")
	if r := h.clean("--unused", "--clean-logs", "-D", "1"); r.code != 0 || r.stdout != "\"DIR/images/v1\"\n\"DIR/log/web.log.1\"\n\"DIR/log/web.log.2\"\n" {
		t.Errorf("%+v", r)
	}
	if r := h.clean("--delete-unused", "--clean-logs", "-D", "1", "--dry-run"); r.code != 0 || !strings.Contains(r.stdout, "Would delete log \"DIR/log/web.log.1\"\n") {
		t.Errorf("%+v", r)
	}
	logs := func() string {
		var names []string
		entries, err := os.ReadDir(h.path("log"))
		must(t, err)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return strings.Join(names, " ")
	}
	if r := h.clean("--delete-unused", "-D", "1"); r.code != 0 || logs() != "other.log.1 web.log web.log.1 web.log.2" {
		t.Errorf("without the flag %s is left, %+v", logs(), r)
	}
	r := h.clean("--delete-unused", "--clean-logs", "-D", "1", "-v")
	if r.code != 0 || logs() != "other.log.1 web.log" || !regexp.MustCompile(`(?m)^\d{4}-\S+Z: Deleting log "DIR/log/web.log.2"$`).MatchString(r.stdout) {
		t.Errorf("left are %s, %+v", logs(), r)
	}
}

// Covers: S6
func TestLogsOfAnUnsafeImageDirStay(t *testing.T) {
	h := web(t, []string{"v1", "v2"})
	h.write("log/web.log.1", "2020-01-01T00:00:00Z {\"app\":{\"image\":\"v0\"}}\n")
	h.write("processes/web.yaml", "app: [")
	if r := h.clean("--delete-unused", "--clean-logs", "-D", "1"); r.code != 1 {
		t.Errorf("%+v", r)
	}
	if _, err := os.Stat(h.path("log/web.log.1")); err != nil {
		t.Error(err)
	}
}

// Covers: S7
func TestVerboseAddsTimes(t *testing.T) {
	h := web(t, []string{"v1"}, "v0")
	if r := h.clean("--delete-unused", "--dry-run", "-v"); r.stdout != "Would keep \"DIR/images/v1\": config log of web, process web/app\nWould delete \"DIR/images/v0\"\n" {
		t.Errorf("%+v", r)
	}
	h.left("v0", "v1")
	r := h.clean("--delete-unused", "-v")
	if !regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ: Deleting "DIR/images/v0"$`).MatchString(r.stdout) {
		t.Errorf("%+v", r)
	}
	h.left("v1")
	if r := h.clean("-v"); r.stdout != "\"DIR/images/v1\"\tconfig log of web, process web/app\n" {
		t.Errorf("%+v", r)
	}
}

// Covers: S8
func TestOnlyDirectoriesOfTheRightDepth(t *testing.T) {
	h := newHost(t)
	h.sandbox("web", "image-dir-levels: 2")
	h.uses("web", "svc/v2")
	h.history("web", "svc/v2")
	for _, dir := range []string{"svc/v1/bin", "svc/v2", "svc/.upload", ".hidden/v1", "empty", "real"} {
		h.mkdir("images/" + dir)
	}
	h.write("images/file", "")
	h.write("images/svc/file", "")
	h.mkdir("elsewhere/v1")
	h.write("elsewhere/precious", "")
	must(t, os.Symlink(h.path("elsewhere"), h.path("images/out")))
	must(t, os.Symlink(h.path("elsewhere"), h.path("images/svc/link")))
	must(t, os.Symlink("v2", h.path("images/svc/current")))
	h.printed(h.clean("--unused"), "svc/v1")
	h.printed(h.clean("--delete-unused"))
	h.left(".hidden", "empty", "file", "out", "real", "svc")
	if _, err := os.Stat(h.path("images/svc/v1")); err == nil {
		t.Error("svc/v1 is still there")
	}
	for _, name := range []string{"images/svc/.upload", "images/svc/file", "images/svc/link", "images/svc/current", "images/svc/v2", "elsewhere/precious", "elsewhere/v1"} {
		if _, err := os.Lstat(h.path(name)); err != nil {
			t.Error(err)
		}
	}
}

// Covers: S8
func TestExitCodes(t *testing.T) {
	h := web(t, []string{"v1"})
	code := func(want int, text string) {
		t.Helper()
		for _, action := range []string{"--unused", "--delete-unused"} {
			if r := h.clean(action); r.code != want || !strings.Contains(r.stderr, text) {
				t.Errorf("%+v, want %d and %q", r, want, text)
			}
		}
	}
	code(0, "")
	h.sandbox("web", "image-dir: DIR/none")
	code(0, `the image-dir "DIR/none" does not exist`)
	h.write("file", "")
	h.sandbox("web", "image-dir: DIR/file")
	code(2, "not a directory")
	h.write("master.yaml", "sandboxes-dir: [1, 2")
	code(1, "DIR/master.yaml:1:")
	must(t, os.Remove(h.path("master.yaml")))
	code(1, "DIR/master.yaml")
}

func TestHostileNames(t *testing.T) {
	long := strings.Repeat("x", 255)
	names := []string{"a b", "-rf", "new\nline", "quo\"te", "\xff\xfe", "$(reboot)", "ünï", long, "*"}
	h := web(t, []string{"v1"}, names...)
	r := h.clean("--unused")
	for _, want := range []string{`/new\nline"`, `/quo\"te"`, `/\xff\xfe"`, `/ünï"`, `/-rf"`} {
		if !strings.Contains(r.stdout, want+"\n") {
			t.Errorf("no line with %s in\n%s", want, r.stdout)
		}
	}
	if n := strings.Count(r.stdout, "\n"); n != len(names) || r.code != 0 {
		t.Errorf("%d lines, %+v", n, r)
	}
	h.printed(h.clean("--delete-unused"))
	h.left("v1")
}

func TestJSON(t *testing.T) {
	h := web(t, []string{"v1", "v2"}, "v0")
	var doc document
	read := func(code int, args ...string) map[string]state {
		t.Helper()
		r := h.clean(append(args, "--json", "-v")...)
		doc = document{}
		if err := json.Unmarshal([]byte(r.stdout), &doc); err != nil || r.code != code {
			t.Fatalf("%v, %+v", err, r)
		}
		states := make(map[string]state)
		for _, i := range doc.Images {
			states[strings.TrimPrefix(i.Path, "DIR/images/")] = i.State
		}
		return states
	}
	check := func(got map[string]state, want map[string]state) {
		t.Helper()
		for name, s := range want {
			if got[name] != s || len(got) != len(want) {
				t.Errorf("got %v, want %v", got, want)
			}
		}
	}
	check(read(0), map[string]state{"v1": stateUsed, "v2": stateUsed})
	if doc.Action != actionUsed || len(doc.Dirs) != 1 || !doc.Dirs[0].Cleanable || doc.Dirs[0].Path != "DIR/images" || doc.Problems == nil {
		t.Errorf("%+v", doc)
	}
	check(read(0, "--unused"), map[string]state{"v0": stateUnused, "v1": stateUsed, "v2": stateUsed})
	check(read(0, "--unused", "--keep-recent", "1h"), map[string]state{"v0": stateRecent, "v1": stateUsed, "v2": stateUsed})
	check(read(0, "--delete-unused", "--dry-run"), map[string]state{"v0": stateWould, "v1": stateUsed, "v2": stateUsed})
	if !doc.DryRun {
		t.Errorf("%+v", doc)
	}
	h.write("log/web.log.1", "2020-01-01T00:00:00Z {\"app\":{\"image\":\"v0\"}}\n")
	check(read(0, "--delete-unused", "-D", "1", "--clean-logs"), map[string]state{"v0": stateDeleted, "v1": stateDeleted, "v2": stateUsed})
	if len(doc.Logs) != 1 || doc.Logs[0].Path != "DIR/log/web.log.1" || doc.Logs[0].State != stateDeleted {
		t.Errorf("%+v", doc.Logs)
	}
	h.write("log/web.log", "junk")
	read(2, "--unused")
	if len(doc.Problems) != 1 || doc.Problems[0].ImageDir != "DIR/images" || doc.Problems[0].Config || doc.Dirs[0].Cleanable {
		t.Errorf("%+v", doc)
	}
}

// record writes the record of a container of the sandbox web.
func (h *host) record(name, image string, pid int, started uint64) {
	h.t.Helper()
	created, err := json.Marshal(map[string]any{"created": map[string]any{"name": "web/" + name, "image": image}})
	must(h.t, err)
	text := string(created) + "\n"
	if pid != 0 {
		forked, err := json.Marshal(map[string]any{"forked": map[string]any{"pid": pid, "start_time": started}})
		must(h.t, err)
		text += string(forked) + "\n"
	}
	h.write("run/containers/web/"+name, text)
}

func startTime(t *testing.T, pid int) uint64 {
	t.Helper()
	started, err := proc.StartTime(pid)
	must(t, err)
	return started
}
