package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"lithos/actors/services/api"
)

// control is a client of this host's control socket.
func (h *host) control() *api.Client {
	c := api.NewClient(h.path("run", api.SocketName))
	h.t.Cleanup(c.Close)
	return c
}

// settled waits until everything of a sandbox runs as it is wanted.
func (h *host) settled(w api.Wait) *api.WaitResult {
	h.t.Helper()
	w.Timeout = within(10 * time.Second)
	var r *api.WaitResult
	eventually(h.t, "the control socket", 5*time.Second, func() (err error) {
		r, err = h.control().Wait(h.t.Context(), w)
		return err
	})
	if !r.OK {
		h.t.Fatalf("not settled: %q", r.Missing)
	}
	return r
}

func TestControlSocketShowsWhatHappens(t *testing.T) {
	t.Parallel()
	h := newHost(t, "control-group: 54321")
	h.image("app", map[string]string{
		"main": simple("memory-limit: 64Mi\nrestart-timeout: 0", "wait"),
		"dies": simple("restart-timeout: 60", "run", "0", "3"),
	})
	h.sandbox("box", "", "main: {image: app, config: /config/main.yaml, instances: 2}")
	h.sandbox("bad", "", "dies: {image: app, config: /config/dies.yaml}")
	h.start()
	before := h.settled(api.Wait{Reload: 1, Sandbox: "box"})
	now := h.running("box/main.0", "box/main.1")
	c := h.control()

	info, err := os.Stat(h.path("run", api.SocketName))
	must(t, err)
	if info.Mode().Perm() != 0o660 || owner(info) != "0:54321" {
		t.Errorf("the socket is %v of %s, want 0660 of root and the control-group", info.Mode(), owner(info))
	}
	main0, err := c.Instance(t.Context(), "box/main.0")
	must(t, err)
	own := now["box/main.0"]
	if main0.PID != own.knot || main0.ProgramPID != own.program || main0.State != api.StateRunning || main0.Restarts != 0 {
		t.Errorf("it is %+v, want PID 1 %d, the program %d", main0, own.knot, own.program)
	}
	if u := main0.Usage; u == nil || u.Memory == nil || *u.Memory <= 0 || u.MemoryLimit == nil || *u.MemoryLimit != 64<<20 || u.CPU == nil {
		t.Errorf("its usage is %+v", main0.Usage)
	}
	eventually(t, "the other's death", 5*time.Second, func() error {
		dies, err := c.Instance(t.Context(), "bad/dies.0")
		must(t, err)
		if dies.LastExit == nil || dies.State != api.StateWaiting {
			return fmt.Errorf("it is %s", dies.Words)
		}
		if e := dies.LastExit; e.Code != 3 || !e.Failure || dies.NextTry.Sub(dies.LastExit.At) < 50*time.Second ||
			strings.Join(dies.Conditions, " ") != api.ConditionFailing {
			t.Errorf("it is %+v, last exit %+v", dies, dies.LastExit)
		}
		return nil
	})

	// A death is an event, with a number to continue from.
	kill(t, own.program, killSignal)
	enough := errors.New("enough")
	ctx, cancel := context.WithTimeout(t.Context(), within(10*time.Second))
	defer cancel()
	var died api.Event
	err = c.Events(ctx, "", before.Seq, func(e api.Event) error {
		if e.Name != "box/main.0" {
			return nil
		}
		if e.Type == api.EventDeath {
			died = e
		}
		if e.Type == api.EventState && e.State == api.StateRunning && died.Seq != 0 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || !strings.Contains(died.Text, "SIGKILL") {
		t.Errorf("events ended with %v, its death was %+v", err, died)
	}

	// A reload by the socket, and the wait for it.
	h.config("app", "main", simple("memory-limit: 65Mi\nrestart-timeout: 0", "wait"))
	h.sandbox("broken", "", "x: {image: [}")
	generation, err := c.Reload(t.Context())
	must(t, err)
	r := h.settled(api.Wait{Reload: generation, Sandbox: "box"})
	if len(r.Instances) != 2 || r.Instances[1].PID == now["box/main.1"].knot {
		t.Errorf("it was not replaced: %+v", r.Instances)
	}
	st, err := c.Status(t.Context(), true)
	must(t, err)
	if len(st.Objects) != 1 || st.Objects[0].Sandbox != "broken" || st.Objects[0].State != "refused" || len(st.Objects[0].Problems) == 0 {
		t.Errorf("objects: %+v", st.Objects)
	}
	if st.Daemon.PID != h.daemon.cmd.Process.Pid {
		t.Errorf("daemon: %+v", st.Daemon)
	}
	must(t, c.SetLogLevel(t.Context(), "debug"))
}

func TestControlSocketOfADeadDaemonIsReplaced(t *testing.T) {
	t.Parallel()
	h := one(t, simple("", "wait"))
	h.start()
	h.settled(api.Wait{Reload: 1})
	h.daemon.signal(syscall.SIGKILL)
	<-h.daemon.done
	if _, err := h.control().Status(t.Context(), false); !errors.Is(err, api.ErrNotRunning) {
		t.Errorf("of a dead daemon: %v", err)
	}
	h.start()
	h.settled(api.Wait{Reload: 1})
	h.stop()
	if _, err := os.Lstat(h.path("run", api.SocketName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
}

// The daemon remembers which process the program is, and notices that it is
// another one, in the same container.
func TestControlSocketFindsTheProgramAnew(t *testing.T) {
	t.Parallel()
	h := one(t, simple("restart-process-only: true\nrestart-timeout: 0.1", "wait"))
	h.start()
	h.settled(api.Wait{Reload: 1, Sandbox: "box"})
	want := h.running("box/app.0")["box/app.0"].program
	for _, end := range []bool{false, true, false, true, false} {
		if end {
			must(t, syscall.Kill(want, syscall.SIGKILL))
			before := want
			eventually(t, "another program", 20*time.Second, func() error {
				if want = h.running("box/app.0")["box/app.0"].program; want == before || want == 0 {
					return fmt.Errorf("it is %d", want)
				}
				return nil
			})
		}
		// PID 1 has to write down the start before it is known.
		eventually(t, "the program on the control socket", 20*time.Second, func() error {
			list, err := h.control().Instances(t.Context(), "box", true)
			if err != nil {
				return err
			}
			if in := list.Instances[0]; in.ProgramPID != want || in.ProgramStarted.IsZero() || in.Usage == nil || *in.Usage.Processes != 1 {
				return fmt.Errorf("program %d since %s, want %d, usage %+v", in.ProgramPID, in.ProgramStarted, want, in.Usage)
			}
			return nil
		})
	}
}
