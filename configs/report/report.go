package report

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"lithos/configs"
)

// Printer prints problems for people.
type Printer struct {
	Out   io.Writer
	Color bool
	Width int // columns of the terminal; 0 = unknown
}

// For is a printer that suits a file: with colour only on a terminal, and not
// where NO_COLOR is set (no-color.org) or the terminal is a dumb one.
func For(f *os.File) *Printer {
	p := &Printer{Out: f}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return p
	}
	p.Width = int(size.Col)
	p.Color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return p
}

// The styles, as parameters of the terminal's "select graphic rendition".
const (
	styleError   = "1;31"
	styleWarning = "1;33"
	stylePlace   = "1"
	styleCaret   = "1;32"
	styleQuote   = "2"
)

func (p *Printer) style(style, s string) string {
	if !p.Color || s == "" {
		return s
	}
	return "\x1b[" + style + "m" + s + "\x1b[0m"
}

// Severity is the word for a severity in its colour.
func (p *Printer) Severity(s configs.Severity) string {
	if s == configs.SeverityWarning {
		return p.style(styleWarning, s.String())
	}
	return p.style(styleError, s.String())
}

// Print prints a list, each problem with its line and a caret below. It gives
// the first error of writing.
func (p *Printer) Print(list configs.Problems) error {
	for _, problem := range list {
		if err := p.one(problem); err != nil {
			return err
		}
	}
	return nil
}

func (p *Printer) one(problem configs.Problem) error {
	var b strings.Builder
	// The words are those of Problem.String, which logs have too.
	head, rest, _ := strings.Cut(problem.String(), ": "+problem.Severity.String()+": ")
	fmt.Fprintf(&b, "%s: %s: %s\n", p.style(stylePlace, head), p.Severity(problem.Severity), rest)
	if problem.Excerpt != "" {
		const gutter = 9 // "%6d | "
		line, caret := excerpt(problem.Excerpt, problem.Column, max(20, p.width()-gutter))
		fmt.Fprintf(&b, "%s %s\n", p.style(styleQuote, fmt.Sprintf("%6d |", problem.Line)), line)
		fmt.Fprintf(&b, "%s %s%s\n", p.style(styleQuote, "       |"), strings.Repeat(" ", caret), p.style(styleCaret, "^"))
	}
	_, err := io.WriteString(p.Out, b.String())
	return err
}

func (p *Printer) width() int {
	const otherwise = 160
	if p.Width == 0 {
		return otherwise
	}
	return p.Width
}

// Counts of a list.
func Counts(list configs.Problems) (errors, warnings int) {
	for _, p := range list {
		if p.Severity == configs.SeverityError {
			errors++
		} else {
			warnings++
		}
	}
	return errors, warnings
}

// Summary is such as "2 errors, 1 warning"; "" for an empty list.
func Summary(list configs.Problems) string {
	var parts []string
	errors, warnings := Counts(list)
	if errors > 0 {
		parts = append(parts, Count(errors, "error"))
	}
	if warnings > 0 {
		parts = append(parts, Count(warnings, "warning"))
	}
	return strings.Join(parts, ", ")
}

// Count is such as "1 error" or "2 errors".
func Count(n int, what string) string {
	switch {
	case n == 1:
	case strings.HasSuffix(what, "ss") || strings.HasSuffix(what, "ox"):
		what += "es"
	default:
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// Problem is a problem in JSON. Line and column are left out where the file as
// a whole is meant.
type Problem struct {
	File     string `json:"file"`
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`
	Severity string `json:"severity"` // error, warning
	Path     string `json:"path,omitempty"`
	Text     string `json:"text"`
	Sandbox  string `json:"sandbox,omitempty"`
	Process  string `json:"process,omitempty"`
}

// Problems is a list for JSON, never nil.
func Problems(list configs.Problems) []Problem {
	all := make([]Problem, 0, len(list))
	for _, p := range list {
		all = append(all, Problem{
			File: p.File, Line: p.Line, Column: p.Column, Severity: p.Severity.String(),
			Path: p.Path, Text: p.Text, Sandbox: p.Sandbox, Process: p.Process,
		})
	}
	return all
}

// WriteJSON writes one value, indented, with a line end.
func WriteJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
