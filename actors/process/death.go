package process

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"lithos/actors"
	"lithos/actors/services/api"
	"lithos/actors/services/deaths"
	"lithos/actors/services/status"
	"lithos/actors/spawner"
	"lithos/configs"
	"lithos/spawn"
	"lithos/spawn/records"
	"lithos/spawn/wire"
	"lithos/sysx/cgroup"
	"lithos/sysx/proc"
)

// obituary is what has to be known beforehand to tell of a death, and what has still
// to be noted of the last one.
type obituary struct {
	exit actors.Exit
	// The counters of its cgroup, and the length of its log, at its start.
	spent   cgroup.Spent
	counted bool
	logFrom int64
	// told is the death of an adopted container if an earlier daemon has told of
	// it, and could not note that in its record.
	told *api.Death
	// earlier is the exit that a daemon before this one has told of.
	earlier *api.Exit
	// found: it was dead when this daemon came, and no daemon has kept its death.
	found bool
	// unnoted is the end that is to be noted in its record; nil = none.
	unnoted *unnoted
}

// count begins to count what it spends, once for all containers of this daemon.
func (o *obituary) count(env *Env, name string) {
	if !o.counted {
		o.spent, o.counted = env.Kernel.Spent(name), true
	}
}

// spend returns the usage since its last call.
func (o *obituary) spend(env *Env, name string) cgroup.Spent {
	now, before := env.Kernel.Spent(name), o.spent
	o.spent = now
	return cgroup.Spent{
		OOMKills: grown(before.OOMKills, now.OOMKills), MemoryPeak: now.MemoryPeak,
		CPU: time.Duration(grown(int64(before.CPU), int64(now.CPU))),
	}
}

// noteStart logs and counts a start (P3: at warn), and says which limits could
// not be applied (M3).
func (p *Process) noteStart() {
	p.counters.Started.Add(1)
	p.counters.Running.Add(1)
	p.health.checking = checking{since: p.child.Started}
	p.obituary.count(p.env, p.name)
	p.env.Log.Warn().Str("event", "start").Str("container", p.name).Int("pid", p.child.PID).
		Msgf("Started container %q (pid %d)%s", p.name, p.child.PID, p.standby.used(p.child.Waited))
	for _, limit := range p.child.Degraded {
		p.env.Log.Error().Msgf("Container %q runs degraded: %s", p.name, limit)
	}
}

// noteForkFailed logs and counts a start that did not come as far as a process. The
// next try is after restart-timeout (N3, G14).
func (p *Process) noteForkFailed(t turn, failure error) {
	p.standby.takeBack(t)
	if errors.Is(failure, spawner.ErrCancelled) {
		p.restart.starts-- // it was none
		return
	}
	p.counters.Started.Add(1)
	p.counters.Deaths.Add(1)
	p.counters.Failures.Add(1)
	p.counters.Causes[actors.CauseSetup].Add(1)
	p.noteFailedStart(t, p.current, failure) // another one may be wanted by now
}

// noteFailedStart logs a start that failed.
func (p *Process) noteFailedStart(t turn, tried *configs.Instance, failure error) {
	p.env.Log.Error().Str("event", "death").Str("container", p.name).Stringer("cause", actors.CauseSetup).
		Msgf("Cannot start container %q: %v", p.name, failure)
	exit := &status.Exit{
		At: time.Now(), Words: "could not be started: " + failure.Error(), Code: -1, Cause: actors.CauseSetup.String(), Failure: true,
		Fingerprint: tried.Fingerprint,
	}
	p.ended(exit)
	p.noteWhenKept(p.keep(t, exit, p.newDeath(tried)), tried)
}

// ended remembers how a container, or a try to start one, ended.
func (p *Process) ended(exit *status.Exit) {
	p.lastExit = exit
	p.restart.pacing = p.restart.after(exit, p.desired, p.restart.random())
}

// noteDeath logs (P3: at error) and counts a death, and releases the pid.
func (p *Process) noteDeath(t turn) {
	p.closeNotice()
	child := p.child
	p.child = nil
	p.counters.Running.Add(-1)
	p.counters.Deaths.Add(1)
	if child.PIDFD != nil {
		_ = p.env.Kernel.Close(child.PIDFD)
	}
	record, err := p.env.Kernel.ReadRecord(p.env.RecordOf(p.name))
	if err != nil {
		p.env.Log.Warn().Msgf("Cannot read how %q ended: %v", p.name, err)
		record = &records.Record{}
	}
	o := &p.obituary
	o.exit = learnt(o.exit, record, p.current.Container.NormalExitCodes)
	exit, death := p.examine(child, record)
	p.noteSockets(death)
	told, found := o.told, o.found
	o.told, o.found = nil, false
	if told != nil {
		exit = &told.Exit
		o.earlier = exit
	}
	if exit.Failure {
		p.counters.Failures.Add(1)
	}
	p.counters.Causes[actors.CauseNamed(exit.Cause)].Add(1)
	p.ended(exit)
	if told != nil {
		p.noteEnd(p.current)
		return
	}
	logDeath(p.env.Log, p.name, exit, found, memoryInWords(death)+socketsInWords(death))
	kept := p.keep(t, exit, death)
	if lacksDeathLine(o.exit, record) {
		p.writeDeathLine(exit)
	}
	p.noteWhenKept(kept, p.current)
}

