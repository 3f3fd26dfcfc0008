package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// The vagga page of the manual (§8.2): an image that vagga built for
// deployment runs as it is, and finds what the page says.
//
// Covers: T1, T2, T3, T4
func TestVaggaImageRuns(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.image("app.v1", map[string]string{"app": `
		executable: /bin/e2e
		arguments: [e2e-program, report, /out/report]
		volumes:
		  /state: !Statedir {path: /}
		  /out: !Persistent {path: /data}
		`})
	image := h.path("images", "app.v1")
	for _, dir := range []string{"tmp", "run", "var", "usr"} {
		must(t, os.MkdirAll(image+"/"+dir, 0o755))
	}
	for _, name := range []string{"hosts", "resolv.conf"} {
		must(t, os.Remove(image+"/etc/"+name))
		must(t, os.Symlink("/state/"+name, image+"/etc/"+name))
	}
	h.sandbox("box", "writable-paths: {/data: "+h.path("data")+"}\ndefault-user: 0\n", "app: {image: app.v1, config: /config/app.yaml}\n")
	if r := h.check(); r.code != 0 {
		t.Errorf("lithos_check: %s", r)
	}
	h.start()
	program := h.running("box/app.0")["box/app.0"].program
	s := h.seen("report")
	if s.Workdir != "/" {
		t.Errorf("T1 the working directory is %s", s.Workdir)
	}
	mounts := s.mounts()
	if !slices.Contains(mounts["/"].options, "ro") {
		t.Error("T2 the root is writable")
	}
	for _, point := range []string{"/tmp", "/dev/shm", "/work", "/run"} {
		if _, ok := mounts[point]; ok {
			t.Errorf("T2 something is mounted at %s", point)
		}
	}
	for _, e := range s.Env {
		if name, _, _ := strings.Cut(e, "="); !slices.Contains([]string{"TERM", "LITHOS_NAME", "LITHOS_CONFIG"}, name) {
			t.Errorf("T3 the environment has %s", e)
		}
	}
	if !strings.Contains(s.Hosts, "from-the-host") || !strings.Contains(s.Resolv, "192.0.2.53") {
		t.Errorf("T4 hosts %q, resolv.conf %q", s.Hosts, s.Resolv)
	}
	// The page: files can be updated from the host while the program runs.
	must(t, os.WriteFile(h.path("run/state/box/app.0/hosts"), []byte("192.0.2.99 edited\n"), 0o644))
	if got := text(fmt.Sprintf("/proc/%d/root/state/hosts", program)); got != "192.0.2.99 edited\n" {
		t.Errorf("T4 after the edit hosts is %q", got)
	}
}
