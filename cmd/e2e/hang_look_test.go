package e2e

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lithos/actors/services/api"
)

// A program executes another one, which closes a file on a hanging file system:
// each reader of its /proc files blocks. Less is known of it then; all other
// containers are reported, supervised, and adopted. The helpers of this test
// would block too, so it asks the daemon, and no test runs beside it.
//
// Covers: N3, R9
func TestUninspectableProgram(t *testing.T) {
	h, far := becoming(t)
	h.start()
	steady, program := h.runs("steady"), h.becomesSilent(far)

	hidden := waits(program, "stat")
	h.silent(steady, hidden)
	h.goesOn(steady)
	h.killDaemon()
	r := h.ps()
	r.expect(t, "lithos_ps without a daemon", 0)
	if strings.Contains(r.stdout, "1 silent") != hidden {
		t.Errorf("it prints %s", r.stdout)
	}
	// The forked child is searched for among all processes.
	h.forgetFork("box/steady.0")
	h.start()
	h.says(`Adopted container "box/becoming.0"`)
	h.says(`Adopted container "box/steady.0"`)
	h.silent(instance{knot: steady.knot}, hidden) // its record had the program
	h.goesOn(steady)

	far.answer()
	eventually(t, "that it can be looked at", 20*time.Second, func() error {
		in, err := h.client.Instance(t.Context(), "box/becoming.0")
		if err == nil && (in.ProgramPID != program || slices.Contains(in.Conditions, api.ConditionSilent)) {
			err = fmt.Errorf("it is %+v", in)
		}
		return err
	})
	h.well(steady)
}

// silent wants that the daemon says so of the program, in time, and knows all of
// the others, as does lithos_ps.
func (h *troubled) silent(steady instance, hidden bool) {
	h.t.Helper()
	eventually(h.t, "an answer of the daemon", 20*time.Second, func() error {
		status, err := h.client.Status(h.t.Context(), true)
		if err != nil {
			return err
		}
		byName := map[string]*api.Instance{}
		for i := range status.Instances {
			byName[status.Instances[i].Name] = &status.Instances[i]
		}
		other, in := byName["box/steady.0"], byName["box/becoming.0"]
		switch {
		case other == nil || in == nil:
			return errors.New("not all are there")
		case other.PID != steady.knot || other.ProgramPID != steady.program || len(other.Conditions) != 0:
			return fmt.Errorf("the other is %+v", other)
		case !hidden && (in.ProgramPID == 0 || len(in.Conditions) != 0):
			return fmt.Errorf("it is %+v, though it can be looked at", in)
		case !hidden:
			return nil
		case in.State != api.StateRunning || in.ProgramPID != 0 || !slices.Contains(in.Conditions, api.ConditionSilent):
			return fmt.Errorf("it is %+v", in)
		case !strings.Contains(in.Words, "its program can't be looked at: "):
			return fmt.Errorf("it says %q", in.Words)
		}
		return nil
	})
	if !hidden {
		if err := h.psShows(nil, `becoming\.0 +running `); err != nil {
			h.t.Error(err)
		}
		return
	}
	if err := h.psShows(nil, `1 silent\n`, fmt.Sprintf(`steady\.0 +running +%d`, steady.knot), `becoming\.0 +running, silent`); err != nil {
		h.t.Error(err)
	}
	if err := h.psShows([]string{"--why", "box/becoming.0"}, `(?m)^waits for a file system that does not answer`); err != nil {
		h.t.Error(err)
	}
}

// goesOn is well without a look at processes.
func (h *troubled) goesOn(steady instance) {
	h.t.Helper()
	before, err := h.deathsOf("flaky.0")
	if err != nil {
		before = 0 // since this daemon began
	}
	eventually(h.t, "another death", 20*time.Second, func() error { return h.diedAgain("flaky.0", before+1) })
	in, err := h.client.Instance(h.t.Context(), "box/steady.0")
	if err != nil || in.PID != steady.knot || in.Restarts != 0 {
		h.t.Errorf("what ran all the time is %+v, %v", in, err)
	}
}
