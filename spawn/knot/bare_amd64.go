package knot

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lithos/spawn/wire"
)

// All in this file runs without Go's runtime, see bare.go.

// bareVfork is clone3, see bare_amd64.s.
func bareVfork(args, size uintptr) (pid, errno uintptr)

// bareData is where the program's data are, see bare_amd64.s.
func bareData() (begin, end uintptr)

// bareStack is where the kernel has left argc, argv and what follows; 0 = it is
// not known.
var bareStack uintptr

const (
	cloneArgsSize = 88
	allSignals    = ^uint64(0)
	sigsetSize    = 8
	archSetFS     = 0x1002
	stopSignals   = 1<<(unix.SIGTERM-1) | 1<<(unix.SIGINT-1) | 1<<(powerSignal-1)
)

// It is the program's entry point that calls it, in bare_amd64.s.
var _ = bareMain

// bareMain is the life of a PID 1: it returns the exit code, or -1 if the
// general path is to be taken.
//
//go:noinline
//go:nocheckptr
func bareMain() int {
	all, old := uint64(allSignals), uint64(0)
	call(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, addr(&all), addr(&old), sigsetSize)
	code := -1
	if h := bareLoad(); h != nil {
		code = bareLife(h)
	}
	if code < 0 {
		call(unix.SYS_MUNMAP, listBase, bareState.mapped, 0, 0)
		call(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, addr(&old), 0, sigsetSize)
	}
	return code
}

// bareLife builds, starts and supervises.
func bareLife(h *listHead) int {
	var regs [registers]uint64
	bareState.log = int(h.log)
	if at, errno := bareSteps(h.build, h.buildLen, &regs); at < h.buildLen {
		bareState.attached, bareState.pivoted, bareState.errno = at > h.attached, at >= h.pivoted, errno
		call(unix.SYS_CLOSE_RANGE, uintptr(h.log), ^uintptr(0), 0, 0)
		return -1
	}
	if h.standby != 0 {
		if !bareStandBy(uintptr(h.standby)) {
			return wire.ExitNormal
		}
		bareState.awaited = true
	}
	if bareStopped() {
		return wire.ExitNormal
	}
	began := now()
	bareLine(h, &began, h.starting)
	pid, errno := bareFork(h, &regs)
	if errno != 0 || !bareExecuted(pid) {
		bareState.built = true
		return -1
	}
	var buf [lineSize]byte
	bareWrite(wire.FDRecord, wire.AppendStarted(buf[:0], &wire.ProgramStarted{PID: int(pid), At: began.at()}))
	// Memory of the start only. The sockets stay, for a daemon that adopts the
	// container.
	call(unix.SYS_CLOSE, wire.FDSpec, 0, 0, 0)
	if first := wire.FDSockets + h.sockets; first < h.log {
		call(unix.SYS_CLOSE_RANGE, uintptr(first), uintptr(h.log-1), 0, 0)
	}
	call(unix.SYS_MUNMAP, listBase+pageSize, uintptr(h.size-pageSize), 0, 0)
	bareForget()
	return bareWatch(h, pid, &began, &buf)
}

// bareStandBy is standBy. No signal is taken meanwhile.
func bareStandBy(fd uintptr) bool {
	var b [1]byte
	call(unix.SYS_WRITE, fd, uintptr(unsafe.Pointer(&b)), 1, 0)
	for {
		n, errno := call(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&b)), 1, 0)
		if errno == uintptr(unix.EINTR) {
			continue
		}
		if errno != 0 || n != 1 {
			return false
		}
		if bareStack != 0 {
			takeName(*(**[len(wire.FlagNext)]byte)(bareAt(uint64(bareStack) + 2*8)))
		}
		return true
	}
}

// bareLoad reads the list, nil if there is none.
func bareLoad() *listHead {
	const seals = unix.F_SEAL_WRITE | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW
	got, errno := call(unix.SYS_FCNTL, wire.FDSpec, unix.F_GET_SEALS, 0, 0)
	if errno != 0 || got&seals != seals {
		return nil
	}
	var w wire.Wrapped
	n, errno := call(unix.SYS_PREAD64, wire.FDSpec, uintptr(unsafe.Pointer(&w)), unsafe.Sizeof(w), 0)
	if errno != 0 || n != unsafe.Sizeof(w) || w.Magic != wire.WrapMagic || w.List < 2*pageSize || w.List > wire.MaxSpec {
		return nil
	}
	bareState.mapped = uintptr(w.List)
	if _, _, errno := syscall.RawSyscall6(unix.SYS_MMAP, listBase, uintptr(w.List), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_FIXED_NOREPLACE|unix.MAP_POPULATE, ^uintptr(0), 0); errno != 0 {
		return nil
	}
	n, errno = call(unix.SYS_PREAD64, wire.FDSpec, listBase, uintptr(w.List), unsafe.Sizeof(w)+uintptr(w.Spec))
	h := (*listHead)(bareAt(listBase))
	if errno != 0 || uint64(n) != w.List || h.magic != listMagic || h.size != w.List {
		return nil
	}
	return h
}

