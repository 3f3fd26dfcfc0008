package configs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Severity tells an error, which makes its object Broken, from a warning.
type Severity int

// The severities.
const (
	SeverityError Severity = iota
	SeverityWarning
)

func (s Severity) String() string {
	if s == SeverityWarning {
		return "warning"
	}
	return "error"
}

// Problem is one thing that is wrong with a config file.
type Problem struct {
	File     string
	Line     int    // from 1; 0 = the file as a whole
	Column   int    // from 1, in runes
	Path     string // such as "web.instances"
	Text     string // what is wrong, what was expected, what to do
	Severity Severity
	// Excerpt is that line, as it stands in the file; see [Options].
	Excerpt string

	// Sandbox and Process name the object that the problem belongs to;
	// empty for the master config. What is wrong in a container config is
	// reported once for each process that uses it: see [Problems.Distinct].
	Sandbox, Process string
}

// String formats the problem as FILE:LINE:COLUMN: SEVERITY: PATH: TEXT.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(printable(p.File))
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	fmt.Fprintf(&b, ": %s: ", p.Severity)
	if p.Path != "" {
		b.WriteString(p.Path)
		b.WriteString(": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// Problems is a list of problems in the order of files and lines.
type Problems []Problem

// HasErrors tells whether any of them is an error.
func (ps Problems) HasErrors() bool {
	return slices.ContainsFunc(ps, func(p Problem) bool { return p.Severity == SeverityError })
}

// Sort orders the list by file, line and column.
func (ps Problems) Sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// Of returns the problems of one object: those of a sandbox and all its
// processes if process is "", else those of that process alone.
func (ps Problems) Of(sandbox, process string) Problems {
	var list Problems
	for _, p := range ps {
		if p.Sandbox == sandbox && (process == "" || p.Process == process) {
			list = append(list, p)
		}
	}
	return list
}

// Distinct returns the list without those that say the same of the same place
// as an earlier one, for printing.
func (ps Problems) Distinct() Problems {
	seen := map[Problem]bool{}
	var list Problems
	for _, p := range ps {
		same := p
		same.Sandbox, same.Process = "", ""
		if !seen[same] {
			seen[same] = true
			list = append(list, p)
		}
	}
	return list
}
