package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The tests that say exactly what lithos_clean removes run by themselves: it
// keeps an image of a name that a container of any daemon is being started
// from, and the hosts of all these tests call theirs the same.

// versioned is a host whose sandbox "box" runs the first of some images, and
// the container config that all of them have.
func versioned(t *testing.T, config string, images ...string) *host {
	t.Helper()
	h := newHost(t)
	for _, image := range images {
		h.image(image, map[string]string{"app": config})
	}
	h.sandbox("box", "", runs(images[0]))
	return h
}

// runs is a process config with one container from an image.
func runs(image string) string {
	return fmt.Sprintf("app: {image: %s, config: /config/app.yaml}\n", image)
}

// lithosClean runs lithos_clean; paths in what it prints are below images/.
func (h *host) lithosClean(args ...string) (code int, stdout, stderr string) {
	h.t.Helper()
	var out, errs strings.Builder
	cmd := exec.Command(filepath.Join(binDir, "lithos_clean"), append([]string{"-C", h.path("master.yaml")}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		h.t.Fatal(err)
	}
	short := strings.NewReplacer(h.path("images")+"/", "", `"`, "")
	return cmd.ProcessState.ExitCode(), short.Replace(out.String()), short.Replace(errs.String())
}

// cleanPrints wants these images on standard output, and success.
func (h *host) cleanPrints(args string, want ...string) {
	h.t.Helper()
	code, out, errs := h.lithosClean(strings.Fields(args)...)
	if got := strings.Fields(out); code != 0 || !slices.Equal(got, want) {
		h.t.Errorf("lithos_clean %s: exit code %d, printed %q, want %q; %s", args, code, got, want, errs)
	}
}

// imagesLeft wants exactly these images in the image-dir.
func (h *host) imagesLeft(want ...string) {
	h.t.Helper()
	entries, err := os.ReadDir(h.path("images"))
	must(h.t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if !slices.Equal(got, want) {
		h.t.Errorf("the images are %q, want %q", got, want)
	}
}

// becomes puts another image to work, by an edit and QUIT, and waits for it.
func (h *host) becomes(image string) {
	h.t.Helper()
	before := h.running("box/app.0")["box/app.0"]
	h.processes("box", runs(image))
	h.reload("box")
	after := h.successor("box/app.0", before, 10*time.Second)
	if !strings.Contains(strings.Join(after.argv, " "), `"image":"`+image+`"`) {
		h.t.Errorf("%q runs, want the image %s", after.argv, image)
	}
}

// Covers: P7, R6, S1, S2
func TestCleanKeepsVersionsByTheRules(t *testing.T) {
	h := versioned(t, simple("", "wait"), "v1", "v2", "v3", "v4")
	must(t, os.Symlink("v1", h.path("images/current")))
	h.start()
	h.running("box/app.0")
	h.becomes("v2")
	h.becomes("v3")
	before := h.running("box/app.0")

	h.cleanPrints("", "v1", "v2", "v3")
	h.cleanPrints("--unused", "v4")
	h.cleanPrints("--unused -D 1", "v4") // all were used today
	h.cleanPrints("--unused --vmax 2", "v1", "v4")
	h.cleanPrints("--unused --vmax 2 --keep-recent 1h")
	h.cleanPrints("--delete-unused --vmax 2 --keep-recent 1h")
	h.imagesLeft("current", "v1", "v2", "v3", "v4")
	if _, out, _ := h.lithosClean("--delete-unused", "--vmax", "2", "--dry-run"); out != "Would delete v1\nWould delete v4\n" {
		t.Errorf("a dry run prints %q", out)
	}
	h.imagesLeft("current", "v1", "v2", "v3", "v4")
	h.cleanPrints("--delete-unused --vmax 2")
	h.imagesLeft("current", "v2", "v3")
	h.cleanPrints("--delete-unused -D 0")
	h.imagesLeft("current", "v3")
	h.quiet("lithos_clean", before)
}

// The image of a container stays, whatever the files on the disk say: also while
// the container waits for its restart, and without a daemon.
//
// Covers: S2
func TestCleanKeepsImagesInUse(t *testing.T) {
	h := versioned(t, simple("restart-timeout: 4", "wait"), "v1", "v2")
	h.start()
	before := h.running("box/app.0")["box/app.0"]
	// Edited, and not read by the daemon yet.
	h.processes("box", runs("v2"))
	h.cleanPrints("--delete-unused --vmax 0")
	h.imagesLeft("v1", "v2")
	if _, out, _ := h.lithosClean("-v", "--vmax", "0"); !strings.Contains(out, fmt.Sprintf("v1\tcontainer box/app.0 (pid %d)\n", before.knot)) {
		t.Errorf("why v1 is used: %q", out)
	}

	kill(t, before.program, syscall.SIGKILL)
	eventually(t, "the end of the container", 5*time.Second, func() error {
		if len(h.instances()) > 0 {
			return errors.New("it still runs")
		}
		return nil
	})
	h.cleanPrints("--delete-unused --vmax 0")
	h.imagesLeft("v1", "v2")
	h.successor("box/app.0", before, 10*time.Second)

	h.daemon.signal(syscall.SIGKILL)
	h.wait(h.daemon, 5*time.Second)
	h.cleanPrints("--delete-unused --vmax 0")
	// Without its record, by its root directory and its command line.
	must(t, os.Remove(h.path("run/containers/box/app.0")))
	h.cleanPrints("--delete-unused --vmax 0")
	h.imagesLeft("v1", "v2")
	h.start()
	eventually(t, "v2", 15*time.Second, func() error {
		if !strings.Contains(strings.Join(h.instances()["box/app.0"].argv, " "), `"image":"v2"`) {
			return errors.New("it does not run")
		}
		return nil
	})
	h.running("box/app.0")
	h.cleanPrints("--delete-unused --vmax 0")
	h.imagesLeft("v2")
}

// Covers: S4, S5
func TestCleanSkipsUncertainDirectories(t *testing.T) {
	h := versioned(t, simple("", "wait"), "v1", "v2")
	h.start()
	before := h.running("box/app.0")
	good := h.read("log/config/box.log")
	for _, test := range []struct {
		name, file, text, good string
		code                   int
	}{
		{"S4 a broken line of the log", "log/config/box.log", good + "2026-01-01T00:00:00Z {\"app\":", good, 2},
		{"a broken process config", "processes/box.yaml", "app: [", runs("v1"), 1},
		{"a broken sandbox", "sandboxes/more.yaml", "image-dir: [", "image-dir: " + h.path("data") + "\nused-images-list: " + h.path("none") + "\nauto-clean: false\n", 1},
		{"S5 conflicting auto-clean", "sandboxes/more.yaml", "image-dir: " + h.path("images") + "\nauto-clean: false\n", "image-dir: " + h.path("data") + "\nauto-clean: false\n", 1},
	} {
		h.write("processes/more.yaml", "{}\n")
		h.write(test.file, test.text)
		if code, out, errs := h.lithosClean("--delete-unused", "--vmax", "1"); code != test.code || out != "" || errs == "" {
			t.Errorf("%s: exit code %d, %q, %q", test.name, code, out, errs)
		}
		h.imagesLeft("v1", "v2")
		h.write(test.file, test.good)
	}
	h.quiet("lithos_clean", before)
	must(t, os.Remove(h.path("sandboxes/more.yaml")))
	must(t, os.Remove(h.path("processes/more.yaml")))
	h.cleanPrints("--delete-unused --vmax 1")
	h.imagesLeft("v1")
}

// A switch back to an image that is just being cleaned: either the image is
// gone, then the switch says so and changes nothing, or it is there, then it
// stays and runs.
//
// Covers: O9, S2
func TestCleanBesideSwitches(t *testing.T) {
	t.Parallel()
	h := versioned(t, simple("", "wait"), "a", "b")
	h.start()
	before := h.running("box/app.0")["box/app.0"]
	switched, missing := 0, 0
	for i := range 30 {
		target := []string{"b", "a"}[i%2]
		if _, err := os.Stat(h.path("images", target)); err != nil {
			h.image(target, map[string]string{"app": simple("", "wait")})
		}
		h.write("new.yaml", runs(target))
		var both sync.WaitGroup
		var code int
		var text []byte
		both.Go(func() {
			// Sooner and later, to meet each step of lithos_clean.
			time.Sleep(time.Duration(i%15) * 400 * time.Microsecond)
			cmd := exec.Command(filepath.Join(binDir, "lithos_switch"), "--master", h.path("master.yaml"), "box", h.path("new.yaml"))
			text, _ = cmd.CombinedOutput()
			code = cmd.ProcessState.ExitCode()
		})
		both.Go(func() {
			if code, _, errs := h.lithosClean("--delete-unused", "--vmax", "0"); code != 0 {
				t.Errorf("lithos_clean: exit code %d, %s", code, errs)
			}
		})
		both.Wait()
		if code != 0 {
			missing++
			if !strings.Contains(string(text), "does not exist") {
				t.Fatalf("lithos_switch: exit code %d, %s", code, text)
			}
			// Next time the other one is the target again.
			h.image(target, map[string]string{"app": simple("", "wait")})
			h.write("new.yaml", runs(target))
			if out, err := exec.Command(filepath.Join(binDir, "lithos_switch"), "--master", h.path("master.yaml"), "box", h.path("new.yaml")).CombinedOutput(); err != nil {
				t.Fatalf("lithos_switch: %v, %s", err, out)
			}
		} else {
			switched++
		}
		before = h.successor("box/app.0", before, 10*time.Second)
		if _, err := os.Stat(h.path("images", target, "bin/e2e")); err != nil || !strings.Contains(strings.Join(before.argv, " "), `"image":"`+target+`"`) {
			t.Fatalf("switch %d to %s: %q runs, %v", i, target, before.argv, err)
		}
	}
	t.Logf("%d switches found the image, %d did not", switched, missing)
	h.running("box/app.0")
	h.cleanPrints("--delete-unused --vmax 0")
}
