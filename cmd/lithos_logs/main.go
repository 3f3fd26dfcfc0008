package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"lithos/actors/services/deaths"
	"lithos/cmd/internal/cli"
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

// recordPatience is how long the record of a death may take.
const recordPatience = 300 * time.Millisecond

// pause is between two looks at the files with --follow.
const pause = 200 * time.Millisecond

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is the whole program; it returns the exit code.
func run(args []string, stdout, stderr *os.File) int {
	o, code, done := parseOptions(args, time.Now(), stdout, stderr)
	if done {
		return code
	}
	master, problems := configs.Locate(o.master)
	if problems.HasErrors() {
		_ = report.For(stderr).Print(problems)
	}
	if master == nil {
		fmt.Fprintf(stderr, "Fatal error: cannot find the stdio-log-dir without the master config\n")
		return exitFailed
	}
	ctx := context.Background()
	if o.follow {
		followed, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		ctx = followed
	} else {
		cli.EndsSoon()
	}
	if err := show(ctx, o, master, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "Fatal error: %v\n", err)
		return exitFailed
	}
	return exitOK
}

// show writes what was asked for.
func show(ctx context.Context, o *options, master *configs.Master, stdout, stderr *os.File) error {
	r := &reader{dir: master.StdioLogDir, o: o}
	if err := r.choose(); err != nil {
		return err
	}
	if hint := r.shared(); hint != "" {
		fmt.Fprintf(stderr, "lithos_logs: %s\n", hint)
	}
	terminal := report.For(stdout)
	out := bufio.NewWriterSize(stdout, 64<<10)
	p := &printer{
		out: out, json: o.json, escape: terminal.Width > 0, color: o.color || terminal.Color && !o.noColor,
		label: len(r.sources) != 1 || o.follow && len(o.names) == 0,
		causes: &causes{patience: recordPatience, read: func(name string) ([]deathAt, error) {
			return readDeaths(deaths.Dir(master.RuntimeDir), name)
		}},
	}
	if err := r.each(p.print); err != nil || !o.follow {
		return errors.Join(err, out.Flush())
	}
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		if err := out.Flush(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		r.discover()
		if err := r.each(p.print); err != nil {
			return errors.Join(err, out.Flush())
		}
	}
}
