//go:build !guest

// Not in the virtual machine, which has no compiler.

package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// libmicrohttpd shuts its listening socket down when it ends.
func TestLibmicrohttpdInstancesShareOneSocket(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	port := h.port()
	h.image("app", map[string]string{"app": fmt.Sprintf(
		"user-id: 1000\ngroup-id: 1000\nexecutable: /bin/server\nrestart-timeout: 0\ntcp-ports: {%d: {fd: 3, host: 127.0.0.1}}\n", port)})
	h.compile("testdata/microhttpd/main.c", "app", "bin/server", "-lmicrohttpd")
	h.sandbox("box", "", "app: {image: app, config: /config/app.yaml, instances: 2}")
	h.start()
	all := names("box/app", 2)
	before := h.running(all...)
	eventually(t, "an answer", 10*time.Second, func() error { return ask(port) })
	for round := range 10 {
		name := all[round%2]
		kill(t, before[name].program, unix.SIGTERM)
		before[name] = h.successor(name, before[name], 10*time.Second)
		for range 20 {
			if err := ask(port); err != nil {
				t.Fatalf("round %d: with the successor of %s there: %v", round, name, err)
			}
		}
	}
}

// compile makes a program of C below an image, with the libraries that it needs.
func (h *host) compile(source, image, target string, flags ...string) {
	h.t.Helper()
	program := h.path("images", image, target)
	out, err := exec.Command("gcc", append([]string{"-Wall", "-Werror", "-o", program, source}, flags...)...).CombinedOutput()
	if err != nil {
		h.t.Fatalf("cannot compile %s: %v\n%s", source, err, out)
	}
	needs, err := exec.Command("ldd", program).Output()
	must(h.t, err)
	for word := range strings.FieldsSeq(string(needs)) {
		if !filepath.IsAbs(word) {
			continue
		}
		// Never os.WriteFile: the image may have a hard link to the host's library.
		install(h.t, word, h.path("images", image, word))
	}
}
