package process

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"lithos/configs"
)

// settleTime is how long a container runs before it is taken to serve, where no
// `ready` of its config tells: what can't work mostly ends before.
const settleTime = 5 * time.Second

// Serves tells whether it did so when it was found.
func (a *Adopted) Serves(c *configs.Container) bool {
	switch {
	case a.Dead || a.Noted:
		return false
	case c.Ready != nil:
		return !a.Ready.IsZero()
	}
	return time.Since(a.Created) >= settleTime
}

// settle tells the sandbox that the instance serves, once, or looks again when it
// may. It is called after each event.
func (p *Process) settle(ctx actor.Context) {
	p.cancel(&p.settleTimer)
	if !p.settles || p.state.Phase != Running || p.child == nil || p.current == nil || p.current.Fingerprint != p.desired.Fingerprint {
		return
	}
	if p.desired.Container.Ready != nil {
		if p.checks.ready.IsZero() {
			return
		}
	} else if left := settleTime - time.Since(p.child.Started); left > 0 {
		p.settleTimer = p.env.After(left, ctx.Self(), &settleDue{p.state.Start})
		return
	}
	p.settles = false
	ctx.Send(ctx.Parent(), &InstanceSettled{p.name, p.desired.Fingerprint})
}
