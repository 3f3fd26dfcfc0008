// Lithos_crypt seals secrets for secret-environ, opens them for who has the
// private key, and tells for which key one is sealed.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

var version = "dev"

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// command is one subcommand.
type command struct {
	help    string
	options []string // the names of its options
	run     func(o *options, stdin *os.File, stdout, stderr io.Writer) error
}

var commands = map[string]command{
	"encrypt":   {encryptHelp, []string{"public-key", "namespace", "data", "data-file", "keep-newline"}, encrypt},
	"decrypt":   {decryptHelp, []string{"private-key", "data", "data-file"}, decrypt},
	"check-key": {checkKeyHelp, []string{"public-key", "data", "data-file"}, checkKey},
}

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run gives the exit code.
func run(args []string, stdin *os.File, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, help)
		return exitUsage
	}
	name, args := args[0], args[1:]
	switch name {
	case "--help", "-h", "help":
		if len(args) > 0 {
			if c, ok := commands[args[0]]; ok {
				fmt.Fprint(stdout, c.help)
				return exitOK
			}
		}
		fmt.Fprint(stdout, help)
		return exitOK
	case "--version", "-V":
		fmt.Fprintln(stdout, version)
		return exitOK
	}
	c, ok := commands[name]
	if !ok {
		return fail(stderr, "lithos_crypt", usageError(fmt.Sprintf("there is no command %q: it is encrypt, decrypt or check-key, and comes first", name)))
	}
	o, err := parseOptions(args, c.options)
	switch {
	case err == nil && o.help:
		fmt.Fprint(stdout, c.help)
		return exitOK
	case err == nil:
		err = c.run(o, stdin, stdout, stderr)
	}
	if err != nil {
		return fail(stderr, "lithos_crypt "+name, err)
	}
	return exitOK
}

// usageError is a wrong command line.
type usageError string

func (e usageError) Error() string { return string(e) }

// fail prints an error and gives its exit code.
func fail(stderr io.Writer, command string, err error) int {
	fmt.Fprintf(stderr, "lithos_crypt: %s\n", strings.TrimSuffix(err.Error(), "\n"))
	if _, ok := errors.AsType[usageError](err); ok {
		fmt.Fprintf(stderr, "Try %s --help\n", command)
		return exitUsage
	}
	return exitFailed
}
