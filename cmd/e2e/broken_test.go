//go:build !guest

// Not in the virtual machine: the corpus is not there, and it is not about the kernel.

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lithos/actors/services/api"
)

// Each broken host of configs/testdata/broken is put over the files of a running
// daemon: sandbox "web" with its processes and images, and the lines of the
// master config. Neither sandbox "box" nor the frozen containers of "web" are
// affected.
//
// Covers: A5, D12, O6
func TestBrokenConfigStopsNoContainer(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../configs/testdata/broken/*.txt")
	if err != nil || len(files) < 200 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	h := one(t, simple("", "wait"))
	h.sandbox("web", "", app)
	h.start()
	now := h.running("box/app.0", "web/app.0")
	client := api.NewClient(h.path("run", api.SocketName))
	t.Cleanup(client.Close)
	b := &brokenHosts{h: h, client: client, box: now["box/app.0"]}
	web, frozen, refused := now["web/app.0"].knot, 0, 0
	for i, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		b.put(file, i)
		status := b.reload(name)
		if status == nil {
			return
		}
		pid := b.check(name, status)
		kept := true
		switch {
		case status.Reload.Refused != "":
			refused++
			if pid != web {
				t.Errorf("%s was refused, and web/app.0 is %d, not %d", name, pid, web)
			}
		case isFrozen(status):
			frozen++
			if pid != web {
				t.Errorf("%s is frozen, and web/app.0 is %d, not %d", name, pid, web)
			}
		default:
			kept = false // it is wanted otherwise now, or not at all
		}
		if !kept || pid != web {
			web = b.restore()
		}
	}
	t.Logf("%d hosts: %d refused, %d frozen", len(files), refused, frozen)
	if refused < 20 || frozen < 100 {
		t.Errorf("of %d broken hosts %d were refused and %d frozen", len(files), refused, frozen)
	}
	b.restore()
	b.check("the end", b.reload("the end"))
	h.running("box/app.0", "web/app.0")
}

type brokenHosts struct {
	h      *host
	client *api.Client
	box    instance
}

// put writes the files of one host; its directory is corpus/N here.
func (b *brokenHosts) put(file string, n int) {
	b.h.t.Helper()
	data, err := os.ReadFile(file)
	must(b.h.t, err)
	b.clear()
	dir := b.h.path("corpus", fmt.Sprint(n))
	head, _, _ := strings.Cut(string(data), "-- problems --\n")
	name, text := "", ""
	flush := func() {
		if name != "" {
			b.place(dir, name, strings.ReplaceAll(text, "HOST", dir))
		}
		text = ""
	}
	for line := range strings.Lines(head) {
		if inner, ok := strings.CutPrefix(line, "-- "); ok && strings.HasSuffix(inner, " --\n") {
			flush()
			name = strings.TrimSuffix(inner, " --\n")
		} else {
			text += line
		}
	}
	flush()
}

// place puts one file where the daemon reads it.
func (b *brokenHosts) place(dir, name, text string) {
	b.h.t.Helper()
	name, target, link := strings.Cut(name, " -> ")
	name, fifo := strings.CutSuffix(name, " |")
	to := filepath.Join(dir, name)
	switch {
	case name == "master.yaml":
		b.h.master(text)
		return
	case strings.HasPrefix(name, "sandboxes/"), strings.HasPrefix(name, "processes/"):
		to = b.h.path(name)
	}
	must(b.h.t, os.MkdirAll(filepath.Dir(to), 0o755))
	switch {
	case link:
		must(b.h.t, os.Symlink(target, to))
	case fifo:
		must(b.h.t, syscall.Mkfifo(to, 0o644))
	default:
		must(b.h.t, os.WriteFile(to, []byte(text), 0o644))
	}
}

// clear takes all away but what belongs to box.
func (b *brokenHosts) clear() {
	b.h.t.Helper()
	for _, dir := range []string{"sandboxes", "processes"} {
		entries, err := os.ReadDir(b.h.path(dir))
		must(b.h.t, err)
		for _, e := range entries {
			if e.Name() != "box.yaml" {
				must(b.h.t, os.RemoveAll(b.h.path(dir, e.Name())))
			}
		}
	}
}

// reload has the daemon read the files, and gives what it says then.
func (b *brokenHosts) reload(name string) *api.Status {
	b.h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within(20*time.Second))
	defer cancel()
	generation, err := b.client.Reload(ctx)
	var result *api.WaitResult
	for err == nil && (result == nil || result.Reload.Done < generation) {
		result, err = b.client.Wait(ctx, api.Wait{Reload: generation, Instance: "box/app.0", State: "running", Timeout: 10 * time.Second})
	}
	var status *api.Status
	if err == nil {
		status, err = b.client.Status(ctx, false)
	}
	if err != nil {
		b.h.t.Errorf("%s: %v", name, err)
		return nil
	}
	return status
}

// check wants box as it was, and gives the pid of web/app.0 if that runs.
func (b *brokenHosts) check(name string, status *api.Status) (web int) {
	b.h.t.Helper()
	found := false
	for _, in := range status.Instances {
		switch in.Name {
		case "box/app.0":
			found = in.PID == b.box.knot && in.State == api.StateRunning
		case "web/app.0":
			if in.State == api.StateRunning {
				web = in.PID
			}
		}
	}
	if p, ok := readProcess(b.box.program); !found || !ok || p.start != b.box.start {
		b.h.t.Fatalf("%s: box/app.0 is not what it was: %+v", name, status.Instances)
	}
	return web
}

// isFrozen tells whether web/app is kept in an earlier version.
func isFrozen(status *api.Status) bool {
	for _, o := range status.Objects {
		if o.Sandbox == "web" && (o.Process == "" || o.Process == "app") && o.State == "frozen" {
			return true
		}
	}
	return false
}

// restore gives web its right files again, and the pid that it runs as.
func (b *brokenHosts) restore() int {
	b.h.t.Helper()
	b.clear()
	b.h.master()
	b.h.sandbox("web", "", app)
	b.reload("the right files")
	web := 0
	eventually(b.h.t, "web/app.0", 20*time.Second, func() error {
		status, err := b.client.Status(context.Background(), false)
		if err != nil {
			return err
		}
		if web = b.check("the right files", status); web == 0 || !b.current(status) {
			return fmt.Errorf("%+v", status.Instances)
		}
		return nil
	})
	return web
}

// current tells whether web/app.0 runs what is wanted.
func (b *brokenHosts) current(status *api.Status) bool {
	for _, in := range status.Instances {
		if in.Name == "web/app.0" {
			return in.Running != nil && in.Desired != nil && in.Running.Fingerprint == in.Desired.Fingerprint
		}
	}
	return false
}
