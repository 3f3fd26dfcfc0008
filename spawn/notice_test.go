package spawn

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lithos/spawn/records"
	"lithos/sysx/proc"
)

func TestNotice(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"a line", "ready\n", ""},
		{"an empty line", "\n", ""},
		{"more than a line", "\nand so on", ""},
		{"no end", strings.Repeat("x", maxNotice), "without a newline"},
		{"binary", "\x00\xff\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := &launch{r: &Request{NoticeFD: 5}, spec: Spec{Sockets: []int{3}}}
			if err := l.makeNotice(); err != nil {
				t.Fatal(err)
			}
			l.addNotice()
			if len(l.spec.Sockets) != 2 || l.spec.Sockets[1] != 5 || l.head.Notice == 0 {
				t.Errorf("the program gets %v, the record has %d", l.spec.Sockets, l.head.Notice)
			}
			// The program has it as cat here has it, and no other.
			cmd := exec.Command("sh", "-c", "cat >&3; exec sleep 60")
			cmd.Stdin = strings.NewReader(c.text)
			cmd.ExtraFiles = []*os.File{l.noticeOfProgram}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
			heard := l.keepNotice()
			l.close()
			taken := heard
			if c.name != "a line" {
				// As the next daemon finds it.
				heard.Close()
				pidfd, err := proc.OpenPIDFD(cmd.Process.Pid)
				if err != nil {
					t.Fatal(err)
				}
				defer pidfd.Close()
				if taken, err = TakeNotice(cmd.Process.Pid, pidfd, &l.head); err != nil {
					t.Fatal(err)
				}
				if _, err := TakeNotice(cmd.Process.Pid, pidfd, &records.Created{Notice: l.head.Notice + 1<<40}); err == nil {
					t.Error("another pipe is found")
				}
			}
			defer taken.Close()
			err := AwaitNotice(taken)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// Nobody is waited for for ever.
func TestNotice_ClosingEndsTheWait(t *testing.T) {
	l := &launch{r: &Request{NoticeFD: 5}}
	if err := l.makeNotice(); err != nil {
		t.Fatal(err)
	}
	heard := l.keepNotice()
	defer l.close()
	done := make(chan error)
	go func() { done <- AwaitNotice(heard) }()
	time.Sleep(10 * time.Millisecond)
	heard.Close()
	if err := <-done; !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
	// What the program has does not know of it, and is blocking.
	if _, err := l.noticeOfProgram.WriteString("still there\n"); err != nil {
		t.Error(err)
	}
	if flags, err := unix.FcntlInt(uintptr(rawFD(l.noticeOfProgram)), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("flags %x, %v", flags, err)
	}
}
