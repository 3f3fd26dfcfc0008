package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
)

// options are the command line (checklist R4).
type options struct {
	config     string
	verbose    bool
	json       bool
	alternate  string
	sandbox    string
	containers []string
	timeline   string
}

const help = `Usage: lithos_check [-C FILE] [-v] [--json]
       lithos_check [-C FILE] --sandbox NAME --alternate-config FILE
       lithos_check --check-container FILE...
       lithos_check [-C FILE] [--json] --timeline SANDBOX/PROCESS

Checks all configs of this host: the master config, the sandboxes, their
processes, the container configs in the images, and what the images lack at run
time (mount points, the program, its interpreter or loader). What has no error
here is what lithos_tree runs. Nothing is changed.

Options:
  -C, --config FILE        the master config (default /etc/lithos/master.yaml)
      --sandbox NAME       with --alternate-config: the sandbox it is for
                           (also --sandbox-name, -T, --tree, --subtree-name)
      --alternate-config FILE
                           check FILE in the place of the sandbox's process
                           config, with everything else as it is
      --check-container FILE
                           check this container config alone, wherever it lies;
                           can be given several times. Needs nothing of lithos
                           installed, no root and no host: for a build machine
      --timeline SANDBOX/PROCESS
                           check nothing; tell when the process is started again
                           if its program dies at once, by its restart-timeout
                           and restart-backoff
      --json               write what was found as JSON to standard output
  -v, --verbose            say what was looked at, too
      --version            print the version
      --help               print this

Examples:
  lithos_check
      check everything, after a change of the master or of a sandbox config.
      Then let the daemon read it: kill -QUIT $(cat /run/lithos/master.pid)

  lithos_check --sandbox web --alternate-config /tmp/web.yaml
      check new processes for the sandbox web; lithos_switch does the same and
      then puts the file in its place

  lithos_check --check-container config/web.yaml
      check a container config before it goes into an image

  lithos_check --timeline web/app
      see how soon and how often a broken app is tried again

  lithos_check --json | jq -r '.problems[] | select(.severity == "error").file'
      list the files with errors

A problem is shown with its place, its line and what was probably meant:

  /etc/lithos/processes/web.yaml:3:3: error: app.imaeg: unknown key, did you ...
       3 |   imaeg: app.v1
         |   ^

Problems go to standard error, with colour on a terminal unless NO_COLOR is
set. What is only a warning runs nevertheless.

Exit codes: 0 no error (warnings are none), 1 errors, 2 wrong command line.
`

// list is a flag that can be given several times.
type list []string

func (l *list) String() string     { return fmt.Sprint(*l) }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

// parseOptions reads the command line; done says that the program ends here.
func parseOptions(args []string, stdout, stderr io.Writer) (o *options, code int, done bool) {
	o = &options{}
	var showVersion bool
	flags := flag.NewFlagSet("lithos_check", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	for _, name := range []string{"C", "config"} {
		flags.StringVar(&o.config, name, "/etc/lithos/master.yaml", "")
	}
	for _, name := range []string{"v", "verbose"} {
		flags.BoolVar(&o.verbose, name, false, "")
	}
	for _, name := range []string{"sandbox", "sandbox-name", "T", "tree", "subtree-name"} {
		flags.StringVar(&o.sandbox, name, "", "")
	}
	flags.StringVar(&o.alternate, "alternate-config", "", "")
	flags.Var((*list)(&o.containers), "check-container", "")
	flags.StringVar(&o.timeline, "timeline", "", "")
	flags.BoolVar(&o.json, "json", false, "")
	flags.BoolVar(&showVersion, "version", false, "")
	err := flags.Parse(args)
	switch {
	case err != nil:
	case showVersion:
	case o.timeline != "" && (len(o.containers) > 0 || flags.NArg() > 0):
		err = errors.New("--timeline is about one process of this host: give nothing beside it but -C, --sandbox with --alternate-config, and --json")
	case len(o.containers) > 0:
		// --check-container a.yaml b.yaml, as a shell makes of *.yaml
		o.containers = append(o.containers, flags.Args()...)
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.alternate != "" && o.sandbox == "":
		err = errors.New("--alternate-config needs --sandbox: which sandbox is it for?")
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, help)
		return nil, exitOK, true
	case err != nil:
		fmt.Fprintf(stderr, "lithos_check: %v\nTry lithos_check --help\n", err)
		return nil, exitUsage, true
	case showVersion:
		fmt.Fprintln(stdout, version)
		return nil, exitOK, true
	}
	return o, 0, false
}
