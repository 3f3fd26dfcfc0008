package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"lithos/actors"
	"lithos/configs"
	"lithos/spawn/check"
	"lithos/spawn/enter"
	"lithos/spawn/records"
	"lithos/sysx/proc"
)

// check asks a container whether it serves.
func (k *kernel) check(ctx context.Context, name, record string, c *configs.Check) error {
	r, err := records.Read(record)
	if err != nil {
		return fmt.Errorf("%w: %w", actors.ErrNotAsked, err)
	}
	// While the container is set up, or a slow disk is waited for, nothing could
	// have answered: that is no failure of its program.
	if r.Started == nil {
		return fmt.Errorf("%w: %w", actors.ErrNotAsked, actors.ErrNoProgram)
	}
	switch c.Kind {
	case configs.CheckTCP:
		err = check.TCP(ctx, r, c.Addr)
	case configs.CheckHTTP:
		err = check.HTTP(ctx, r, c.Addr, c.Path)
	case configs.CheckCommand:
		err = k.runCheck(ctx, name, c)
	default:
		return fmt.Errorf("%w: unknown kind of check %q", actors.ErrNotAsked, c.Kind)
	}
	switch {
	case errors.Is(err, enter.ErrOldRecord):
		return fmt.Errorf("%w: %w", actors.ErrNotAsked, err)
	case errors.Is(err, enter.ErrNoProgram):
		return actors.ErrNoProgram
	case errors.Is(err, check.ErrNoAnswer):
		return fmt.Errorf("no answer within %s", c.Timeout)
	}
	return err
}

// helpers are children of this process that are no containers: actors do not
// hear of them.
type helpers struct {
	mu      sync.Mutex
	waiting map[int]chan syscall.WaitStatus // by pid
}

// start forks one. The lock is held meanwhile, so that its end can't be told
// before its pid is known.
func (h *helpers) start(fork func() (int, error)) (pid int, ended <-chan syscall.WaitStatus, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if pid, err = fork(); err != nil {
		return 0, nil, err
	}
	return pid, h.enter(pid), nil
}

// add enters one that runs already, before anybody waits for children.
func (h *helpers) add(pid int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.enter(pid)
}

// enter is for who holds the lock.
func (h *helpers) enter(pid int) <-chan syscall.WaitStatus {
	c := make(chan syscall.WaitStatus, 1)
	if h.waiting == nil {
		h.waiting = make(map[int]chan syscall.WaitStatus)
	}
	h.waiting[pid] = c
	return c
}

// ended takes the end of a child, if it is one of them.
func (h *helpers) ended(pid int, status syscall.WaitStatus) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.waiting[pid]
	if c == nil {
		return false
	}
	delete(h.waiting, pid)
	c <- status
	return true
}

// has tells whether a child is one of them.
func (h *helpers) has(pid int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.waiting[pid] != nil
}

// helperGrace is what a helper gets beyond the timeout of its check to enter
// the container and to kill the program. It counts as not asked, then.
const helperGrace = 10 * time.Second

// helperEnd is what it gets to do so when it is told to. If it is killed meanwhile
// some of what the check has started may stay in the container.
const helperEnd = 15 * time.Second

// runCheck runs the program of a check by lithos_exec.
func (k *kernel) runCheck(ctx context.Context, name string, c *configs.Check) error {
	read, write, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("%w: %w", actors.ErrNotAsked, err)
	}
	defer read.Close()
	// PR_SET_PDEATHSIG: the thread has to live as long as the helper.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	helper := &check.Helper{
		Exec: filepath.Join(filepath.Dir(k.knot), "lithos_exec"), Master: k.master.File, Name: name,
		Argv: c.Command, Timeout: c.Timeout, Output: write,
	}
	var pidfd *os.File
	_, ended, err := k.helpers.start(func() (pid int, err error) {
		pid, pidfd, err = helper.Start()
		return pid, err
	})
	write.Close()
	if err != nil {
		return fmt.Errorf("%w: cannot run %s: %w", actors.ErrNotAsked, helper.Exec, err)
	}
	defer pidfd.Close()
	output := make(chan string, 1)
	go func() { output <- lastLine(read) }()
	status, err := k.awaitHelper(ctx, pidfd, ended)
	// Children of the program may hold the other end of the pipe.
	_ = read.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	said := <-output
	if err != nil {
		return err
	}
	return verdictOf(status, c.Timeout, said)
}

// awaitHelper waits for the end of a helper, and sees to it that it comes: when
// nobody wants to know any more, or if it takes far too long.
func (k *kernel) awaitHelper(ctx context.Context, pidfd *os.File, ended <-chan syscall.WaitStatus) (syscall.WaitStatus, error) {
	limit := time.Hour
	if deadline, ok := ctx.Deadline(); ok {
		limit = time.Until(deadline) + helperGrace
	}
	patience := time.NewTimer(limit)
	defer patience.Stop()
	given := context.Canceled
	done := ctx.Done()
	for {
		select {
		case status := <-ended:
			return status, nil
		case <-done:
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				done = nil // lithos_exec ends the program by itself
				continue
			}
		case <-patience.C:
			given = errors.New("lithos_exec does not end")
		}
		_ = proc.Signal(pidfd, syscall.SIGALRM) // to lithos_exec: kill all of it now
		select {
		case <-ended:
		case <-time.After(helperEnd):
			_ = proc.Signal(pidfd, syscall.SIGKILL)
			<-ended
		}
		return 0, fmt.Errorf("%w: %w", actors.ErrNotAsked, given)
	}
}

// verdictOf interprets the exit of lithos_exec.
func verdictOf(status syscall.WaitStatus, timeout time.Duration, said string) error {
	if said != "" {
		said = ": " + said
	}
	switch code := status.ExitStatus(); {
	case code == 0:
		return nil
	case code == check.CodeTimeout:
		return fmt.Errorf("it did not end within %s%s", timeout, said)
	case code == check.CodeNotRun, status.Signaled():
		return fmt.Errorf("%w%s", actors.ErrNotAsked, said)
	default:
		return fmt.Errorf("exit code %d%s", code, said)
	}
}

// lastLine reads all that comes, and keeps the last line of it, in printable
// characters.
func lastLine(r io.Reader) string {
	const most = 200
	text := strings.TrimRight(string(tail(r, 4096)), " \t\r\n")
	text = text[strings.LastIndexByte(text, '\n')+1:]
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
