package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"lithos/cmd/internal/cli"
)

// options are the command line.
type options struct {
	master  string
	follow  bool
	lines   int // -1 = all
	since   time.Time
	until   time.Time
	json    bool
	color   bool
	noColor bool
	names   []string
}

const help = `Usage: lithos_logs [-f] [-n LINES] [--since TIME] [--until TIME] [--json]
                   [--color|--no-color] [-C FILE] [NAME]...

Shows what programs have written to standard output and error, with their starts
and deaths between. NAME chooses: SANDBOX, SANDBOX/PROCESS or
SANDBOX/PROCESS.INDEX; without one, all sandboxes are shown.

Options:
  -f, --follow        go on with what is written from now on, over rotations,
                      restarts and upgrades, until Ctrl-C
  -n, --lines LINES   the last lines of each sandbox, or all (default all, with
                      --follow 10; also --tail)
      --since TIME    only what may be as late as that: 90s, 10m, 2h or 3d ago,
                      or 2026-01-31T12:00:00Z, or 2026-01-31 12:00, or 12:00
      --until TIME    only what is not later than that
      --json          an object for each line
      --color         colours also where the output is no terminal
      --no-color      no colours on a terminal either
  -C, --config FILE   the master config, which names the stdio-log-dir (default
                      /etc/lithos/master.yaml; also --master)
      --version       print the version
      --help          print this

Examples:
  lithos_logs -f web
      follow the sandbox web

  lithos_logs --since 10m
      all that was written in the last ten minutes

  lithos_logs -n 100 --json web | jq 'select(.kind == "death").cause'
      why did programs die?

A line is as late as the last time before it: of a start, of a death, or at the
beginning of a line that the program has written, if it has a zone. With several
sandboxes lines are merged by these times.

All processes of a sandbox write to one file. With the name of a process or of
an instance the starts and deaths of others are left out, not their output.

Exit codes: 0 shown, 1 there is no log of that name, or it can't be read, 2
wrong command line.
`

// parseOptions reads the command line; done says that the program ends here.
func parseOptions(args []string, now time.Time, stdout, stderr io.Writer) (o *options, code int, done bool) {
	o = &options{}
	var lines, since, until string
	set := cli.For(cli.Program{Name: "lithos_logs", Version: version, Help: help, Wrong: exitUsage})
	set.Master(&o.master)
	set.BoolVarP(&o.follow, "follow", "f", false, "")
	set.StringVarP(&lines, "lines", "n", "", "")
	set.StringVar(&lines, "tail", "", "")
	set.StringVar(&since, "since", "", "")
	set.StringVar(&until, "until", "", "")
	set.BoolVar(&o.json, "json", false, "")
	set.BoolVar(&o.color, "color", false, "")
	set.BoolVar(&o.noColor, "no-color", false, "")
	code, done = set.Parse(args, stdout, stderr, func(words []string) (err error) {
		o.names = words
		if o.lines, err = parseLines(lines, o.follow && since == ""); err != nil {
			return err
		}
		if o.since, err = parseTime(since, now); err != nil {
			return fmt.Errorf("--since: %w", err)
		}
		if o.until, err = parseTime(until, now); err != nil {
			return fmt.Errorf("--until: %w", err)
		}
		return o.check()
	})
	return o, code, done
}

func (o *options) check() error {
	switch {
	case o.follow && !o.until.IsZero():
		return errors.New("--follow excludes --until")
	case o.color && o.noColor:
		return errors.New("--color and --no-color exclude each other")
	case !o.since.IsZero() && !o.until.IsZero() && o.until.Before(o.since):
		return errors.New("--until is before --since")
	}
	return nil
}

// followed is how many lines there are first with --follow.
const followed = 10

func parseLines(text string, few bool) (int, error) {
	switch {
	case text == "" && few:
		return followed, nil
	case text == "" || text == "all":
		return -1, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("--lines wants a number or all, got %q", text)
	}
	return n, nil
}

// layouts are the times that can be given, in the zone of the host where they name none.
var layouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02"}

// parseTime reads a time, or how long it is ago.
func parseTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := parseAgo(text); err == nil {
		return now.Add(-ago), nil
	}
	for _, layout := range layouts {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, nil
		}
	}
	for _, layout := range []string{"15:04:05", "15:04"} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			year, month, day := now.Date()
			return time.Date(year, month, day, t.Hour(), t.Minute(), t.Second(), 0, now.Location()), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time: write 10m, 2h, 3d, 2026-01-31T12:00:00Z, \"2026-01-31 12:00\" or 12:00", text)
}

// parseAgo reads a duration as Go writes it, and one in days.
func parseAgo(text string) (time.Duration, error) {
	if days, ok := cutDays(text); ok {
		return time.Duration(days) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(text)
	if err == nil && d < 0 {
		err = errors.New("negative")
	}
	return d, err
}

func cutDays(text string) (uint64, bool) {
	if text == "" || text[len(text)-1] != 'd' {
		return 0, false
	}
	days, err := strconv.ParseUint(text[:len(text)-1], 10, 16)
	return days, err == nil
}
