//go:build !guest

// Not in the virtual machine: the examples' files are not there, and what they
// show is not the kernel's.

package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const examplesDir = "../../examples"

// examples are the folders of examples/ with a processes.yaml, and what each
// answers.
var examples = map[string]func(h *host, t *testing.T, name string, port int){
	"asyncio":  bothAnswer,
	"werkzeug": bothAnswer,
	"twisted":  bothAnswer,
	"gohttp":   bothAnswer,
	"express":  bothAnswer,
	"gunicorn": bothAnswer,
	"nginx":    func(h *host, t *testing.T, _ string, port int) { answers(t, port, "nginx") },
	"s6":       func(h *host, t *testing.T, _ string, port int) { answers(t, port, "s6 s6/app.0") },
	"redis": func(h *host, t *testing.T, _ string, port int) {
		redis(t, port, "SET motto kept", "+OK")
		redis(t, port, "GET motto", "kept")
	},
	"upgrade": func(h *host, t *testing.T, _ string, port int) {
		answers(t, port, "version-1")
		answers(t, port, "version-2")
	},
	"cron": func(h *host, t *testing.T, _ string, _ int) {
		eventually(t, "three runs", 20*time.Second, func() error {
			if runs := strings.Count(h.read("data", "cron", "runs"), "\n"); runs < 3 {
				return fmt.Errorf("%d runs", runs)
			}
			return nil
		})
		for range 2 {
			h.runCrontab()
		}
		if nights := strings.Count(h.read("data", "cron", "nights"), "\n"); nights != 2 {
			t.Errorf("the job ran %d times, not twice", nights)
		}
	},
}

// runCrontab runs the job of the crontab of examples/cron as cron would: without
// a terminal and with next to no environment.
func (h *host) runCrontab() {
	h.t.Helper()
	text, err := os.ReadFile(filepath.Join(examplesDir, "cron", "crontab"))
	must(h.t, err)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	fields := strings.Fields(lines[len(lines)-1]) // five of the time, the user, the job
	job := strings.Replace(strings.Join(fields[6:], " "), "lithos_cmd ", "lithos_cmd --master "+h.path("master.yaml")+" ", 1)
	cmd := exec.Command("/bin/sh", "-c", job)
	cmd.Env = []string{"PATH=" + binDir + ":/usr/bin:/bin"}
	if r := finish(h.t, cmd); r.code != 0 || r.stdout != "done\n" || r.stderr != "" {
		h.t.Errorf("%s: %s", job, r)
	}
}

// answers waits until a text is what somebody behind the port says.
func answers(t *testing.T, port int, want string) {
	t.Helper()
	eventually(t, "the answer "+want, 40*time.Second, func() error {
		body, err := get(fmt.Sprintf("http://127.0.0.1:%d/", port))
		if err == nil && body != want {
			err = fmt.Errorf("it is %q", body)
		}
		return err
	})
}

// bothAnswer wants answers of two instances at one port.
func bothAnswer(_ *host, t *testing.T, name string, port int) {
	answers(t, port, fmt.Sprintf("%s %s/app.0", name, name))
	answers(t, port, fmt.Sprintf("%s %s/app.1", name, name))
}

// Each example runs, in an image of Debian's packages, with its own configs; the
// ports are those that are free here.
//
// Covers: G16
func TestExamplesRun(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	image := h.path("images", "debian")
	// Hard links where they can be, else copies.
	if exec.Command("cp", "-al", filepath.Join(imagesDir, debian), image).Run() != nil {
		must(t, os.RemoveAll(image))
		if out, err := exec.Command("cp", "-a", filepath.Join(imagesDir, debian), image).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	build := exec.Command("go", "build", "-o", filepath.Join(image, "app/gohttp/gohttp"), "./gohttp")
	build.Dir, build.Env = examplesDir, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	folders, err := filepath.Glob(filepath.Join(examplesDir, "*", "processes.yaml"))
	must(t, err)
	if len(folders) != len(examples) {
		t.Errorf("%d folders with examples, %d are tested", len(folders), len(examples))
	}
	ports := map[string]int{}
	for _, folder := range folders {
		name := filepath.Base(filepath.Dir(folder))
		ports[name] = h.port()
		h.example(image, name, ports[name])
	}
	if r := h.check(); r.code != 0 || r.stdout != "" {
		t.Errorf("lithos_check: %s", r)
	}
	h.start()
	t.Run("answers", func(t *testing.T) {
		for name, try := range examples {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				try(h, t, name, ports[name])
			})
		}
	})
}

var portOf = regexp.MustCompile(`port: [0-9]+`)

// example puts one into the image and onto the host.
func (h *host) example(image, name string, port int) {
	h.t.Helper()
	from := filepath.Join(examplesDir, name)
	must(h.t, os.MkdirAll(filepath.Join(image, "config", name), 0o755))
	must(h.t, os.MkdirAll(filepath.Join(image, "app"), 0o755))
	if out, err := exec.Command("cp", "-rL", "--remove-destination", from, filepath.Join(image, "app")).CombinedOutput(); err != nil {
		h.t.Fatalf("%v: %s", err, out)
	}
	configs, err := filepath.Glob(filepath.Join(from, "*.yaml"))
	must(h.t, err)
	var processes string
	for _, file := range configs {
		data, err := os.ReadFile(file)
		must(h.t, err)
		if filepath.Base(file) == "processes.yaml" {
			processes = portOf.ReplaceAllString(string(data), fmt.Sprintf("port: %d", port))
			continue
		}
		must(h.t, os.WriteFile(filepath.Join(image, "config", name, filepath.Base(file)), data, 0o644))
	}
	// nginx's own config has its port, too.
	conf := filepath.Join(image, "app", name, "nginx.conf")
	if data, err := os.ReadFile(conf); err == nil {
		must(h.t, os.WriteFile(conf, []byte(strings.ReplaceAll(string(data), "0.0.0.0:80;", fmt.Sprintf("0.0.0.0:%d;", port))), 0o644))
	} else if !errors.Is(err, os.ErrNotExist) {
		h.t.Fatal(err)
	}
	h.sandbox(name, "writable-paths: {/data: "+h.path("data")+"}\n", processes)
}
