package process

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"lithos/actors"
	"lithos/configs"
	"lithos/spawn"
	"lithos/spawn/readiness"
)

// report is what a program has sent to its socket since it was started, or since
// this daemon was.
type report struct {
	ready, stopping bool
	status          string
	alive           time.Time // when the last WATCHDOG=1 was read
	trigger         bool      // WATCHDOG=trigger
}

// words is its text for people.
func (r report) words() string {
	if r.stopping && r.status == "" {
		return "stopping"
	}
	return r.status
}

func (r report) with(n readiness.Message) report {
	r.ready = r.ready || n.Ready
	r.stopping = r.stopping || n.Stopping
	r.trigger = r.trigger || n.Trigger
	if n.Alive {
		r.alive = time.Now()
	}
	if n.Status != nil {
		r.status = *n.Status
	}
	return r
}

// shown is the part of it that others see.
func (r report) shown() report {
	r.alive = time.Time{}
	return r
}

// giveNotice gives a start the pipe or the socket by which the program says that
// it is ready.
func giveNotice(r *spawn.Request, ready *configs.Ready) {
	if ready == nil {
		return
	}
	switch ready.Kind {
	case configs.CheckFD:
		r.NoticeFD = ready.FD
	case configs.CheckNotify:
		r.NotifyPath = ready.Path
		r.Spec.Env = append(slices.Clip(r.Spec.Env), "NOTIFY_SOCKET="+ready.Path)
		if ready.Watchdog > 0 {
			// No WATCHDOG_PID: who sends need not be the process that was
			// started, which may be a shell.
			r.Spec.Env = append(r.Spec.Env, "WATCHDOG_USEC="+strconv.FormatInt(ready.Watchdog.Microseconds(), 10))
		}
	}
}

const (
	// statusPace is how often a new STATUS, or WATCHDOG=1, is passed on at most.
	statusPace = 200 * time.Millisecond
	// Of a program that sends and sends, so many are read in so long.
	noticeBurst = 100
	noticePause = 100 * time.Millisecond
	// ackPatience is how long a message is kept in the socket that nobody wants
	// to hear of.
	ackPatience = 10 * time.Second
)

// reports are the messages of one container's program.
type reports struct {
	reading bool // by a goroutine, as long as the file is open
	last    report
	closed  bool // nothing can be read any more
}

// await waits on a goroutine, one for each container, until the program says that
// it is ready.
func (r *reports) await(t turn, file *os.File) {
	await := t.env.Kernel.AwaitNotice
	r.begin(t, file, func() error { return await(file) })
}

// read reads on a goroutine, one for each container, what the program sends as
// long as it runs.
func (r *reports) read(t turn, file *os.File) {
	event, self, send := t.now(Reported), t.ctx.Self(), t.ctx.ActorSystem().Root.Send
	reader := &reportReader{file: file, kernel: t.env.Kernel, pass: func(r report) {
		m := &programReported{Event: event, Report: r, Done: make(chan struct{})}
		send(self, m)
		select {
		case <-m.Done:
		case <-time.After(ackPatience): // there is no such actor any more
		}
	}}
	r.begin(t, file, reader.run)
}

func (r *reports) begin(t turn, file *os.File, work func() error) {
	if file != nil && !r.reading {
		r.reading = true
		t.async("readiness", t.now(ReportsEnded), work)
	}
}

// reportReader is the work of that goroutine: it passes on what is new, what
// matters at once and the rest not too often, whatever the program sends.
type reportReader struct {
	file   *os.File
	kernel *actors.Kernel
	pass   func(report)
}

