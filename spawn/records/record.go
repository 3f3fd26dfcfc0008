package records

import (
	"time"

	"lithos/spawn/wire"
)

// Record is the small file that lies in `<runtime-dir>/containers/SANDBOX/
// PROCESS.INDEX` for each container, where containers can't write (requirement
// K12). It is a text of one JSON object a line, appended by the
// supervisor ("created", "forked", "ready", "unhealthy", "ending", "noted") and by PID 1 ("started", "failed",
// "killing", "exited"); it starts over with each container. A line that is no
// JSON is what PID 1's runtime said when it crashed.
type Record struct {
	Created Created
	Forked  *Forked
	Started *wire.ProgramStarted // the latest, with restart-process-only
	Failed  string               // why the container could not be built
	Killing bool                 // the kill-timeout ran out
	Exited  *wire.ProgramExited  // the latest
	Again   bool                 // a program was started after the one that is Exited
	Crash   string               // lines that are no events
	Noted   bool                 // its death was told, by the supervisor it had
	// Ready is when the container became ready, zero = not yet, and Unhealthy
	// why its supervisor began to end it.
	Ready     time.Time
	Unhealthy string
	// Ending is why its supervisor sent TERM otherwise, as a word: another
	// supervisor may learn of the end.
	Ending string
	// Tally is what stands beside Noted, see [Record.Counts].
	Tally *Tally
}

// Tally is what the supervisor counts over the containers of one place, for the
// next one to continue from. It stands in the record from the start of a container
// on, and again when its end, or a try to start another one, is told.
type Tally struct {
	// Tried is when the last start was begun, and Fingerprint what it was to
	// be; both are known from the start of a container itself.
	Tried       time.Time `json:"tried,omitzero"`
	Boot        int64     `json:"boot_ns,omitempty"` // Tried, as in [Created]
	Fingerprint string    `json:"fingerprint,omitempty"`
	Starts      int       `json:"starts"` // so far
	// Failed are the failures in a row as they are shown, Row as
	// restart-backoff counts them, and Chance, 0 up to 1, what its jitter has
	// made of the present wait.
	Failed int     `json:"failed,omitempty"`
	Row    int     `json:"row,omitempty"`
	Chance float64 `json:"chance,omitempty"`
	// NotForked: the last start made no process.
	NotForked bool `json:"unborn,omitempty"`
}

// Counts are the latest ones. A record of a lithos that kept none has the starts.
func (r *Record) Counts() Tally {
	switch {
	case r.Tally != nil:
		return *r.Tally
	case r.Created.Tally != nil:
		return *r.Created.Tally
	}
	return Tally{Starts: r.Created.Restarts + 1}
}

// Lived tells whether anything shows that there was a PID 1.
func (r *Record) Lived() bool {
	return r.Forked != nil || r.Started != nil || r.Exited != nil || r.Failed != "" || r.Killing || r.Crash != ""
}

// Created is the first line, written before the fork.
type Created struct {
	Name        string `json:"name"`
	Fingerprint string `json:"fingerprint"`
	Image       string `json:"image"`
	// Config is the config's file inside the image, "" in records of earlier releases.
	Config string    `json:"config,omitempty"`
	At     time.Time `json:"at"`
	// Boot is At in nanoseconds since the boot of the host, which a change of the
	// clock does not affect; 0 in records of earlier releases. Readers get At by
	// the current clock.
	Boot        int64   `json:"boot_ns,omitempty"`
	Restarts    int     `json:"restarts"`
	KillTimeout float64 `json:"kill_timeout"` // seconds
	// Interface is the host's end of its connection to a bridge, "" = none.
	Interface string `json:"interface,omitempty"`
	// Notice is the inode of the pipe by which the program tells that it is
	// ready, 0 = none; Notify that of the socket.
	Notice uint64 `json:"notice,omitempty"`
	Notify uint64 `json:"notify,omitempty"`
	// LogFrom is where the output of the container begins in that of its sandbox,
	// as package rotate counts; 0 also in a record of a lithos that had none.
	LogFrom int64 `json:"log_from,omitempty"`
	// Tally are the counts at the start, of the containers before.
	Tally *Tally `json:"tally,omitempty"`
	// Identity is for who joins the container later, see package enter; nil
	// in a record of a lithos that had none.
	Identity *Identity `json:"identity,omitempty"`
}

// Identity is what the program of a container was started as. It stands in the
// record because what /proc tells of a program is the program's to change.
type Identity struct {
	// UserID and GroupID are as the program sees them.
	UserID  uint32 `json:"user_id"`
	GroupID uint32 `json:"group_id"`
	// UserNS and NetNS: it has a user namespace, a network namespace.
	UserNS bool `json:"user_ns,omitempty"`
	NetNS  bool `json:"net_ns,omitempty"`
	// AddCapabilities, NewPrivileges and Seccomp (the default profile) are
	// exceptions of its sandbox.
	AddCapabilities uint64 `json:"add_capabilities,omitempty"`
	NewPrivileges   bool   `json:"new_privileges,omitempty"`
	Seccomp         bool   `json:"seccomp,omitempty"`
	Workdir         string `json:"workdir"` // inside the container
	FilenoLimit     uint64 `json:"fileno_limit"`
}

// Forked is written by the supervisor when PID 1 exists.
type Forked struct {
	PID       int      `json:"pid"`        // of PID 1, in the supervisor's namespace
	StartTime uint64   `json:"start_time"` // field 22 of /proc/PID/stat, clock ticks
	Degraded  []string `json:"degraded,omitempty"`
}
