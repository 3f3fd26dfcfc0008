package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// reader reads the logs of the sandboxes that were asked for, as one.
type reader struct {
	dir     string
	o       *options
	sources []*source
}

// suffix is that of the logs in the directory.
const suffix = ".log"

// choose opens what the names say, and goes to where each log is to begin.
func (r *reader) choose() error {
	all, err := r.sandboxes()
	if err != nil {
		return err
	}
	wanted := all
	if len(r.o.names) > 0 {
		wanted = nil
	}
	for _, name := range r.o.names {
		sandbox, _, _ := strings.Cut(name, "/")
		if !slices.Contains(all, sandbox) {
			return fmt.Errorf("there is no log of %q in %s; there are: %s", sandbox, r.dir, strings.Join(all, ", "))
		}
		if !slices.Contains(wanted, sandbox) {
			wanted = append(wanted, sandbox)
		}
	}
	for _, sandbox := range wanted {
		s := &source{sandbox: sandbox, path: filepath.Join(r.dir, sandbox+suffix)}
		if err := s.rewind(r.o.lines, r.o.since); err != nil {
			return fmt.Errorf("cannot read the log of %s: %w", sandbox, err)
		}
		r.sources = append(r.sources, s)
	}
	return nil
}

// sandboxes are those that have a log.
func (r *reader) sandboxes() (names []string, err error) {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return nil, fmt.Errorf("cannot look for logs: %w", err)
	}
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), suffix); ok && e.Type().IsRegular() {
			names = append(names, name)
		}
	}
	return names, nil
}

// discover adds the log of a sandbox that is new, where all are followed.
func (r *reader) discover() {
	if len(r.o.names) > 0 {
		return
	}
	all, err := r.sandboxes()
	if err != nil {
		return // it is tried again
	}
	for _, sandbox := range all {
		if !slices.ContainsFunc(r.sources, func(s *source) bool { return s.sandbox == sandbox }) {
			r.sources = append(r.sources, &source{sandbox: sandbox, path: filepath.Join(r.dir, sandbox+suffix)})
		}
	}
}

// each calls a function with what there is to read, the oldest line first.
func (r *reader) each(print func(line) error) error {
	for {
		s, err := r.oldest()
		if err != nil || s == nil {
			return err
		}
		l := s.lines[0]
		s.lines = s.lines[1:]
		if !r.o.until.IsZero() && l.at.After(r.o.until) {
			r.sources = slices.DeleteFunc(r.sources, func(o *source) bool { return o == s })
			continue
		}
		if !r.chosen(&l) {
			continue
		}
		if err := print(l); err != nil {
			return err
		}
	}
}

// oldest is the log whose next line is the oldest, nil = there is nothing to read.
func (r *reader) oldest() (first *source, err error) {
	for _, s := range r.sources {
		next, err := s.peek(!r.o.follow)
		if err != nil {
			return nil, fmt.Errorf("cannot read the log of %s: %w", s.sandbox, err)
		}
		if next != nil && (first == nil || next.at.Before(first.lines[0].at)) {
			first = s
		}
	}
	return first, nil
}

// chosen tells whether a line is one that was asked for, as far as it says whose it is.
func (r *reader) chosen(l *line) bool {
	if len(r.o.names) == 0 {
		return true
	}
	return slices.ContainsFunc(r.o.names, func(name string) bool {
		sandbox, process, deeper := strings.Cut(name, "/")
		switch {
		case sandbox != l.Sandbox:
			return false
		case !deeper || l.Container == "" || l.Container == name:
			return true
		}
		index, ok := strings.CutPrefix(l.Container, sandbox+"/"+process+".")
		return ok && !strings.Contains(index, ".")
	})
}

// shared says which names ask for more than the files can tell.
func (r *reader) shared() string {
	for _, name := range r.o.names {
		if sandbox, _, deeper := strings.Cut(name, "/"); deeper {
			return fmt.Sprintf("all processes of %s write to one file: only starts and deaths are those of %s alone", sandbox, name)
		}
	}
	return ""
}
