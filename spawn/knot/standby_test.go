package knot_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lithos/spawn"
	"lithos/spawn/records"
	"lithos/spawn/wire"
	"lithos/sysx/cgroup"
)

// host has a spawner, and containers of one box at a time.
type host struct {
	*box
	s   *spawn.Spawner
	req *spawn.Request
}

// newHost has a container run that never ends, and nothing wait.
func newHost(t *testing.T, change func(*wire.Spec)) *host {
	t.Helper()
	tree, err := cgroup.Open(cgroup.Config{Name: fmt.Sprintf("lithos-test-%d-standby", os.Getpid()), Controllers: []string{"memory", "cpu"}})
	must(t, err)
	b := newBox(t, "touch:/out/up", "forever")
	b.listen(3)
	if change != nil {
		change(b.spec)
	}
	b.write(b.log, "")
	h := &host{box: b, s: spawn.NewSpawner(spawn.Config{Knot: knotBin, Cgroups: tree, General: general})}
	h.req = &spawn.Request{
		Spec: b.spec, Argv: []string{"lithos_knot", "--name", b.spec.Name},
		Record: b.dir + "/run/containers/web/app.0", RecordHead: records.Created{Name: b.spec.Name, Restarts: 1}, Sockets: b.sockets,
		Limits: cgroup.Limits{Memory: 64 << 20},
	}
	runtime.LockOSThread() // and never unlocked, as Start wants it
	t.Cleanup(func() {
		must(t, h.s.Remove(b.spec.Name, b.spec.StateDir, h.req.Record, true))
		tree.Close()
	})
	return h
}

// prepare builds a standby and waits for it.
func (h *host) prepare() *spawn.Standby {
	h.t.Helper()
	place := &spawn.Standby{}
	r := *h.req
	r.Standby = place
	must(h.t, place.Survey(r.Spec))
	must(h.t, h.s.Prepare(&r))
	must(h.t, place.Hear())
	return place
}

// follow starts the container with what was prepared, and kills it in the end. It
// tells whether that was taken.
func (h *host) follow(place *spawn.Standby) (child *spawn.Child, taken bool) {
	h.t.Helper()
	before := h.knots()
	r := *h.req
	r.Standby = place
	child, err := h.s.Start(&r)
	must(h.t, err)
	h.t.Cleanup(func() { h.kill(child) })
	h.awaitFile("up")
	return child, before[child.PID]
}

func (h *host) kill(child *spawn.Child) {
	_ = unix.PidfdSendSignal(int(child.PIDFD.Fd()), unix.SIGKILL, nil, 0)
	var status syscall.WaitStatus
	for {
		if _, err := syscall.Wait4(child.PID, &status, 0, nil); err != syscall.EINTR {
			return
		}
	}
}

// knots are the children of this process.
func (h *host) knots() map[int]bool {
	pids := map[int]bool{}
	for _, field := range strings.Fields(h.read(fmt.Sprintf("/proc/self/task/%d/children", unix.Gettid()))) {
		var pid int
		fmt.Sscan(field, &pid)
		pids[pid] = true
	}
	return pids
}

// gone waits until nothing of a standby is left but a zombie.
func (h *host) gone() {
	h.t.Helper()
	for _, path := range []string{"/state/web/standby.app.0", "/run/containers/web/standby.app.0"} {
		h.await("the end of "+path, func() bool {
			_, err := os.Lstat(h.dir + path)
			return os.IsNotExist(err)
		})
	}
}

