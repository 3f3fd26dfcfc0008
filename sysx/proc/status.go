package proc

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// Status is what /proc/PID/status says. The kernel tells it of any process at any
// time, see [WithDeadline], but not when the process started.
type Status struct {
	Comm    string
	State   byte // as in proc(5)
	PPID    int
	PIDs    []int // in the pid namespace of who asks, and in those below it to its own
	Threads int
	Memory  int64 // resident, bytes
}

// Inner is the pid that it has in its own pid namespace.
func (s *Status) Inner() int { return s.PIDs[len(s.PIDs)-1] }

// ReadStatus reads it; the error is [ErrGone] if there is no such process.
func ReadStatus(pid int) (*Status, error) {
	text, err := ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) {
		return nil, ErrGone
	}
	if err != nil {
		return nil, fmt.Errorf("cannot look at process %d: %w", pid, err)
	}
	s := ParseStatus(text)
	if len(s.PIDs) == 0 {
		return nil, fmt.Errorf("the kernel does not tell the pid of process %d in its namespace", pid)
	}
	return s, nil
}

// ParseStatus parses the fields that it knows. A missing one is 0.
func ParseStatus(text []byte) *Status {
	s := &Status{}
	for line := range bytes.Lines(text) {
		key, rest, _ := bytes.Cut(line, []byte(":"))
		rest = bytes.TrimSpace(rest)
		switch string(key) {
		case "Name":
			s.Comm = string(rest)
		case "State":
			if len(rest) > 0 {
				s.State = rest[0]
			}
		case "PPid":
			s.PPID, _ = strconv.Atoi(string(rest))
		case "Threads":
			s.Threads, _ = strconv.Atoi(string(rest))
		case "VmRSS":
			kilobytes, _ := strconv.ParseInt(string(bytes.TrimSuffix(rest, []byte(" kB"))), 10, 64)
			s.Memory = kilobytes << 10
		case "NSpid":
			for f := range bytes.FieldsSeq(rest) {
				pid, _ := strconv.Atoi(string(f))
				s.PIDs = append(s.PIDs, pid)
			}
		}
	}
	return s
}

// InnerPID is the pid that a process has in its own pid namespace.
func InnerPID(pid int) (int, error) {
	s, err := ReadStatus(pid)
	if err != nil {
		return 0, err
	}
	return s.Inner(), nil
}
