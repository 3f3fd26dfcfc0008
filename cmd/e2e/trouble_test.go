package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lithos/actors/services/api"
)

// The tests of this file take descriptors, processes or disk space away from a
// daemon of their own. Containers keep running, failed starts are errors with a
// sentence and are retried, and all is well when the trouble is over.

// troubled is a host in trouble.
type troubled struct {
	*host
	client *api.Client // one for all: connections are bounded
}

// troubleHost has a container that runs and one that dies all the time, on
// purpose; its log directory and its runtime directory are file systems of
// their own if they are named.
func troubleHost(t *testing.T, fileSystems ...string) (h *troubled, steady instance) {
	t.Helper()
	h = &troubled{host: newHost(t)}
	h.client = h.control()
	for _, dir := range fileSystems {
		h.tmpfs(dir, "512k")
	}
	h.image("app", map[string]string{
		"steady": simple("", "wait"),
		"flaky":  simple("restart-timeout: 0.2", "run", "100", "7"),
	})
	h.sandbox("box", "", `
		steady: {image: app, config: /config/steady.yaml}
		flaky: {image: app, config: /config/flaky.yaml}
		`)
	h.start()
	h.settled(api.Wait{Reload: 1, Instance: "box/steady.0"})
	eventually(t, "a death", 10*time.Second, func() error { return h.diedAgain("flaky.0", 0) })
	return h, h.instances()["box/steady.0"]
}

// tmpfs mounts a small file system on a directory of the host.
func (h *troubled) tmpfs(dir, size string) {
	h.t.Helper()
	must(h.t, mkdir(h.path(dir)))
	must(h.t, unix.Mount("tmpfs", h.path(dir), "tmpfs", 0, "mode=0755,size="+size))
	h.t.Cleanup(func() {
		if h.daemon != nil && h.daemon.alive() {
			h.stop()
		}
		if h.t.Failed() && dir == "log" {
			h.showLogs() // tearDown finds them no more
		}
		if err := unix.Unmount(h.path(dir), 0); err != nil {
			h.t.Errorf("cannot unmount %s: %v", dir, err)
			_ = unix.Unmount(h.path(dir), unix.MNT_DETACH)
		}
	})
}

// fill takes all space of a directory's file system, and that which these files
// of it have left in their last blocks; it gives back how to free it.
func (h *troubled) fill(dir string, files ...string) (free func()) {
	h.t.Helper()
	for _, name := range append([]string{"filler"}, files...) {
		f, err := os.OpenFile(h.path(dir, name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		must(h.t, err)
		for err == nil {
			_, err = f.WriteString(strings.Repeat("\n", 4096))
		}
		if !errors.Is(err, unix.ENOSPC) {
			h.t.Fatal(err)
		}
		must(h.t, f.Close())
	}
	return func() { must(h.t, os.Remove(h.path(dir, "filler"))) }
}

// diedAgain wants more than so many deaths with exit code 7 in the counters.
func (h *troubled) diedAgain(process string, before int) error {
	n, err := h.deathsOf(process)
	if err == nil && n <= before {
		err = fmt.Errorf("%d deaths", n)
	}
	return err
}

// deathsOf is how often an instance of the sandbox box has died.
func (h *troubled) deathsOf(process string) (int, error) {
	i, err := h.client.Instance(h.t.Context(), "box/"+process)
	if err != nil {
		return 0, err
	}
	if i.LastExit == nil {
		return 0, errors.New("it has not died")
	}
	return int(i.Restarts), nil
}

// says waits until the daemon's log has something that matches this.
func (h *troubled) says(pattern string) {
	h.t.Helper()
	wanted := regexp.MustCompile(pattern)
	eventually(h.t, pattern+" in the log", 20*time.Second, func() error {
		if !wanted.MatchString(h.read("log/master.log")) {
			return errors.New("not there")
		}
		return nil
	})
}

// well wants that everything continues as it did before the trouble: the one that
// runs is the same still, the others are started again and die as they should.
func (h *troubled) well(steady instance) {
	h.t.Helper()
	if !h.daemon.alive() {
		h.t.Fatalf("the daemon has ended: %v", h.daemon.err)
	}
	before := 0
	eventually(h.t, "its state", 20*time.Second, func() (err error) {
		before, err = h.deathsOf("flaky.0")
		return err
	})
	eventually(h.t, "another death", 20*time.Second, func() error { return h.diedAgain("flaky.0", before+1) })
	if now := h.instances()["box/steady.0"]; now.knot != steady.knot || now.program != steady.program {
		h.t.Errorf("what ran all the time was %+v and is %+v", steady, now)
	}
	list, err := h.client.Deaths(h.t.Context(), "box/flaky.0")
	must(h.t, err)
	if len(list) == 0 || list[0].Code != 7 || list[0].Cause != api.CauseItself {
		h.t.Errorf("the last of its deaths is %+v", list)
	}
}

// wantKnown wants the exit code of every death that was not a failed start.
func (h *troubled) wantKnown() {
	h.t.Helper()
	for line := range strings.Lines(h.read("log/master.log")) {
		if strings.Contains(line, `Container "box/flaky`) && strings.Contains(line, "cause: ") && !strings.Contains(line, "cause: setup") && !strings.Contains(line, "exited with code 7") {
			h.t.Errorf("an exit code is lost: %s", line)
		}
	}
}

// Covers: N2, N3
func TestDaemonWithoutDescriptorsOrProcesses(t *testing.T) {
	t.Parallel()
	h, steady := troubleHost(t)
	limit := h.limitProcesses()
	pid := h.daemon.cmd.Process.Pid
	var normal unix.Rlimit
	must(t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &normal))
	const refused = "the daemon has as many descriptors open as it may"
	eventually(t, "a start without descriptors", 20*time.Second, func() error {
		// Each time it may have less than what it uses just now, until that is
		// nothing but what it keeps.
		few := unix.Rlimit{Cur: h.spareDescriptors(pid, 2), Max: normal.Max}
		must(t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, &few, nil))
		if !strings.Contains(h.read("log/master.log"), refused) {
			return errors.New("none was refused")
		}
		return nil
	})
	h.daemon.signal(unix.SIGQUIT)
	h.says("Reload(ed: supervising| refused, everything stays as it is)")
	must(t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, &normal, nil))
	h.well(steady)
	h.wantKnown()

	// From here on a program may end with a code of its own, since its runtime
	// gets no thread.
	limit("1")
	h.says("the host has no more processes")
	generation, err := h.client.Reload(t.Context())
	must(t, err)
	h.settled(api.Wait{Reload: generation, Instance: "box/steady.0"})
	limit("max")
	h.well(steady)
}

