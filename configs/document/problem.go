package document

import (
	"fmt"
	"strings"
)

// Severity tells an error from a warning.
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

// Problem is one thing that is wrong with a file.
type Problem struct {
	File     string
	Line     int    // from 1; 0 = the file as a whole
	Column   int    // from 1, in runes
	Path     string // such as "web.instances"
	Text     string // the problem, the expected value, the remedy
	Severity Severity
	Excerpt  string // the line as it stands in the file; see [Collector].Text
	Owner    string // see [Collector].Owner
}

// String formats the problem as FILE:LINE:COLUMN: SEVERITY: PATH: TEXT.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(Printable(p.File))
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
