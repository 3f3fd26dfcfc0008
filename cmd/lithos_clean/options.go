package main

import (
	"errors"
	"io"
	"os"
	"time"

	"lithos/cmd/internal/cli"
	"lithos/configs/images"
)

// action is what to do with what was found.
type action string

const (
	actionUsed   action = "used"
	actionUnused action = "unused"
	actionDelete action = "delete-unused"
)

// options are the command line (requirements S1, S2).
type options struct {
	config    string
	action    action
	keep      time.Duration // --keep-recent; 0 = off
	days      *uint         // --history-days
	min, max  uint
	cleanLogs bool
	verbose   bool
	json      bool
	dryRun    bool

	started time.Time
	root    bool // whether this process sees everything that runs
}

const help = `Usage: lithos_clean [--used | --unused | --delete-unused] [-C FILE] [-D DAYS]
                    [--vmin NUM] [--vmax NUM] [--keep-recent DELTA]
                    [--clean-logs] [--dry-run] [--json] [-v]

Shows which images are used and which are not, and removes the unused ones. It
never runs by itself: call it from cron, as root.

Actions:
      --used           list the images that are used (the default)
      --unused         list the directories of images that are not
      --delete-unused  remove these

What is used, always:
  what the process configs ask for, and what containers now run from.

What else is kept, of what the sandboxes used earlier:
  -D, --history-days DAYS   what was in use at some time in the last DAYS days
      --versions-min NUM    the latest NUM versions even if they are older
      --vmin NUM            (default 0)
      --versions-max NUM    no more than NUM versions, even if that removes
      --vmax NUM            newer ones than DAYS (default 1000)
      --keep-recent DELTA   directories that were changed less than DELTA ago,
                            such as 1h or "2days 12h": an image that is just
                            being uploaded is in no config yet
  A version is a set of images that the processes of a sandbox used at a time.
  Without -D all versions up to --versions-max are kept. There is no reasonable
  default: give -D, or --versions-max.

  The versions are read from the config log (config-log-dir of the master
  config, written by lithos_tree). A sandbox with a used-images-list uses what
  stands in that file instead, and -D and the numbers do not matter for it.

Other options:
  -C, --config FILE    the master config (default /etc/lithos/master.yaml)
      --clean-logs     the same for files of config logs which only tell of
                       versions that are not kept: with --unused list them,
                       with --delete-unused remove them
      --dry-run        with --delete-unused: say what would be removed
  -v, --verbose        also say why something is kept, and when it is removed
      --json           print one JSON object instead of text
      --version        print the version
      --help           print this

Nothing is removed from an image-dir as long as it is not known for certain what
is used of it: when a process config is broken, a log or list is missing or has
a broken line, or when sandboxes that share it disagree on auto-clean or
image-dir-levels. It is told why, and the exit code is not 0. The same for all
image-dirs while a sandbox config is broken. An image-dir whose sandboxes all
say auto-clean: false is left alone.

Only directories exactly image-dir-levels deep are images; hidden directories
and symbolic links are not.

To begin:
  lithos_clean -v                  what is used, and by what
  lithos_clean -D 14 --vmin 3 --keep-recent 1h --delete-unused --dry-run -v
and then in /etc/cron.daily, without --dry-run.

Exit codes: 0 done, 1 the configs don't tell what is used, 2 something could not
be read or removed, or a wrong command line.
`

// parseOptions reads the command line; done says that the program ends here.
func parseOptions(args []string, stdout, stderr io.Writer) (o *options, code int, done bool) {
	o = &options{action: actionUsed, started: time.Now(), root: os.Geteuid() == 0}
	set := o.set()
	code, done = set.Parse(args, stdout, stderr, func(words []string) error {
		switch {
		case o.dryRun && o.action != actionDelete:
			return errors.New("--dry-run goes with --delete-unused")
		case o.cleanLogs && o.action == actionUsed:
			return errors.New("--clean-logs goes with --unused or --delete-unused")
		}
		return cli.None(words)
	})
	return o, code, done
}

// set defines all of them; the last action on the command line counts.
func (o *options) set() *cli.Set {
	set := cli.For(cli.Program{Name: "lithos_clean", Version: version, Help: help, Wrong: exitScan})
	for _, a := range []action{actionUsed, actionUnused, actionDelete} {
		set.BoolFunc(string(a), "", func(text string) error {
			if text != "true" {
				return errors.New("takes no value")
			}
			o.action = a
			return nil
		})
	}
	set.StringVarP(&o.config, "config", "C", cli.DefaultMaster, "")
	set.FuncP("history-days", "D", "", func(text string) error {
		n, err := parseNumber(text)
		o.days = &n
		return err
	})
	number := func(to *uint) func(string) error {
		return func(text string) (err error) {
			*to, err = parseNumber(text)
			return err
		}
	}
	o.max = 1000
	for _, name := range []string{"vmin", "versions-min"} {
		set.Func(name, "", number(&o.min))
	}
	for _, name := range []string{"vmax", "versions-max"} {
		set.Func(name, "", number(&o.max))
	}
	set.Func("keep-recent", "", func(text string) (err error) {
		o.keep, err = parseDelta(text)
		return err
	})
	set.BoolVarP(&o.verbose, "verbose", "v", false, "")
	set.BoolVar(&o.cleanLogs, "clean-logs", false, "")
	set.BoolVar(&o.json, "json", false, "")
	set.BoolVar(&o.dryRun, "dry-run", false, "")
	return set
}

// rules are the keep rules for configs/images.
func (o *options) rules() images.Rules {
	r := images.Rules{Min: int(o.min), Max: int(o.max)}
	if o.days != nil {
		const day = 24 * 60 * 60
		r.Since = time.Unix(o.started.Unix()-int64(*o.days)*day, 0)
	}
	return r
}
