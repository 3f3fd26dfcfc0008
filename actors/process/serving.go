package process

import (
	"time"

	"lithos/configs"
)

// servingAfter is how long a container runs before it is taken to serve, where no
// `ready` of its config tells: what can't work mostly ends before.
const servingAfter = 5 * time.Second

// servesFrom is when a container serves that was started then; false if that is not
// known yet.
func servesFrom(c *configs.Container, started, ready time.Time) (from time.Time, known bool) {
	if c.Ready != nil {
		return time.Time{}, !ready.IsZero()
	}
	return started.Add(servingAfter), true
}

// Serves tells whether it did so when it was found.
func (a *Adopted) Serves(c *configs.Container) bool {
	from, known := servesFrom(c, a.Created, a.Ready)
	return known && !a.Dead && !a.Noted && time.Until(from) <= 0
}

// serving is the report to the sandbox that the instance serves.
type serving struct {
	wanted bool // and not sent yet
	timer  timer
}

// report sends it, once, or looks again when it may be time.
func (s *serving) report(t turn, from time.Time, fingerprint string) {
	s.timer.stop()
	if left := time.Until(from); left > 0 {
		s.timer.start(t, left, ServingDue)
		return
	}
	s.wanted = false
	t.ctx.Send(t.ctx.Parent(), &InstanceServes{t.name, fingerprint})
}

// reportServing has it sent if the container is one of the wanted version.
func (p *Process) reportServing(t turn) {
	if !p.serving.wanted || p.current.Fingerprint != p.desired.Fingerprint {
		return
	}
	if from, known := servesFrom(p.desired.Container, p.child.Started, p.health.ready); known {
		p.serving.report(t, from, p.desired.Fingerprint)
	}
}
