package configs

import (
	"strings"
	"testing"
)

// Covers: A5
func TestProblemsAsText(t *testing.T) {
	for _, c := range []struct {
		want    string
		problem Problem
	}{
		{"f.yaml:3:7: error: web.instances: is odd", Problem{File: "f.yaml", Line: 3, Column: 7, Path: "web.instances", Text: "is odd"}},
		{"f.yaml: warning: is odd", Problem{File: "f.yaml", Text: "is odd", Severity: SeverityWarning}},
		{`a\nb.yaml: error: x`, Problem{File: "a\nb.yaml", Text: "x"}},
	} {
		equal(t, "text", c.problem.String(), c.want)
	}
}

func TestProblems(t *testing.T) {
	list := Problems{
		{File: "b", Line: 2, Column: 1, Text: "1", Sandbox: "s", Process: "p"},
		{File: "b", Line: 1, Column: 9, Text: "2", Sandbox: "s", Process: "q", Severity: SeverityWarning},
		{File: "b", Line: 1, Column: 2, Text: "3", Sandbox: "s"},
		{File: "a", Line: 7, Column: 2, Text: "4"},
		{File: "b", Line: 2, Column: 1, Text: "1", Sandbox: "t", Process: "p"},
	}
	list.Sort()
	texts := func(list Problems) string {
		var b strings.Builder
		for _, p := range list {
			b.WriteString(p.Text)
		}
		return b.String()
	}
	equal(t, "sorted", texts(list), "43211")
	equal(t, "distinct", texts(list.Distinct()), "4321")
	equal(t, "of a sandbox", texts(list.Of("s", "")), "321")
	equal(t, "of a process", texts(list.Of("s", "q")), "2")
	equal(t, "errors", list.HasErrors(), true)
	equal(t, "no errors", list.Of("s", "q").HasErrors(), false)
}
