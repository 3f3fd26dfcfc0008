package knot

import (
	"syscall"
	"time"

	"lithos/spawn/wire"
)

// The verdict about a run of the program. All in this file is for both paths,
// and runs without Go's runtime, see bare.go.

// run is one run of the program.
type run struct {
	pid    int
	began  time.Time
	asked  bool // TERM or INT was forwarded
	status syscall.WaitStatus
	usage  syscall.Rusage
}

// stopSignalOf is the program's stop-signal.
func stopSignalOf(spec *wire.Spec) syscall.Signal {
	if spec.StopSignal == 0 {
		return syscall.SIGTERM
	}
	return syscall.Signal(spec.StopSignal)
}

// ask gives the signal to forward to the program when PID 1 gets sig; 0 = none.
// For TERM it is the program's stop-signal. A second request is not forwarded
// and does not lengthen the kill-timeout (requirement N5).
func (r *run) ask(sig, stop syscall.Signal) syscall.Signal {
	switch sig {
	case syscall.SIGTERM, powerSignal:
		sig = stop
	case syscall.SIGINT:
	default:
		return 0
	}
	if r.asked {
		return 0
	}
	r.asked = true
	return sig
}

// exited is its end for the record.
func exited(r *run, at time.Time, uptime time.Duration) wire.ProgramExited {
	e := wire.ProgramExited{
		Code:     r.status.ExitStatus(), // -1 if it didn't exit
		Asked:    r.asked,
		UserTime: time.Duration(r.usage.Utime.Nano()),
		SysTime:  time.Duration(r.usage.Stime.Nano()),
		MaxRSS:   r.usage.Maxrss << 10, // the kernel counts kB
		Uptime:   uptime,
		At:       at,
	}
	if r.status.Signaled() {
		e.Signal = int(r.status.Signal())
	}
	return e
}

// exitCode is what PID 1 says about it (requirements N6, N9, E22).
func (r *run) exitCode(normal *exitCodes) int {
	switch status := r.status; {
	case r.asked, status.Signaled() && status.Signal() == syscall.SIGTERM:
		return wire.ExitNormal
	case status.Exited() && normal.has(status.ExitStatus()):
		return wire.ExitNormal
	}
	return wire.ExitAbnormal
}

// exitCodes is a set of exit codes, a bit each.
type exitCodes [4]uint64

func (s *exitCodes) has(code int) bool { return s[code>>6&3]&(1<<(code&63)) != 0 }

// normalCodes are the exit codes of a normal end.
func normalCodes(spec *wire.Spec) (s exitCodes) {
	for _, code := range spec.NormalExitCodes {
		if code >= 0 && code < 256 {
			s[code/64] |= 1 << (code % 64)
		}
	}
	if spec.Command && len(spec.NormalExitCodes) == 0 {
		s[0] = 1
	}
	return s
}
