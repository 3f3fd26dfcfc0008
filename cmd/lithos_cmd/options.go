package main

import (
	"errors"
	"io"

	"lithos/actors/command"
	"lithos/actors/services/logs"
	"lithos/cmd/internal/cli"
)

// options are the command line (requirement R3).
type options struct {
	config    string
	logStderr bool
	logLevel  string
	sandbox   string
	name      string
	args      []string
}

const help = `Usage: lithos_cmd [--master FILE] [--log-stderr] [--log-level LEVEL]
                  SANDBOX NAME [ARGUMENTS...]

Runs the command NAME of the sandbox's process config (kind: Command) in a new
container of its own, waits for it and ends with its exit code. The arguments
are added to those of the container config. Must be run as root. A running
lithos_tree is not needed.

With "interactive: true" in the container config the command reads and writes
what lithos_cmd does: a terminal, a pipe, a file. Without, its output goes to
the sandbox's file in stdio-log-dir, like that of a daemon.

Options:
      --master FILE    the master config (default /etc/lithos/master.yaml)
                       (also -C, --config)
      --log-stderr     log to standard error too
      --log-level L    error, warn, info, debug, trace or off; overrides the
                       log-level of the configs
      --version        print the version
      --help           print this

Options end at the first word that is none: all that follows NAME is the
command's.

Examples:
  lithos_cmd web migrate
      run the command "migrate" of processes/web.yaml

  lithos_cmd web shell
      an interactive one: a shell in a container like those of "web"

  lithos_cmd web dump --table users | gzip > users.gz
      "--table users" is for the command; its output is what lithos_cmd's is

TERM and INT are passed on, once; after its kill-timeout the command is killed.
Its container is SANDBOX/cmd.NAME.PID, with the pid of lithos_cmd.

Exit codes: that of the command; 128+N if signal N ended it; 137 if it had to be
killed; 125 if it could not be run.
`

// parseOptions reads the command line; done says that the program ends here.
func parseOptions(args []string, stdout, stderr io.Writer) (o *options, code int, done bool) {
	o = &options{}
	set := cli.For(cli.Program{Name: "lithos_cmd", Version: version, Help: help, Wrong: command.CodeNotRun})
	set.Master(&o.config)
	set.BoolVar(&o.logStderr, "log-stderr", false, "")
	set.StringVar(&o.logLevel, "log-level", "", "")
	set.SetInterspersed(false) // the rest is the command's
	code, done = set.Parse(args, stdout, stderr, o.take)
	return o, code, done
}

// take takes what is no option.
func (o *options) take(words []string) error {
	if o.logLevel != "" {
		if _, err := logs.ParseLevel(o.logLevel); err != nil {
			return err
		}
	}
	if len(words) < 2 {
		return errors.New("a sandbox and the name of a command are needed")
	}
	o.sandbox, o.name, o.args = words[0], words[1], words[2:]
	return nil
}
