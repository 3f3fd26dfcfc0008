package main

import (
	"io"
	"os"

	"lithos/cmd/internal/reader"
)

// version is set when the program is built.
var version = "dev"

// Exit codes (requirement S8).
const (
	exitOK     = 0
	exitConfig = 1 // the used images are uncertain
	exitScan   = 2 // something could not be read or removed; also: wrong use
)

func main() {
	reader.Main()
	runInChild(func() int { return run(os.Args[1:], os.Stdout, os.Stderr) })
}

// run is the whole program; it returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	o, code, done := parseOptions(args, stdout, stderr)
	if done {
		return code
	}
	c := &cleaner{o: o, report: newReport(o, stdout, stderr), look: newLooker()}
	return c.run()
}
