package process

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"lithos/actors"
	"lithos/actors/services/api"
	"lithos/actors/services/status"
	"lithos/spawn"
	"lithos/spawn/records"
)

// Covers: N3
func TestHangingSetUpIsKilledAndRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChecked(t)
		c.settingUp = true
		c.tell(&RunInstance{Instance: instance("1"), Env: c.env})
		gen := c.fork(7)
		if in := c.after(setupPatience - 1); in.State != status.Running {
			t.Fatalf("before: %+v", in)
		}
		in := c.after(1)
		if in.State != status.Restarting || !strings.HasPrefix(in.Unhealthy, "its program was not started within 1m0s") {
			t.Errorf("after: %+v", in)
		}
		// Neither TERM nor KILL helps as long as the kernel has it wait.
		c.after(5*time.Second + killGrace)
		if !slices.Equal(c.signals, []syscall.Signal{spawn.StopSignal, syscall.SIGKILL}) {
			t.Errorf("signals %v", c.signals)
		}
		c.after(killPatience)
		if log := c.log.String(); !strings.Contains(log, "is still there 10s after SIGKILL") {
			t.Errorf("the log: %s", log)
		}
		c.after(time.Hour)
		if sent := c.take(); len(sent) != 0 {
			t.Errorf("it is started while the old one is there: %v", sent)
		}
		c.record = func() (*records.Record, error) { return &records.Record{}, nil }
		c.tell(&ProcessExited{Gen: gen, Exit: actors.Exit{PID: 7, Status: syscall.WaitStatus(syscall.SIGKILL), At: time.Now()}})
		e := c.after(0).LastExit
		if e == nil || e.Cause != api.CauseSetup || !e.Failure || !strings.HasPrefix(e.Words, "was ended, since its program was not started within 1m0s") {
			t.Errorf("the death: %+v", e)
		}
		c.settingUp = false
		c.fork(8)
		if in := c.after(time.Hour); in.State != status.Running || in.Unhealthy != "" {
			t.Errorf("the next one: %+v", in)
		}
	})
}

// Doubt does not end a container: a record may have lost a line.
func TestASetUpThatIsNotKnownToHangIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChecked(t)
		c.settingUp, c.settingUpError = true, errors.New("no record")
		c.tell(&RunInstance{Instance: instance("1"), Env: c.env})
		c.fork(7)
		if in := c.after(time.Hour); in.State != status.Running || len(c.signals) != 0 {
			t.Errorf("%+v, signals %v", in, c.signals)
		}
	})
}

func TestASetUpThatWasStoppedByASignalIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChecked(t)
		c.settingUp = true
		c.tell(&RunInstance{Instance: instance("1"), Env: c.env})
		gen := c.fork(7)
		c.tell(&ProcessStopped{Gen: gen, Stopped: true, Signal: syscall.SIGSTOP})
		if in := c.after(time.Hour); len(c.signals) != 0 {
			t.Errorf("%+v, signals %v", in, c.signals)
		}
		c.tell(&ProcessStopped{Gen: gen})
		c.after(setupPatience)
		if len(c.signals) != 1 {
			t.Errorf("signals when it goes on: %v", c.signals)
		}
	})
}
