package main

import (
	"io"
	"os"

	"lithos/actors/services/logs"
	"lithos/cmd/internal/cli"
)

// options are the command line (requirement R1).
type options struct {
	config    string
	logStderr bool
	logLevel  string
	canStart  bool
}

const help = `Usage: lithos_tree [-C FILE] [--log-stderr] [--log-level LEVEL]

Starts the configured containers and keeps them running until TERM or INT.
Stays in the foreground: run it under systemd or another supervisor.

Options:
  -C, --config FILE    the master config (default /etc/lithos/master.yaml)
      --log-stderr     log to standard error too
      --log-level L    error, warn, info, debug, trace or off; overrides the
                       log-level of all configs
      --can-start      check whether it could start, report why not, and exit.
                       A running daemon calls a new release like this
      --version        print the version
      --help           print this

Configs:
  the master config    may be empty; has the places of everything else
  sandboxes/NAME.yaml  a sandbox: images, volumes, users, ports it may use
  processes/NAME.yaml  its processes: image, config, number of instances
  IMAGE/...            the container config, inside the image

Signals:
  QUIT                 read the configs again and replace the containers whose
                       config changed. A broken object stays as it was, and
                       the log has the line of the error. Log files are
                       reopened. (HUP, USR1 and USR2 do the same.) If
                       lithos_tree was replaced on disk and the new one can
                       start, it takes over: same pid, same containers.
  TERM, INT            stop all containers, within their kill-timeouts, and
                       exit. A second one is forwarded to the containers.

There is no command to start, stop or restart a process: add it to the config,
remove it, or kill it.

To begin, as root:
  lithos_mkdev /var/lib/lithos/dev      make the devices (once)
  lithos_check                          check all configs
  lithos_tree --log-stderr              run

Files (unless the master config says otherwise):
  /run/lithos/master.pid                this daemon's pid
  /var/log/lithos/master.log            its log
  /var/log/lithos/SANDBOX.log           the log of each sandbox
  /var/log/lithos/stderr/SANDBOX.log    output of the programs

Exit codes: 0 stopped by a signal, 1 fatal error, 2 wrong command line,
127 lithos_knot is not beside lithos_tree.
`

// parseOptions reads the command line; done says that the program ends here.
func parseOptions(args []string, stdout, stderr io.Writer) (o *options, code int, done bool) {
	o = &options{}
	set := cli.For(cli.Program{Name: "lithos_tree", Version: version, Help: help, Wrong: exitUsage})
	set.StringVarP(&o.config, "config", "C", cli.DefaultMaster, "")
	set.BoolVar(&o.logStderr, "log-stderr", false, "")
	set.StringVar(&o.logLevel, "log-level", "", "")
	set.BoolVar(&o.canStart, "can-start", false, "")
	code, done = set.Parse(args, stdout, stderr, func(words []string) error {
		if o.logLevel != "" {
			if _, err := logs.ParseLevel(o.logLevel); err != nil {
				return err
			}
		}
		return cli.None(words)
	})
	return o, code, done
}

// logs are the options about logs.
func (o *options) logs(stderr io.Writer) logs.Options {
	l := logs.Options{Level: o.logLevel, Console: stderr}
	if !o.logStderr {
		return l
	}
	l.Stderr = stderr
	if j := journalOf(stderr, os.Getenv("JOURNAL_STREAM")); j != nil {
		l.Stderr, l.Journal = j, true
	}
	return l
}
