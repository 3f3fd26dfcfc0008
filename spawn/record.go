package spawn

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Record is the small file that lies in `<runtime-dir>/containers/SANDBOX/
// PROCESS.INDEX` for each container, where containers can't write (DESIGN
// decision 7). It is a text of one JSON object a line, appended by the
// supervisor ("created", "forked", "ready", "unhealthy", "ending", "noted") and by PID 1 ("started", "failed",
// "killing", "exited"); it starts anew with each container. A line that is no
// JSON is what PID 1's runtime said when it crashed.
type Record struct {
	Created Created
	Forked  *Forked
	Started *ProgramStarted // the latest, with restart-process-only
	Failed  string          // why the container could not be built
	Killing bool            // the kill-timeout ran out
	Exited  *ProgramExited  // the latest
	Again   bool            // a program was started after the one that is Exited
	Crash   string          // lines that are no events
	Noted   bool            // its death was told, by the supervisor it had
	// Ready is when the container became ready, zero = not yet, and Unhealthy
	// why its supervisor began to end it.
	Ready     time.Time
	Unhealthy string
	// Ending is why its supervisor sent TERM otherwise, as a word of its own:
	// whoever learns of the end may be another one.
	Ending string
	// Tally is what stands beside Noted, see [Record.Counts].
	Tally *Tally
}

// Tally is what the supervisor counts over the containers of one place, for the
// next one to go on from. It stands in the record from the start of a container
// on, and anew when its end, or a try to start another one, is told.
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
	// Unborn: the last start came to no process.
	Unborn bool `json:"unborn,omitempty"`
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

// tallyWidth is how long a line about an end is, with spaces behind it: so that
// the next one can take its place in one write.
const tallyWidth = 320

// notedLine says that an end has been told, so that the next supervisor does not
// tell it again. One of a lithos that knows no tally reads that, too.
func notedLine(t Tally) string {
	line := strings.TrimSuffix(lineOfEvent(event{Noted: true, Tally: &t}), "\n")
	return line + strings.Repeat(" ", max(0, tallyWidth-1-len(line))) + "\n"
}

// NoteEnd writes into the record of a dead container that its end, or that of a
// try to start another, has been told, and how things stand since. It takes the
// place of what the last call wrote: there may be tries without end.
func NoteEnd(path string, t Tally) error {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot write to a container's record: %w", err)
	}
	t.Boot = bootTime(t.Tried)
	err = noteEnd(f, notedLine(t))
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("cannot write to a container's record: %w", err)
	}
	return nil
}

func noteEnd(f *os.File, line string) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	at, before := info.Size(), make([]byte, tallyWidth)
	if from := at - tallyWidth; from >= 0 && len(line) == tallyWidth {
		if _, err := f.ReadAt(before, from); err != nil {
			return err
		}
		if !bytes.HasPrefix(before, []byte(`{"noted":`)) {
			before = nil // it is another line's end, as after each death
		}
		rest, e := parseLine(bytes.TrimSuffix(before, []byte("\n")))
		if e.Tally != nil && e.Noted && len(rest) == 0 {
			at = from
		}
	}
	_, err = f.WriteAt([]byte(line), at)
	return err
}

// ForkedLine is what a supervisor appends that has found a PID 1 which the one
// before it did not live to write down.
func ForkedLine(pid int, startTime uint64) string {
	return lineOfEvent(event{Forked: &Forked{PID: pid, StartTime: startTime}})
}

// ReadyLine is what the supervisor appends when the container became ready.
func ReadyLine(at time.Time) string { return lineOfEvent(event{Ready: &at}) }

// UnhealthyLine is what it appends when it ends the container because of its
// checks.
func UnhealthyLine(why string) string {
	const most = 1024
	return lineOfEvent(event{Unhealthy: strings.ToValidUTF8(why[:min(len(why), most)], "")})
}

// EndingLine is what it appends before it ends the container for another reason.
func EndingLine(why string) string { return lineOfEvent(event{Ending: why}) }

// lineOfEvent is an event as it stands in a record.
func lineOfEvent(e event) string {
	line, err := json.Marshal(e)
	if err != nil {
		panic("spawn: " + err.Error()) // nothing in an event can't be written
	}
	return string(line) + "\n"
}

// Created is the first line, written before the fork.
type Created struct {
	Name        string    `json:"name"`
	Fingerprint string    `json:"fingerprint"`
	Image       string    `json:"image"`
	At          time.Time `json:"at"`
	// Boot is At in nanoseconds since the boot of the host, which no change of
	// its clock changes, 0 in a record of a lithos that had none. Who reads a
	// record gets At by the clock of the present.
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
	// what its sandbox loosens or adds.
	AddCapabilities uint64 `json:"add_capabilities,omitempty"`
	NewPrivileges   bool   `json:"new_privileges,omitempty"`
	Seccomp         bool   `json:"seccomp,omitempty"`
	Workdir         string `json:"workdir"` // inside the container
	FilenoLimit     uint64 `json:"fileno_limit"`
}

// identity is what a start makes the program.
func identity(r *Request) *Identity {
	s := r.Spec
	return &Identity{
		UserID: s.UserID, GroupID: s.GroupID, UserNS: len(r.UIDMap) > 0, NetNS: r.Network != nil,
		AddCapabilities: s.AddCapabilities, NewPrivileges: s.NewPrivileges, Seccomp: s.Seccomp != "",
		Workdir: s.Workdir, FilenoLimit: s.FilenoLimit,
	}
}

// Forked is written by the supervisor when PID 1 exists.
type Forked struct {
	PID       int      `json:"pid"`        // of PID 1, in the supervisor's namespace
	StartTime uint64   `json:"start_time"` // field 22 of /proc/PID/stat, clock ticks
	Degraded  []string `json:"degraded,omitempty"`
}