func TestStandbyBecomesTheContainer(t *testing.T) {
	h := newHost(t, nil)
	place := h.prepare()
	for pid := range h.knots() {
		h.pid = pid
	}
	if line := h.read("/proc/" + itoa(h.pid) + "/cmdline"); line != "lithos_knot\x00--next\x00web/app.0\x00" {
		t.Errorf("its command line is %q", line)
	}
	time.Sleep(20 * time.Millisecond)
	if h.read(h.log) != "" || len(h.read(h.out+"/up")) != 0 {
		t.Fatal("its program runs")
	}
	if _, err := os.Stat(h.req.Record); !os.IsNotExist(err) {
		t.Error("there is a record of a container already")
	}
	must(t, h.s.Inspect(place))
	began := time.Now()
	child, taken := h.follow(place)
	if !taken || len(child.Degraded) != 0 || child.Started.Before(began) {
		t.Fatalf("taken: %v, %+v", taken, child)
	}
	h.await("the start in the record", func() bool {
		rec, err := records.Read(h.req.Record)
		return err == nil && rec.Started != nil && rec.Started.PID == wire.ProgramPID && rec.Created.Restarts == 1 &&
			rec.Forked.PID == child.PID && rec.Crash == "" && !rec.Started.At.Before(began)
	})
	if line := h.read("/proc/" + itoa(h.pid) + "/cmdline"); line != "lithos_knot\x00--name\x00web/app.0\x00" {
		t.Errorf("its command line is %q", line)
	}
	h.gone()
	if _, err := os.Stat(h.spec.StateDir); err != nil {
		t.Error(err)
	}
	if h.s.IsStandby(child.PID) {
		t.Error("it counts as one that waits")
	}
	must(t, unix.PidfdSendSignal(int(child.PIDFD.Fd()), unix.SIGTERM, nil, 0))
	h.await("the end in the record", func() bool {
		rec, err := records.Read(h.req.Record)
		return err == nil && rec.Exited != nil && rec.Exited.Asked
	})
}

// A standby with a changed input is not used.
func TestStandbyOfAnotherContainerIsNotTaken(t *testing.T) {
	for name, change := range map[string]func(h *host){
		"a variable":  func(h *host) { h.spec.Env = append(h.spec.Env, "A=1") },
		"a limit":     func(h *host) { h.req.Limits.Memory = 65 << 20 },
		"the command": func(h *host) { h.req.Argv = append(h.req.Argv, "--config={}") },
		"a secret":    func(h *host) { h.req.Secrets = []spawn.Secret{{Name: "S", Value: []byte("1")}} },
		"the image": func(h *host) {
			must(h.t, os.Rename(h.image, h.image+".old"))
			must(h.t, os.CopyFS(h.image, os.DirFS(h.image+".old")))
			must(h.t, os.Chmod(h.image+"/bin/probe", 0o755))
		},
		"a volume": func(h *host) {
			must(h.t, os.Rename(h.out, h.out+".old"))
			must(h.t, os.Mkdir(h.out, 0o755))
			must(h.t, os.Chmod(h.out, 0o777))
		},
		"the log": func(h *host) {
			must(h.t, os.Rename(h.log, h.log+".1"))
			h.write(h.log, "")
		},
		"resolv.conf": func(h *host) { h.write(h.dir+"/resolv.conf", "nameserver 192.0.2.2\n") },
		"itself":      func(h *host) { h.kill(&spawn.Child{PID: h.pid, PIDFD: h.pidfd()}) },
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			h := newHost(t, func(s *wire.Spec) { s.ResolvConf = wire.ResolvConf{Source: s.MountDir + "/../resolv.conf"} })
			h.write(h.dir+"/resolv.conf", "nameserver 192.0.2.1\n")
			place := h.prepare()
			for pid := range h.knots() {
				h.pid = pid
			}
			change(h)
			_ = h.s.Inspect(place)
			if _, taken := h.follow(place); taken {
				t.Error("it was taken")
			}
			h.gone()
		})
	}
}

// pidfd opens the latest container.
func (h *host) pidfd() *os.File {
	fd, err := unix.PidfdOpen(h.pid, 0)
	must(h.t, err)
	return os.NewFile(uintptr(fd), "pidfd")
}

func TestStandbyIsDiscarded(t *testing.T) {
	h := newHost(t, nil)
	place := h.prepare()
	told := make(chan error)
	go func() { told <- place.Hear() }()
	h.s.Discard(place)
	h.s.Discard(place)
	h.gone()
	if err := <-told; err == nil {
		t.Error("who waits for its end is told that it waits")
	}
	r := *h.req
	r.Standby = place
	if err := h.s.Prepare(&r); err == nil {
		t.Error("one that was discarded is prepared")
	}
	if _, taken := h.follow(place); taken {
		t.Error("it was taken")
	}
}

func TestStandbyThatCannotBeBuiltSaysWhy(t *testing.T) {
	h := newHost(t, func(s *wire.Spec) { s.Volumes[0].Source += "/missing" })
	place := &spawn.Standby{}
	r := *h.req
	r.Standby = place
	must(t, h.s.Prepare(&r))
	if err := place.Hear(); err == nil || !strings.Contains(err.Error(), "/missing") {
		t.Errorf("%v", err)
	}
	h.s.Discard(place)
	h.gone()
}
