// Lithos_mkdev makes the directory that containers have as /dev.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"lithos/cmd/internal/cli"
	"lithos/sysx/devfs"
)

var version = "dev"

const help = `Usage: lithos_mkdev DIR

Makes DIR, the devfs-dir of the master config (/var/lib/lithos/dev by default):
null, zero, full, random, urandom and tty, the directories pts and shm, and the
links ptmx, fd, stdin, stdout and stderr. Needs root. Correct entries of DIR are
kept, wrong ones are reported and not changed.

Options:
      --version   print the version
      --help      print this

Examples:
  lithos_mkdev /var/lib/lithos/dev
      make the devices in the default devfs-dir

Exit codes: 0 done, 1 it failed or an entry is wrong, 2 wrong command line.
`

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run gives the exit code: 0, 1 for an error, 2 for a wrong command line.
func run(args []string, stdout, stderr io.Writer) int {
	var dir string
	set := cli.For(cli.Program{Name: "lithos_mkdev", Version: version, Help: help, Wrong: 2})
	code, done := set.Parse(args, stdout, stderr, func(words []string) error {
		if len(words) != 1 || words[0] == "" {
			return errors.New("one directory is needed")
		}
		dir = words[0]
		return nil
	})
	if done {
		return code
	}
	if err := devfs.Make(dir); err != nil {
		for line := range strings.Lines(err.Error()) {
			fmt.Fprintf(stderr, "lithos_mkdev: %s\n", strings.TrimSuffix(line, "\n"))
		}
		return 1
	}
	return 0
}
