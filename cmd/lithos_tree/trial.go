package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"
)

// tryPatience is for a new release to say whether it could start: it reads all
// configs, on a host that may be as busy as can be. Nothing but the reload waits.
const tryPatience = 2 * time.Minute

// canStart is what a lithos_tree says that could start, and could take over.
const canStart = "lithos_tree can start and take over"

// errSilent is that a new release said nothing in time.
var errSilent = errors.New("it does not say in time whether it could start")

// try asks a new release whether it could start with this command line.
func (h *helpers) try(ctx context.Context, path string, patience time.Duration) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return errors.Join(err, w.Close())
	}
	defer null.Close()
	var process *os.Process
	_, ended, err := h.start(func() (int, error) {
		var err error
		process, err = os.StartProcess(path, append([]string{os.Args[0], "--can-start"}, os.Args[1:]...),
			&os.ProcAttr{Files: []*os.File{null, w, w}})
		if err != nil {
			return 0, err
		}
		return process.Pid, nil
	})
	_ = w.Close()
	if err != nil {
		return fmt.Errorf("it can't be executed: %w", err)
	}
	defer process.Release()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		_ = process.Kill()
		_ = r.SetReadDeadline(time.Now())
	})
	defer stop()
	text := tail(r, 64<<10)
	select {
	case status := <-ended:
		if ctx.Err() == nil || !status.Signaled() {
			return judge(strings.TrimSpace(string(text)), status)
		}
		// It was we who killed it.
	case <-ctx.Done():
		_ = process.Kill()
	}
	return fmt.Errorf("%w (%s)", errSilent, patience)
}

// tail reads all that comes, and keeps about so many bytes of the end of it.
func tail(r io.Reader, most int) (text []byte) {
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		if text = append(text, buf[:n]...); len(text) > 2*most {
			text = append(text[:0], text[len(text)-most:]...)
		}
		if err != nil {
			return text
		}
	}
}

// judge turns the output of a new release into a sentence.
func judge(said string, status syscall.WaitStatus) error {
	fine := status.Exited() && status.ExitStatus() == 0
	const most = 2000
	words := ""
	if said != "" {
		words = ": " + said[max(0, len(said)-most):]
	}
	switch {
	case fine && (said == canStart || strings.HasSuffix(said, "\n"+canStart)):
		return nil
	case status.Signaled():
		return fmt.Errorf("it was ended by signal %d (%v) when it was tried%s", int(status.Signal()), status.Signal(), words)
	case fine:
		return fmt.Errorf("it is no lithos_tree that could take over%s", words)
	}
	return fmt.Errorf("it could not start, exit code %d%s", status.ExitStatus(), words)
}
