// Lithos_knot is PID 1 of a container. It is started by lithos_tree and
// lithos_cmd, never by hand. See package spawn/knot.
package main

import (
	"os"

	"lithos/spawn/knot"
)

var version = "dev"

const help = `Usage: lithos_knot --name SANDBOX/PROCESS.N --master FILE --config JSON

The first process of a container, internal to lithos: lithos_tree and
lithos_cmd start it, with what it has to do on an inherited descriptor. Its
command line is there for pgrep and ps to find a container by; it is not read.

Options:
      --name NAME     which container it is
      --next NAME     in its place while it waits to become that container
      --master FILE   the master config
      --config JSON   what it runs, in short
      --version       print the version
      --help          print this
`

func main() {
	if len(os.Args) == 2 {
		switch os.Args[1] {
		case "--help", "-h":
			os.Stdout.WriteString(help)
			return
		case "--version":
			os.Stdout.WriteString(version + "\n")
			return
		}
	}
	os.Exit(knot.Main())
}
