package process

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"lithos/actors"
	"lithos/configs"
	"lithos/spawn"
	"lithos/spawn/readiness"
)

// told is what a program has sent to its socket since it was started, or since
// this daemon was.
type told struct {
	ready, stopping bool
	status          string
	alive           time.Time // when the last WATCHDOG=1 was read
	trigger         bool      // WATCHDOG=trigger
}

// words is what is shown of it.
func (t told) words() string {
	if t.stopping && t.status == "" {
		return "stopping"
	}
	return t.status
}

func (t told) with(n readiness.Message) told {
	t.ready = t.ready || n.Ready
	t.stopping = t.stopping || n.Stopping
	t.trigger = t.trigger || n.Trigger
	if n.Alive {
		t.alive = time.Now()
	}
	if n.Status != nil {
		t.status = *n.Status
	}
	return t
}

// giveNotice gives a start what the program tells by that it is ready.
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

// hearOn hears on a goroutine, one for each container, what the program sends as
// long as it runs. Closing the file ends that.
func (p *Process) hearOn(ctx actor.Context) {
	file := p.child.Notice
	if file == nil || p.listening {
		return
	}
	p.listening = true
	env, gen, self, name := p.env, p.state.Start, ctx.Self(), p.name
	send := ctx.ActorSystem().Root.Send
	h := &hearing{file: file, kernel: env.Kernel, pass: func(t told) {
		m := &noticeTold{Gen: gen, Told: t, Done: make(chan struct{})}
		send(self, m)
		select {
		case <-m.Done:
		case <-time.After(ackPatience): // there is no such actor any more
		}
	}}
	go func() {
		done := &noticeHeard{Gen: gen}
		defer func() { send(self, done) }()
		defer actors.Recover(env.Log, "readiness of "+name, func(err error) { done.Err = err })
		done.Err = h.run()
	}()
}

// hearing is the work of that goroutine: it passes on what is new, what matters
// at once and the rest not too often, whatever the program sends.
type hearing struct {
	file   *os.File
	kernel *actors.Kernel
	pass   func(told)
}

func (h *hearing) run() error {
	var known, now told
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
		// Only now: who is killed before has the next daemon hear it.
		if err := h.kernel.DropNotice(h.file); err != nil {
			return err
		}
	}
}

// hears takes what was passed on.
func (p *Process) hears(ctx actor.Context, m *noticeTold) {
	defer close(m.Done)
	if m.Gen != p.state.Start || p.child == nil {
		return
	}
	before := p.told
	p.told = m.Told
	if p.told.ready {
		p.heard(ctx, &noticeHeard{Gen: m.Gen})
	}
	if p.told.trigger && p.watchdog() > 0 {
		p.fails(ctx, "it asked for that by WATCHDOG=trigger")
	}
	if before.alive = p.told.alive; before != p.told {
		p.publish() // not for each WATCHDOG=1
	}
}

// watchdogGrace is how much later than WATCHDOG_USEC a program is ended. What it
// sent in time may be on its way; and if it is this daemon, or the whole host,
// that was stopped for so long, what was sent is heard first.
const watchdogGrace = time.Second

// watchdog is how often the program that runs has to send WATCHDOG=1 now, 0 = it
// need not: there is none, it is not ready, or it can't be heard.
func (p *Process) watchdog() time.Duration {
	ready := p.desired.Container.Ready
	if ready == nil || p.state.Phase != Running || p.child == nil || p.child.Notice == nil || p.deaf {
		return 0
	}
	return ready.Watchdog
}

// watch begins to wait for WATCHDOG=1, from now on: also a daemon that has just
// come waits as long.
func (p *Process) watch(ctx actor.Context) {
	d := p.watchdog()
	if d == 0 || p.checks.ready.IsZero() {
		return
	}
	p.checks.watched = time.Now()
	p.armWatchdog(ctx, d, false)
}

func (p *Process) armWatchdog(ctx actor.Context, d time.Duration, last bool) {
	p.cancel(&p.checks.watchdog)
	p.checks.watchdog = p.env.After(d, ctx.Self(), &watchdogDue{p.state.Check, last})
}

// bark looks whether it was sent. It has the last word only when it was asked a
// second time, after the grace.
func (p *Process) bark(ctx actor.Context, m *watchdogDue) {
	d := p.watchdog()
	if m.Gen != p.state.Check || d == 0 || p.checks.ready.IsZero() {
		return
	}
	since := p.checks.watched
	if p.told.alive.After(since) {
		since = p.told.alive
	}
	switch silent := time.Since(since); {
	case silent < d:
		p.armWatchdog(ctx, d-silent, false)
	case !m.Last:
		p.armWatchdog(ctx, watchdogGrace, true)
	default:
		p.fails(ctx, "it sent no WATCHDOG=1 for "+d.String())
	}
}

// fails ends it because of what it has sent, or not.
func (p *Process) fails(ctx actor.Context, why string) {
	p.unhealthy = why
	p.handle(ctx, Event{Unhealthy, p.state.Check})
}
