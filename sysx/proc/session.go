package proc

import (
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// killRounds bounds how often [KillSession] looks anew: more than two are needed
	// only by processes that fork on and on.
	killRounds = 20
	// killLimit bounds how long it looks.
	killLimit = 10 * time.Second
	// forkPatience is what threads get that wait in the kernel: most of them wait
	// for what they have forked (vfork), which may be stopped already.
	forkPatience = 50 * time.Millisecond
)

// KillSession kills a process that leads a session, with all others of the session
// and all that descend from one of them. A process that left the session and lost
// its parent, as a daemon does, is not one of them. They are stopped before they
// are killed, so that late forks are found. Reaper is PID 1 of their namespace,
// which gets orphans: the search covers its descendants and the leader's, not the
// whole host.
//
// Preconditions: nobody has waited for the leader yet, so that its pid, and with
// that the session, is its own.
func KillSession(leader, reaper int) {
	t := &sessionTree{leader: leader, known: make(map[int]member), until: time.Now().Add(killLimit)}
	defer t.close()
	// Twice: one of the session that was forked at the last moment.
	for range 2 {
		for range killRounds {
			if !t.stopMore(reaper) {
				break
			}
		}
		for _, m := range t.known {
			_ = Signal(m.pidfd, unix.SIGKILL)
		}
	}
}

// member is a process that was stopped. It is kept open: one that can't be looked
// at any more, see [WithDeadline], is killed all the same.
type member struct {
	start uint64
	pidfd *os.File
}

// sessionTree is what was found of a session and its descendants.
type sessionTree struct {
	leader int
	known  map[int]member // by pid
	seen   map[int]bool   // in this round
	until  time.Time
}

func (t *sessionTree) close() {
	for _, m := range t.known {
		m.pidfd.Close()
	}
}

// stopMore stops processes of it that are not known yet, and tells whether there
// were any.
func (t *sessionTree) stopMore(reaper int) bool {
	before := len(t.known)
	t.seen = make(map[int]bool)
	t.walk(t.leader, true)
	t.walk(reaper, false)
	if len(t.known) == before {
		return false
	}
	t.awaitStopped()
	return true
}

// awaitStopped waits until those that got SIGSTOP have stopped. A thread that still runs
// may be about to fork, and what it forks may lead a session of its own and lose
// its parent before anybody looks again.
func (t *sessionTree) awaitStopped() {
	begin := time.Now()
	for ; time.Now().Before(t.until); time.Sleep(time.Millisecond) {
		running, waiting := false, false
		for pid := range t.known {
			for _, state := range threadStates(pid) {
				running = running || state == 'R' || state == 'S'
				waiting = waiting || state == 'D'
			}
		}
		if !running && (!waiting || time.Since(begin) > forkPatience) {
			return
		}
	}
}

// threadStates are the states of a process's threads, as in proc(5); none if it
// is gone. The kernel tells them also of one that executes a program.
func threadStates(pid int) (states []byte) {
	tasks, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
	if err != nil {
		return nil
	}
	for _, task := range tasks {
		if tid, err := strconv.Atoi(task.Name()); err == nil {
			if s, err := ReadStatus(tid); err == nil {
				states = append(states, s.State)
			}
		}
	}
	return states
}

// walk looks at a process and all below it. A process is stopped before its
// children are read: the kernel lists those of one that runs not reliably.
func (t *sessionTree) walk(pid int, in bool) {
	if t.seen[pid] || time.Now().After(t.until) {
		return
	}
	t.seen[pid] = true
	s, err := Look(pid)
	if err != nil || !s.Alive() {
		return // its children are somebody else's now
	}
	in = in || s.Session == t.leader
	if in {
		t.stop(pid, s.StartTime)
	}
	children, err := Children(pid)
	if err != nil {
		return
	}
	for _, child := range children {
		t.walk(child, in)
	}
}

// stop stops a process that is not known yet, if the pid is still its.
func (t *sessionTree) stop(pid int, start uint64) {
	before, known := t.known[pid]
	if known && before.start == start {
		return
	}
	pidfd, err := OpenPIDFD(pid)
	if err != nil {
		return
	}
	if s, err := Look(pid); err != nil || s.StartTime != start || Signal(pidfd, unix.SIGSTOP) != nil {
		pidfd.Close()
		return
	}
	if known {
		before.pidfd.Close()
	}
	t.known[pid] = member{start, pidfd}
}
