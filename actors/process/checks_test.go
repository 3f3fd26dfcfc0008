package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"lithos/actors"
	"lithos/actors/services/api"
	"lithos/actors/services/status"
	"lithos/actors/spawner"
	"lithos/configs"
	"lithos/spawn"
	"lithos/spawn/records"
	"lithos/spawn/wire"
)

var errDown = errors.New("connection refused")

func TestJudge(t *testing.T) {
	const s = time.Second
	now := time.Now()
	ready := &configs.Ready{}
	health := func(failures int, start time.Duration) *configs.Healthcheck {
		return &configs.Healthcheck{Failures: failures, StartPeriod: start}
	}
	notAsked := fmt.Errorf("%w: no memory", actors.ErrNotAsked)
	young, old := now.Add(-s), now.Add(-time.Hour)
	for _, c := range []struct {
		name     string
		options  configs.Container
		before   checking
		err      error
		verdict  verdict
		ready    time.Time
		failures int
		why      string
	}{
		{"ready", configs.Container{Ready: ready}, checking{since: young}, nil, isReady, now, 0, ""},
		{"ready at last", configs.Container{Ready: ready}, checking{since: young, why: "x"}, nil, isReady, now, 0, ""},
		{"not ready", configs.Container{Ready: ready}, checking{since: young}, errDown, goOn, time.Time{}, 0, "connection refused"},
		{"not ready, and never failed", configs.Container{Ready: ready, Healthcheck: health(1, 0)}, checking{since: old}, errDown, goOn, time.Time{}, 0, "connection refused"},
		{"healthy", configs.Container{Ready: ready, Healthcheck: health(1, 0)}, checking{since: old, ready: young}, nil, goOn, young, 0, ""},
		{"healthy again", configs.Container{Healthcheck: health(3, 0)}, checking{since: old, failures: 2, why: "x"}, nil, goOn, time.Time{}, 0, ""},
		{"a failure", configs.Container{Healthcheck: health(3, 0)}, checking{since: old, failures: 1}, errDown, goOn, time.Time{}, 2, "connection refused"},
		{"the last failure", configs.Container{Healthcheck: health(3, 0)}, checking{since: old, failures: 2}, errDown, isUnhealthy, time.Time{}, 3, "connection refused"},
		{"one is enough", configs.Container{Healthcheck: health(1, 0)}, checking{since: old}, errDown, isUnhealthy, time.Time{}, 1, "connection refused"},
		{"in the start-period", configs.Container{Healthcheck: health(1, 5*s)}, checking{since: young}, errDown, goOn, time.Time{}, 0, "connection refused"},
		{"after the start-period", configs.Container{Healthcheck: health(1, s)}, checking{since: young}, errDown, isUnhealthy, time.Time{}, 1, "connection refused"},
		{"not asked", configs.Container{Healthcheck: health(1, 0)}, checking{since: old}, notAsked, goOn, time.Time{}, 0, "could not be asked: no memory"},
		{"not asked between failures", configs.Container{Healthcheck: health(3, 0)}, checking{since: old, failures: 2}, notAsked, goOn, time.Time{}, 2, "could not be asked: no memory"},
	} {
		after, v := judge(c.before, c.err, &c.options, now)
		if v != c.verdict || !after.ready.Equal(c.ready) || after.failures != c.failures || after.why != c.why {
			t.Errorf("%s: verdict %d, ready %s, failures %d, %q", c.name, v, after.ready, after.failures, after.why)
		}
	}
}

// checked is a stage whose container has checks; answer is what the next ones
// bring.
type checked struct {
	*stage
	answer error
	asked  []time.Duration // since the start
	began  time.Time
	slow   time.Duration
}

