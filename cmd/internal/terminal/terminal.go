// Package terminal gives a program in a container a terminal of its own: between
// that and the caller's, everything is passed on. It is never the caller's own
// terminal, into which a program could put input.
package terminal

import (
	"io"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"lithos/sysx/proc"
)

// Is tells whether a descriptor is a terminal.
func Is(fd int) bool {
	_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	return err == nil
}

// Terminal is the program's own, between which and the caller's everything is
// passed on:
//
//	keyboard ─► fd 0, raw ─► outside ══ inside ─► 0, 1, 2 of the program
//	screen  ◄── fd 1 ◄────── outside ══ inside ◄─┘
type Terminal struct {
	outside, inside *os.File
	before          *unix.Termios // of the caller's
	knot            int           // PID 1 of the container; 0 = Ctrl-Z is not for the caller
	started         bool
	output          chan struct{}  // closed when all output was passed on
	changed         chan os.Signal // its size; or the caller continues after a stop
}

// Open makes it, the size and the settings those of the caller's, who reads at 0
// and writes at 1. It is the user's, by his id on the host.
func Open(user uint32) (*Terminal, error) {
	before, err := unix.IoctlGetTermios(0, unix.TCGETS)
	if err != nil {
		return nil, err
	}
	outside, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	t := &Terminal{outside: outside, before: before, output: make(chan struct{}), changed: make(chan os.Signal, 4)}
	if t.inside, err = openInside(outside, user); err != nil {
		outside.Close()
		return nil, err
	}
	if err := unix.IoctlSetTermios(int(t.inside.Fd()), unix.TCSETS, before); err != nil {
		t.inside.Close()
		outside.Close()
		return nil, err
	}
	t.resize()
	return t, nil
}

// openInside opens the other end, by the descriptor: its path may be hidden or
// mean something else. It is the program's own, as after a login.
func openInside(outside *os.File, user uint32) (inside *os.File, err error) {
	err = control(outside, func(fd int) error {
		if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
			return err
		}
		n, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
		if errno != 0 {
			return errno
		}
		inside = os.NewFile(n, "terminal")
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := inside.Chown(int(user), -1); err != nil {
		inside.Close()
		return nil, err
	}
	return inside, nil
}

// control runs do with the descriptor, and leaves it non-blocking.
func control(f *os.File, do func(fd int) error) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := c.Control(func(fd uintptr) { inner = do(int(fd)) }); err != nil {
		return err
	}
	return inner
}

// Inside is the end for the program. It is closed by [Terminal.Start] or
// [Terminal.Finish].
func (t *Terminal) Inside() *os.File { return t.inside }

// Start is called when the program runs. knot is PID 1 of its container if the
// program is in that one's session, so that Ctrl-Z can stop both it and this
// process; else 0.
func (t *Terminal) Start(knot int) {
	t.started, t.knot = true, knot
	// Its end is noticed when nobody has this end open any more.
	t.inside.Close()
	t.raw()
	signal.Notify(t.changed, unix.SIGWINCH, unix.SIGCONT)
	go func() {
		for sig := range t.changed {
			if sig == unix.SIGCONT {
				t.raw() // a shell restores its own settings meanwhile
			}
			t.resize()
		}
	}()
	go t.input()
	go func() {
		defer close(t.output)
		_, _ = io.Copy(os.Stdout, t.outside)
	}()
}

// Finish copies the remaining output and restores the caller's terminal. With
// the end of the session's leader the terminal is gone for all others.
func (t *Terminal) Finish() {
	if t.started {
		select {
		case <-t.output:
		case <-time.After(time.Second):
		}
		signal.Stop(t.changed)
	} else {
		t.inside.Close()
	}
	t.restore()
	_ = t.outside.Close()
}

// raw has the caller's terminal pass on every key as it is: what a key means is
// the inner terminal's business.
func (t *Terminal) raw() {
	raw := *t.before
	raw.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	raw.Oflag &^= unix.OPOST
	raw.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	raw.Cflag = raw.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	t.set(&raw)
}

func (t *Terminal) restore() { t.set(t.before) }

// set changes the caller's terminal, unless it is another's at present.
func (t *Terminal) set(to *unix.Termios) {
	if group, err := unix.IoctlGetInt(0, unix.TIOCGPGRP); err == nil && group == unix.Getpgrp() {
		_ = unix.IoctlSetTermios(0, unix.TCSETSW, to)
	}
}

func (t *Terminal) resize() {
	size, err := unix.IoctlGetWinsize(0, unix.TIOCGWINSZ)
	if err == nil {
		_ = control(t.outside, func(fd int) error { return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, size) })
	}
}

// input copies the typed text until the terminal is gone.
func (t *Terminal) input() {
	buf := make([]byte, 4096)
	for {
		n, err := os.Stdin.Read(buf)
		if err != nil {
			return
		}
		// The signal about a new size may come later than text typed after it.
		t.resize()
		if _, err := t.outside.Write(buf[:n]); err != nil {
			return
		}
		if t.knot != 0 && t.suspends(buf[:n]) {
			t.suspend()
		}
	}
}

// suspends tells whether the inner terminal takes one of the keys for Ctrl-Z.
func (t *Terminal) suspends(keys []byte) (found bool) {
	_ = control(t.outside, func(fd int) error {
		inner, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if err != nil || inner.Lflag&unix.ISIG == 0 {
			return err
		}
		for _, key := range keys {
			found = found || key == inner.Cc[unix.VSUSP] && key != 0
		}
		return nil
	})
	return found
}

// How long a program may take to stop at Ctrl-Z, and how often is looked.
const (
	stopPatience = 500 * time.Millisecond
	stopLook     = 10 * time.Millisecond
)

// suspend stops this process too if the program itself was stopped by Ctrl-Z: not
// one of the jobs of a shell, which continues. It returns when both continue again.
func (t *Terminal) suspend() {
	program, stopped := 0, false
	for until := time.Now().Add(stopPatience); !stopped && time.Now().Before(until); time.Sleep(stopLook) {
		program, stopped = t.stopped()
	}
	if !stopped {
		return
	}
	t.restore()
	// The whole job is stopped, as the caller's terminal would do it.
	_ = unix.Kill(0, unix.SIGTSTP)
	time.Sleep(stopLook) // the signal need not be this thread's
	_ = unix.Kill(-program, unix.SIGCONT)
}

// stopped finds the program, the child of PID 1 that is in the foreground.
func (t *Terminal) stopped() (pid int, stopped bool) {
	children, err := proc.Children(t.knot)
	if err != nil {
		return 0, false
	}
	for _, child := range children {
		stat, err := proc.ReadStat(child)
		if err != nil || stat.State != 'T' {
			continue
		}
		if group, err := unix.Getpgid(child); err == nil && group == child {
			return child, true
		}
	}
	return 0, false
}
