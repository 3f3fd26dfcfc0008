package configs

import (
	"lithos/configs/document"
)

// readStandby reads standby, ours: the next container is built while this one
// runs. It is refused with resources that two containers cannot share.
func (t *template) readStandby(v document.Value) {
	if !v.Boolean(false) {
		return
	}
	if t.fixed.RestartProcessOnly {
		v.Errorf("can't be together with restart-process-only: no other container follows then, the program is started again in the same one")
		return
	}
	for _, p := range t.ports {
		if p.ReusePort {
			v.Errorf("can't be together with reuse-port, of port %s: each start gets a socket of its own then, and one that nobody accepts from yet would get connections", document.Clip(p.key))
			return
		}
	}
	if t.fixed.Kind == KindCommand {
		v.Warnf("is not used: a command ends by itself, and none follows")
	}
	t.fixed.Standby = true
}

// checkStandby reports what only the sandbox says.
func (r *resolver) checkStandby() {
	if r.t.fixed.Standby && r.sb.Bridged != nil {
		r.inContent.ErrorAt(r.t.At("standby"), "can't be together with the sandbox's bridged-network: the container that waits would need the address of the one that runs")
	}
}