func newChecked(t *testing.T) *checked {
	c := &checked{stage: newStage(t), began: time.Now()}
	c.env.Board = status.New()
	c.env.Kernel.Check = func(ctx context.Context, _, _ string, _ *configs.Check) error {
		c.mu.Lock()
		c.asked = append(c.asked, time.Since(c.began))
		slow := c.slow
		c.mu.Unlock()
		select {
		case <-time.After(slow):
		case <-ctx.Done():
			return errors.New("no answer in time")
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.answer
	}
	return c
}

func (c *checked) answers(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = err
}

func (c *checked) after(d time.Duration) *status.Instance {
	time.Sleep(d)
	synctest.Wait()
	in, _ := c.env.Board.Instance("web/app.0")
	return in
}

func withChecks(version string, ready *configs.Ready, health *configs.Healthcheck) *configs.Instance {
	in := instance(version)
	in.Container.Ready, in.Container.Healthcheck = ready, health
	return in
}

func tcp(interval time.Duration) configs.Check {
	return configs.Check{Kind: configs.CheckTCP, Interval: interval, Timeout: 2 * time.Second}
}

// A long interval is one of answers: until the program is executed there is none.
func TestIsAskedSoonWhileThereIsNoProgram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChecked(t)
		c.answers(actors.ErrNoProgram)
		c.tell(&RunInstance{Instance: withChecks("1", &configs.Ready{Check: tcp(time.Hour)}, nil), Env: c.env})
		c.fork(7)
		c.after(3 * time.Second)
		c.answers(errDown)
		c.after(3 * time.Second)
		if len(c.asked) < 5 || len(c.asked) > 10 {
			t.Errorf("asked after %v", c.asked)
		}
		c.answers(nil)
		if in := c.after(2 * time.Hour); in.Ready == nil || in.Ready.At.IsZero() {
			t.Errorf("%+v", in.Ready)
		}
	})
}

func TestBecomesReadyAndUnhealthyAndIsRestarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const s = time.Second
		c := newChecked(t)
		c.answers(errDown)
		c.tell(&RunInstance{Instance: withChecks("1", &configs.Ready{Check: tcp(s)}, &configs.Healthcheck{Check: tcp(10 * s), Failures: 2}), Env: c.env})
		gen := c.fork(7)
		in := c.after(5 * s)
		if !in.NotReady() || in.State != status.Running || in.Ready.Why != "connection refused" || in.Health != nil {
			t.Fatalf("while it starts: %+v, %+v", in, in.Ready)
		}
		c.answers(nil)
		in = c.after(s)
		if in.NotReady() || len(c.appended) != 1 || in.Health == nil {
			t.Fatalf("when it serves: %+v, %+v, noted %q", in, in.Ready, c.appended)
		}
		if fmt.Sprint(c.asked) != "[100ms 1.1s 2.1s 3.1s 4.1s 5.1s]" {
			t.Errorf("asked at %v", c.asked)
		}
		c.answers(errDown)
		in = c.after(10 * s)
		if in.Health.Failures != 1 || !in.Ailing() || in.NotReady() {
			t.Errorf("after a failure: %+v", in.Health)
		}
		c.answers(nil)
		if in = c.after(10 * s); in.Ailing() {
			t.Errorf("healthy again: %+v", in.Health)
		}
		c.answers(errDown)
		in = c.after(20 * s)
		if in.State != status.Restarting || !strings.Contains(in.Unhealthy, "failed 2 times in a row") {
			t.Errorf("after two failures: %+v", in)
		}
		if len(c.signals) != 1 || c.signals[0] != spawn.StopSignal {
			t.Errorf("signals %v", c.signals)
		}
		if n := len(c.asked); c.after(3*s) == nil || len(c.asked) != n {
			t.Error("it is asked while it is being ended")
		}
		c.record = func() (*records.Record, error) {
			return &records.Record{Started: &wire.ProgramStarted{}, Exited: &wire.ProgramExited{Asked: true}}, nil
		}
		c.tell(&ProcessExited{Gen: gen, Exit: actors.Exit{PID: 7, At: time.Now()}})
		e := c.after(0).LastExit
		if e == nil || e.Cause != api.CauseHealth || !e.Failure ||
			e.Words != "was ended, since its healthcheck failed 2 times in a row (TCP connection to invalid AddrPort: connection refused): it exited with code 0 after TERM" {
			t.Errorf("the death: %+v", e)
		}
		if got := c.counters.Causes[actors.CauseHealth].Load(); got != 1 || c.counters.Failures.Load() != 1 {
			t.Errorf("counted %d deaths by healthcheck, %d failures", got, c.counters.Failures.Load())
		}
		c.fork(8)
		if in = c.after(0); !in.NotReady() || in.Unhealthy != "" {
			t.Errorf("the next one: %+v", in)
		}
	})
}

func TestNotReadyInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const s = time.Second
		c := newChecked(t)
		c.answers(errDown)
		c.tell(&RunInstance{Instance: withChecks("1", &configs.Ready{Check: tcp(s), Within: 30 * s}, nil), Env: c.env})
		c.fork(7)
		if in := c.after(30*s - 1); in.State != status.Running {
			t.Fatalf("before: %+v", in)
		}
		in := c.after(1)
		if in.State != status.Restarting || !strings.HasPrefix(in.Unhealthy, "it was not ready within 30s (TCP connection") {
			t.Errorf("after: %+v", in)
		}
		// It does not end on TERM.
		c.after(5*s + killGrace)
		if len(c.signals) != 2 || c.signals[1] != syscall.SIGKILL {
			t.Errorf("signals %v", c.signals)
		}
	})
}

func TestReadyInTimeIsNotEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChecked(t)
		c.tell(&RunInstance{Instance: withChecks("1", &configs.Ready{Check: tcp(time.Second), Within: 150 * time.Millisecond}, nil), Env: c.env})
		c.fork(7)
		if in := c.after(time.Hour); in.State != status.Running || in.NotReady() {
			t.Errorf("%+v", in)
		}
		if len(c.asked) != 1 {
			t.Errorf("asked %d times", len(c.asked))
		}
	})
}

func TestSlowAnswersAreWaitedForOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const s = time.Second
		c := newChecked(t)
		c.slow = time.Hour
		c.tell(&RunInstance{Instance: withChecks("1", nil, &configs.Healthcheck{Check: tcp(s), Failures: 3}), Env: c.env})
		c.fork(7)
		in := c.after(8 * s)
		if fmt.Sprint(c.asked) != "[1s 4s 7s]" || in.Health.Failures != 2 || in.State != status.Running {
			t.Errorf("asked at %v, %+v", c.asked, in.Health)
		}
		// A retirement does not wait for the third.
		c.tell(&RetireInstance{})
		if in := c.after(0); in.State != status.Stopping {
			t.Errorf("%+v", in)
		}
		if in := c.after(time.Minute); in.State != status.Stopping || fmt.Sprint(c.appended) != "[web/app.0: "+records.EndingLine("removed")+"]" {
			t.Errorf("%+v, noted %q", in, c.appended)
		}
	})
}

func TestOtherChecksCountAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const s = time.Second
		c := newChecked(t)
		c.answers(errDown)
		c.tell(&RunInstance{Instance: withChecks("1", &configs.Ready{Check: tcp(s), Within: time.Hour}, nil), Env: c.env})
		c.fork(7)
		c.after(10 * s)
		c.tell(&UpdateInstance{Instance: withChecks("1", &configs.Ready{Check: tcp(s), Within: 5 * s}, nil), Env: c.env})
		if in := c.after(5*s - 1); in.State != status.Running {
			t.Errorf("within counts from the change on: %+v", in)
		}
		c.tell(&UpdateInstance{Instance: withChecks("1", nil, nil), Env: c.env})
		n := len(c.asked)
		if in := c.after(time.Hour); in.State != status.Running || in.Ready != nil || len(c.asked) != n {
			t.Errorf("without checks: %+v", in)
		}
	})
}

func TestAdoptedStaysReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const s = time.Second
		for _, was := range []bool{true, false} {
			c := newChecked(t)
			c.answers(errDown)
			a := &Adopted{Name: "web/app.0", Fingerprint: "1", Created: time.Now(), Child: &spawn.Child{PID: 7, PIDFD: new(os.File), Started: time.Now()}}
			if was {
				a.Ready = time.Now().Add(-time.Hour)
			}
			c.tell(&AdoptInstance{Instance: withChecks("1", &configs.Ready{Check: tcp(s)}, &configs.Healthcheck{Check: tcp(s), Failures: 3}), Env: c.env, Adopted: a})
			in := c.after(2 * s)
			if in.NotReady() == was || (in.Health != nil) != was {
				t.Errorf("was ready %v: %+v, %+v", was, in.Ready, in.Health)
			}
			c.tell(&RetireInstance{})
		}
	})
}

// A container that a dead daemon was ending keeps its cause.
func TestDeathOfAnUnhealthyOneAfterItsDaemon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChecked(t)
		a := &Adopted{Name: "web/app.0", Fingerprint: "1", Created: time.Now(), Child: &spawn.Child{PID: 7, PIDFD: new(os.File), Started: time.Now()}}
		c.tell(&AdoptInstance{Instance: instance("1"), Env: c.env, Adopted: a})
		c.record = func() (*records.Record, error) {
			return &records.Record{Unhealthy: "it was not ready within 5s", Exited: &wire.ProgramExited{Asked: true}}, nil
		}
		c.tell(&ProcessExited{Gen: AdoptedGen, Exit: actors.Exit{PID: 7, At: time.Now()}})
		if e := c.after(0).LastExit; e == nil || e.Cause != api.CauseHealth || !e.Failure {
			t.Errorf("%+v", e)
		}
	})
}

func TestAPanicOfACheckIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChecked(t)
		c.env.Kernel.Check = func(context.Context, string, string, *configs.Check) error { panic("as told") }
		c.tell(&RunInstance{Instance: withChecks("1", nil, &configs.Healthcheck{Check: tcp(time.Second), Failures: 1}), Env: c.env})
		c.fork(7)
		if in := c.after(time.Minute); in.State != status.Running || !strings.Contains(in.Health.Why, "could not be asked") {
			t.Errorf("%+v, %+v", in, in.Health)
		}
	})
}

func notice(version string, within time.Duration) *configs.Instance {
	return withChecks(version, &configs.Ready{Check: configs.Check{Kind: configs.CheckFD, FD: 5}, Within: within}, nil)
}

// tells is a stage whose programs tell that they are ready.
func tells(t *testing.T) (c *checked, tell chan error, closed *int) {
	c, tell, closed = newChecked(t), make(chan error), new(int)
	c.env.Kernel.AwaitNotice = func(*os.File) error { return <-tell }
	c.env.Kernel.Close = func(*os.File) error { *closed++; return nil }
	return c, tell, closed
}

func TestProgramTellsThatItIsReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, tell, closed := tells(t)
		c.tell(&RunInstance{Instance: notice("1", 0), Env: c.env})
		var start *spawner.StartContainer
		for _, m := range c.take() {
			if s, ok := m.(*spawner.StartContainer); ok {
				start = s
			}
		}
		if start == nil || start.Request.NoticeFD != 5 {
			t.Fatalf("the start: %+v", start)
		}
		c.system.Root.Send(c.process, &spawner.ContainerForked{Gen: start.Gen, Child: &spawn.Child{PID: 7, PIDFD: new(os.File), Notice: new(os.File), Started: time.Now()}})
		if in := c.after(time.Hour); !in.NotReady() || in.State != status.Running {
			t.Errorf("before: %+v", in)
		}
		// Other options leave one listener, which is heard.
		c.system.Root.Send(c.process, &UpdateInstance{Instance: notice("1", time.Hour), Env: c.env})
		time.Sleep(time.Minute)
		tell <- nil
		in := c.after(0)
		if in.NotReady() || *closed != 1 || len(c.appended) != 1 {
			t.Errorf("after: %+v, closed %d, noted %q", in.Ready, *closed, c.appended)
		}
		if in := c.after(2 * time.Hour); in.State != status.Running {
			t.Errorf("much later: %+v", in)
		}
		if len(c.asked) != 0 {
			t.Errorf("it was asked at %v", c.asked)
		}
	})
}

func TestProgramTellsNonsense(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, tell, closed := tells(t)
		c.system.Root.Send(c.process, &AdoptInstance{Instance: notice("1", 0), Env: c.env, Adopted: &Adopted{
			Name: "web/app.0", Fingerprint: "1", Created: time.Now(), Child: &spawn.Child{PID: 7, PIDFD: new(os.File), Notice: new(os.File), Started: time.Now()},
		}})
		time.Sleep(time.Second)
		tell <- errors.New("its program wrote 4096 bytes without a newline")
		if in := c.after(time.Hour); !in.NotReady() || in.Ready.Why != "its program wrote 4096 bytes without a newline" || in.State != status.Running {
			t.Errorf("%+v, %+v", in, in.Ready)
		}
		c.tell(&ProcessExited{Gen: AdoptedGen, Exit: actors.Exit{PID: 7, At: time.Now()}})
		if *closed != 2 { // its pidfd, too
			t.Errorf("closed %d", *closed)
		}
	})
}

// One that can't be heard is not waited for, nor ended.
func TestAdoptedThatCannotBeHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChecked(t)
		c.tell(&AdoptInstance{Instance: notice("1", time.Second), Env: c.env, Adopted: &Adopted{
			Name: "web/app.0", Fingerprint: "1", Created: time.Now(), Unreadable: "no pipe", Child: &spawn.Child{PID: 7, PIDFD: new(os.File), Started: time.Now()},
		}})
		if in := c.after(time.Hour); in.NotReady() || in.State != status.Running {
			t.Errorf("%+v, %+v", in, in.Ready)
		}
	})
}
