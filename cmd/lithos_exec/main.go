package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"lithos/cmd/internal/terminal"
	"lithos/configs"
	"lithos/configs/report"
	"lithos/spawn/enter"
)

// version is set when the program is built.
var version = "dev"

// Exit codes besides the program's own, as other runners of containers have
// them.
const (
	codeTimeout       = 124
	codeNotRun        = 125
	codeNotExecutable = 126
	codeNotFound      = 127
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is the whole program; it returns the exit code.
func run(args []string, stdout io.Writer, stderr *os.File) int {
	o, code, done := parseOptions(args, stdout, stderr)
	if done {
		return code
	}
	code, err := execute(o, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "lithos_exec: %v\n", err)
	}
	return code
}

// passedOn are the signals that the program gets, too.
var passedOn = []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2}

// execute finds the container and runs the program in it.
func execute(o *options, stderr *os.File) (int, error) {
	if os.Geteuid() != 0 {
		return codeNotRun, errors.New("it must be run as root: it enters a container")
	}
	if err := enter.Protect(); err != nil {
		return codeNotRun, err
	}
	master, problems := configs.Locate(o.master)
	if problems.HasErrors() {
		_ = report.For(stderr).Print(problems)
	}
	if master == nil {
		return codeNotRun, errors.New("cannot find the runtime-dir without the master config")
	}
	name, record, err := find(master, o.name)
	if err != nil {
		return codeNotRun, err
	}
	c, err := enter.Open(record)
	if err != nil {
		return codeNotRun, fmt.Errorf("cannot enter %s: %w%s", name, err, hint(err))
	}
	defer c.Close()
	code, err := start(o, c)
	if err != nil {
		return code, fmt.Errorf("cannot run it in %s: %w", name, err)
	}
	return code, nil
}

func hint(err error) string {
	switch {
	case errors.Is(err, enter.ErrOldRecord):
		return "; restart it once to be able to enter it"
	case errors.Is(err, enter.ErrNoProgram):
		return "; it is just being started, or waits for its restart (restart-process-only)"
	}
	return ""
}

// start runs the program and waits for its end.
func start(o *options, c *enter.Container) (int, error) {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, passedOn...)
	over := make(chan os.Signal, 1)
	signal.Notify(over, syscall.SIGALRM)
	// Caught, not ignored: that would be inherited.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	r := request(o, c)
	s, err := openStdio(c.HostUser(r.UserID))
	if err != nil {
		return codeNotRun, err
	}
	r.Stdio, r.Terminal = s.inside, s.terminal != nil
	if r.Terminal && os.Getenv("TERM") != "" {
		r.Env = set(r.Env, "TERM="+os.Getenv("TERM"))
	}
	for _, v := range o.env {
		r.Env = set(r.Env, v)
	}
	p, code, err := begin(c, r, signals)
	if err != nil {
		s.abandon()
		return code, err
	}
	s.start()
	var late <-chan time.Time
	if o.timeout > 0 {
		late = time.After(o.timeout)
	}
	end := func(why string) (int, error) {
		err := p.KillAll() // one that has just ended needs none
		<-p.Done()
		s.finish()
		return codeTimeout, errors.Join(errors.New(why), err)
	}
	for {
		select {
		case <-late:
			return end(fmt.Sprintf("it did not end within %s and was killed", o.timeout))
		case <-over:
			return end("it was killed, since lithos_exec got SIGALRM")
		case sig := <-signals:
			_ = p.Signal(sig.(syscall.Signal)) // one that has just ended needs none
		case <-p.Done():
			s.finish()
			return p.Code(), nil
		}
	}
}

// startPatience is the time of a start after a signal to end.
const startPatience = 5 * time.Second

// begin starts it. A container may stop a process that is about to enter it: a
// signal ends lithos_exec then, if the start does not end by itself.
func begin(c *enter.Container, r *enter.Request, signals <-chan os.Signal) (p *enter.Process, code int, err error) {
	started := make(chan struct{})
	go func() {
		defer close(started)
		p, err = c.Start(r)
	}()
	select {
	case <-started:
	case sig := <-signals:
		select {
		case <-started:
		case <-time.After(startPatience):
			return nil, 128 + int(sig.(syscall.Signal)), errors.New("it was stopped before the program was started")
		}
		if err == nil {
			_ = p.Signal(sig.(syscall.Signal))
		}
	}
	switch {
	case errors.Is(err, enter.ErrNotFound):
		return nil, codeNotFound, err
	case errors.Is(err, enter.ErrNotExecutable):
		return nil, codeNotExecutable, err
	case err != nil:
		return nil, codeNotRun, err
	}
	return p, 0, nil
}

func request(o *options, c *enter.Container) *enter.Request {
	r := &enter.Request{Argv: o.argv, Env: slices.Clone(c.Env), Workdir: o.workdir}
	r.UserID, r.GroupID = c.User()
	if o.user != nil {
		r.UserID, r.GroupID = o.user.uid, o.user.gid
	}
	return r
}

// set replaces a variable, or adds it.
func set(env []string, v string) []string {
	name, _, _ := strings.Cut(v, "=")
	env = slices.DeleteFunc(env, func(e string) bool { return strings.HasPrefix(e, name+"=") })
	return append(env, v)
}

// openTerminal makes the program's terminal, where there is one to pass on.
func openTerminal(user uint32) (*terminal.Terminal, error) {
	if !terminal.Is(0) || !terminal.Is(1) {
		return nil, nil
	}
	t, err := terminal.Open(user)
	if err != nil {
		return nil, fmt.Errorf("cannot make a terminal for the program: %w", err)
	}
	return t, nil
}