// bareForget gives back the program's data, two pages of its own which were written
// to: by the kernel, where it made the end of the last page of the file zeros, and
// here. They are as they were at the program's beginning from then on, and nobody
// looks: bareState is for the general path, which is not taken any more, and the
// pretended g comes to the end of the page of the list that is kept.
//
//go:nocheckptr
func bareForget() {
	const size = 1024 // of bareG; its fields in use are in the first lineSize/2 bytes
	g := uint64(listBase + pageSize - size)
	for at := g - 8; at < listBase+pageSize; at += 8 {
		*(*uint64)(bareAt(at)) = 0
	}
	*(*uint64)(bareAt(g - 8)) = g
	if _, errno := call(unix.SYS_ARCH_PRCTL, archSetFS, uintptr(g), 0, 0); errno != 0 {
		return
	}
	// The addresses of arguments and variables: these themselves stay, for ps.
	argv0 := *(*uintptr)(bareAt(uint64(bareStack) + 8))
	if page := bareStack &^ (pageSize - 1); page != argv0&^(pageSize-1) {
		call(unix.SYS_MADVISE, page, pageSize, unix.MADV_DONTNEED, 0)
	}
	begin, end := bareData()
	begin, end = begin&^(pageSize-1), (end+pageSize-1)&^(pageSize-1)
	call(unix.SYS_MADVISE, begin, end-begin, unix.MADV_DONTNEED, 0)
}

// bareSteps makes the calls and returns how many it came to.
//
//go:nocheckptr
func bareSteps(first, count uint64, regs *[registers]uint64) (at uint64, failed uintptr) {
	for ; at < count; at++ {
		s := (*listStep)(bareAt(first + at*uint64(unsafe.Sizeof(listStep{}))))
		a := s.args
		for i, r := range s.from {
			if r != 0 {
				a[i] = regs[r%registers]
			}
		}
		result, errno := bareStep(s, &a)
		if errno == 0 && s.want != 0 && result != uintptr(s.want) {
			errno = uintptr(unix.EIO)
		}
		if errno != 0 {
			if s.allowed != anyError && (errno > 63 || s.allowed&(1<<errno) == 0) {
				return at, errno
			}
			at += uint64(s.skip)
			continue
		}
		if s.into != 0 {
			regs[s.into%registers] = uint64(result)
		}
	}
	return at, 0
}

func bareStep(s *listStep, a *[6]uint64) (result, errno uintptr) {
	if s.trap == trapKind {
		var st unix.Stat_t
		_, errno := call(unix.SYS_FSTAT, uintptr(a[0]), uintptr(unsafe.Pointer(&st)), 0, 0)
		if errno == 0 && a[1]&(1<<(st.Mode&unix.S_IFMT>>12)) == 0 {
			errno = uintptr(unix.EINVAL)
		}
		return 0, errno
	}
	for {
		r, _, e := syscall.RawSyscall6(uintptr(s.trap), uintptr(a[0]), uintptr(a[1]), uintptr(a[2]), uintptr(a[3]), uintptr(a[4]), uintptr(a[5]))
		if e != unix.EINTR {
			return r, uintptr(e)
		}
	}
}

// bareFork starts the program. As in forkexec, the child runs in this very
// frame, and returns nowhere.
//
//go:noinline
//go:nocheckptr
func bareFork(h *listHead, regs *[registers]uint64) (pid, errno uintptr) {
	pid, errno = bareVfork(uintptr(h.clone), cloneArgsSize)
	if errno != 0 || pid != 0 {
		return pid, errno
	}
	bareSteps(h.start, h.startLen, regs)
	bareState.failed = true
	for {
		call(unix.SYS_EXIT_GROUP, 253, 0, 0, 0)
	}
}

// bareExecuted tells whether the child came to its program, and else reaps it.
// One without an exit signal is one that did not (forkexec).
func bareExecuted(pid uintptr) bool {
	options := uintptr(unix.WCLONE)
	if !bareState.failed {
		options |= unix.WNOHANG
	}
	_, errno := call(unix.SYS_WAIT4, pid, 0, options, 0)
	if errno == uintptr(unix.ECHILD) {
		return true
	}
	call(unix.SYS_WAIT4, pid, 0, unix.WCLONE, 0) // ECHILD if it was reaped above
	return false
}

// bareStopped tells whether a signal that asks to stop has come, and takes it.
func bareStopped() bool {
	return bareSignal(stopSignals, &[2]int64{}) != 0
}

// bareSignal waits for a signal of the set and takes it, 0 if none came in
// time. No timeout is no limit.
func bareSignal(set uint64, timeout *[2]int64) unix.Signal {
	sig, errno := call(unix.SYS_RT_SIGTIMEDWAIT, addr(&set), 0, uintptr(unsafe.Pointer(timeout)), sigsetSize)
	if errno != 0 {
		return 0
	}
	return unix.Signal(sig)
}

