package process

import (
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"lithos/actors"
	"lithos/actors/services/api"
	"lithos/actors/services/deaths"
	"lithos/actors/services/status"
	"lithos/configs"
	"lithos/spawn"
	"lithos/spawn/records"
	"lithos/sysx/cgroup"
)

// examine finds out how the container ended, and why.
//
// Preconditions: the state is the one after the death, the cgroup is there.
func (p *Process) examine(child *spawn.Child, record *records.Record) (*status.Exit, *api.Death) {
	now := p.env.Kernel.Spent(p.name)
	spent := cgroup.Spent{
		OOMKills: grown(p.spent.OOMKills, now.OOMKills), MemoryPeak: now.MemoryPeak,
		CPU: time.Duration(grown(int64(p.spent.CPU), int64(now.CPU))),
	}
	p.spent = now
	asked, wasAsked := p.askedBy(record)
	sick := wasAsked && (asked == actors.CauseHealth || asked == actors.CauseSetup)
	oomPID1 := !p.killed && p.exit.Status.Signaled() && p.exit.Status.Signal() == syscall.SIGKILL &&
		p.env.Kernel.OOMKilled(child.PID, child.Started)
	f := facts{
		exit: p.exit, record: record, killed: p.killed, asked: asked, wasAsked: wasAsked,
		oom: spent.OOMKills > 0, oomPID1: oomPID1,
	}
	exit := &status.Exit{
		At:      p.exit.At,
		PID:     child.PID,
		Words:   deathInWords(p.exit, record, p.current.Container.KillTimeout),
		Cause:   f.cause(),
		Failure: sick || failed(p.exit, record, p.asked),
		Uptime:  lived(child.Started, p.exit.At, record),

		Fingerprint: p.current.Fingerprint,
	}
	switch {
	case sick:
		exit.Words = "was ended, since " + p.whyUnhealthy(record) + ": it " + exit.Words
	case oomPID1 && exit.Cause == actors.CauseOOM:
		exit.Words = "was killed: the kernel had no memory left, not for its program but for all, and chose its PID 1"
	}
	exit.Code, exit.Signal = programStatus(p.exit, record)
	d := p.newDeath(p.current)
	d.Started, d.Degraded = child.Started, child.Degraded
	if wasAsked {
		d.Asked = asked.String()
	}
	d.OOMKills, d.MemoryPeak = known(spent.OOMKills), known(spent.MemoryPeak)
	if spent.CPU != cgroup.Unknown {
		seconds := spent.CPU.Seconds()
		d.CPU = &seconds
	}
	if record.Exited != nil {
		d.MaxRSS = record.Exited.MaxRSS
	}
	return exit, d
}

// lived is how long a container did. When it ended may be told by a clock that
// was set since, if no daemon was there: then its program has counted.
func lived(started, ended time.Time, record *records.Record) time.Duration {
	d := ended.Sub(started)
	if d >= 0 && d <= time.Since(started)+time.Second {
		return d
	}
	if record.Exited != nil {
		return record.Exited.Uptime
	}
	return max(d, 0)
}

// askedBy tells who wanted the container to end.
func (p *Process) askedBy(record *records.Record) (who actors.Cause, asked bool) {
	switch {
	case p.state.Phase == CleaningToReplace:
		return actors.CauseReplaced, true
	case p.state.Phase == Leaving && p.shutdown:
		return actors.CauseShutdown, true
	case p.state.Phase == Leaving:
		return actors.CauseRemoved, true
	case strings.HasPrefix(p.whyUnhealthy(record), notSetUp):
		return actors.CauseSetup, true
	case p.whyUnhealthy(record) != "":
		return actors.CauseHealth, true
	case record.Killing, record.Exited != nil && record.Exited.Asked:
		// TERM to PID 1, and not from here: from the daemon before, or by hand.
		if who, ok := endingOf(record); ok {
			return who, true
		}
		return actors.CauseOperator, true
	case p.exit.Unknown && record.Exited == nil:
		return endingOf(record) // it may have been too young to write down that it heard
	}
	return 0, false
}

// endingOf is why an earlier daemon began to end a container.
func endingOf(record *records.Record) (who actors.Cause, ok bool) {
	for _, who = range []actors.Cause{actors.CauseReplaced, actors.CauseRemoved, actors.CauseShutdown} {
		if record.Ending == who.String() {
			return who, true
		}
	}
	return 0, false
}

