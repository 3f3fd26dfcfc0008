// Gen makes the manual pages and the shell completions of all programs. Their
// --help is the one source: there is nothing to keep in step by hand, and what is
// made is not checked in. packaging/build.sh runs it for each package. It reads
// the pages strictly and fails at a line that it does not understand.
//
//	go run ./packaging/gen -bin bin -o build/extras
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func main() {
	bin := flag.String("bin", "bin", "where the programs are, built for this machine")
	out := flag.String("o", "build/extras", "where man/ and completions/ go")
	flag.Parse()
	if err := generate(*bin, *out); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// generate writes everything for the programs in bin.
func generate(bin, out string) error {
	paths, err := filepath.Glob(filepath.Join(bin, "lithos_*"))
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		return fmt.Errorf("there are no programs in %s: run make build", bin)
	}
	var names []string
	for _, path := range paths {
		names = append(names, filepath.Base(path))
	}
	date, err := epoch()
	if err != nil {
		return err
	}
	for _, path := range paths {
		p, err := read(path)
		if err != nil {
			return err
		}
		version, err := run(path, "--version")
		if err != nil {
			return err
		}
		if err := write(out, p, manual(p, names, strings.TrimSpace(version), date)); err != nil {
			return err
		}
	}
	return nil
}

// write puts the files of a program where packaging/build.sh takes them from,
// with the names that each shell looks for.
func write(out string, p *page, manual string) error {
	made := map[string]string{"man/" + p.name + ".8": manual}
	// Nobody types lithos_knot.
	if p.name != "lithos_knot" {
		made["completions/bash/"+p.name] = bash(p)
		made["completions/zsh/_"+p.name] = zsh(p)
		made["completions/fish/"+p.name+".fish"] = fish(p)
	}
	for name, body := range made {
		path := filepath.Join(out, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// read asks a program, and its commands, for their help.
func read(path string) (*page, error) {
	help, err := run(path, "--help")
	if err != nil {
		return nil, err
	}
	p, err := parse(filepath.Base(path), help)
	if err != nil {
		return nil, err
	}
	if p.name != "lithos_knot" && strings.Count(help, p.name+" ") <= len(p.usage) && !strings.Contains(help, "\n  "+p.name) {
		return nil, fmt.Errorf("%s --help has no example", p.name)
	}
	for _, name := range p.commandNames() {
		help, err := run(path, name, "--help")
		if err != nil {
			return nil, err
		}
		command, err := parse(name, help)
		if err != nil {
			return nil, fmt.Errorf("%s %w", p.name, err)
		}
		p.commands = append(p.commands, command)
	}
	return p, nil
}

func run(path string, args ...string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	cmd := exec.Command(path, args...)
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	out, err := cmd.Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return "", fmt.Errorf("%s %s: %w: %s", path, strings.Join(args, " "), err, exit.Stderr)
	}
	return string(out), err
}

// epoch is the time for the pages: the same commit gives the same bytes.
func epoch() (time.Time, error) {
	s := os.Getenv("SOURCE_DATE_EPOCH")
	if s == "" {
		return time.Now(), nil
	}
	seconds, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	return time.Unix(seconds, 0), nil
}
