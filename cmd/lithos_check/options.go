package main

import (
	"errors"
	"io"

	"lithos/cmd/internal/cli"
)

// options are the command line (requirement R4).
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
processes, the container configs in the images, and missing files of the images
(mount points, the program, its interpreter or loader). lithos_tree runs exactly
the configs without an error here. Nothing is changed.

Options:
  -C, --config FILE        the master config (default /etc/lithos/master.yaml)
      --sandbox NAME       with --alternate-config: the sandbox it is for
                           (also --sandbox-name, -T, --tree, --subtree-name)
      --alternate-config FILE
                           check FILE in place of the sandbox's process
                           config, with all other files unchanged
      --check-container FILE
                           check this container config alone; may be repeated.
                           Needs no root and nothing of lithos installed: for a
                           build machine
      --timeline SANDBOX/PROCESS
                           check nothing; list the times of restarts of a program
                           that dies at once, by its restart-timeout and
                           restart-backoff
      --json               write the problems as JSON to standard output
  -v, --verbose            list the checked objects, too
      --version            print the version
      --help               print this

Examples:
  lithos_check
      check everything, after a change of the master or of a sandbox config.
      Then reload the daemon: kill -QUIT $(cat /run/lithos/master.pid)

  lithos_check --sandbox web --alternate-config /tmp/web.yaml
      check new processes of the sandbox web; lithos_switch does the same and
      then puts the file in place

  lithos_check --check-container config/web.yaml
      check a container config before it goes into an image

  lithos_check --timeline web/app
      see how soon and how often a broken app restarts

  lithos_check --json | jq -r '.problems[] | select(.severity == "error").file'
      list the files with errors

A problem has its position, its line and a suggestion:

  /etc/lithos/processes/web.yaml:3:3: error: app.imaeg: unknown key, did you ...
       3 |   imaeg: app.v1
         |   ^

Problems go to standard error, with colour on a terminal unless NO_COLOR is
set. A config with only warnings runs.

Exit codes: 0 no error, maybe warnings; 1 errors; 2 wrong command line.
`

// parseOptions reads the command line; done says that the program ends here.
func parseOptions(args []string, stdout, stderr io.Writer) (o *options, code int, done bool) {
	o = &options{}
	set := cli.For(cli.Program{Name: "lithos_check", Version: version, Help: help, Wrong: exitUsage})
	set.StringVarP(&o.config, "config", "C", cli.DefaultMaster, "")
	set.BoolVarP(&o.verbose, "verbose", "v", false, "")
	set.StringVarP(&o.sandbox, "tree", "T", "", "")
	for _, name := range []string{"sandbox", "sandbox-name", "subtree-name"} {
		set.StringVar(&o.sandbox, name, "", "")
	}
	set.StringVar(&o.alternate, "alternate-config", "", "")
	set.StringArrayVar(&o.containers, "check-container", nil, "")
	set.StringVar(&o.timeline, "timeline", "", "")
	set.BoolVar(&o.json, "json", false, "")
	code, done = set.Parse(args, stdout, stderr, o.take)
	return o, code, done
}

// take takes the arguments, and checks the combination.
func (o *options) take(words []string) error {
	switch {
	case o.timeline != "" && (len(o.containers) > 0 || len(words) > 0):
		return errors.New("--timeline is about one process of this host: give nothing beside it but -C, --sandbox with --alternate-config, and --json")
	case len(o.containers) > 0:
		// --check-container a.yaml b.yaml, as a shell makes of *.yaml
		o.containers = append(o.containers, words...)
	case o.alternate != "" && o.sandbox == "" && len(words) == 0:
		return errors.New("--alternate-config needs --sandbox: which sandbox is it for?")
	default:
		return cli.None(words)
	}
	return nil
}
