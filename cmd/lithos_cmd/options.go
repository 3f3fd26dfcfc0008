package main

import (
	"errors"
	"flag"
	"fmt"
	"io"

	"lithos/actors/command"
	"lithos/actors/logs"
)

// options are the command line (checklist R3).
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
	var showVersion bool
	flags := flag.NewFlagSet("lithos_cmd", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	for _, name := range []string{"master", "C", "config"} {
		flags.StringVar(&o.config, name, "/etc/lithos/master.yaml", "")
	}
	flags.BoolVar(&o.logStderr, "log-stderr", false, "")
	flags.StringVar(&o.logLevel, "log-level", "", "")
	flags.BoolVar(&showVersion, "version", false, "")
	err := flags.Parse(args)
	if err == nil && o.logLevel != "" {
		_, err = logs.ParseLevel(o.logLevel)
	}
	if err == nil && !showVersion && flags.NArg() < 2 {
		err = errors.New("a sandbox and the name of a command are needed")
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, help)
		return nil, 0, true
	case err != nil:
		fmt.Fprintf(stderr, "lithos_cmd: %v\nTry lithos_cmd --help\n", err)
		return nil, command.CodeNotRun, true
	case showVersion:
		fmt.Fprintln(stdout, version)
		return nil, 0, true
	}
	o.sandbox, o.name, o.args = flags.Arg(0), flags.Arg(1), flags.Args()[2:]
	return o, 0, false
}
