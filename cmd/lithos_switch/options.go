package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"lithos/cmd/internal/cli"
)

// options are the command line (requirement R5).
type options struct {
	master  string
	verbose bool
	dryRun  bool
	json    bool
	wait    bool
	stable  time.Duration
	timeout time.Duration
	sandbox string
	file    string
}

const help = `Usage: lithos_switch [--master FILE] [-v] [--wait] [--json] SANDBOX FILE
       lithos_switch [--master FILE] --dry-run [--json] SANDBOX FILE

Makes FILE the process config of SANDBOX: checks it as lithos_check does, with
all other files of this host, replaces the old one atomically, and reloads the
daemon (QUIT). A file with an error changes nothing. FILE itself stays; if it is
in place already, it is only checked and loaded.

Options:
      --master FILE   the master config (default /etc/lithos/master.yaml; also
                      -C, --config)
      --dry-run       change nothing, list the containers that would start, stop,
                      be replaced or stay, with the reasons
      --wait          wait until all containers of SANDBOX are up, or one has
                      failed. A container is up when it is ready, or, without
                      "ready" in its config, when its program ran for a second
      --stable SECS   that second, for containers without "ready" (default 1)
      --timeout SECS  how long to wait at most (default 60)
      --json          write problems and results as JSON to standard output
  -v, --verbose       print each step
      --version       print the version
      --help          print this

Examples:
  lithos_switch web /tmp/web.yaml
      apply new processes of the sandbox web

  lithos_switch --dry-run web /tmp/web.yaml
      predict the effect:
        replace  web/app.0
                   image: /var/lib/lithos/containers/app.v1 -> .../app.v2
        stay     web/worker.0 ... web/worker.4 (5)

  lithos_switch --wait web /tmp/web.yaml && echo deployed
      follow it, and fail if one does not come up, with its last output

  lithos_switch web /etc/lithos/processes/web.yaml
      check a file that was changed in place, and reload the daemon

Errors in other sandboxes are only warnings. A daemon that does not run is a
warning, too, because it reads the file when it starts; with --wait it is an
error.

Two lithos_switch at a time run one after the other. At every moment, even of a
crash of the machine, the old file or the new one is there.

Exit codes: 0 the file is in place (with --dry-run: has no error; with --wait:
and all is up), 1 it is not, or the reload failed, 2 wrong command line.
`

// parseOptions reads the command line; done says that the program ends here.
func parseOptions(args []string, stdout, stderr io.Writer) (o *options, code int, done bool) {
	o = &options{}
	set := cli.For(cli.Program{Name: "lithos_switch", Version: version, Help: help, Wrong: exitUsage})
	set.Master(&o.master)
	set.BoolVarP(&o.verbose, "verbose", "v", false, "")
	set.BoolVar(&o.dryRun, "dry-run", false, "")
	set.BoolVar(&o.json, "json", false, "")
	set.BoolVar(&o.wait, "wait", false, "")
	timeout := set.Float64("timeout", 60, "")
	stable := set.Float64("stable", 1, "")
	code, done = set.Parse(args, stdout, stderr, func(words []string) error {
		return o.take(words, *timeout, *stable)
	})
	return o, code, done
}

// take takes the arguments, and checks the combination; the times are in seconds.
func (o *options) take(words []string, timeout, stable float64) error {
	const day = 24 * 3600
	switch {
	case len(words) < 2:
		return errors.New("SANDBOX and FILE are needed")
	case o.wait && o.dryRun:
		return errors.New("--dry-run changes nothing, there is nothing to --wait for")
	case timeout <= 0 || timeout > day:
		return fmt.Errorf("--timeout is a number of seconds above 0, a day at most, not %v", timeout)
	case stable < 0 || stable > day:
		return fmt.Errorf("--stable is a number of seconds, a day at most, not %v", stable)
	case len(words) > 2:
		return fmt.Errorf("unexpected argument %q", words[2])
	}
	o.sandbox, o.file = words[0], words[1]
	o.timeout = time.Duration(timeout * float64(time.Second))
	o.stable = time.Duration(stable * float64(time.Second))
	return nil
}
