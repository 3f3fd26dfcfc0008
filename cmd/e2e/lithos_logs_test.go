package e2e

import (
	"bufio"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// lithos_logs -f continues over a death and a restart, and shows the cause.
func TestLogsAreFollowedOverARestart(t *testing.T) {
	t.Parallel()
	h := one(t, simple("", "hold", "1"))
	h.start()
	before := h.running("box/app.0")["box/app.0"]

	follow := exec.Command(filepath.Join(binDir, "lithos_logs"), "-C", h.path("master.yaml"), "-f", "-n", "all", "--json", "box")
	out, err := follow.StdoutPipe()
	must(t, err)
	must(t, follow.Start())
	lines := make(chan map[string]any)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			var line map[string]any
			if json.Unmarshal(s.Bytes(), &line) != nil {
				line = map[string]any{"text": s.Text()}
			}
			lines <- line
		}
	}()
	next := func(kind, text string) (found map[string]any) {
		t.Helper()
		limit := time.After(within(10 * time.Second))
		for {
			select {
			case line, ok := <-lines:
				if !ok {
					t.Fatalf("it ended before a %s", kind)
				}
				if line["kind"] == kind && (text == "" || line["text"] == text) {
					return line
				}
			case <-limit:
				t.Fatalf("no %s %q", kind, text)
			}
		}
	}
	if line := next("start", ""); line["container"] != "box/app.0" {
		t.Errorf("the start is %v", line)
	}
	next("output", "holding 1")
	kill(t, before.program, unix.SIGKILL)
	if line := next("death", ""); line["container"] != "box/app.0" || line["cause"] != "operator" {
		t.Errorf("the death is %v", line)
	}
	next("start", "")
	next("output", "holding 1")
	must(t, follow.Process.Signal(unix.SIGTERM))
	for range lines {
	}
	must(t, follow.Wait())

	r := tool(t, "lithos_logs", "-C", h.path("master.yaml"), "--json", "box/app")
	r.expect(t, "lithos_logs", 0, "only starts and deaths are those of box/app alone")
	if !strings.Contains(r.stdout, `"kind":"death","time":`) || !strings.Contains(r.stdout, `"cause":"operator"`) {
		t.Errorf("no death with its cause in %s", r)
	}
	tool(t, "lithos_logs", "-C", h.path("master.yaml"), "bx").expect(t, "no such sandbox", 1, `there is no log of "bx"`)
}
