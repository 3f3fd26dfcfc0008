package e2e

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// lithosCleanEnds runs lithos_clean, which has to end though something hangs.
func (h *host) lithosCleanEnds(args ...string) (code int, stdout, stderr string) {
	h.t.Helper()
	type result struct {
		code           int
		stdout, stderr string
	}
	done := make(chan result, 1)
	go func() {
		code, stdout, stderr := h.lithosClean(args...)
		done <- result{code, stdout, stderr}
	}()
	select {
	case r := <-done:
		return r.code, r.stdout, r.stderr
	case <-time.After(2 * time.Minute):
		h.t.Fatalf("lithos_clean %q hangs", args)
	}
	return 0, "", ""
}

// A hanging image-dir is named, and the others are cleaned.
//
// Covers: N3, S2
func TestCleanSkipsHangingFileSystems(t *testing.T) {
	h := versioned(t, simple("", "wait"), "v1", "v2", "v3")
	h.sandbox("box", "", runs("v1"))
	// An image is one, the image-dir of another sandbox lies on one, and is one.
	var hanging []*fuse
	for _, dir := range []string{"images/far", "host", "all"} {
		must(t, os.MkdirAll(h.path("shown", dir, "images/v9"), 0o755))
		hanging = append(hanging, mountFUSE(t, h.path("shown", dir), h.path(dir)))
	}
	h.sandbox("on", "image-dir: "+h.path("host/images")+"\n", "{}\n")
	h.sandbox("is", "image-dir: "+h.path("all")+"\n", "{}\n")
	h.start()
	before := h.running("box/app.0")
	for _, far := range hanging {
		far.hang()
		t.Cleanup(far.answer)
	}
	code, out, errs := h.lithosCleanEnds("--delete-unused", "-D", "0")
	if code != 2 || out != "" {
		t.Errorf("exit code %d, printed %q", code, out)
	}
	for _, want := range []string{
		h.path("host/images") + " is skipped, nothing is removed there: cannot look at it: the file system of " + h.path("host/images") + " does not answer",
		h.path("all") + " is skipped, nothing is removed there: the file system of " + h.path("all") + " does not answer",
	} {
		if !strings.Contains(errs, want) {
			t.Errorf("it does not say %q, but:\n%s", want, errs)
		}
	}
	h.imagesLeft("far", "v1")

	// A volume may lead to any image.
	for _, file := range []string{"sandboxes/is.yaml", "sandboxes/on.yaml"} {
		must(t, os.Remove(h.path(file)))
	}
	must(t, os.MkdirAll(h.path("images/v4"), 0o755))
	h.sandbox("box", "writable-paths: {/data: "+h.path("host/data")+"}\n", runs("v1"))
	code, _, errs = h.lithosCleanEnds("--delete-unused", "-D", "0")
	if want := "the file system of " + h.path("host/data") + " does not answer"; code != 2 || !strings.Contains(errs, want) {
		t.Errorf("exit code %d, it says %s", code, errs)
	}
	h.imagesLeft("far", "v1", "v4")
	code, out, _ = h.lithosCleanEnds("--unused", "-D", "0")
	if code != 2 || out != "v4\n" {
		t.Errorf("exit code %d, unused is %q", code, out)
	}
	for _, far := range hanging {
		far.answer()
	}
	h.sandbox("box", "", runs("v1"))
	h.cleanPrints("--delete-unused -D 0")
	h.imagesLeft("far", "v1")
	h.quiet("lithos_clean", before)
}

