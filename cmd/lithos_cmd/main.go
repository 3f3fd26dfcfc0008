package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"lithos/actors"
	"lithos/actors/command"
	"lithos/actors/process"
	"lithos/actors/services/logs"
	"lithos/cmd/internal/reader"
	"lithos/cmd/internal/setup"
	"lithos/cmd/internal/terminal"
	"lithos/configs"
)

// version is set when the program is built.
var version = "dev"

func main() {
	reader.Main()
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is the whole program; it returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	o, code, done := parseOptions(args, stdout, stderr)
	if done {
		return code
	}
	code, err := execute(o, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "lithos_cmd: %v\n", err)
	}
	return code
}

// execute finds the command and runs it.
func execute(o *options, stderr io.Writer) (int, error) {
	// Before there is anything that a signal could leave behind.
	signals, ends := make(chan os.Signal, 16), make(chan os.Signal, 1)
	signal.Notify(signals, command.Signals...)
	signal.Notify(ends, syscall.SIGCHLD)
	// Caught, not ignored: that would be inherited.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	knot, err := setup.FindKnot()
	if err != nil {
		return command.CodeNotRun, err
	}
	if os.Geteuid() != 0 {
		return command.CodeNotRun, errors.New("it must be run as root: it makes a container")
	}
	plan, problems := reader.Load(configs.Options{MasterFile: o.config})
	if plan == nil {
		tell(problems, stderr)
		return command.CodeNotRun, fmt.Errorf("cannot use the master config %s", o.config)
	}
	instance, sandbox, err := find(o, plan, problems, stderr)
	if err != nil {
		return command.CodeNotRun, err
	}
	if err := errors.Join(setup.CheckDevfs(plan.Master), setup.MakeDirs(plan.Master)); err != nil {
		return command.CodeNotRun, err
	}
	log, closeLog, err := openLog(o, plan.Master, sandbox, stderr)
	if err != nil {
		return command.CodeNotRun, err
	}
	defer closeLog()
	kernel, err := newKernel(knot, plan.Master, log)
	if err != nil {
		return command.CodeNotRun, err
	}
	command.ClearStale(kernel, log)
	c := &command.Config{
		Kernel: kernel, Log: log, Instance: instance, Env: environment(knot, plan.Master, sandbox, kernel, log),
		Signals: signals, Deaths: ends,
	}
	return start(c, stderr)
}

// start gives the command its sockets and its terminal, and waits for its end.
func start(c *command.Config, stderr io.Writer) (int, error) {
	var err error
	if c.Sockets, err = listen(c.Instance.Container); err != nil {
		return command.CodeNotRun, err
	}
	defer closeAll(c.Sockets)
	finish := func() {}
	if c.Instance.Container.Interactive {
		if finish, err = attach(c); err != nil {
			return command.CodeNotRun, err
		}
	}
	c.Log.Info().Msgf("Command %q of lithos_cmd starts", c.Instance.Name)
	result := command.Run(*c)
	finish()
	c.Log.Info().Msgf("Command %q ended with exit code %d", c.Instance.Name, result.Code)
	for _, text := range result.Degraded {
		c.Log.Warn().Msgf("Command %q ran degraded: %s", c.Instance.Name, text)
		fmt.Fprintf(stderr, "lithos_cmd: degraded: %s\n", text)
	}
	if result.Left != nil {
		c.Log.Error().Msgf("%v", result.Left)
		fmt.Fprintf(stderr, "lithos_cmd: %v\n", result.Left)
	}
	if result.Err != nil {
		c.Log.Error().Msgf("Command %q: %v", c.Instance.Name, result.Err)
		return result.Code, fmt.Errorf("%s: %w", c.Instance.Name, result.Err)
	}
	return result.Code, nil
}

// attach connects the command to what lithos_cmd reads and writes: by a terminal
// of its own, or directly. finish is for when it has ended.
func attach(c *command.Config) (finish func(), err error) {
	if terminal.Is(0) && terminal.Is(1) {
		t, err := terminal.Open(hostUser(c.Instance.Container))
		if err != nil {
			return nil, fmt.Errorf("cannot make a terminal for the command: %w", err)
		}
		c.Terminal, c.Stdio = true, [3]*os.File{t.Inside(), t.Inside(), os.Stderr}
		if terminal.Is(2) {
			c.Stdio[2] = t.Inside()
		}
		c.Started = t.Start
		return t.Finish, nil
	}
	c.Stdio = [3]*os.File{os.Stdin, os.Stdout, os.Stderr}
	c.Started = func(int) { letGo() }
	return func() {}, nil
}

// hostUser is the program's user as the host sees it.
func hostUser(c *configs.Container) uint32 {
	for _, m := range c.UIDMap {
		if c.UserID >= m.Inside && c.UserID-m.Inside < m.Count {
			return m.Outside + (c.UserID - m.Inside)
		}
	}
	return c.UserID
}

// letGo leaves standard input and output to the command alone, so that who is at
// the other end notices when it closes them.
func letGo() {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer null.Close()
	for fd := range 2 {
		_ = unix.Dup3(int(null.Fd()), fd, 0)
	}
}

// environment is the part of the shared services that a command needs.
func environment(knot string, m *configs.Master, sb *configs.Sandbox, kernel *actors.Kernel, log zerolog.Logger) *process.Env {
	return &process.Env{Kernel: kernel, Log: log, Paths: process.Paths{
		Knot:       knot,
		MasterFile: m.File,
		MountDir:   m.MountDir,
		DevfsDir:   m.DevfsDir,
		StateDir:   m.StateDir,
		RecordsDir: setup.RecordsDir(m),
		StdioLog:   filepath.Join(m.StdioLogDir, sb.Name+".log"),
		Term:       os.Getenv("TERM"),
	}}
}

// openLog is the log of the sandbox, or what stands for it.
func openLog(o *options, m *configs.Master, sb *configs.Sandbox, stderr io.Writer) (zerolog.Logger, func(), error) {
	options := logs.Options{Level: o.logLevel, Console: stderr}
	if o.logStderr {
		options.Stderr = stderr
	}
	set, err := logs.Open(m, options)
	if err != nil {
		return zerolog.Nop(), nil, err
	}
	log, err := set.Sandbox(sb.Name, sb.Config)
	if err != nil {
		set.Close()
		return zerolog.Nop(), nil, err
	}
	return log.Logger(), func() { log.Close(); set.Close() }, nil
}
