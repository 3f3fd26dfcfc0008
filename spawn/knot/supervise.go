package knot

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lithos/spawn/wire"
)

// supervise starts the program and ends when the container has to. An error is
// that the program couldn't be started.
func (k *knot) supervise() (code int, err error) {
	for starts := 0; ; starts++ {
		if k.sig.stop() {
			return wire.ExitNormal, nil
		}
		k.boundRecord(starts)
		r, err := k.begin()
		if err != nil {
			return 0, err
		}
		if !k.watch(r) {
			return wire.ExitKilled, nil
		}
		if code := r.exitCode(&k.normal); !k.spec.RestartProcessOnly || k.spec.Command || r.asked {
			return code, nil
		}
		if k.waitToRestart(r.began.Add(k.spec.RestartTimeout)) {
			return wire.ExitNormal, nil
		}
		tidy(starts)
	}
}

// begin starts the program.
func (k *knot) begin() (*run, error) {
	r := &run{began: k.now()}
	// Before it, so that output of the program follows.
	if !k.announced {
		k.logLine(startingLine(nil, r.began, k.spec))
	}
	k.announced = false
	pid, err := k.startProgram()
	if err != nil {
		k.logLine(failedLine(nil, k.now(), k.spec, err))
		return nil, err
	}
	r.pid = pid
	appendRecord(wire.AppendStarted(nil, &wire.ProgramStarted{PID: pid, At: r.began}))
	return r, nil
}

// watch reaps, and forwards requests to stop, until the program has ended;
// false if it didn't within its kill-timeout.
func (k *knot) watch(r *run) bool {
	var timeout <-chan time.Time
	for {
		if k.reap(r) {
			k.ended(r)
			return true
		}
		select {
		case <-k.sig.child:
		case <-k.sig.term:
			k.forward(r, unix.SIGTERM, &timeout)
		case <-k.sig.intr:
			k.forward(r, unix.SIGINT, &timeout)
		case <-timeout:
			if k.reap(r) {
				k.ended(r)
				return true
			}
			appendRecord(wire.AppendKilling(nil))
			k.logLine(killingLine(nil, k.now(), appendProcess(nil, k.spec), []byte(killingText(k.spec)), r))
			return false
		}
	}
}

// forward asks the program to stop, the first time.
func (k *knot) forward(r *run, sig syscall.Signal, timeout *<-chan time.Time) {
	if sig = r.ask(sig, stopSignalOf(k.spec)); sig != 0 {
		// It can't be somebody else's pid: nobody else reaps.
		_ = unix.Kill(r.pid, sig)
		*timeout = time.After(k.spec.KillTimeout)
	}
}

// reapAtOnce is how many zombies are taken before signals and timeouts are
// looked at again: a fork bomb may make them faster than they are taken.
const reapAtOnce = 64

// reap takes zombies, the container's orphans too (requirement N10), and tells
// whether the program was among them. r may be nil.
func (k *knot) reap(r *run) (ended bool) {
	for range reapAtOnce {
		var status syscall.WaitStatus
		var usage syscall.Rusage
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, &usage)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return ended
		}
		if r != nil && pid == r.pid {
			r.status, r.usage, ended = status, usage, true
		}
	}
	select { // there may be more
	case k.sig.child <- syscall.SIGCHLD:
	default:
	}
	return ended
}

// ended writes down how the program ended.
func (k *knot) ended(r *run) {
	now := k.now()
	e := exited(r, now, now.Sub(r.began))
	appendRecord(wire.AppendExited(nil, &e))
	k.logLine(endedLine(nil, now, appendProcess(nil, k.spec), r))
}

// waitToRestart waits until the next start is allowed; true after a request to
// stop. Children of the program keep running, and are reaped.
func (k *knot) waitToRestart(until time.Time) (stop bool) {
	timer := time.NewTimer(until.Sub(k.now()))
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return false
		case <-k.sig.child:
			k.reap(nil)
		case <-k.sig.term:
			return true
		case <-k.sig.intr:
			return true
		}
	}
}

// boundRecord keeps the record from growing with each restart, see
// wire.MaxRecord.
func (k *knot) boundRecord(starts int) {
	var st unix.Stat_t
	if starts == 0 || unix.Fstat(wire.FDRecord, &st) != nil {
		return
	}
	if k.record0 == 0 {
		k.record0 = st.Size
	}
	if st.Size > wire.MaxRecord {
		_ = unix.Ftruncate(wire.FDRecord, k.record0)
	}
}