// bareWatch is knot.watch and what follows it. No signal has a handler: each
// is waited for, and those that say nothing are taken and forgotten.
func bareWatch(h *listHead, pid uintptr, began *moment, buf *[lineSize]byte) int {
	r := run{pid: int(pid)}
	var deadline int64
	for {
		ended, more := bareReap(&r)
		if ended {
			return bareEnded(h, &r, began, buf)
		}
		var timeout *[2]int64
		if r.asked {
			left := deadline - now().mono
			if left <= 0 {
				bareKilling(h, began, buf)
				return wire.ExitKilled
			}
			timeout = &[2]int64{left / 1e9, left % 1e9}
		}
		if more { // only look whether a signal has come
			timeout = &[2]int64{}
		}
		sig := bareSignal(allSignals, timeout)
		if r.asked || sig == 0 {
			continue
		}
		// The kernel gives the lowest number first: where there is always a
		// CHLD, PWR would never be seen.
		if stop := bareSignal(stopSignals, &[2]int64{}); stop != 0 {
			sig = stop
		}
		if sig = r.ask(sig, unix.Signal(h.stopSignal)); sig != 0 {
			deadline = now().mono + h.killTimeout
			call(unix.SYS_KILL, pid, uintptr(sig), 0, 0)
		}
	}
}

// bareKilling writes down that the program is killed.
func bareKilling(h *listHead, began *moment, buf *[lineSize]byte) {
	at := now()
	bareWrite(wire.FDRecord, wire.AppendKilling(buf[:0]))
	r := run{began: at.since(began)}
	bareWrite(int(h.log), killingLine(buf[:0], at.at(), bareBytes(h.process), bareBytes(h.killing), &r))
}

// bareReap is knot.reap; more tells that there may be more to reap.
func bareReap(r *run) (ended, more bool) {
	var status uint32
	var usage syscall.Rusage
	for range reapAtOnce {
		pid, errno := call(unix.SYS_WAIT4, ^uintptr(0), uintptr(unsafe.Pointer(&status)), unix.WNOHANG, uintptr(unsafe.Pointer(&usage)))
		if errno == uintptr(unix.EINTR) {
			continue
		}
		if errno != 0 || pid == 0 {
			return ended, false
		}
		if int(pid) == r.pid {
			r.status, r.usage, ended = syscall.WaitStatus(status), usage, true
		}
	}
	return ended, true
}

// bareEnded writes down how the program ended and gives the exit code.
func bareEnded(h *listHead, r *run, began *moment, buf *[lineSize]byte) int {
	at := now()
	e := exited(r, at.at(), time.Duration(at.mono-began.mono))
	bareWrite(wire.FDRecord, wire.AppendExited(buf[:0], &e))
	r.began = at.since(began)
	bareWrite(int(h.log), endedLine(buf[:0], at.at(), bareBytes(h.process), r))
	return r.exitCode(&h.normal)
}

// bareLine writes a line with a text that was prepared.
func bareLine(h *listHead, at *moment, text listText) {
	var buf [64]byte
	head := begin(buf[:0], at.at())
	parts := [2]unix.Iovec{{Base: &head[0], Len: uint64(len(head))}, {Base: (*byte)(bareAt(text.addr)), Len: text.len}}
	call(unix.SYS_WRITEV, uintptr(h.log), uintptr(unsafe.Pointer(&parts)), 2, 0)
}

func bareBytes(t listText) []byte { return unsafe.Slice((*byte)(bareAt(t.addr)), int(t.len)) }

// bareWrite is writeAll: there is nobody to tell if it fails.
func bareWrite(fd int, b []byte) {
	for len(b) > 0 {
		n, errno := call(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0)
		if errno == uintptr(unix.EINTR) {
			continue
		}
		if errno != 0 || n > uintptr(len(b)) {
			return
		}
		b = b[n:]
	}
}

// moment is a time: of the wall clock, and of the one that is never set.
type moment struct {
	sec, nsec int64
	mono      int64
}

func now() moment {
	var m moment
	var ts [2]int64
	call(unix.SYS_CLOCK_GETTIME, unix.CLOCK_MONOTONIC, uintptr(unsafe.Pointer(&ts)), 0, 0)
	m.mono = ts[0]*1e9 + ts[1]
	call(unix.SYS_CLOCK_GETTIME, unix.CLOCK_REALTIME, uintptr(unsafe.Pointer(&ts)), 0, 0)
	m.sec, m.nsec = ts[0], ts[1]
	return m
}

func (m *moment) at() time.Time { return time.Unix(m.sec, m.nsec).UTC() }

// since is began by the wall clock of m, however that was set meanwhile.
func (m *moment) since(began *moment) time.Time {
	return m.at().Add(-time.Duration(m.mono - began.mono))
}

// bareAt is the memory at an address of the list.
func bareAt(addr uint64) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&addr)) }

func addr(v *uint64) uintptr { return uintptr(unsafe.Pointer(v)) }

// call is a system call of up to four arguments.
func call(trap, a, b, c, d uintptr) (result, errno uintptr) {
	r, _, e := syscall.RawSyscall6(trap, a, b, c, d, 0, 0)
	return r, uintptr(e)
}
