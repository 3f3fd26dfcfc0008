package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"lithos/cmd/internal/terminal"
)

// stdio connects 0, 1 and 2 of the program with those of lithos_exec.
type stdio struct {
	terminal *terminal.Terminal // nil = none
	inside   [3]*os.File        // for the program
	own      []*os.File         // of those, the ones closed here when it runs
	in       *os.File           // the destination of standard input, nil = none
	outs     []*output
}

// output is a pipe from which is copied.
type output struct {
	from, to *os.File
	done     chan struct{}
}

func openStdio(user uint32) (s *stdio, err error) {
	s = &stdio{}
	if s.terminal, err = openTerminal(user); err != nil {
		return nil, err
	}
	for fd, f := range []*os.File{os.Stdin, os.Stdout, os.Stderr} {
		switch {
		case s.terminal != nil && (fd < 2 || terminal.Is(fd)):
			s.inside[fd] = s.terminal.Inside()
		case harmless(fd):
			s.inside[fd] = f
		case fd == 0:
			err = s.copyIn()
		default:
			err = s.copyOut(fd, f)
		}
		if err != nil {
			s.abandon()
			return nil, fmt.Errorf("cannot pass on descriptor %d: %w", fd, err)
		}
	}
	return s, nil
}

// harmless tells whether a program may have the descriptor itself: a pipe or a
// socket leads nowhere else.
func harmless(fd int) bool {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return false
	}
	kind := st.Mode & unix.S_IFMT
	return kind == unix.S_IFIFO || kind == unix.S_IFSOCK
}

func (s *stdio) copyIn() error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	s.inside[0], s.in = r, w
	s.own = append(s.own, r)
	return nil
}

func (s *stdio) copyOut(fd int, to *os.File) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	s.inside[fd] = w
	s.own = append(s.own, w)
	s.outs = append(s.outs, &output{from: r, to: to, done: make(chan struct{})})
	return nil
}

// start is called when the program runs.
func (s *stdio) start() {
	for _, f := range s.own {
		f.Close()
	}
	if s.terminal != nil {
		s.terminal.Start(0)
	} else {
		// The peer of a descriptor that the program has must see the program
		// close it.
		letGo(s.inside)
	}
	if s.in != nil {
		go func() {
			_, _ = io.Copy(s.in, os.Stdin)
			s.in.Close()
		}()
	}
	for _, o := range s.outs {
		go func() {
			defer close(o.done)
			if _, err := io.Copy(o.to, o.from); !errors.Is(err, os.ErrDeadlineExceeded) {
				o.from.Close() // nobody reads any more: the program gets SIGPIPE
			}
		}()
	}
}

// letGo leaves the inherited descriptors to the program: here they become /dev/null.
func letGo(given [3]*os.File) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer null.Close()
	for fd, f := range []*os.File{os.Stdin, os.Stdout} {
		if given[fd] == f {
			_ = unix.Dup3(int(null.Fd()), fd, 0)
		}
	}
}

// finish copies the output of the program to the end.
func (s *stdio) finish() {
	for _, o := range s.outs {
		_ = o.from.SetReadDeadline(time.Now())
		<-o.done
		o.drain()
	}
	if s.terminal != nil {
		s.terminal.Finish()
	}
}

// drain takes what lies in the pipe, without waiting for those who have it open
// still: children of the program that continue.
func (o *output) drain() {
	conn, err := o.from.SyscallConn()
	if err != nil {
		return
	}
	buf := make([]byte, 64<<10)
	_ = conn.Control(func(fd uintptr) {
		for {
			n, err := unix.Read(int(fd), buf)
			if err == unix.EINTR {
				continue
			}
			if err != nil || n <= 0 {
				return
			}
			if _, err := o.to.Write(buf[:n]); err != nil {
				return
			}
		}
	})
}

// abandon is for when nothing runs.
func (s *stdio) abandon() {
	for _, f := range s.own {
		f.Close()
	}
	if s.terminal != nil {
		s.terminal.Finish()
	}
}