// becoming is a host with a container whose program executes another and waits for
// a file system in that, so that it can't be looked at. The file system is in a
// directory that is a root directory, too.
func becoming(t *testing.T) (h *troubled, far *fuse) {
	t.Helper()
	h = &troubled{host: newHost(t)}
	h.client = h.control()
	h.image("app", map[string]string{
		"steady":   simple("", "wait"),
		"flaky":    simple("restart-timeout: 0.2", "run", "100", "7"),
		"becoming": simple("kill-timeout: 0.2\nvolumes: {/volume: !Readonly /far}", "becomes", "/volume/file"),
	})
	h.image("unused", nil)
	h.image("root", nil)
	must(t, os.Rename(h.path("images/root"), h.path("root")))
	must(t, os.Mkdir(h.path("shown"), 0o755))
	h.write("shown/file", "")
	far = mountFUSE(t, h.path("shown"), h.path("root/volume"))
	t.Cleanup(func() {
		far.answer()
		if h.daemon != nil && h.daemon.alive() {
			h.stop()
		}
	})
	h.sandbox("box", "readonly-paths: {/far: "+h.path("root/volume")+"}\n", `
		steady: {image: app, config: /config/steady.yaml}
		flaky: {image: app, config: /config/flaky.yaml}
		becoming: {image: app, config: /config/becoming.yaml}
		`)
	return h, far
}

// becomesSilent has the program executed that waits for the file system.
func (h *troubled) becomesSilent(far *fuse) (program int) {
	h.t.Helper()
	program = h.runs("becoming").program
	eventually(h.t, "the open file", 20*time.Second, func() error {
		if text := h.read("log/stderr/box.log"); !strings.Contains(text, "ready\n") {
			return errors.New("it is not ready")
		}
		return nil
	})
	far.hang()
	kill(h.t, program, unix.SIGUSR1)
	far.await(1)
	return program
}

// waits tells whether who asks the kernel for this of a process has to wait: not
// all kernels that do so for some of /proc do it for the same.
func waits(pid int, what string) bool {
	path, answer := fmt.Sprintf("/proc/%d/%s", pid, what), make(chan bool, 1)
	go func() {
		if _, err := os.Readlink(path); errors.Is(err, unix.EINVAL) {
			_, _ = os.ReadFile(path) // it is no link
		}
		answer <- true
	}()
	select {
	case <-answer:
		return false
	case <-time.After(3 * time.Second):
		return true
	}
}

// stranger is a process with another root directory, which can't be looked at when
// it has got USR1 while the file system hangs.
func (h *troubled) stranger(far *fuse) *exec.Cmd {
	h.t.Helper()
	cmd := exec.Command("/bin/e2e", "e2e-program", "becomes", "/volume/file")
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: h.path("root")}
	out, err := cmd.StdoutPipe()
	must(h.t, err)
	must(h.t, cmd.Start())
	h.t.Cleanup(func() {
		far.answer()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	_, err = io.ReadFull(out, make([]byte, len("ready\n")))
	must(h.t, err)
	return cmd
}

// Others look at all processes of the host, so nothing runs beside this test.
//
// Covers: S2
func TestCleanWithUninspectableProcesses(t *testing.T) {
	h, far := becoming(t)
	stranger := h.stranger(far)
	h.start()
	program := h.becomesSilent(far)
	// Descendants of a container's PID 1 run from its image.
	if code, out, errs := h.lithosCleanEnds("--unused", "-D", "0"); code != 0 || out != "unused\n" {
		t.Errorf("exit code %d, unused is %q; %s", code, out, errs)
	}
	must(t, stranger.Process.Signal(unix.SIGUSR1))
	far.await(2)
	if !waits(stranger.Process.Pid, "root") {
		h.cleanPrints("--unused -D 0", "unused")
		return
	}
	code, out, errs := h.lithosCleanEnds("--delete-unused", "-D", "0")
	if code != 2 || out != "" || !strings.Contains(errs, "cannot see what process ") || !strings.Contains(errs, "waits for a file system that does not answer") {
		t.Errorf("exit code %d, printed %q, says %q", code, out, errs)
	}
	if _, err := os.Stat(h.path("images/unused/bin")); err != nil {
		t.Error(err)
	}
	far.answer()
	eventually(t, "all can be looked at", 20*time.Second, func() error {
		_, err := os.Readlink(fmt.Sprintf("/proc/%d/root", program))
		return err
	})
	h.cleanPrints("--unused -D 0", "unused")
}
