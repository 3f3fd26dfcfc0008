package spawn

import "time"

// Record is the small file that lies in `<runtime-dir>/containers/SANDBOX/
// PROCESS.INDEX` for each container, where containers can't write (DESIGN
// decision 7). It is a text of one JSON object a line, appended by the
// supervisor ("created", "forked") and by PID 1 ("started", "failed",
// "killing", "exited"); it starts anew with each container. A line that is no
// JSON is what PID 1's runtime said when it crashed.
type Record struct {
	Created Created
	Forked  *Forked
	Started *ProgramStarted // the latest, with restart-process-only
	Failed  string          // why the container could not be built
	Killing bool            // the kill-timeout ran out
	Exited  *ProgramExited  // the latest
	Crash   string          // lines that are no events
}

// Created is the first line, written before the fork.
type Created struct {
	Name        string    `json:"name"`
	Fingerprint string    `json:"fingerprint"`
	Image       string    `json:"image"`
	At          time.Time `json:"at"`
	Restarts    int       `json:"restarts"`
	KillTimeout float64   `json:"kill_timeout"` // seconds
	// Interface is the host's end of its connection to a bridge, "" = none.
	Interface string `json:"interface,omitempty"`
}

// Forked is written by the supervisor when PID 1 exists.
type Forked struct {
	PID       int      `json:"pid"`        // of PID 1, in the supervisor's namespace
	StartTime uint64   `json:"start_time"` // field 22 of /proc/PID/stat, clock ticks
	Degraded  []string `json:"degraded,omitempty"`
}
