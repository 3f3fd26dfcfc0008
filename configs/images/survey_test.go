package images

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"lithos/configs"
)

// host is a machine's configs in a temporary directory.
type host struct {
	t   *testing.T
	dir string
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{t, Real(t.TempDir())}
	for _, dir := range []string{"sandboxes", "processes", "log", "images"} {
		mkdir(t, h.path(dir))
	}
	h.write("master.yaml", "runtime-dir: DIR/run\nconfig-log-dir: DIR/log\n")
	return h
}

func (h *host) path(name string) string { return filepath.Join(h.dir, name) }

// write writes a file; DIR in it is the host's directory.
func (h *host) write(name, text string) {
	h.t.Helper()
	mkdir(h.t, filepath.Dir(h.path(name)))
	if err := os.WriteFile(h.path(name), []byte(strings.ReplaceAll(text, "DIR", h.dir)), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

// sandbox writes a sandbox whose one process uses an image, which was all that
// it ever used.
func (h *host) sandbox(name, config, image string) {
	h.t.Helper()
	if !strings.Contains(config, "image-dir:") {
		config += "\nimage-dir: DIR/images"
	}
	h.write("sandboxes/"+name+".yaml", config+"\nallow-users: [1]\nallow-groups: [1]\n")
	h.write("processes/"+name+".yaml", fmt.Sprintf("app: {image: %s, config: /a.yaml}\n", image))
	h.write("log/"+name+".log", logLine(ago(1), image))
}

func (h *host) look() *Survey {
	h.t.Helper()
	plan, problems := configs.Load(configs.Options{MasterFile: h.path("master.yaml")})
	if plan == nil {
		h.t.Fatalf("no plan: %v", problems)
	}
	return Look(plan, problems, Rules{Max: 1000}, Find)
}

// told is all problems of a survey, one a line; those of the configs begin
// with a star.
func told(s *Survey) string {
	var lines []string
	tell := func(p Problem) {
		if p.Config {
			p.Text = "* " + p.Text
		}
		lines = append(lines, p.Text)
	}
	for _, p := range s.Problems {
		tell(p)
	}
	for _, d := range s.Dirs {
		for _, p := range d.Problems {
			tell(p)
		}
	}
	return strings.Join(lines, "\n")
}

// Covers: C17, C18, S2, S3
func TestUsedImages(t *testing.T) {
	h := newHost(t)
	h.sandbox("web", "", "v3")
	h.write("log/web.log", logLine(ago(9), "v1")+logLine(ago(5), "v2")+logLine(ago(1), "v3"))
	h.sandbox("list", "used-images-list: DIR/list\nimage-dir: DIR/listed\nimage-dir-levels: 2", "a/9")
	h.write("list", "a/1\nb/2\n")
	h.write("log/list.log", "the log does not matter where there is a list\n")
	h.sandbox("same", "", "v9")
	h.sandbox("kept", "auto-clean: false\nimage-dir: DIR/kept", "k1")
	s := h.look()
	if text := told(s); text != "" {
		t.Fatalf("problems: %s", text)
	}
	if len(s.Dirs) != 3 {
		t.Fatalf("%d image-dirs", len(s.Dirs))
	}
	for i, want := range []struct {
		path, sandboxes, used string
		clean, missing        bool
	}{
		{"images", "same web", "v1 v2 v3 v9", true, false},
		{"kept", "kept", "k1", false, true},
		{"listed", "list", "a/1 a/9 b/2", true, true},
	} {
		d := s.Dirs[i]
		if d.Path != h.path(want.path) || strings.Join(d.Sandboxes, " ") != want.sandboxes ||
			strings.Join(d.Names(), " ") != want.used || d.AutoClean != want.clean || d.Missing != want.missing {
			t.Errorf("got %+v, want %+v", d, want)
		}
	}
	if why := s.Dirs[0].Used["v3"]; !slices.Equal(why, []string{"config log of web", "process web/app"}) {
		t.Errorf("v3 is used by %q", why)
	}
}

// Covers: S3, S4, S5
func TestUnsafeImageDirs(t *testing.T) {
	for _, test := range []struct {
		name string
		make func(h *host)
		want string // "" = safe
	}{
		{"S3 neither list nor log", func(h *host) {
			h.write("master.yaml", "runtime-dir: DIR/run\nconfig-log-dir: null\n")
		}, "* neither config-log-dir in DIR/master.yaml nor used-images-list in DIR/sandboxes/web.yaml is set"},
		{"S3 a list without a log", func(h *host) {
			h.write("master.yaml", "runtime-dir: DIR/run\nconfig-log-dir: null\n")
			h.sandbox("web", "used-images-list: DIR/list", "v1")
			h.write("list", "v1")
		}, ""},
		{"S3 no log yet", func(h *host) { os.Remove(h.path("log/web.log")) }, "there is no config log DIR/log/web.log"},
		{"S4 a broken line", func(h *host) { h.write("log/web.log", logLine(ago(1), "v1")+"junk\n") }, "DIR/log/web.log:2: the line is not"},
		{"S4 no list", func(h *host) { h.sandbox("web", "used-images-list: DIR/list", "v1") }, "used-images-list of the sandbox web can't be used: open DIR/list"},
		{"S4 a broken list", func(h *host) {
			h.sandbox("web", "used-images-list: DIR/list", "v1")
			h.write("list", "v1\n../v2\n")
		}, "DIR/list:2: "},
		{"S5 auto-clean", func(h *host) { h.sandbox("other", "auto-clean: false", "v1") },
			"* conflicting auto-clean: the sandboxes other and web share it"},
		{"S5 levels", func(h *host) { h.sandbox("other", "image-dir-levels: 2", "a/v1") },
			"* conflicting image-dir-levels: it is 2 for the sandbox other and 1 for web"},
		{"S5 levels, by another path", func(h *host) {
			os.Symlink(h.path("images"), h.path("link"))
			h.sandbox("other", "image-dir: DIR/link\nimage-dir-levels: 2", "a/v1")
		}, "* conflicting image-dir-levels"},
		{"S5 both say no", func(h *host) {
			h.sandbox("web", "auto-clean: false", "v1")
			h.sandbox("other", "auto-clean: false", "v1")
		}, ""},
		{"S5 one inside the other", func(h *host) { h.sandbox("other", "image-dir: DIR/images/inner", "v1") },
			"* the image-dir DIR/images/inner lies inside the image-dir DIR/images"},
		{"S5 the processes-dir", func(h *host) { h.sandbox("other", "image-dir: DIR/processes", "v1") }, "* it is the processes-dir, too"},
		{"S5 names that only begin the same", func(h *host) { h.sandbox("other", "image-dir: DIR/images2", "v1") }, ""},
		{"a missing process config", func(h *host) { os.Remove(h.path("processes/web.yaml")) }, "* the process config of the sandbox web can't be used: DIR/processes/web.yaml: error: cannot read"},
		{"a broken process config", func(h *host) { h.write("processes/web.yaml", "app: [") }, "* the process config of the sandbox web can't be used: DIR/processes/web.yaml:1:"},
		{"an empty process config", func(h *host) { h.write("processes/web.yaml", "{}") }, ""},
		{"an entry without its image", func(h *host) { h.write("processes/web.yaml", "app: {config: /a.yaml}") }, "* the image of the process web/app is not known: DIR/processes/web.yaml:1:"},
		{"an entry with a mistake", func(h *host) { h.write("processes/web.yaml", "app: {image: v1, config: /a.yaml, instances: x}") }, "* the image of the process web/app is not known"},
		{"an image of another depth", func(h *host) { h.write("processes/web.yaml", "app: {image: a/v1, config: /a.yaml}") }, "* the image of the process web/app is not known"},
		{"a broken container config", func(h *host) { h.write("images/v1/a.yaml", "kind: [") }, ""},
		{"an image that is missing", func(*host) {}, ""},
		{"a broken sandbox", func(h *host) { h.write("sandboxes/bad.yaml", "image-dir: [") }, "* the sandbox bad is broken, so any directory may be its image-dir"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHost(t)
			h.sandbox("web", "", "v1")
			test.make(h)
			got := strings.ReplaceAll(told(h.look()), h.dir, "DIR")
			if test.want == "" && got != "" || !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// Covers: S6
func TestLogsOfUncleanedSandboxesAreNeeded(t *testing.T) {
	h := newHost(t)
	h.sandbox("web", "", "v1")
	h.write("log/web.log", logLine(ago(5), "v0")+logLine(ago(1), "v1"))
	h.write("log/web.log.1", logLine(ago(9), "old"))
	h.sandbox("other", "auto-clean: false\nimage-dir: DIR/other", "v1")
	h.write("log/other.log.1", logLine(ago(9), "old"))
	plan, problems := configs.Load(configs.Options{MasterFile: h.path("master.yaml")})
	s := Look(plan, problems, Rules{Max: 1}, Find)
	var logs []string
	for _, d := range s.Dirs {
		for _, f := range d.UnneededLogs {
			logs = append(logs, f.Path)
		}
	}
	if want := []string{h.path("log/web.log.1")}; !slices.Equal(logs, want) {
		t.Errorf("got %q, want %q", logs, want)
	}
}

func TestPathsThatTheConfigsName(t *testing.T) {
	h := newHost(t)
	h.sandbox("web", "readonly-paths: {/zones: /usr/share/zoneinfo}\nwritable-paths: {/db: DIR/images/data}", "v1")
	s := h.look()
	for path, what := range map[string]string{
		"/usr/share/zoneinfo": "/zones of readonly-paths of web",
		h.path("images/data"): "/db of writable-paths of web",
		h.path("run"):         "runtime-dir",
		h.path("master.yaml"): "the master config",
	} {
		if s.Paths[path] != what {
			t.Errorf("%s is %q, want %q", path, s.Paths[path], what)
		}
	}
}

func TestReal(t *testing.T) {
	dir := Real(t.TempDir())
	if err := os.Symlink("target", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	mkdir(t, filepath.Join(dir, "target"))
	for path, want := range map[string]string{
		"link":            "target",
		"link/missing/x/": "target/missing/x",
		"target":          "target",
		"nothing/at/all":  "nothing/at/all",
	} {
		if got := Real(filepath.Join(dir, path)); got != filepath.Join(dir, want) {
			t.Errorf("Real(%s) is %s, want %s", path, got, want)
		}
	}
	if Real("/") != "/" {
		t.Error("the root")
	}
}

func TestFind(t *testing.T) {
	dir := Real(t.TempDir())
	mkdir(t, filepath.Join(dir, "target"))
	for link, to := range map[string]string{"link": "target", "dangling": "nothing"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "target"))
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	for path, want := range map[string]Place{
		"target":   {Real: dir + "/target", Dev: st.Dev, Ino: st.Ino},
		"link/":    {Real: dir + "/target", Dev: st.Dev, Ino: st.Ino},
		"none/x":   {Real: dir + "/none/x", Missing: true},
		"dangling": {Real: dir + "/dangling", Missing: true},
	} {
		if got := Find(filepath.Join(dir, path)); got != want {
			t.Errorf("%s is %+v, want %+v", path, got, want)
		}
	}
	if got := Find(dir + "/file/x"); got.Err == nil || got.Missing || got.Ino != 0 {
		t.Errorf("what is below a file is %+v", got)
	}
	a, b := Find(dir+"/target"), Find(dir+"/link")
	b.Real = "another name"
	if !a.same(b) || a.same(Place{Real: "x"}) || (Place{Real: "x"}).same(Place{Real: "y"}) {
		t.Error("what is the same directory")
	}
}

func TestBelow(t *testing.T) {
	for _, test := range []struct {
		path, dir string
		want      bool
	}{
		{"/a/b", "/a", true}, {"/a", "/a", true}, {"/ab", "/a", false}, {"/a", "/a/b", false}, {"/a", "/", true}, {"/", "/", true},
	} {
		if Below(test.path, test.dir) != test.want {
			t.Errorf("Below(%s, %s)", test.path, test.dir)
		}
	}
}
