package process

import (
	"cmp"
	"fmt"
	"strings"
	"syscall"
	"time"

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
	end := p.obituary.exit
	spent := p.obituary.spend(p.env, p.name)
	f := facts{
		exit: end, record: record, killed: p.ending.killed, oom: spent.OOMKills > 0,
		oomPID1: !p.ending.killed && end.Status.Signaled() && end.Status.Signal() == syscall.SIGKILL &&
			p.env.Kernel.OOMKilled(child.PID, child.Started),
	}
	why := cmp.Or(p.health.unhealthy, record.Unhealthy)
	f.asked, f.wasAsked = f.askedBy(p.state.Goal, p.ending.shutdown, why)
	sick := f.wasAsked && (f.asked == actors.CauseHealth || f.asked == actors.CauseSetup)
	exit := &status.Exit{
		At:      end.At,
		PID:     child.PID,
		Words:   deathInWords(end, record, p.current.Container.KillTimeout),
		Cause:   f.cause().String(),
		Failure: sick || failed(end, record, p.ending.asked),
		Uptime:  lived(child.Started, end.At, record).Seconds(),

		Fingerprint: p.current.Fingerprint,
	}
	switch {
	case sick:
		exit.Words = "was ended, since " + why + ": it " + exit.Words
	case f.oomPID1 && exit.Cause == api.CauseOOM:
		exit.Words = "was killed: the kernel had no memory left, not for its program but for all, and chose its PID 1"
	}
	exit.Code, exit.Signal = programStatus(end, record)
	d := p.newDeath(p.current)
	d.Started, d.Degraded = child.Started, child.Degraded
	if f.wasAsked {
		d.Asked = f.asked.String()
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

// askedBy tells who wanted the container to end. Unhealthy is why this daemon or the
// one before ended it because of its checks, "" = not because of them.
func (f *facts) askedBy(goal Goal, shutdown bool, unhealthy string) (who actors.Cause, asked bool) {
	if who, asked = endedFor(goal, shutdown); asked {
		return who, true
	}
	r := f.record
	switch {
	case strings.HasPrefix(unhealthy, notSetUp):
		return actors.CauseSetup, true
	case unhealthy != "":
		return actors.CauseHealth, true
	case r.Killing, r.Exited != nil && r.Exited.Asked:
		// TERM to PID 1, and not from here: from the daemon before, or by hand.
		if who, ok := endingOf(r); ok {
			return who, true
		}
		return actors.CauseOperator, true
	case f.exit.Unknown && r.Exited == nil:
		return endingOf(r) // it may have been too young to write down that it heard
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

// newDeath begins a record of the death of a container of inst.
func (p *Process) newDeath(inst *configs.Instance) *api.Death {
	d := &api.Death{
		Name: p.name, Restart: max(p.restart.starts-1, 0), OutputFile: p.env.StdioLog, OutputShared: p.env.Shared,
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
func (p *Process) keep(t turn, exit *status.Exit, d *api.Death) (kept <-chan struct{}) {
	d.Exit = *exit
	d.Sandbox, d.Process = p.desired.Sandbox, p.desired.Process
	from := p.obituary.logFrom
	if d.Started.IsZero() {
		from = -1 // nothing of it was started that could have written
	}
	send, self := t.ctx.ActorSystem().Root.Send, t.ctx.Self()
	return p.env.Deaths.AddSoon(deaths.Entry{Death: d, Log: p.env.StdioLog, From: from, To: p.env.Deaths.Size(p.env.StdioLog)},
		func() { send(self, &deathKept{}) })
}

// grown is how much a counter has grown; one that is smaller started over.
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

// memoryInWords summarises the use of memory, for the log.
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
