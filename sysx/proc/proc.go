package proc

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lithos/sysx/eintr"
)

// ErrGone is a process that does not exist (any more). It is an
// [os.ErrProcessDone]. Any other error says that it could not be found out.
var ErrGone = fmt.Errorf("no such process: %w", os.ErrProcessDone)

// Shortage tells whether an error says nothing of what was looked at, but that the
// host, or this process, has too little of something at the moment.
func Shortage(err error) bool {
	for _, errno := range []unix.Errno{unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.ENOBUFS, unix.EAGAIN, unix.EINTR} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// Stat is what /proc/PID/stat says.
type Stat struct {
	PID, PPID int
	Session   int // the pid of who began it
	Comm      string
	State     byte // R, S, D, Z (zombie), T, t, X, I
	// StartTime is field 22, in clock ticks after boot.
	StartTime uint64
	// WaitStatus is field 52: of a zombie, what wait4 would say.
	WaitStatus unix.WaitStatus
}

// Stopped says that a signal keeps it from running, or a debugger.
func (s *Stat) Stopped() bool { return s.State == 'T' || s.State == 't' }

// Alive is false for a zombie, which runs no more but was not reaped yet.
func (s *Stat) Alive() bool { return s.State != 'Z' && s.State != 'X' }

// ReadStat reads /proc/PID/stat; the error is [ErrGone] if there is no such
// process.
func ReadStat(pid int) (*Stat, error) {
	path := "/proc/" + strconv.Itoa(pid) + "/stat"
	text, err := ReadFile(path)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) {
		return nil, ErrGone
	}
	if err != nil {
		return nil, fmt.Errorf("cannot look at process %d: %w", pid, err)
	}
	s, err := parseStat(text)
	if err != nil {
		return nil, fmt.Errorf("cannot understand %s: %w", path, err)
	}
	return s, nil
}

// parseStat takes the name as what is between the first and the last
// parenthesis: a process may have any name, parentheses and spaces in it too.
func parseStat(text []byte) (*Stat, error) {
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 1 || end < open {
		return nil, errors.New("no name in parentheses")
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(text[:open])))
	if err != nil {
		return nil, errors.New("no pid")
	}
	// fields[i] is field i+3 of proc(5).
	fields := bytes.Fields(text[end+1:])
	if len(fields) < 20 || len(fields[0]) != 1 {
		return nil, errors.New("too few fields")
	}
	s := &Stat{PID: pid, Comm: string(text[open+1 : end]), State: fields[0][0]}
	if s.PPID, err = strconv.Atoi(string(fields[1])); err != nil {
		return nil, errors.New("no parent pid")
	}
	if s.Session, err = strconv.Atoi(string(fields[3])); err != nil {
		return nil, errors.New("no session")
	}
	if s.StartTime, err = strconv.ParseUint(string(fields[19]), 10, 64); err != nil {
		return nil, errors.New("no start time")
	}
	if len(fields) >= 50 {
		status, err := strconv.ParseUint(string(fields[49]), 10, 32)
		if err != nil {
			return nil, errors.New("no exit status")
		}
		s.WaitStatus = unix.WaitStatus(status)
	}
	return s, nil
}

// StartTime is the start time of a process in clock ticks after boot (field 22
// of /proc/PID/stat); the error is [ErrGone] if there is no such process. A
// zombie has one too.
func StartTime(pid int) (uint64, error) {
	s, err := ReadStat(pid)
	if err != nil {
		return 0, err
	}
	return s.StartTime, nil
}

// Same says whether pid is, alive, the process that started at startTime. With an
// error it could not be found out.
func Same(pid int, startTime uint64) (bool, error) {
	s, err := ReadStat(pid)
	if errors.Is(err, ErrGone) {
		return false, nil
	}
	return err == nil && s.StartTime == startTime && s.Alive(), err
}

// MayBeSame is [Same], and true as well if it could not be found out.
func MayBeSame(pid int, startTime uint64) bool {
	same, err := Same(pid, startTime)
	return same || err != nil
}