// unnoted is an end whose record of a death is being written. Only then its note
// follows: a daemon that finds the death kept, and no note of it, does the rest
// only, but one that finds a note would not tell of a death that is not kept.
type unnoted struct {
	kept  <-chan struct{}
	since time.Time
	tried *configs.Instance
}

func (u *unnoted) isKept() bool {
	select {
	case <-u.kept:
		return true
	default:
		return false
	}
}

// await waits until the death is kept, or could not be, and no longer than a moment.
func (u *unnoted) await() {
	if u == nil || u.isKept() {
		return
	}
	limit := time.NewTimer(time.Until(u.since.Add(deaths.Patience)))
	defer limit.Stop()
	select {
	case <-u.kept:
	case <-limit.C:
	}
}

// take gives the end that is not noted yet to who does that, or makes it needless.
func (o *obituary) take() *unnoted {
	u := o.unnoted
	o.unnoted = nil
	return u
}

// noteWhenKept has an end noted when its death is kept. Meanwhile the next start
// is prepared.
func (p *Process) noteWhenKept(kept <-chan struct{}, tried *configs.Instance) {
	p.obituary.unnoted = &unnoted{kept, time.Now(), tried}
	p.noteKept()
}

// noteKept notes the end if its death is kept.
func (p *Process) noteKept() {
	if u := p.obituary.unnoted; u != nil && u.isKept() {
		p.noteUnnoted()
	}
}

// noteUnnoted notes the end now.
func (p *Process) noteUnnoted() {
	if u := p.obituary.take(); u != nil {
		u.await()
		p.noteEnd(u.tried)
	}
}

// noteEnd has the next daemon continue from here. Where nothing of it was ever
// started there is no record, and nothing to continue from.
func (p *Process) noteEnd(tried *configs.Instance) {
	counts := p.restart.tally()
	counts.Tried, counts.Fingerprint = p.restart.attempt, tried.Fingerprint
	if err := p.env.Kernel.NoteEnd(p.env.RecordOf(p.name), counts); err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.env.Log.Warn().Msgf("Cannot note in the record of %q how it ended: %v", p.name, err)
	}
}

// logDeath is the line about a death, the same for all. Found: it was dead when this
// daemon came. The one before may have lived to write the same line, and no further.
func logDeath(log zerolog.Logger, name string, exit *status.Exit, found bool, more string) {
	if found {
		more += " (it was dead when this daemon started, and may have been logged before)"
	}
	log.Error().Str("event", "death").Str("container", name).Int("pid", exit.PID).Str("cause", exit.Cause).
		Int("code", exit.Code).Int("signal", exit.Signal).Bool("failure", exit.Failure).Bool("found", found).Float64("uptime", exit.Uptime).
		Msgf("Container %q (pid %d) %s, uptime %s, cause: %s%s", name, exit.PID, exit.Words, uptimeInWords(exit.Lived()), exit.Cause, more)
}

// ending is how a container is being ended from here.
type ending struct {
	asked    bool // TERM was sent
	killed   bool // KILL was sent to its PID 1: it took too long
	shutdown bool // it is retired because the daemon ends
	kill     timer
}

// sendTerm asks PID 1 to end the container.
func (p *Process) sendTerm() {
	p.noteEnding()
	p.ending.asked = true
	p.signal(spawn.StopSignal)
	// One that somebody has stopped must be able to do it.
	p.signal(syscall.SIGCONT)
}

// sendKill ends a PID 1 that did not end in time.
func (p *Process) sendKill(t turn) {
	p.env.Log.Error().Msgf("Container %q (pid %d) did not end within its kill-timeout of %s and %s more; killing its PID 1",
		p.name, p.child.PID, p.current.Container.KillTimeout, killGrace)
	p.ending.killed = true
	p.signal(syscall.SIGKILL)
	p.ending.kill.start(t, killPatience, KillIgnored)
}

// signal sends PID 1 a signal by its pidfd, so it can't reach another process.
func (p *Process) signal(sig syscall.Signal) {
	if err := p.env.Kernel.Signal(p.child.PIDFD, sig); err != nil {
		p.env.Log.Error().Msgf("Cannot send %s to %q (pid %d): %v", proc.SignalName(sig), p.name, p.child.PID, err)
	}
}

// noteEnding writes down who wants the container to end, before TERM: the daemon
// that learns of its death may be another one. An unhealthy one has a line that
// says more.
func (p *Process) noteEnding() {
	why, ok := endedFor(p.state.Goal, p.ending.shutdown)
	if p.ending.asked || !ok {
		return
	}
	if err := p.env.Kernel.AppendLine(p.env.RecordOf(p.name), records.EndingLine(why.String())); err != nil {
		p.env.Log.Warn().Msgf("Cannot note in the record of %q why it is ended: %v", p.name, err)
	}
}

