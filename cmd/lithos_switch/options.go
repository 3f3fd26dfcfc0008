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
everything else of this host as it is, puts it in the place of the old one in
one step, and lets the daemon read it (QUIT). If it has an error, nothing
changes. FILE itself stays; if it is in its place already, it is only checked
and read.

Options:
      --master FILE   the master config (default /etc/lithos/master.yaml; also
                      -C, --config)
      --dry-run       change nothing, say which containers would start, stop,
                      be replaced or stay, and why
      --wait          wait until all containers of SANDBOX are up, or have failed:
                      up is whose program runs for a second, or is ready if its config
                      says how to ask (ready)
      --stable SECS   how long one has to run to be up, if its config does not
                      say how to ask (default 1)
      --timeout SECS  how long to wait at most (default 60)
      --json          write what was found and done as JSON to standard output
  -v, --verbose       say what is done
      --version       print the version
      --help          print this

Examples:
  lithos_switch web /tmp/web.yaml
      put new processes of the sandbox web to work

  lithos_switch --dry-run web /tmp/web.yaml
      see what that would do:
        replace  web/app.0
                   image: /var/lib/lithos/containers/app.v1 -> .../app.v2
        stay     web/worker.0 ... web/worker.4 (5)

  lithos_switch --wait web /tmp/web.yaml && echo deployed
      follow it, and fail if one of them does not come up, with its last words

  lithos_switch web /etc/lithos/processes/web.yaml
      check a file that was changed in its place, and let the daemon read it

Errors in other sandboxes are shown as warnings, they are not in the way. A
daemon that does not run is only a warning, too: it reads the file when it
starts; with --wait it is an error.

Two lithos_switch at once work one after the other. The old file or the new one
is there at every moment, whatever happens to the machine.

Exit codes: 0 the file is in its place (with --dry-run: has no error; with --wait:
and all is up), 1 it is not, or the daemon could not be told, 2 wrong command
line.
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

// take takes what is no option, and looks at all together; the times are in seconds.
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
