package main

import (
	"math"
	"strings"
	"testing"
	"time"
)

// Covers: S2
func TestParseDelta(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"1h": time.Hour, "90 min": 90 * time.Minute, "2days 12h": 60 * time.Hour, "1h30m": 90 * time.Minute,
		"15days 2min 2s": 15*day + 122*time.Second, "1w": 7 * day, "2 weeks": 14 * day, "0s": 0,
		"1month": 2630016 * time.Second, "1M": 2630016 * time.Second, "1y": 8766 * time.Hour, "5ms": 5 * time.Millisecond,
		" 1 day ": day, "1us 1ns": time.Microsecond + 1, "1hr": time.Hour, "9223372036854775807ns": math.MaxInt64,
	} {
		if got, err := parseDelta(text); got != want || err != nil {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"": "expected a span", " ": "expected a span", "1": "needs a unit", "h": "expected a number", "-1h": "expected a number",
		"1.5h": "needs a unit", "1 fortnight": "needs a unit", "1h x": "expected a number", "1H": "needs a unit", "1h,2m": "needs a unit",
		"300y": "longer than 292 years", "9223372036854775807ns 1ns": "longer than", "99999999999999999999s": "too large",
	} {
		if got, err := parseDelta(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v; want %q", text, got, err, want)
		}
	}
}

// Covers: S1, S2
func TestCommandLine(t *testing.T) {
	for _, test := range []struct {
		args string
		want string // "" = accepted
	}{
		{"", ""},
		{"--used", ""},
		{"-vC f -D2 --vmax=3", ""},
		{"--unused --clean-logs", ""},
		{"--delete-unused --dry-run --clean-logs -v --verbose --json", ""},
		{"-C f --config f", ""},
		{"-D 1 --history-days 2 --vmin 1 --versions-min 1 --vmax 1 --versions-max 1 --keep-recent 1h", ""},
		{"--nonsense", "nonsense"},
		{"extra", `unexpected argument "extra"`},
		{"-D", "needs an argument"},
		{"-D x", "expected a number"},
		{"-D -1", "expected a number"},
		{"--vmin 2147483648", "larger than 2147483647"},
		{"--vmax 1.5", "expected a number"},
		{"--keep-recent 1", "needs a unit"},
		{"--unused=false", "takes no value"},
		{"--dry-run", "--dry-run goes with --delete-unused"},
		{"--unused --dry-run", "--dry-run goes with --delete-unused"},
		{"--clean-logs", "--clean-logs goes with --unused or --delete-unused"},
	} {
		t.Run("S1 S2 "+test.args, func(t *testing.T) {
			var out, errs strings.Builder
			o, code, done := parseOptions(strings.Fields(test.args), &out, &errs)
			switch {
			case test.want == "" && (done || o == nil):
				t.Errorf("refused: %s", errs.String())
			case test.want != "" && (!done || code != 2 || !strings.Contains(errs.String(), test.want)):
				t.Errorf("done %v, code %d, %q; want %q", done, code, errs.String(), test.want)
			}
		})
	}
}

// Covers: S2
func TestOptionDefaults(t *testing.T) {
	o, _, _ := parseOptions(nil, nil, nil)
	if r := o.rules(); o.config != "/etc/lithos/master.yaml" || o.action != actionUsed || r.Max != 1000 || r.Min != 0 || !r.Since.IsZero() || o.keep != 0 {
		t.Errorf("%+v, %+v", o, r)
	}
	o, _, _ = parseOptions([]string{"-D", "3"}, nil, nil)
	if ago := o.started.Sub(o.rules().Since).Round(time.Minute); ago != 72*time.Hour {
		t.Errorf("3 days are %v", ago)
	}
}

func TestHelpAndVersion(t *testing.T) {
	for flag, want := range map[string]string{"--help": "Exit codes: ", "-h": "Usage: lithos_clean ", "--version": "dev\n"} {
		var out, errs strings.Builder
		if code := run([]string{flag}, &out, &errs); code != 0 || !strings.Contains(out.String(), want) || errs.Len() > 0 {
			t.Errorf("%s: %d, %q, %q", flag, code, out.String(), errs.String())
		}
	}
	for _, name := range []string{"--used", "--unused", "--delete-unused", "-C,", "--config", "-D,", "--history-days", "--versions-min", "--vmin",
		"--versions-max", "--vmax", "--keep-recent", "--clean-logs", "--dry-run", "-v,", "--verbose", "--json", "--version"} {
		if !strings.Contains(help, name) {
			t.Errorf("the help does not tell of %s", name)
		}
	}
	for _, line := range strings.Split(help, "\n") {
		if len(line) > 80 {
			t.Errorf("a line of the help has %d columns: %s", len(line), line)
		}
	}
}
