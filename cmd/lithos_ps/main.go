package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"lithos/actors/services/api"
	"lithos/cmd/internal/cli"
	"lithos/cmd/internal/reader"
	"lithos/configs"
	"lithos/configs/report"
)

// version is set when the program is built.
var version = "dev"

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// patience is how long the daemon may take to answer.
const patience = 10 * time.Second

func main() {
	reader.Main()
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is the whole program; it returns the exit code.
func run(args []string, stdout, stderr *os.File) int {
	o, code, done := parseOptions(args, stdout, stderr)
	if done {
		return code
	}
	master, problems := configs.Locate(o.master)
	if problems.HasErrors() {
		_ = report.For(stderr).Print(problems)
	}
	if master == nil {
		fmt.Fprintf(stderr, "Fatal error: cannot find the runtime-dir without the master config\n")
		return exitFailed
	}
	do := runMonitor
	if !o.monitor {
		do = show
		cli.EndsSoon()
	}
	switch err := do(o, master, stdout); {
	case errors.Is(err, errDifferent):
		return exitFailed
	case err != nil:
		fmt.Fprintf(stderr, "Fatal error: %v\n", err)
		return exitFailed
	}
	return exitOK
}

// show writes the output.
func show(o *options, master *configs.Master, stdout *os.File) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := take(ctx, master)
	if err != nil {
		return err
	}
	if o.why != "" {
		return tellWhy(ctx, o, master, s, stdout)
	}
	if err := s.choose(o.filters); err != nil {
		return err
	}
	if o.verify {
		return verify(o, master, s, stdout)
	}
	if o.json {
		s.addTrees()
		return report.WriteJSON(stdout, s)
	}
	p := report.For(stdout)
	v := &view{color: o.colored(p.Color), width: p.Width}
	_, err = fmt.Fprint(stdout, v.tree(s))
	return err
}

// take finds out how everything is: from the daemon, or without it.
func take(ctx context.Context, master *configs.Master) (*snapshot, error) {
	// It takes as long as the daemon's answer.
	scanned := make(chan processes, 1)
	go func() { scanned <- scan("/proc") }()
	client := api.NewClient(socket(master))
	defer client.Close()
	status, err := client.Status(ctx, true)
	var s *snapshot
	switch {
	case err == nil:
		s = fromDaemon(status)
		s.addCommands(master)
	case errors.Is(err, api.ErrNotRunning):
		if s, err = fromFiles(master); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("cannot ask the daemon: %w", err)
	}
	s.processes = <-scanned
	for _, r := range s.Instances {
		s.processes.count(r)
	}
	s.sort()
	return s, nil
}
