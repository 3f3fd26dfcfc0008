package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lithos/sysx/proc"
)

// dup gives a descriptor without close-on-exec, as after an exec.
func dup(t *testing.T) int {
	t.Helper()
	fd, err := syscall.Dup(2)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func isOpen(fd int) bool {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil
}

// Covers: O2
func TestNeighbouringReleasesReadAHandover(t *testing.T) {
	if left, err := takeHandover(); left != nil || err != nil {
		t.Errorf("without one: %v, %v", left, err)
	}
	pidFile, unknown := dup(t), dup(t)
	text, err := json.Marshal(map[string]any{
		"version": 1, "path": "/usr/bin/lithos_tree", "generation": 7, "new_field": []int{1},
		"files": map[string]int{filePID: pidFile, "new-file": unknown},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(handoverVariable, string(text))
	left, err := takeHandover()
	if err != nil || left.Path != "/usr/bin/lithos_tree" || left.Generation != 7 || left.Release != "" {
		t.Fatalf("%+v, %v", left, err)
	}
	if os.Getenv(handoverVariable) != "" {
		t.Error("children would see it")
	}
	if isOpen(unknown) {
		t.Error("a file that nobody knows is left open")
	}
	if flags, err := unix.FcntlInt(uintptr(pidFile), unix.F_GETFD, 0); err != nil || flags != unix.FD_CLOEXEC {
		t.Errorf("children would have the pid file: %d, %v", flags, err)
	}
	if f := left.take(filePID); f == nil || int(f.Fd()) != pidFile || left.take(filePID) != nil {
		t.Errorf("the pid file: %v", f)
	} else {
		left.files[filePID] = f
	}
	left.close()
	if isOpen(pidFile) {
		t.Error("it is left open")
	}

	next := dup(t)
	t.Setenv(handoverVariable, strings.NewReplacer(`"version":1`, `"version":2`, `:`+itoa(pidFile), `:`+itoa(next)).Replace(string(text)))
	if left, err := takeHandover(); left != nil || err == nil || !strings.Contains(err.Error(), "the format 2, this release knows 1") {
		t.Errorf("another format: %v, %v", left, err)
	}
	if isOpen(next) {
		t.Error("the files of another format are left open")
	}
}

// Those in testdata were left by these releases; their descriptors are of this test.
//
// Covers: O2
func TestHandoversOfEarlierReleasesAreRead(t *testing.T) {
	for release, holder := range map[string]int{"670e6da": 2064, "9da8b06": 8812} {
		text, err := os.ReadFile("testdata/handover-" + release + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		if err := json.Unmarshal(text, &fields); err != nil {
			t.Fatal(err)
		}
		files := map[string]int{}
		for name := range fields["files"].(map[string]any) {
			files[name] = dup(t)
		}
		fields["files"] = files
		if text, err = json.Marshal(fields); err != nil {
			t.Fatal(err)
		}
		t.Setenv(handoverVariable, string(text))
		left, err := takeHandover()
		if err != nil {
			t.Fatalf("%s: %v", release, err)
		}
		const program = "/srv/lithos/bin/lithos_tree"
		if left.Release != release || left.Path != program || left.Generation != 1 || left.Holder != holder || left.Refused != "" ||
			strings.Join(left.Args, " ") != program+" -C /srv/host/master.yaml" {
			t.Errorf("%s: %+v", release, left)
		}
		for _, name := range []string{filePID, fileControl, fileProgram, fileHold, fileHoldMask} {
			if f := left.files[name]; f == nil || int(f.Fd()) != files[name] {
				t.Errorf("%s: the file %s is %v", release, name, f)
			}
		}
		left.close()
	}
}

func (h *helpers) some() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.waiting) > 0
}

func itoa(n int) string { text, _ := json.Marshal(n); return string(text) }

// Covers: O2
func TestFailedTrialSaysWhy(t *testing.T) {
	h := newHost(t)
	script := func(text string) string {
		h.write("bin/new", "#!/bin/sh\n"+text+"\n")
		if err := os.Chmod(h.path("bin/new"), 0o755); err != nil {
			t.Fatal(err)
		}
		return h.path("bin/new")
	}
	children := new(helpers)
	stop, reaped := make(chan struct{}), make(chan struct{})
	defer func() { close(stop); <-reaped }()
	go func() { // as the root actor does
		defer close(reaped)
		for stopped := false; !stopped || children.some(); {
			select {
			case <-stop:
				stopped = true
			case <-time.After(time.Millisecond):
			}
			if exit, ok, _ := proc.Wait(); ok {
				children.ended(exit.PID, syscall.WaitStatus(exit.Status))
			}
		}
	}()
	for text, want := range map[string]string{
		"echo a warning >&2; echo " + canStart: "",
		// Of many configs there may be much to say.
		"head -c 500000 /dev/zero | tr '\\0' x; echo; echo " + canStart: "",
		"echo " + canStart + "; exit 1":                                 "it could not start, exit code 1",
		"echo not " + canStart:                                          "it is no lithos_tree",
		"kill -9 $$":                                                    "it was ended by signal 9",
		`[ "$1" = --can-start ] || exit 9; exit`:                        "it is no lithos_tree",
	} {
		err := children.try(t.Context(), script(text), time.Minute)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	// One that hangs is killed, also what it has started does not keep us.
	for _, text := range []string{"exec sleep 1000", "sleep 10 & wait"} {
		began := time.Now()
		if err := children.try(t.Context(), script(text), 200*time.Millisecond); !errors.Is(err, errSilent) {
			t.Errorf("%s: %v", text, err)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%s: it took %v", text, took)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := children.try(ctx, script("exec sleep 1000"), time.Minute); err == nil {
		t.Error("a trial that nobody wants any more went well")
	}
	if err := children.try(t.Context(), h.path("bin/none"), time.Minute); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
