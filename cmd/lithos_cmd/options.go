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
container, waits for it and exits with its code. The arguments are appended to
those of the container config. Needs root, and no running lithos_tree.

With "interactive: true" in the container config the command has the caller's
input and output: a terminal, a pipe, a file. Otherwise its output goes to the
sandbox's file in stdio-log-dir, like that of a daemon.

Options:
      --master FILE    the master config (default /etc/lithos/master.yaml)
                       (also -C, --config)
      --log-stderr     log to standard error too
      --log-level L    error, warn, info, debug, trace or off; overrides the
                       log-level of the configs
      --version        print the version
      --help           print this

Options end at the first other word: all words after NAME are the command's.

Examples:
  lithos_cmd web migrate
      run the command "migrate" of processes/web.yaml

  lithos_cmd web shell
      an interactive shell in a container like those of "web"

  lithos_cmd web dump --table users | gzip > users.gz
      "--table users" is for the command; its output goes through the pipe

TERM and INT are forwarded, once; after its kill-timeout the command is killed.
Its container is SANDBOX/cmd.NAME.PID, with the pid of lithos_cmd.

Exit codes: that of the command; 128+N if signal N ended it; 137 if it was killed
after its kill-timeout; 125 if it could not be run.
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

// take takes the arguments.
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
