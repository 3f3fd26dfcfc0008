package sigdefer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// holder is one that holds.
type holder struct {
	pid  int
	list []syscall.Signal
	held []syscall.Signal // in their order, each once, as the kernel has it
	// over is the end of the hold. asked is that the signals are to be blocked
	// on all threads, which are then in unmasked until it is done.
	over, asked atomic.Bool
	unmasked    map[int]bool
	masked      func()
}

// The messages of the two processes: the traced one asks for the second, and the
// hold ends with the holder's output.
const (
	saysHolding = 'h'
	asksMask    = 'm'
	saysMasked  = 'M'
)

// Hold keeps the signals of the list from a process, as [Start] asked for it:
// in and out are of the one that started this. It ends this process when the
// hold is over, and sends the held signals. It returns only if it can't begin.
func Hold(pid int, list []syscall.Signal, limit time.Duration, in io.Reader, out io.Writer) error {
	runtime.LockOSThread() // the thread is the tracer
	say := func(what byte) error { _, err := out.Write([]byte{what}); return err }
	h := &holder{pid: pid, list: list, masked: func() { _ = say(saysMasked) }}
	if err := h.seize(); err != nil {
		return fmt.Errorf("cannot hold the signals of process %d: %w", pid, err)
	}
	if err := say(saysHolding); err != nil {
		return err
	}
	tell := func(what *atomic.Bool) {
		what.Store(true)
		// Harmless, and the tracer hears of it.
		_ = unix.Kill(pid, unix.SIGURG)
	}
	time.AfterFunc(limit, func() { tell(&h.over) })
	go func() {
		for buf := make([]byte, 1); ; {
			if n, err := in.Read(buf); err != nil || n == 0 {
				break
			}
			tell(&h.asked)
		}
		tell(&h.over)
	}()
	h.follow()
	return nil
}

const options = unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEEXEC

// seize attaches to all threads. Their future threads are attached with them; the
// list is read until it has no new one.
func (h *holder) seize() error {
	known := make(map[string]bool)
	for more := true; more; {
		more = false
		dir := fmt.Sprintf("/proc/%d/task", h.pid)
		threads, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, thread := range threads {
			if known[thread.Name()] {
				continue
			}
			tid, err := strconv.Atoi(thread.Name())
			if err != nil {
				return err
			}
			more, known[thread.Name()] = true, true
			_, err = ptrace(unix.PTRACE_SEIZE, tid, 0, options)
			if err != nil && !errors.Is(err, unix.ESRCH) && !mine(dir+"/"+thread.Name()) {
				return fmt.Errorf("ptrace: %w", err)
			}
		}
	}
	return nil
}

// mine tells whether a thread is traced by this process: one that came with
// the one that had made it.
func mine(dir string) bool {
	status, err := os.ReadFile(dir + "/status")
	return err == nil && bytes.Contains(status, fmt.Appendf(nil, "\nTracerPid:\t%d\n", os.Getpid()))
}

// follow lets threads that stop continue, without the signals that are held, until
// no thread is left.
func (h *holder) follow() {
	for {
		var status unix.WaitStatus
		tid, err := unix.Wait4(-1, &status, unix.WALL, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return // ECHILD
		case status.Stopped():
			h.stopped(tid, status)
		default:
			delete(h.unmasked, tid)
		}
		if h.over.Load() {
			h.release()
		}
		if h.asked.Swap(false) {
			h.interrupt()
		}
		if h.unmasked != nil && len(h.unmasked) == 0 {
			h.unmasked = nil
			h.masked()
		}
	}
}

// stopped is a thread that has stopped.
func (h *holder) stopped(tid int, status unix.WaitStatus) {
	sig := status.StopSignal()
	event := int(status) >> 16
	switch {
	case event == unix.PTRACE_EVENT_STOP && sig != unix.SIGTRAP:
		// Stopped as a whole, by SIGSTOP: it stays so until SIGCONT.
		_, _ = ptrace(unix.PTRACE_LISTEN, tid, 0, 0)
		return
	case event == unix.PTRACE_EVENT_STOP && h.unmasked[tid]:
		if h.mask(tid) {
			delete(h.unmasked, tid)
		} else {
			defer func() { _, _ = ptrace(unix.PTRACE_INTERRUPT, tid, 0, 0) }()
		}
		sig = 0
	case event != 0:
		sig = 0 // a new thread, or an exec
	case slices.Contains(h.list, sig):
		if !slices.Contains(h.held, sig) {
			h.held = append(h.held, sig)
		}
		sig = 0
	}
	// One that was killed meanwhile is told of next.
	_, _ = ptrace(unix.PTRACE_CONT, tid, 0, uintptr(sig))
}

// interrupt has all threads stop, so that their signals can be blocked. The
// process makes no others meanwhile.
func (h *holder) interrupt() {
	h.unmasked = make(map[int]bool)
	threads, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", h.pid))
	for _, thread := range threads {
		if tid, err := strconv.Atoi(thread.Name()); err == nil {
			if _, err := ptrace(unix.PTRACE_INTERRUPT, tid, 0, 0); err == nil {
				h.unmasked[tid] = true
			}
		}
	}
}

// mask blocks the signals on a thread that has stopped. One that has all of them
// blocked is in a handler, and would have its old mask back after that: it is
// to be stopped once more.
func (h *holder) mask(tid int) bool {
	var now uint64
	if _, err := ptrace(unix.PTRACE_GETSIGMASK, tid, unsafe.Sizeof(now), uintptr(unsafe.Pointer(&now))); err != nil {
		return true // it is dead
	}
	const unblockable = 1<<(unix.SIGKILL-1) | 1<<(unix.SIGSTOP-1)
	if now|unblockable == math.MaxUint64 {
		return false
	}
	for _, sig := range h.list {
		now |= 1 << (sig - 1)
	}
	_, _ = ptrace(unix.PTRACE_SETSIGMASK, tid, unsafe.Sizeof(now), uintptr(unsafe.Pointer(&now)))
	return true
}

func ptrace(request, tid int, addr, data uintptr) (uintptr, error) {
	r, _, errno := syscall.Syscall6(syscall.SYS_PTRACE, uintptr(request), uintptr(tid), addr, data, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return r, nil
}

// release sends the held signals, and ends this process: with it all threads are
// free. A thread that is just being stopped by a signal gets it, as long as
// nobody has waited for that stop: so it is for the tracer to do, which has let
// continue all that it has waited for.
func (h *holder) release() {
	for _, sig := range h.held {
		_ = unix.Kill(h.pid, sig)
	}
	os.Exit(0)
}
