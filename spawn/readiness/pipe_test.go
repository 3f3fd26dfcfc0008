package readiness

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

func TestPipe(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"a line", "ready\n", ""},
		{"an empty line", "\n", ""},
		{"more than a line", "\nand so on", ""},
		{"no end", strings.Repeat("x", maxLine), "without a newline"},
		{"binary", "\x00\xff\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			channel, err := Pipe("box/app.0", 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			if channel.Inode == 0 {
				t.Error("it has no inode")
			}
			// The program has it as cat here has it, and no other.
			cmd := exec.Command("sh", "-c", "cat >&3; exec sleep 60")
			cmd.Stdin = strings.NewReader(c.text)
			cmd.ExtraFiles = []*os.File{channel.Told}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
			heard := channel.Heard
			channel.Told.Close()
			taken := heard
			if c.name != "a line" {
				// As the next daemon finds it.
				heard.Close()
				pidfd, err := proc.OpenPIDFD(cmd.Process.Pid)
				if err != nil {
					t.Fatal(err)
				}
				defer pidfd.Close()
				if taken, err = Take(cmd.Process.Pid, pidfd, &records.Created{Notice: channel.Inode}); err != nil {
					t.Fatal(err)
				}
				if _, err := Take(cmd.Process.Pid, pidfd, &records.Created{Notice: channel.Inode + 1<<40}); err == nil {
					t.Error("another pipe is found")
				}
			}
			defer taken.Close()
			err = AwaitLine(taken)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// Nobody is waited for for ever.
func TestPipe_ClosingEndsTheWait(t *testing.T) {
	channel, err := Pipe("box/app.0", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	heard := channel.Heard
	defer channel.Told.Close()
	done := make(chan error)
	go func() { done <- AwaitLine(heard) }()
	time.Sleep(10 * time.Millisecond)
	heard.Close()
	if err := <-done; !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
	// The program's end is independent of it, and blocking.
	if _, err := channel.Told.WriteString("still there\n"); err != nil {
		t.Error(err)
	}
	conn, err := channel.Told.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	// Not File.Fd, which would make it blocking itself.
	_ = conn.Control(func(fd uintptr) {
		if flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
			t.Errorf("flags %x, %v", flags, err)
		}
	})
}
