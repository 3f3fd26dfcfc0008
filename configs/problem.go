package configs

import (
	"cmp"
	"slices"

	"lithos/configs/document"
)

// Severity tells an error, which makes its object Broken, from a warning.
type Severity = document.Severity

// The severities.
const (
	SeverityError   = document.SeverityError
	SeverityWarning = document.SeverityWarning
)

// Problem is one thing that is wrong with a config file, and the object that it
// belongs to.
type Problem struct {
	File     string
	Line     int    // from 1; 0 = the file as a whole
	Column   int    // from 1, in runes
	Path     string // such as "web.instances"
	Text     string // the problem, the expected value, the remedy
	Severity Severity
	// Excerpt is that line, as it stands in the file; see [Options].
	Excerpt string

	// Sandbox and Process name the object that the problem belongs to; empty for
	// the master config. A problem of a container config is reported once for
	// each process that uses it: see [Problems.Distinct].
	Sandbox, Process string
}

// String formats the problem as FILE:LINE:COLUMN: SEVERITY: PATH: TEXT.
func (p Problem) String() string {
	return document.Problem{
		File: p.File, Line: p.Line, Column: p.Column, Path: p.Path, Text: p.Text, Severity: p.Severity,
	}.String()
}

// Owned gives the problems of a document to a sandbox and a process; without
// one, each belongs to the process that is its owner.
func Owned(list []document.Problem, sandbox, process string) Problems {
	problems := make(Problems, 0, len(list))
	for _, p := range list {
		problems = append(problems, Problem{
			File: p.File, Line: p.Line, Column: p.Column, Path: p.Path, Text: p.Text, Severity: p.Severity,
			Excerpt: p.Excerpt, Sandbox: sandbox, Process: cmp.Or(process, p.Owner),
		})
	}
	return problems
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