func (h *reportReader) run() error {
	var known, now report
	var next, due time.Time // when more of a status may be passed on; when it has to, zero = there is none
	for n := 1; ; n++ {
		if n%noticeBurst == 0 {
			time.Sleep(noticePause)
		}
		notice, err := h.kernel.PeekNotice(h.file, due)
		late := errors.Is(err, os.ErrDeadlineExceeded)
		if err != nil && !late {
			return err
		}
		now, due = now.with(notice), time.Time{}
		matters := now.ready != known.ready || now.stopping != known.stopping || now.trigger != known.trigger
		switch {
		case now == known:
		case matters, !time.Now().Before(next):
			h.pass(now)
			known, next = now, time.Now().Add(statusPace)
		default:
			due = next
		}
		if late {
			continue
		}
		// Only now: if this daemon is killed before, the next one reads it.
		if err := h.kernel.DropNotice(h.file); err != nil {
			return err
		}
	}
}

// takeReport acts on messages that were read.
func (p *Process) takeReport() {
	r := p.reports.last
	if r.ready {
		p.takeReadiness(nil)
	}
	if r.trigger && p.watchdogInterval() > 0 {
		p.raise(Unhealthy, errors.New("it asked for that by WATCHDOG=trigger"))
	}
}

// takeLastReport acts on the end of the reports: an error says why no more can be
// read.
func (p *Process) takeLastReport(err error) {
	if err != nil {
		p.reports.closed = true
		if ready := p.desired.Container.Ready; ready != nil && ready.Watchdog > 0 {
			p.env.Log.Error().Msgf("The watchdog of %q is off: %v", p.name, err)
		}
	}
	p.takeReadiness(err)
}

// takeReadiness takes what the program said for the result of the check that is
// awaited, if one is.
func (p *Process) takeReadiness(err error) {
	if ready := p.desired.Container.Ready; ready != nil && ready.Told() && p.health.ready.IsZero() {
		p.raise(Checked, err)
	}
}

// closeNotice ends the reading.
func (p *Process) closeNotice() {
	if p.child != nil && p.child.Notice != nil {
		_ = p.env.Kernel.Close(p.child.Notice)
		p.child.Notice = nil
	}
}

// watchdogGrace is the time after WATCHDOG_USEC before a program is ended. A
// message may be on its way; after a suspension of this daemon, or the host,
// queued messages are read first.
const watchdogGrace = time.Second

// watchdog waits for WATCHDOG=1.
type watchdog struct {
	timer timer
	since time.Time
	grace bool // only watchdogGrace is left
}

// start begins to wait, from now on: also a daemon that has just come waits as long.
func (w *watchdog) start(t turn, interval time.Duration) {
	w.since = time.Now()
	w.wait(t, interval, false)
}

func (w *watchdog) wait(t turn, d time.Duration, grace bool) {
	w.grace = grace
	w.timer.start(t, d, WatchdogDue)
}

// look waits on, or tells that there was none for too long. It does only when it
// looked a second time, after the grace.
func (w *watchdog) look(t turn, interval time.Duration, alive time.Time) (expired bool) {
	since := w.since
	if alive.After(since) {
		since = alive
	}
	switch silent := time.Since(since); {
	case silent < interval:
		w.wait(t, interval-silent, false)
	case !w.grace:
		w.wait(t, watchdogGrace, true)
	default:
		return true
	}
	return false
}

// watchdogInterval is how often the program that runs has to send WATCHDOG=1 now,
// 0 = it need not: there is no watchdog, or nothing can be read.
func (p *Process) watchdogInterval() time.Duration {
	ready := p.desired.Container.Ready
	if ready == nil || p.child == nil || p.child.Notice == nil || p.reports.closed {
		return 0
	}
	return ready.Watchdog
}

// watch begins to wait for WATCHDOG=1, if the program is ready.
func (p *Process) watch(t turn) {
	if d := p.watchdogInterval(); d > 0 && !p.health.ready.IsZero() {
		p.health.watchdog.start(t, d)
	}
}

// judgeWatchdog ends a container whose program sent none.
func (p *Process) judgeWatchdog(t turn) {
	d := p.watchdogInterval()
	if d > 0 && !p.health.ready.IsZero() && p.health.watchdog.look(t, d, p.reports.last.alive) {
		p.raise(Unhealthy, fmt.Errorf("it sent no WATCHDOG=1 for %s", d))
	}
}
