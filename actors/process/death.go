package process

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"

	"lithos/actors"
	"lithos/actors/services/deaths"
	"lithos/actors/services/status"
	"lithos/actors/spawner"
	"lithos/configs"
	"lithos/spawn"
	"lithos/spawn/records"
	"lithos/spawn/wire"
)

// noteStart logs and counts a start (P3: at warn), and says which limits could
// not be applied (M3).
func (p *Process) noteStart() {
	p.counters.Started.Add(1)
	p.counters.Running.Add(1)
	p.checks = checking{since: p.child.Started}
	if !p.counted {
		p.spent, p.counted = p.env.Kernel.Spent(p.name), true
	}
	waited := ""
	switch {
	case p.child.Waited:
		waited = ", which was built before and waited"
	case p.given != nil && p.outdated != nil:
		waited = fmt.Sprintf(", without the one that waited: %v", p.outdated)
	case p.given != nil:
		waited = ", without the one that waited: it was of another config, or its PID 1 was dead"
	}
	p.env.Log.Warn().Str("event", "start").Str("container", p.name).Int("pid", p.child.PID).Msgf("Started container %q (pid %d)%s", p.name, p.child.PID, waited)
	for _, limit := range p.child.Degraded {
		p.env.Log.Error().Msgf("Container %q runs degraded: %s", p.name, limit)
	}
}

// noteFailedStart logs a start that did not come as far as a process. The
// next try is after restart-timeout (N3, G14).
func (p *Process) noteFailedStart(ctx actor.Context, effect Effect) {
	p.takeBackStandby(ctx)
	if errors.Is(p.failure, spawner.ErrCancelled) {
		p.restarts-- // it was none
		p.failure = nil
		return
	}
	tried := p.desired
	if effect == NoteForkFailed {
		tried = p.current // another one may be wanted by now
		p.counters.Started.Add(1)
		p.counters.Deaths.Add(1)
		p.counters.Failures.Add(1)
		p.counters.Causes[actors.CauseSetup].Add(1)
	}
	p.env.Log.Error().Str("event", "death").Str("container", p.name).Stringer("cause", actors.CauseSetup).
		Msgf("Cannot start container %q: %v", p.name, p.failure)
	exit := &status.Exit{
		At: time.Now(), Words: "could not be started: " + p.failure.Error(), Code: -1, Cause: actors.CauseSetup, Failure: true,
		Fingerprint: tried.Fingerprint,
	}
	p.ended(exit)
	p.noteWhenKept(p.keep(ctx, exit, p.newDeath(tried)), tried)
	p.failure = nil
}

// noteDeath logs (P3: at error) and counts a death, and lets go of the pid.
func (p *Process) noteDeath(ctx actor.Context) {
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
	p.exit = learnt(p.exit, record, p.current.Container.NormalExitCodes)
	exit, death := p.examine(child, record)
	earlier, found := p.keptDeath, p.foundDead
	p.keptDeath, p.foundDead = nil, false
	if earlier != nil {
		exit = status.Earlier(&earlier.Exit)
	}
	if exit.Failure {
		p.counters.Failures.Add(1)
	}
	p.counters.Causes[exit.Cause].Add(1)
	p.ended(exit)
	if earlier != nil {
		p.noteEnd(p.current)
		return
	}
	logDeath(p.env.Log, p.name, exit, found, memoryInWords(death))
	kept := p.keep(ctx, exit, death)
	if owesDeathLine(p.exit, record) {
		p.writeDeathLine(exit)
	}
	p.noteWhenKept(kept, p.current)
}

// unnoted is an end whose record of a death is being written. Only then its note
// follows: who finds the death kept, and no note of it, does the rest only, but
// who finds a note would not tell of a death that is not kept.
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

// noteWhenKept has an end noted when its death is kept. Meanwhile the next start
// is prepared.
func (p *Process) noteWhenKept(kept <-chan struct{}, tried *configs.Instance) {
	p.unnoted = &unnoted{kept, time.Now(), tried}
	if p.unnoted.isKept() {
		p.noteUnnoted()
	}
}

// noteUnnoted notes the end now.
func (p *Process) noteUnnoted() {
	if u := p.unnoted; u != nil {
		p.unnoted = nil
		u.await()
		p.noteEnd(u.tried)
	}
}

// forgetUnnoted is for the next start, which begins a record of its own, with
// the same counts in it.
func (p *Process) forgetUnnoted() {
	p.unnoted.await()
	p.unnoted = nil
}

