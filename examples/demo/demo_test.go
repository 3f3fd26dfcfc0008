package main

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestParseAnswer(t *testing.T) {
	got, err := parseAnswer("howdy from demo/hello.1: visit 17, 4 in this container\n")
	if want := (answer{"howdy", "demo/hello.1", 17, 4}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if _, err := parseAnswer("404 page not found\n"); err == nil {
		t.Error("another text is taken for an answer")
	}
}

func TestContainersIn(t *testing.T) {
	knot := func(name, master string) []string {
		return []string{"lithos_knot", "--name", name, "--master", master, "--config", "{}"}
	}
	got := containersIn([]processInfo{
		{pid: 10, parent: 9, args: knot("demo/hello.0", "/a")},
		{pid: 11, parent: 10, args: []string{"/bin/hello"}},
		{pid: 20, parent: 9, args: knot("demo/hello.1", "/a")},
		{pid: 21, parent: 20, args: knot("demo/hello.1", "/a")}, // forked, not yet executed
		{pid: 30, parent: 9, args: knot("demo/hello.2", "/other")},
		{pid: 31, parent: 30, args: []string{"/bin/hello"}},
		{pid: 40, parent: 1, args: []string{"grep", "--name", "demo/hello.3", "--master", "/a"}},
	}, "/a")
	want := map[string]container{
		"demo/hello.0": {name: "demo/hello.0", knot: 10, program: 11},
		"demo/hello.1": {name: "demo/hello.1", knot: 20},
	}
	if len(got) != len(want) {
		t.Errorf("got %+v", got)
	}
	for name, c := range want {
		if got[name] != c {
			t.Errorf("%s: got %+v, want %+v", name, got[name], c)
		}
	}
}

func TestParentOf(t *testing.T) {
	for stat, want := range map[string]int{
		"12 (hello) S 7 12 12 0":       7,
		"12 (a) S 3 (b c) S 8 12 12 0": 8,
		"":                             0,
	} {
		if got := parentOf([]byte(stat)); got != want {
			t.Errorf("parentOf(%q) is %d, want %d", stat, got, want)
		}
	}
}

func TestGivenDir(t *testing.T) {
	used := t.TempDir()
	if err := os.WriteFile(filepath.Join(used, "precious"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := givenDir(used); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a used directory gives %v, want an error", err)
	}
	if _, existed, err := givenDir(t.TempDir()); err != nil || !existed {
		t.Errorf("an empty directory gives existed %v, %v", existed, err)
	}
	if _, _, err := givenDir(filepath.Join(t.TempDir(), "a b")); err == nil || !strings.Contains(err.Error(), "quoted") {
		t.Errorf("a blank in the name gives %v, want an error", err)
	}
	fresh := filepath.Join(t.TempDir(), "new")
	if dir, existed, err := givenDir(fresh); err != nil || existed || dir != fresh {
		t.Errorf("a new directory gives %q, existed %v, %v", dir, existed, err)
	}
}

func TestTempDirTakesTheFirstThatFits(t *testing.T) {
	place := t.TempDir()
	dir, err := tempDir([]string{"/proc", filepath.Join(place, "missing"), place}) // /proc is nodev and noexec
	if err != nil || filepath.Dir(dir) != place {
		t.Errorf("got %q, %v, want a directory in %s", dir, err, place)
	}
	if _, err := tempDir([]string{"/proc"}); err == nil || !strings.Contains(err.Error(), "DEMO_DIR") {
		t.Errorf("got %v, want an error that names DEMO_DIR", err)
	}
}

func TestChoosePort(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	inUse := strconv.Itoa(ln.Addr().(*net.TCPAddr).Port)
	for _, bad := range []string{"0", "65536", "http", inUse} {
		if port, err := choosePort(bad, true); err == nil || !strings.Contains(err.Error(), "DEMO_PORT") {
			t.Errorf("DEMO_PORT=%s gives %d, %v, want an error that names it", bad, port, err)
		}
	}
	for _, easy := range []bool{true, false} {
		if port, err := choosePort("", easy); err != nil || !portIsFree(port) {
			t.Errorf("easy %v gives port %d, %v, want a free one", easy, port, err)
		}
	}
}

func TestConfigsAreFilledIn(t *testing.T) {
	h := &host{Dir: t.TempDir(), Port: 8081, Cgroup: "lithos-demo-7.slice"}
	if err := h.writeConfigs(); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		h.master():    "cgroup-name: lithos-demo-7.slice\n",
		h.processes(): "port: 8081\n",
		h.path("etc", "sandboxes", sandbox+".yaml"): "image-dir: " + h.Dir + "/images\n",
	} {
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(body), want) || strings.Contains(string(body), "{{") {
			t.Errorf("%s has no %q:\n%s", path, want, body)
		}
	}
}

func TestRemoveKeepsAGivenDirectory(t *testing.T) {
	h := &host{Dir: t.TempDir(), keepDir: true}
	if err := os.MkdirAll(h.path("etc", "sandboxes"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := h.remove(); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(h.Dir); err != nil || len(entries) > 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
	h.keepDir = false
	if err := h.remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(h.Dir); !os.IsNotExist(err) {
		t.Errorf("the directory is still there: %v", err)
	}
}
