package knot_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"lithos/spawn"
	"lithos/spawn/records"
	"lithos/spawn/wire"
	"lithos/sysx/cgroup"
)

// The supervisor's half and ours, as they are shipped.
//
// Covers: K2, M7, P8
func TestContainerFromTheSpawner(t *testing.T) {
	tree, err := cgroup.Open(cgroup.Config{Name: fmt.Sprintf("lithos-test-%d-knot", os.Getpid()), Controllers: []string{"memory", "cpu"}})
	must(t, err)
	b := newBox(t, "report:/out/report", "forever")
	b.spec.PIDVars = []string{"LISTEN_PID"}
	b.listen(3)
	s := spawn.NewSpawner(spawn.Config{Knot: knotBin, Cgroups: tree})
	req := &spawn.Request{
		Spec: b.spec, Argv: []string{"lithos_knot", "--name", b.spec.Name, "--master", "m.yaml", "--config", "{}"},
		Record: b.dir + "/run/web/app.0", RecordHead: records.Created{Name: b.spec.Name}, Sockets: b.sockets,
		Limits: cgroup.Limits{Memory: 64 << 20, CPUShares: 512},
	}
	runtime.LockOSThread() // and never unlocked, as Start wants it
	child, err := s.Start(req)
	must(t, err)
	defer child.PIDFD.Close()
	b.pid, b.record = child.PID, req.Record
	var status syscall.WaitStatus
	waited := false
	wait := func() {
		for !waited {
			_, err := syscall.Wait4(child.PID, &status, 0, nil)
			waited = err != syscall.EINTR
		}
	}
	t.Cleanup(func() {
		unix.Kill(child.PID, unix.SIGKILL)
		wait()
		must(t, s.Remove(b.spec.Name, b.spec.StateDir, req.Record, true))
		tree.Close()
	})
	if len(child.Degraded) != 0 {
		t.Errorf("degraded: %q", child.Degraded)
	}
	r := b.report("report")
	if r.PID != wire.ProgramPID || !strings.Contains(strings.Join(r.Env, " "), "LISTEN_PID=2") {
		t.Errorf("pid %d, environment %q", r.PID, r.Env)
	}
	if len(r.FDs) != 4 || !strings.HasPrefix(r.FDs["3"], "socket:") {
		t.Errorf("descriptors %v", r.FDs)
	}
	must(t, unix.PidfdSendSignal(int(child.PIDFD.Fd()), unix.SIGTERM, nil, 0))
	wait()
	if status.ExitStatus() != wire.ExitNormal {
		t.Errorf("status %#x", status)
	}
	rec, err := records.Read(req.Record)
	must(t, err)
	if rec.Created.Name != b.spec.Name || rec.Forked == nil || rec.Started == nil || rec.Started.PID != 2 ||
		rec.Exited == nil || rec.Exited.Signal != int(unix.SIGTERM) || !rec.Exited.Asked || rec.Crash != "" {
		t.Errorf("record %+v", rec)
	}
}
