package process

import (
	"os"

	"lithos/actors"
	"lithos/actors/listener"
)

// lease is the listening sockets that are leased for the container.
type lease struct {
	files    []*os.File // nil = none, or not known here
	held     bool       // they were asked for, and not returned
	deferred bool       // they are returned when a discarded standby is gone
	shutDown []string   // addresses of those that a program had shut down by the last death
}

// open asks for other sockets in the place of those that are held.
func (l *lease) open(t turn, wanted []actors.Socket) {
	l.files, l.held, l.deferred = nil, true, false
	t.ctx.Send(t.env.Listener, &listener.LeaseSockets{
		Owner: t.name, Gen: t.at.Start, Sockets: wanted, ReplyTo: t.ctx.Self(),
	})
}

// show asks for the files of the sockets: the listener alone knows those of an
// adopted container.
func (l *lease) show(t turn, wanted []actors.Socket) {
	t.ctx.Send(t.env.Listener, &listener.ShowSockets{Owner: t.name, Gen: t.at.Start, Sockets: wanted, ReplyTo: t.ctx.Self()})
}

// giveBack returns the sockets, if a standby that is being discarded has no copies
// of them any more: others may be about to listen there.
func (l *lease) giveBack(t turn, copied bool) {
	l.files = nil
	l.deferred = l.held && copied
	if l.held && !copied {
		l.held = false
		t.ctx.Send(t.env.Listener, &listener.ReturnSockets{Owner: t.name})
	}
}