// facts are what decides on the cause of a death.
type facts struct {
	exit     actors.Exit
	record   *records.Record
	killed   bool // its PID 1 was killed from here
	asked    actors.Cause
	wasAsked bool
	oom      bool // the kernel killed something in it for want of memory
	oomPID1  bool // the kernel killed its PID 1 for want of memory
}

func (f *facts) cause() actors.Cause {
	r := f.record
	switch {
	case r.Failed != "", f.wasAsked && f.asked == actors.CauseSetup:
		return actors.CauseSetup
	case r.Crash != "":
		return actors.CauseInternal
	case r.Killing || f.killed:
		return actors.CauseKillTimeout
	case f.wasAsked:
		return f.asked
	case f.oomPID1:
		return actors.CauseOOM
	case f.exit.Status.Signaled():
		return actors.CauseOperator
	case r.Exited == nil && f.exit.Status.ExitStatus() == spawn.ExitNormal:
		return actors.CauseOperator // TERM to PID 1 before there was a program
	case r.Exited == nil:
		return actors.CauseInternal
	case f.oom && syscall.Signal(r.Exited.Signal) == syscall.SIGKILL:
		return actors.CauseOOM
	case sent[syscall.Signal(r.Exited.Signal)]:
		return actors.CauseOperator
	}
	return actors.CauseItself
}

// sent are the signals that come from somebody, not from a fault of the
// program.
var sent = map[syscall.Signal]bool{
	syscall.SIGTERM: true, syscall.SIGKILL: true, syscall.SIGINT: true, syscall.SIGHUP: true,
	syscall.SIGQUIT: true, syscall.SIGUSR1: true, syscall.SIGUSR2: true, syscall.SIGPWR: true,
}

// newDeath begins a record of the death of what was made from inst.
func (p *Process) newDeath(inst *configs.Instance) *api.Death {
	d := &api.Death{
		Name: p.name, Restart: max(p.restarts-1, 0), OutputFile: p.env.StdioLog, OutputShared: p.env.Shared,
		MemoryLimit: inst.Container.MemoryLimit,
		Version: &api.Version{
			Image: inst.Container.Image, Config: inst.Container.ConfigFile, Fingerprint: inst.Fingerprint,
		},
	}
	if own := inst.Container.StdoutStderrFile; own != "" {
		// It lies where the container can make it anything: not looked at.
		d.OutputFile = own
	}
	return d
}

// keep has the record written; the result is closed when it is.
func (p *Process) keep(ctx actor.Context, exit *status.Exit, d *api.Death) (kept <-chan struct{}) {
	d.Exit = *exit.Tell()
	d.Sandbox, d.Process = p.desired.Sandbox, p.desired.Process
	from := p.logFrom
	if d.Started.IsZero() {
		from = -1 // nothing of it was started that could have written
	}
	send, self := ctx.ActorSystem().Root.Send, ctx.Self()
	return p.env.Deaths.AddSoon(deaths.Entry{Death: d, Log: p.env.StdioLog, From: from, To: p.env.Deaths.Size(p.env.StdioLog)},
		func() { send(self, &deathKept{}) })
}

// grown is how much a counter has grown; one that is smaller began anew.
func grown(before, now int64) int64 {
	switch {
	case now == cgroup.Unknown:
		return cgroup.Unknown
	case before == cgroup.Unknown || now < before:
		return now
	}
	return now - before
}

func known(n int64) *int64 {
	if n == cgroup.Unknown {
		return nil
	}
	return &n
}

// memoryInWords says what is worth to know about memory, for the log.
func memoryInWords(d *api.Death) string {
	if d.OOMKills == nil || *d.OOMKills == 0 {
		return ""
	}
	text := fmt.Sprintf("; the kernel killed %d of its processes for want of memory", *d.OOMKills)
	if d.MemoryPeak != nil {
		text += fmt.Sprintf(", it used %d bytes", *d.MemoryPeak)
		if d.MemoryLimit > 0 { // else it is the host's
			text += fmt.Sprintf(" of %d", d.MemoryLimit)
		}
	}
	return text
}
