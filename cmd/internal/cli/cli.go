// Package cli has the programs read their command lines alike, as GNU does:
// `--name VALUE`, `--name=VALUE`, `-n VALUE`, `-nVALUE`, and `-ab` for two without
// a value. Options may stand behind other words; nothing behind "--" is one. Each
// program has --help and -h, and --version.
package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/pflag"
)

// DefaultMaster is the master config where none is named.
const DefaultMaster = "/etc/lithos/master.yaml"

// Program has the texts of the common options.
type Program struct {
	Name    string
	Version string
	Help    string
	Wrong   int // the exit code for a wrong command line
}

// Set are the options of a program.
type Set struct {
	*pflag.FlagSet
	program Program
	version bool
}

// For gives those that each program has.
func For(p Program) *Set {
	s := &Set{FlagSet: pflag.NewFlagSet(p.Name, pflag.ContinueOnError), program: p}
	s.SetOutput(io.Discard)
	s.Usage = func() {}
	s.BoolVar(&s.version, "version", false, "")
	return s
}

// Master is the option that names the master config, also by the name it has in
// the programs that begin containers.
func (s *Set) Master(file *string) {
	s.StringVarP(file, "config", "C", DefaultMaster, "")
	s.StringVar(file, "master", DefaultMaster, "")
}

// Parse reads a command line; words are given what is no option. Done says that
// the program ends here, with this code.
func (s *Set) Parse(args []string, stdout, stderr io.Writer, words func([]string) error) (code int, done bool) {
	err := s.FlagSet.Parse(args)
	if err == nil && !s.version {
		err = words(s.Args())
	}
	switch {
	case errors.Is(err, pflag.ErrHelp):
		fmt.Fprint(stdout, s.program.Help)
		return 0, true
	case err != nil:
		fmt.Fprintf(stderr, "%s: %v\nTry %s --help\n", s.program.Name, err, s.program.Name)
		return s.program.Wrong, true
	case s.version:
		fmt.Fprintln(stdout, s.program.Version)
		return 0, true
	}
	return 0, false
}

// None is for programs that take nothing but options.
func None(words []string) error {
	if len(words) > 0 {
		return fmt.Errorf("unexpected argument %q", words[0])
	}
	return nil
}
