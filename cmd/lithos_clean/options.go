package main

import (
	"errors"
	"io"
	"os"
	"time"

	"lithos/cmd/internal/cli"
	"lithos/configs/images"
)

// action is the action on the images.
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

Lists used and unused images, and removes the unused ones. It never runs by
itself: call it from cron, as root.

Actions:
      --used           list the used images (the default)
      --unused         list the directories of unused images
      --delete-unused  remove these

Always used:
  images of the process configs, and images of running containers.

Kept as well, of the images that the sandboxes used earlier:
  -D, --history-days DAYS   those in use at some time in the last DAYS days
      --versions-min NUM    the latest NUM versions even if they are older
      --vmin NUM            (default 0)
      --versions-max NUM    no more than NUM versions, even if that removes
      --vmax NUM            newer ones than DAYS (default 1000)
      --keep-recent DELTA   directories that were changed less than DELTA ago,
                            such as 1h or "2days 12h": no config names an image
                            during its upload
  A version is the set of images that a sandbox used at a time. Without -D all
  versions up to --versions-max are kept. There is no reasonable default, so
  give -D, or --versions-max.

  The versions come from the config log (config-log-dir of the master config,
  written by lithos_tree). For a sandbox with a used-images-list they come from
  that file instead, without -D and the numbers.

Other options:
  -C, --config FILE    the master config (default /etc/lithos/master.yaml)
      --clean-logs     the same for files of config logs that have only
                       versions which are not kept: with --unused list them,
                       with --delete-unused remove them
      --dry-run        with --delete-unused: list the removals only
  -v, --verbose        add reasons, and the times of removals
      --json           print one JSON object instead of text
      --version        print the version
      --help           print this

Nothing is removed from an image-dir while its used images are uncertain: a
process config is broken, a log or list is missing or has a broken line, or
sandboxes that share it disagree on auto-clean or image-dir-levels. The reason
is printed, and the exit code is not 0. A broken sandbox config makes all
image-dirs uncertain. An image-dir whose sandboxes all have auto-clean: false is
skipped.

Only directories exactly image-dir-levels deep are images; hidden directories
and symbolic links are not.

To begin:
  lithos_clean -v                  used images and their users
  lithos_clean -D 14 --vmin 3 --keep-recent 1h --delete-unused --dry-run -v
and then in /etc/cron.daily, without --dry-run.

Exit codes: 0 done, 1 the used images are uncertain, 2 a file could not be read
or removed, or a wrong command line.
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
