package process

import (
	"fmt"
	"time"
)

const (
	// setupPatience is the time for PID 1 to make the container and to execute
	// the program: milliseconds, usually, a few seconds on a host that starts a
	// thousand. After that it is stuck.
	setupPatience = time.Minute
	// killPatience is how long PID 1 may live on after SIGKILL before the log
	// says so.
	killPatience = 10 * time.Second
	// notSetUp begins the reason for which a container is ended that hangs.
	notSetUp = "its program was not started"
)

// judgeSetup ends a container that is never made, because a file system hangs that
// it needs. If its program runs, the set-up is over.
func (p *Process) judgeSetup(t turn) {
	if p.health.stopped {
		p.health.setup.start(t, setupPatience, SetupOverdue) // somebody will have had a reason
		return
	}
	settingUp, err := p.env.Kernel.SettingUp(p.env.RecordOf(p.name))
	if err != nil || !settingUp {
		return // an unreadable record tells nothing
	}
	p.raise(Unhealthy, fmt.Errorf("%s within %s: does the file system of its image or of a volume hang? It is tried again",
		notSetUp, setupPatience))
}

// noteStuck logs why a PID 1 does not end even by SIGKILL.
func (p *Process) noteStuck() {
	p.env.Log.Error().Str("event", "stuck").Str("container", p.name).Int("pid", p.child.PID).
		Msgf("PID 1 of container %q (pid %d) is still there %s after SIGKILL: the kernel has it wait, most likely for a file system that does not answer (see /proc/%[2]d/stack). It is left alone, and the next start follows when it is gone",
			p.name, p.child.PID, killPatience)
}