// noteEnd has the next daemon go on from here. Where nothing of it was ever
// started there is no record, and nothing to go on from.
func (p *Process) noteEnd(tried *configs.Instance) {
	counts := p.tally()
	counts.Tried, counts.Fingerprint = p.attempt, tried.Fingerprint
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
	log.Error().Str("event", "death").Str("container", name).Int("pid", exit.PID).Stringer("cause", exit.Cause).
		Int("code", exit.Code).Int("signal", exit.Signal).Bool("failure", exit.Failure).Bool("found", found).Float64("uptime", exit.Uptime.Seconds()).
		Msgf("Container %q (pid %d) %s, uptime %s, cause: %s%s", name, exit.PID, exit.Words, uptimeInWords(exit.Uptime), exit.Cause, more)
}

// noteEnding writes down who wants the container to end, before TERM: the daemon
// that learns of its death may be another one. What is unhealthy has a line
// that says more.
func (p *Process) noteEnding() {
	why, ok := p.ending()
	if p.asked || !ok {
		return
	}
	if err := p.env.Kernel.AppendLine(p.env.RecordOf(p.name), records.EndingLine(why.String())); err != nil {
		p.env.Log.Warn().Msgf("Cannot note in the record of %q why it is ended: %v", p.name, err)
	}
}

// ending is why a container is ended that did nothing wrong.
func (p *Process) ending() (why actors.Cause, ok bool) {
	switch p.state.Phase {
	case Replacing, ForkingToReplace:
		return actors.CauseReplaced, true
	case Retiring, ForkingToRetire:
		if p.shutdown {
			return actors.CauseShutdown, true
		}
		return actors.CauseRemoved, true
	}
	return 0, false
}

// tally is what is counted at present.
func (p *Process) tally() records.Tally {
	return records.Tally{Starts: p.restarts, Failed: p.failedInRow, Row: p.row, Chance: p.chance, Unborn: p.unborn}
}

// noteStopped logs that nothing watches over the program for the moment.
func (p *Process) noteStopped(m *ProcessStopped) {
	p.stopped = m.Stopped
	if !m.Stopped {
		p.env.Log.Warn().Msgf("PID 1 of container %q (pid %d) goes on", p.name, p.child.PID)
		return
	}
	p.env.Log.Error().Str("event", "stopped").Str("container", p.name).Int("pid", p.child.PID).
		Msgf("PID 1 of container %q (pid %d) was stopped by %s: the program runs on, but its end goes unnoticed until `kill -CONT %[2]d`",
			p.name, p.child.PID, signalName(m.Signal))
}

func (p *Process) writeDeathLine(exit *status.Exit) {
	line := fmt.Sprintf("%s: ----- Process %q %s, uptime %ds -----\n",
		exit.At.Format(time.RFC3339), p.name, exit.Words, int(exit.Uptime.Seconds()))
	if err := p.env.Kernel.AppendLine(p.env.StdioLog, line); err != nil {
		p.env.Log.Warn().Msgf("Cannot note the death of %q beside its output: %v", p.name, err)
	}
}

// owesDeathLine tells whether PID 1 was gone before it could write down, among
// the output of the programs, the end of the one that it had started (P2). A
// PID 1 that was killed before its record has a start may have started one:
// the line about the start is written before, the record after the fork.
func owesDeathLine(exit actors.Exit, record *records.Record) bool {
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
		return "was killed: its PID 1 got " + signalName(exit.Status.Signal())
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
		words = "was ended by " + signalName(syscall.Signal(e.Signal))
	}
	if e.Asked {
		words += " after TERM"
	}
	return words
}

// signalNames has the signals that people know by name.
var signalNames = map[syscall.Signal]string{
	syscall.SIGHUP: "SIGHUP", syscall.SIGINT: "SIGINT", syscall.SIGQUIT: "SIGQUIT", syscall.SIGILL: "SIGILL",
	syscall.SIGTRAP: "SIGTRAP", syscall.SIGABRT: "SIGABRT", syscall.SIGBUS: "SIGBUS", syscall.SIGFPE: "SIGFPE",
	syscall.SIGKILL: "SIGKILL", syscall.SIGUSR1: "SIGUSR1", syscall.SIGSEGV: "SIGSEGV", syscall.SIGUSR2: "SIGUSR2",
	syscall.SIGPIPE: "SIGPIPE", syscall.SIGALRM: "SIGALRM", syscall.SIGTERM: "SIGTERM", syscall.SIGSYS: "SIGSYS",
	syscall.SIGSTOP: "SIGSTOP", syscall.SIGTSTP: "SIGTSTP", syscall.SIGTTIN: "SIGTTIN", syscall.SIGTTOU: "SIGTTOU",
	syscall.SIGXCPU: "SIGXCPU", syscall.SIGXFSZ: "SIGXFSZ", syscall.SIGPWR: "SIGPWR",
}

func signalName(sig syscall.Signal) string {
	if name, ok := signalNames[sig]; ok {
		return name
	}
	return fmt.Sprintf("signal %d", int(sig))
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
