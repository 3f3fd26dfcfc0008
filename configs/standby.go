package configs

// readStandby reads standby, ours: the container that follows when this one dies
// is built before that. What can't be there twice at a time can't have one.
func (t *template) readStandby(v value) {
	t.standbyAt = v.place()
	if !v.boolean(false) {
		return
	}
	if t.fixed.RestartProcessOnly {
		v.errorf("can't be together with restart-process-only: no other container follows then, the program is started again in the same one")
		return
	}
	for _, p := range t.ports {
		if p.ReusePort {
			v.errorf("can't be together with reuse-port, of port %s: each start gets a socket of its own then, and one that nobody accepts from yet would get connections", clip(p.key))
			return
		}
	}
	if t.kind.value == KindCommand {
		v.warnf("is not used: a command ends by itself, and none follows")
	}
	t.fixed.Standby = true
}

// checkStandby reports what only the sandbox says.
func (r *resolver) checkStandby() {
	if r.t.fixed.Standby && r.sb.Bridged != nil {
		r.inContent.errorAt(r.t.standbyAt, "can't be together with the sandbox's bridged-network: the container that waits would need the address of the one that runs")
	}
}
