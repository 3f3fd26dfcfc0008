package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
)

// options are the command line (checklist R9).
type options struct {
	master  string
	json    bool
	color   bool
	noColor bool
	why     string
	monitor bool
	filters []string
}

const help = `Usage: lithos_ps [-C FILE] [--json] [--color|--no-color] [NAME]...
       lithos_ps [-C FILE] [--json] --why SANDBOX/PROCESS.INDEX
       lithos_ps [-C FILE] --monitor [NAME]...

Shows every instance that is configured, running or not, as a tree of
sandboxes, processes and instances: its state, pid, uptime, restarts, CPU time,
memory and its limit, threads, and how it ended last. NAME chooses: SANDBOX,
SANDBOX/PROCESS or SANDBOX/PROCESS.INDEX.

Options:
      --why NAME      the story of one instance: what its config asks for, how
                      it died lately and what it wrote, what it waits for now
      --monitor       a screen of all, anew each second; n, p, c, m, t and r sort
                      by name, pid, CPU, memory, threads and restarts, q ends it
      --json          write all that is known as JSON
      --color         colours also where the output is no terminal (also
                      --force-color)
      --no-color      no colours on a terminal either
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

  lithos_ps --json | jq -r '.instances[] | select(.state != "running") | .name'
      names of all that does not run

States: pending, starting, running, waiting (dead; tried again later),
replacing, stopping; stopped (dead, and no daemon is there to start it). Beside
it: failing (the last one failed, none has run for ten seconds since), degraded
(runs without something that was asked for), frozen (its config is broken, an
earlier version is used), outdated (what runs is not what is wanted).

Where no daemon answers, it shows what can be seen from the runtime directory
and /proc, and says so. It changes nothing.

Exit codes: 0 shown, 1 could not find out or there is none of that name, 2 wrong
command line.
`

// parseOptions reads the command line; done says that the program ends here.
func parseOptions(args []string, stdout, stderr io.Writer) (o *options, code int, done bool) {
	o = &options{}
	var showVersion bool
	flags := flag.NewFlagSet("lithos_ps", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	for _, name := range []string{"master", "C", "config"} {
		flags.StringVar(&o.master, name, "/etc/lithos/master.yaml", "")
	}
	for _, name := range []string{"color", "force-color"} {
		flags.BoolVar(&o.color, name, false, "")
	}
	flags.BoolVar(&o.noColor, "no-color", false, "")
	flags.BoolVar(&o.json, "json", false, "")
	flags.StringVar(&o.why, "why", "", "")
	flags.BoolVar(&o.monitor, "monitor", false, "")
	flags.BoolVar(&showVersion, "version", false, "")
	words, err := parseAll(flags, args)
	o.filters = words
	if err == nil && !showVersion {
		err = o.check()
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, help)
		return nil, exitOK, true
	case err != nil:
		fmt.Fprintf(stderr, "lithos_ps: %v\nTry lithos_ps --help\n", err)
		return nil, exitUsage, true
	case showVersion:
		fmt.Fprintln(stdout, version)
		return nil, exitOK, true
	}
	return o, 0, false
}

// instanceName is SANDBOX/PROCESS.INDEX; it becomes part of a path.
var instanceName = regexp.MustCompile(`^[0-9A-Za-z_][0-9A-Za-z_.-]*/[0-9A-Za-z_.-]+\.[0-9]+$`)

func (o *options) check() error {
	switch {
	case o.color && o.noColor:
		return errors.New("--color and --no-color exclude each other")
	case o.monitor && (o.json || o.why != ""):
		return errors.New("--monitor excludes --json and --why")
	case o.why != "" && len(o.filters) > 0:
		return fmt.Errorf("--why is about one instance: unexpected argument %q", o.filters[0])
	case o.why != "" && !instanceName.MatchString(o.why):
		return fmt.Errorf("--why wants SANDBOX/PROCESS.INDEX, got %q", o.why)
	}
	return nil
}

// colored decides between the options and what suits the output.
func (o *options) colored(suits bool) bool { return o.color || suits && !o.noColor }

// parseAll takes options behind the other words too; after "--" there are no
// options.
func parseAll(flags *flag.FlagSet, args []string) (words []string, err error) {
	for len(args) > 0 {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		rest := flags.Args()
		if used := len(args) - len(rest); len(rest) == 0 || used > 0 && args[used-1] == "--" {
			return append(words, rest...), nil
		}
		words, args = append(words, rest[0]), rest[1:]
	}
	return words, nil
}
