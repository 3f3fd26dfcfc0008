package process

import (
	"strings"

	"lithos/actors/listener"
	"lithos/actors/services/api"
)

// inspectSockets looks, at the end of a container and before its lease is returned,
// which of its sockets accept no connections any more since a program called
// shutdown(2) on them; and has the listener restore all of them: others share them,
// and the next start does. The files are those of [Sockets] in its order, and stay
// open until the lease is returned.
func (p *Process) inspectSockets(t turn) {
	l := &p.lease
	l.shutDown = nil
	if !l.held {
		return
	}
	leased := Sockets(p.current.Container)
	for i, file := range l.files {
		if len(leased) != len(l.files) {
			break // it was adopted, and its config has changed since
		}
		if accepts, err := t.env.Kernel.Accepts(file); err == nil && !accepts {
			l.shutDown = append(l.shutDown, leased[i].Addr.String())
		}
	}
	t.ctx.Send(t.env.Listener, &listener.InspectSockets{Owner: t.name})
}

// noteSockets puts into the record of a death what was found, and counts it.
func (p *Process) noteSockets(death *api.Death) {
	death.SocketsShutDown, p.lease.shutDown = p.lease.shutDown, nil
	p.counters.SocketsShutDown.Add(int64(len(death.SocketsShutDown)))
}

// socketsInWords says for the log what became of its sockets.
func socketsInWords(d *api.Death) string {
	if len(d.SocketsShutDown) == 0 {
		return ""
	}
	return "; the listening socket of " + strings.Join(d.SocketsShutDown, " and ") + " was shut down, by it most likely"
}
