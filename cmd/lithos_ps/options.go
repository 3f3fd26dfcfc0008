package main

import (
	"errors"
	"fmt"
	"io"
	"regexp"

	"lithos/cmd/internal/cli"
)

// options are the command line (requirement R9).
type options struct {
	master  string
	json    bool
	color   bool
	noColor bool
	why     string
	monitor bool
	verify  bool
	filters []string
}

const help = `Usage: lithos_ps [-C FILE] [--json] [--color|--no-color] [NAME]...
       lithos_ps [-C FILE] [--json] --why SANDBOX/PROCESS.INDEX
       lithos_ps [-C FILE] [--json] --verify [NAME]...
       lithos_ps [-C FILE] --monitor [NAME]...

Shows every configured instance, running or not, as a tree of sandboxes,
processes and instances: state, pid, uptime, restarts, CPU time, memory and its
limit, threads, and the last exit. NAME selects: SANDBOX, SANDBOX/PROCESS or
SANDBOX/PROCESS.INDEX.

Options:
      --why NAME      explain one instance: limits and rights of its config,
                      recent deaths and output, the event it waits for
      --verify        compare the running containers with their configs, by the
                      kernel: limits, users, capabilities, namespaces and
                      mounts; list the differences (for root)
      --monitor       a screen of all, every second; n, p, c, m, t and r sort by
                      name, pid, CPU, memory, threads and restarts, q quits
      --json          write everything as JSON
      --color         always colours (also --force-color)
      --no-color      never colours
  -C, --config FILE   the master config, which names the runtime-dir (default
                      /etc/lithos/master.yaml; also --master)
      --version       print the version
      --help          print this

Examples:
  lithos_ps
      everything on this host

  lithos_ps web web2/worker
      the sandbox web, and one process of web2

  lithos_ps --why web/app.0
      why does it restart all the time?

  lithos_ps --verify web
      is each limit of the sandbox web in force?

  lithos_ps --json | jq -r '.instances[] | select(.state != "running") | .name'
      names of all instances that do not run

States: pending, starting, running, waiting (dead; restarts later), replacing,
stopping; stopped (dead, without a daemon to restart it). Conditions: failing
(it failed, and has not run for ten seconds since), degraded (a limit could not
be set), frozen (its config is broken, an earlier version is used), outdated
(an earlier config runs).

Without a daemon it shows the state from the runtime directory and /proc, and
says so. It changes nothing.

Exit codes: 0 shown, 1 no state, no such name, or --verify found a difference,
2 wrong command line.
`

// parseOptions reads the command line; done says that the program ends here.
func parseOptions(args []string, stdout, stderr io.Writer) (o *options, code int, done bool) {
	o = &options{}
	set := cli.For(cli.Program{Name: "lithos_ps", Version: version, Help: help, Wrong: exitUsage})
	set.Master(&o.master)
	set.BoolVar(&o.color, "color", false, "")
	set.BoolVar(&o.color, "force-color", false, "")
	set.BoolVar(&o.noColor, "no-color", false, "")
	set.BoolVar(&o.json, "json", false, "")
	set.StringVar(&o.why, "why", "", "")
	set.BoolVar(&o.monitor, "monitor", false, "")
	set.BoolVar(&o.verify, "verify", false, "")
	code, done = set.Parse(args, stdout, stderr, o.take)
	return o, code, done
}

// instanceName is SANDBOX/PROCESS.INDEX; it becomes part of a path.
var instanceName = regexp.MustCompile(`^[0-9A-Za-z_][0-9A-Za-z_.-]*/[0-9A-Za-z_.-]+\.[0-9]+$`)

// take takes the arguments, and checks the combination.
func (o *options) take(words []string) error {
	o.filters = words
	switch {
	case o.color && o.noColor:
		return errors.New("--color and --no-color exclude each other")
	case o.monitor && (o.json || o.verify || o.why != ""):
		return errors.New("--monitor excludes --json, --verify and --why")
	case o.verify && o.why != "":
		return errors.New("--verify excludes --why")
	case o.why != "" && len(o.filters) > 0:
		return fmt.Errorf("--why is about one instance: unexpected argument %q", o.filters[0])
	case o.why != "" && !instanceName.MatchString(o.why):
		return fmt.Errorf("--why wants SANDBOX/PROCESS.INDEX, got %q", o.why)
	}
	return nil
}

// colored decides between the options and what suits the output.
func (o *options) colored(suits bool) bool { return o.color || suits && !o.noColor }
