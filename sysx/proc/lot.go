package proc

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// lotRounds bounds how often [KillLot] looks anew: more are needed only by
// processes that fork on and on.
const lotRounds = 20

// KillLot kills a process that leads a session, with all others of the session
// and all that descend from one of them. What has left the session and lost its
// parent, as a daemon does, is not of the lot. Those are stopped before they are
// killed, so that what they fork meanwhile is found.
//
// Preconditions: nobody has waited for the process yet, so that its pid is its own.
func KillLot(leader int) error {
	lot := make(map[int]*os.File)
	defer func() {
		for _, pidfd := range lot {
			pidfd.Close()
		}
	}()
	for range lotRounds {
		found, err := stopMore(leader, lot)
		if err != nil {
			return err
		}
		if !found {
			break
		}
	}
	for _, pidfd := range lot {
		_ = Signal(pidfd, unix.SIGKILL) // one that is gone needs none
	}
	return nil
}

// stopMore stops those of the lot that are not in it yet.
func stopMore(leader int, lot map[int]*os.File) (found bool, err error) {
	stats, err := all()
	if err != nil {
		return false, err
	}
	for _, s := range stats {
		if lot[s.PID] != nil || !s.Alive() || !ofLot(s, leader, stats) {
			continue
		}
		pidfd, err := OpenSame(s.PID, s.StartTime)
		if err != nil {
			continue // it is gone
		}
		lot[s.PID] = pidfd
		found = true
		_ = Signal(pidfd, unix.SIGSTOP)
	}
	return found, nil
}

// ofLot tells whether a process, or one that it descends from, is of a session.
func ofLot(s *Stat, leader int, stats map[int]*Stat) bool {
	for range len(stats) { // what was read is not of one moment
		if s.PID == leader || s.Session == leader {
			return true
		}
		if s = stats[s.PPID]; s == nil {
			return false
		}
	}
	return false
}

// all are all processes, by their pids.
func all() (map[int]*Stat, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	stats := make(map[int]*Stat, len(names))
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if s, err := ReadStat(pid); err == nil {
			stats[pid] = s
		}
	}
	return stats, nil
}