// OpenPIDFD opens a process, close-on-exec; the error is [ErrGone] if there is
// none. A caller that knows only the start time compares that afterwards, see
// [OpenSame].
func OpenPIDFD(pid int) (*os.File, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil, ErrGone
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open process %d: %w", pid, err)
	}
	return os.NewFile(uintptr(fd), "pidfd of "+strconv.Itoa(pid)), nil
}

// OpenSame opens the process pid if it is the one that started at startTime,
// alive; if it is gone the error is [ErrGone].
func OpenSame(pid int, startTime uint64) (*os.File, error) {
	f, err := OpenPIDFD(pid)
	if err != nil {
		return nil, err
	}
	same, err := Same(pid, startTime)
	if err == nil && !same {
		err = ErrGone
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Signal sends a signal by a pidfd; the error is [ErrGone] if the process was
// reaped. A zombie takes any signal.
func Signal(pidfd *os.File, sig unix.Signal) error {
	conn, err := pidfd.SyscallConn()
	if err != nil {
		return err
	}
	var sendErr error
	if err := conn.Control(func(fd uintptr) {
		sendErr = unix.PidfdSendSignal(int(fd), sig, nil, 0)
	}); err != nil {
		return err
	}
	if errors.Is(sendErr, unix.ESRCH) {
		return ErrGone
	}
	if sendErr != nil {
		return fmt.Errorf("cannot send %v: %w", sig, sendErr)
	}
	return nil
}

// SignalName is the name of a signal, such as "SIGTERM", or "signal 34" for one
// that has none.
func SignalName(sig syscall.Signal) string {
	return cmp.Or(unix.SignalName(sig), "signal "+strconv.Itoa(int(sig)))
}

// Exit is how a process ended, or that a child was stopped or goes on.
type Exit struct {
	PID    int
	Status syscall.WaitStatus
	At     time.Time
	// Unknown says that nothing could tell Status, and with a zero At not even
	// when it was: nobody was there to reap the process.
	Unknown bool
}

// Alive says that it did not end: it was stopped, or continues ([WaitChange]).
func (e *Exit) Alive() bool { return e.Status.Stopped() || e.Status.Continued() }

// Wait reaps one child that ended, whichever; ok is false if there is none to
// reap now. It does not block. There must be one caller only, which knows all
// the children.
func Wait() (exit Exit, ok bool, err error) { return wait(unix.WNOHANG) }

// WaitChange is [Wait], and tells of a child that was stopped, or that continues,
// as well: Status.Stopped and Status.Continued.
func WaitChange() (exit Exit, ok bool, err error) {
	return wait(unix.WNOHANG | unix.WUNTRACED | unix.WCONTINUED)
}

func wait(options int) (exit Exit, ok bool, err error) {
	exit.PID, err = eintr.Get(func() (int, error) { return syscall.Wait4(-1, &exit.Status, options, nil) })
	if errors.Is(err, unix.ECHILD) || err == nil && exit.PID == 0 {
		return Exit{}, false, nil
	}
	if err != nil {
		return Exit{}, false, fmt.Errorf("cannot wait for children: %w", err)
	}
	exit.At = time.Now()
	return exit, true, nil
}

// Children lists the pids of the children of pid, those of all its threads
// together, in no order.
func Children(pid int) ([]int, error) {
	dir := "/proc/" + strconv.Itoa(pid) + "/task"
	tasks, err := os.ReadDir(dir)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) {
		return nil, ErrGone
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list the threads of process %d: %w", pid, err)
	}
	var pids []int
	for _, task := range tasks {
		text, err := ReadFile(dir + "/" + task.Name() + "/children")
		if err != nil {
			continue // the thread ended
		}
		for f := range bytes.FieldsSeq(text) {
			if n, err := strconv.Atoi(string(f)); err == nil {
				pids = append(pids, n)
			}
		}
	}
	return pids, nil
}