// endedFor is why a container is ended that did nothing wrong.
func endedFor(goal Goal, shutdown bool) (why actors.Cause, ok bool) {
	switch {
	case goal == ToReplace:
		return actors.CauseReplaced, true
	case goal == ToRetire && shutdown:
		return actors.CauseShutdown, true
	case goal == ToRetire:
		return actors.CauseRemoved, true
	}
	return 0, false
}

// noteStopped logs that nothing watches over the program for the moment.
func (p *Process) noteStopped() {
	if !p.health.stopped {
		p.env.Log.Warn().Msgf("PID 1 of container %q (pid %d) goes on", p.name, p.child.PID)
		return
	}
	p.env.Log.Error().Str("event", "stopped").Str("container", p.name).Int("pid", p.child.PID).
		Msgf("PID 1 of container %q (pid %d) was stopped by %s: the program runs on, but its end goes unnoticed until `kill -CONT %[2]d`",
			p.name, p.child.PID, proc.SignalName(p.health.stoppedBy))
}

func (p *Process) writeDeathLine(exit *status.Exit) {
	line := fmt.Sprintf("%s: ----- Process %q %s, uptime %ds -----\n",
		exit.At.Format(time.RFC3339), p.name, exit.Words, int(exit.Uptime))
	if err := p.env.Kernel.AppendLine(p.env.StdioLog, line); err != nil {
		p.env.Log.Warn().Msgf("Cannot note the death of %q beside its output: %v", p.name, err)
	}
}

// lacksDeathLine tells whether PID 1 was gone before it could write down, among
// the output of the programs, the end of the one that it had started (P2). A
// PID 1 that was killed before its record has a start may have started one:
// the line about the start is written before, the record after the fork.
func lacksDeathLine(exit actors.Exit, record *records.Record) bool {
	switch {
	case record.Failed != "", record.Killing:
		return false
	case record.Started == nil:
		return exit.Status.Signaled() || record.Crash != ""
	}
	return record.Exited == nil || record.Again
}

// failed is the definition of a failure, N9: a death is none if TERM was sent
// or was the cause, or if the exit code is a normal one (which PID 1 turns
// into 0, N6).
func failed(exit actors.Exit, record *records.Record, asked bool) bool {
	if asked || exit.Status.Exited() && exit.Status.ExitStatus() == spawn.ExitNormal {
		return false
	}
	if record.Exited != nil && syscall.Signal(record.Exited.Signal) == syscall.SIGTERM {
		return false
	}
	return !exit.Status.Signaled() || exit.Status.Signal() != syscall.SIGTERM
}

// programStatus is the program's exit code, -1 if there is none, and the signal
// that ended it, or PID 1 above it.
func programStatus(exit actors.Exit, record *records.Record) (code, signal int) {
	switch {
	case exit.Status.Signaled():
		return -1, int(exit.Status.Signal())
	case record.Killing:
		return -1, int(syscall.SIGKILL)
	case record.Exited != nil:
		return record.Exited.Code, record.Exited.Signal
	}
	return -1, 0
}

// deathInWords says how a container ended. The record tells of the program,
// the exit status of PID 1 only.
func deathInWords(exit actors.Exit, record *records.Record, killTimeout time.Duration) string {
	switch {
	case record.Failed != "":
		return "could not be set up: " + record.Failed
	case record.Crash != "":
		return "ended because its PID 1 crashed (please report this): " + firstLines(record.Crash, 20)
	case exit.Unknown && exit.Status.Signaled():
		return "ended without a trace while no supervisor was there: its PID 1 was killed, most likely"
	case exit.Status.Signaled():
		return "was killed: its PID 1 got " + proc.SignalName(exit.Status.Signal())
	case record.Killing:
		return fmt.Sprintf("did not end within its kill-timeout of %s and was killed", killTimeout)
	case record.Exited != nil:
		return programDeath(record.Exited)
	case record.Started == nil && exit.Status.ExitStatus() == spawn.ExitNormal:
		return "was stopped before its program was started"
	}
	return fmt.Sprintf("ended, its PID 1 exited with code %d and left no record", exit.Status.ExitStatus())
}

func programDeath(e *wire.ProgramExited) string {
	words := fmt.Sprintf("exited with code %d", e.Code)
	if e.Signal != 0 {
		words = "was ended by " + proc.SignalName(syscall.Signal(e.Signal))
	}
	if e.Asked {
		words += " after TERM"
	}
	return words
}

func uptimeInWords(d time.Duration) string { return d.Round(time.Millisecond).String() }

// firstLines keeps a long text from filling the log.
func firstLines(text string, n int) string {
	lines := strings.SplitN(strings.TrimRight(text, "\n"), "\n", n+1)
	if len(lines) > n {
		lines[n] = "…"
	}
	return strings.Join(lines, "\n")
}
