// Lithos_mkdev makes the directory that containers have as /dev.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"lithos/sysx/devfs"
)

var version = "dev"

const usage = `Usage: lithos_mkdev DIR

Makes DIR, the devfs-dir of the master config (/var/lib/lithos/dev by default):
null, zero, full, random, urandom and tty, the directories pts and shm, and the
links ptmx, fd, stdin, stdout and stderr. It takes root. What is in DIR already
and right is kept, what is wrong is reported and left as it is.

Options:
      --version   print the version
      --help      print this

Examples:
  lithos_mkdev /var/lib/lithos/dev
      make the devices where the master config has them by default

Exit codes: 0 done, 1 it failed or something was wrong, 2 wrong command line.
`

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run gives the exit code: 0, 1 for an error, 2 for a wrong command line.
func run(args []string, stdout, stderr io.Writer) int {
	var dirs []string
	for i, arg := range args {
		switch {
		case arg == "--":
			dirs = append(dirs, args[i+1:]...)
		case arg == "--help" || arg == "-h":
			fmt.Fprint(stdout, usage)
			return 0
		case arg == "--version":
			fmt.Fprintln(stdout, version)
			return 0
		case strings.HasPrefix(arg, "-"):
			fmt.Fprintf(stderr, "lithos_mkdev: unknown option %s, see lithos_mkdev --help\n", arg)
			return 2
		default:
			dirs = append(dirs, arg)
		}
		if arg == "--" {
			break
		}
	}
	if len(dirs) != 1 || dirs[0] == "" {
		fmt.Fprint(stderr, usage)
		return 2
	}
	if err := devfs.Make(dirs[0]); err != nil {
		for line := range strings.Lines(err.Error()) {
			fmt.Fprintf(stderr, "lithos_mkdev: %s\n", strings.TrimSuffix(line, "\n"))
		}
		return 1
	}
	return 0
}
