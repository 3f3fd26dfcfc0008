package configs

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"
)

// maxProblems is how many problems of one file are told; a hostile container
// config could otherwise make as many as it has values.
const maxProblems = 100

// place is a position in a file, with the path that leads there.
type place struct {
	line, column int // from 1; 0 = the file as a whole
	path         string
}

func nodePlace(n *yaml.Node) place { return place{line: n.Line, column: n.Column} }

// collector gathers the problems of one file.
type collector struct {
	file             string
	text             *fileText // what problems quote; nil = nothing
	sandbox, process string    // what the next problem belongs to
	list             Problems
	errors           int // those that were left out of the list too
}

func (c *collector) errorAt(at place, format string, args ...any) {
	c.errors++
	c.add(SeverityError, at, fmt.Sprintf(format, args...))
}

// errorHiding is an error without its excerpt: people paste passwords there.
func (c *collector) errorHiding(at place, format string, args ...any) {
	text := c.text
	c.text = nil
	c.errorAt(at, format, args...)
	c.text = text
}

func (c *collector) warnAt(at place, format string, args ...any) {
	c.add(SeverityWarning, at, fmt.Sprintf(format, args...))
}

func (c *collector) add(s Severity, at place, text string) {
	switch {
	case len(c.list) > maxProblems:
		return
	case len(c.list) == maxProblems:
		// An error among those left out still has to be seen as one.
		s, at, text = SeverityError, place{}, fmt.Sprintf("more than %d problems, the rest is left out", maxProblems)
		c.errors++
	}
	c.list = append(c.list, Problem{
		File: c.file, Line: at.line, Column: at.column, Path: printable(at.path),
		Text: printable(text), Severity: s, Excerpt: c.text.line(at.line),
		Sandbox: c.sandbox, Process: c.process,
	})
}

// printable keeps what comes from a hostile file from making lines of its own
// in a log or moving the cursor of a terminal.
func printable(s string) string {
	const most = 1000
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	if !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	return b.String()
}

// broken tells whether there is an error.
func (c *collector) broken() bool { return c.errors > 0 }
