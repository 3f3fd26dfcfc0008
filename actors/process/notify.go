package process

import (
	"errors"
	"os"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"lithos/actors"
	"lithos/configs"
	"lithos/spawn"
)

// told is what a program has sent to its socket since it was started, or since
// this daemon was.
type told struct {
	ready, stopping bool
	status          string
}

// words is what is shown of it.
func (t told) words() string {
	if t.stopping && t.status == "" {
		return "stopping"
	}
	return t.status
}

func (t told) with(n spawn.Notice) told {
	t.ready = t.ready || n.Ready
	t.stopping = t.stopping || n.Stopping
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
	}
}

const (
	// statusPace is how often a new STATUS is passed on at most.
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
		matters := now.ready != known.ready || now.stopping != known.stopping
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
	p.told = m.Told
	if p.told.ready {
		p.heard(ctx, &noticeHeard{Gen: m.Gen})
	}
	p.publish()
}