// spareDescriptors is the limit of descriptors by which a process can open so
// many more.
func (h *troubled) spareDescriptors(pid int, more int) uint64 {
	h.t.Helper()
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	must(h.t, err)
	used := map[string]bool{}
	for _, file := range files {
		used[file.Name()] = true
	}
	limit := 0
	for ; more > 0; limit++ {
		if !used[strconv.Itoa(limit)] {
			more--
		}
	}
	return uint64(limit)
}

// limitProcesses moves the daemon into a cgroup of its own, and gives back how
// to say how many processes that may have.
func (h *troubled) limitProcesses() (limit func(string)) {
	h.t.Helper()
	roots := cgroupRoots()
	parent := roots["pids"]
	if parent == "" {
		parent = roots[""]
		must(h.t, os.WriteFile(filepath.Join(parent, "cgroup.subtree_control"), []byte("+pids"), 0))
	}
	group := filepath.Join(parent, h.id+".pids")
	must(h.t, os.Mkdir(group, 0o755))
	h.t.Cleanup(func() {
		if h.daemon.alive() {
			h.stop()
		}
		eventually(h.t, "removing "+group, 10*time.Second, func() error { return os.Remove(group) })
	})
	must(h.t, os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(strconv.Itoa(h.daemon.cmd.Process.Pid)), 0))
	return func(most string) {
		must(h.t, os.WriteFile(filepath.Join(group, "pids.max"), []byte(most), 0))
	}
}

// Covers: N2, N3, P5
func TestFullAndReadOnlyDisks(t *testing.T) {
	t.Parallel()
	h, steady := troubleHost(t, "log", "run")
	free := h.fill("log", "master.log", "box.log", "stderr/box.log")
	n, err := h.deathsOf("flaky.0")
	must(t, err)
	eventually(t, "deaths without a log", 20*time.Second, func() error { return h.diedAgain("flaky.0", n+2) })
	free()
	h.says("log lines were lost: this file could not be written to")
	if out := h.read("daemon.out"); !strings.Contains(out, "Log lines are lost until this is better") {
		t.Errorf("standard error has not been told: %q", out)
	}

	free = h.fill("run")
	h.says("no space left on device")
	h.says("Cannot archive the death of ")
	// Told from memory while they can't be written. A container that ran when the
	// disk was filled leaves room for its successor: that is filled, too.
	eventually(t, "the deaths", 20*time.Second, func() error {
		h.fill("run")
		list, err := h.client.Deaths(t.Context(), "box/flaky.0")
		if err == nil && !slices.ContainsFunc(list, func(d api.Death) bool { return strings.Contains(d.Words, "no space left on device") }) {
			err = fmt.Errorf("no start failed for want of space: %+v", list)
		}
		return err
	})
	free()
	h.says("Deaths are kept again")
	h.well(steady)

	// A whole file system can't be made read-only while somebody has a file of
	// it open to write to it, unless it is the kernel after an error: it is done
	// for these directories alone.
	dirs := []string{"run/containers", "run/deaths", "run/state"}
	for _, dir := range dirs {
		must(t, unix.Mount(h.path(dir), h.path(dir), "", unix.MS_BIND, ""))
		must(t, unix.Mount("", h.path(dir), "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""))
	}
	h.says("the file system of the runtime-dir is read-only")
	for _, dir := range dirs {
		// The daemon may just be looking into it.
		eventually(t, "the end of the mount on "+dir, 20*time.Second, func() error { return unix.Unmount(h.path(dir), 0) })
	}
	h.well(steady)
	h.wantKnown()
}
