package sigdefer

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maskPatience is how long the holder may take to block signals, seconds.
const maskPatience = 5

// Held is this process while another one holds its signals.
type Held struct {
	PID int // of the holder, a child of this process

	ask    *os.File // its end ends the hold
	answer *os.File
}

// Start starts a child that calls [Hold] with what it gets as its standard input and
// output; [Held.Await] then waits until it does. The caller waits for the child when
// the hold is over, or whoever waits for all children does.
func Start(path string, argv []string) (held *Held, err error) {
	childIn, ask, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer childIn.Close()
	answer, childOut, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, ask.Close())
	}
	defer childOut.Close()
	held = &Held{ask: ask, answer: answer}
	process, err := os.StartProcess(path, argv, &os.ProcAttr{Files: []*os.File{childIn, childOut, childOut}})
	if err != nil {
		return nil, errors.Join(err, held.End())
	}
	held.PID = process.Pid
	_ = process.Release()
	return held, nil
}

// Await waits until the signals are held. After an error the hold is ended.
func (h *Held) Await(limit time.Duration) error {
	_ = h.answer.SetReadDeadline(time.Now().Add(limit))
	said := make([]byte, 1000)
	n, err := h.answer.Read(said)
	if n != 1 || said[0] != saysHolding {
		return errors.Join(fmt.Errorf("the holder of signals does not hold them: %s", strings.TrimSpace(string(said[:n]))), err, h.End())
	}
	return nil
}

// Files have to stay open over an exec, for [GoOn] of the next program.
// The end of ask ends the hold.
func (h *Held) Files() (ask, answer *os.File) { return h.ask, h.answer }

// GoOn is the hold after an exec.
func GoOn(pid int, ask, answer *os.File) *Held { return &Held{pid, ask, answer} }

// End ends the hold: the signals come now.
func (h *Held) End() error { return errors.Join(h.ask.Close(), h.answer.Close()) }

//go:linkname beforeExec syscall.runtime_BeforeExec
func beforeExec()

//go:linkname afterExec syscall.runtime_AfterExec
func afterExec()

// Exec becomes another program. It returns only if that fails, and then the
// signals are blocked on all threads: there is nothing left but another Exec.
//
// An execve ends all other threads, and one that is just taking a signal would
// end with it. So no thread is made from here on, the holder blocks the signals
// on those that there are, and they wait in the kernel for the next program.
func (h *Held) Exec(path string, argv, env []string) error {
	path0, err := syscall.BytePtrFromString(path)
	if err != nil {
		return err
	}
	argv0, err := syscall.SlicePtrFromStrings(argv)
	if err != nil {
		return err
	}
	env0, err := syscall.SlicePtrFromStrings(env)
	if err != nil {
		return err
	}
	ask, answer := h.ask.Fd(), h.answer.Fd() // which makes them blocking
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	beforeExec()
	defer afterExec()
	// Raw: nobody is to be put in this thread's place while it waits. If the
	// holder is gone there is no answer, and nothing is held.
	buf := [1]byte{asksMask}
	if _, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, ask, uintptr(unsafe.Pointer(&buf)), 1); errno == 0 {
		fds := unix.PollFd{Fd: int32(answer), Events: unix.POLLIN}
		limit := syscall.Timespec{Sec: maskPatience}
		for {
			_, _, errno := syscall.RawSyscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&fds)), 1, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
			if errno != syscall.EINTR {
				break
			}
		}
	}
	_, _, errno := syscall.RawSyscall(syscall.SYS_EXECVE, uintptr(unsafe.Pointer(path0)),
		uintptr(unsafe.Pointer(&argv0[0])), uintptr(unsafe.Pointer(&env0[0])))
	runtime.KeepAlive(argv0)
	return fmt.Errorf("cannot execute %s: %w", path, errno)
}
