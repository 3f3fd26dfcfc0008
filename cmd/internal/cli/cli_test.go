package cli

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name, args string
		master     string
		verbose    bool
		words      string // with blanks between them
		code       int
		says       string // then it ends there
	}{
		{name: "nothing", master: DefaultMaster},
		{name: "the master config", args: "-C m", master: "m"},
		{name: "attached", args: "-Cm", master: "m"},
		{name: "with a sign", args: "--config=m", master: "m"},
		{name: "its other name", args: "--master m", master: "m"},
		{name: "two in one", args: "-vCm", master: "m", verbose: true},
		{name: "behind words", args: "a -v b --config m", master: "m", verbose: true, words: "a b"},
		{name: "words that look like options", args: "a -- -v", master: DefaultMaster, words: "a -v"},
		{name: "standard input", args: "- -v", master: DefaultMaster, verbose: true, words: "-"},
		{name: "help", args: "-v a --help", says: "Usage: test"},
		{name: "help, short", args: "-h", says: "Usage: test"},
		{name: "version, whatever else is wrong with the words", args: "--version refused", says: "1.2"},
		{name: "unknown", args: "--colour", code: 3, says: "test: unknown flag: --colour\nTry test --help\n"},
		{name: "unknown, short", args: "-x", code: 3, says: "test: unknown shorthand flag: 'x' in -x\nTry test --help\n"},
		{name: "long with one dash", args: "-verbose", code: 3, says: "test: unknown shorthand flag: 'e' in -erbose\n"},
		{name: "no value", args: "-C", code: 3, says: "test: flag needs an argument: 'C' in -C\n"},
		{name: "words", args: "refused", code: 3, says: "test: unexpected argument \"refused\"\nTry test --help\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var master string
			var got []string
			set := For(Program{Name: "test", Version: "1.2", Help: "Usage: test\n", Wrong: 3})
			set.Master(&master)
			verbose := set.BoolP("verbose", "v", false, "")
			var stdout, stderr bytes.Buffer
			code, done := set.Parse(strings.Fields(tt.args), &stdout, &stderr, func(words []string) error {
				got = words
				if slices.Contains(words, "refused") {
					return None(words)
				}
				return nil
			})
			if done != (tt.says != "") || code != tt.code {
				t.Fatalf("done %v, code %d\n%s%s", done, code, stdout.String(), stderr.String())
			}
			if done {
				out, none := &stdout, &stderr
				if code != 0 {
					out, none = none, out
				}
				if !strings.HasPrefix(out.String(), tt.says) || none.Len() > 0 {
					t.Errorf("stdout %q, stderr %q", stdout.String(), stderr.String())
				}
				return
			}
			if master != tt.master || *verbose != tt.verbose || strings.Join(got, " ") != tt.words {
				t.Errorf("%q, %v, %q", master, *verbose, got)
			}
		})
	}
}
