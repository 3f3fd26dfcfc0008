package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// inject tries to type into each terminal that it has.
func inject([]string) {
	for fd := range uintptr(3) {
		for _, c := range []byte("echo injected\n") {
			_, _, _ = syscall.Syscall(syscall.SYS_IOCTL, fd, unix.TIOCSTI, uintptr(unsafe.Pointer(&c)))
		}
	}
	fmt.Println("injected")
}

// pseudoTerminal is a program on a pseudo-terminal, whose other end the test holds.
type pseudoTerminal struct {
	t               *testing.T
	cmd             *exec.Cmd
	outside, inside *os.File
	before          unix.Termios

	mu   sync.Mutex
	seen string // output that was not expected yet
}

// startOnTerminal starts cmd as the leader of a session with that terminal.
func startOnTerminal(t *testing.T, cmd *exec.Cmd, rows, columns uint16) *pseudoTerminal {
	t.Helper()
	outside, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	must(t, unix.IoctlSetPointerInt(int(outside.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(outside.Fd()), unix.TIOCGPTN)
	must(t, err)
	inside, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	p := &pseudoTerminal{t: t, cmd: cmd, outside: outside, inside: inside}
	p.before = p.settings()
	p.resize(rows, columns)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = inside, inside, inside
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = inside.Close()
		_ = outside.Close()
	})
	go p.read()
	return p
}

func (p *pseudoTerminal) read() {
	buf := make([]byte, 4096)
	for {
		n, err := p.outside.Read(buf)
		p.mu.Lock()
		p.seen += string(buf[:n])
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (p *pseudoTerminal) settings() unix.Termios {
	p.t.Helper()
	s, err := unix.IoctlGetTermios(int(p.inside.Fd()), unix.TCGETS)
	must(p.t, err)
	return *s
}

func (p *pseudoTerminal) resize(rows, columns uint16) {
	p.t.Helper()
	must(p.t, unix.IoctlSetWinsize(int(p.outside.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns}))
}

func (p *pseudoTerminal) send(keys string) {
	p.t.Helper()
	_, err := p.outside.WriteString(keys)
	must(p.t, err)
}

// expect waits for a text on the screen.
func (p *pseudoTerminal) expect(text string) {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("%q on the screen", text), 20*time.Second, func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		_, rest, found := strings.Cut(p.seen, text)
		if !found {
			return fmt.Errorf("the screen has %q", p.seen)
		}
		p.seen = rest
		return nil
	})
}

// exit waits for the end.
func (p *pseudoTerminal) exit() int {
	timer := time.AfterFunc(within(20*time.Second), func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

// unread is how much lies in the terminal for the next one who reads.
func (p *pseudoTerminal) unread() int {
	p.t.Helper()
	n, err := unix.IoctlGetInt(int(p.inside.Fd()), unix.TIOCINQ)
	must(p.t, err)
	return n
}
