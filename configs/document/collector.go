package document

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"
)

// MaxProblems is how many problems of one file are told; a hostile file could
// otherwise make as many as it has values.
const MaxProblems = 100

// Place is a position in a file, with the path that leads there.
type Place struct {
	Line, Column int // from 1; 0 = the file as a whole
	Path         string
}

func nodePlace(n *yaml.Node) Place { return Place{Line: n.Line, Column: n.Column} }

// Collector gathers the problems of one file.
type Collector struct {
	File   string
	Text   *Text  // the text that problems quote; nil = nothing
	Owner  string // the part of the file that the next problem belongs to
	List   []Problem
	errors int // also of errors left out of the list
}

// ErrorAt reports an error.
func (c *Collector) ErrorAt(at Place, format string, args ...any) {
	c.errors++
	c.add(SeverityError, at, fmt.Sprintf(format, args...))
}

// ErrorHiding is an error without its excerpt: people paste passwords there.
func (c *Collector) ErrorHiding(at Place, format string, args ...any) {
	text := c.Text
	c.Text = nil
	c.ErrorAt(at, format, args...)
	c.Text = text
}

// WarnAt reports a warning.
func (c *Collector) WarnAt(at Place, format string, args ...any) {
	c.add(SeverityWarning, at, fmt.Sprintf(format, args...))
}

func (c *Collector) add(s Severity, at Place, text string) {
	switch {
	case len(c.List) > MaxProblems:
		return
	case len(c.List) == MaxProblems:
		// An error among those left out still has to be seen as one.
		s, at, text = SeverityError, Place{}, fmt.Sprintf("more than %d problems, the rest is left out", MaxProblems)
		c.errors++
	}
	c.List = append(c.List, Problem{
		File: c.File, Line: at.Line, Column: at.Column, Path: Printable(at.Path),
		Text: Printable(text), Severity: s, Excerpt: c.Text.line(at.Line), Owner: c.Owner,
	})
}

// Printable keeps what comes from a hostile file from making lines of its own
// in a log or moving the cursor of a terminal.
func Printable(s string) string {
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

// Broken tells whether there is an error.
func (c *Collector) Broken() bool { return c.errors > 0 }

// Errors is the number of errors so far.
func (c *Collector) Errors() int { return c.errors }
