package configs

import (
	"os"
	"strings"
	"testing"
)

func TestA5_ProblemsAsText(t *testing.T) {
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

func TestSuggest(t *testing.T) {
	keys := []string{"executable", "environ", "kind", "memory-limit", "volumes"}
	for word, want := range map[string]string{
		"executible": "executable", "enviorn": "environ", "env": "", "kidn": "kind", "memory": "", "memmory-limt": "memory-limit",
		"Volumes": "volumes", "x": "", strings.Repeat("v", 10000): "",
	} {
		equal(t, clip(word), suggest(word, keys), want)
	}
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"kitten", "sitting", 3}, {"ab", "ba", 1}, {"wbe", "web", 1}, {"äb", "b", 1}} {
		equal(t, c.a+"/"+c.b, distance(c.a, c.b), c.want)
	}
}

// A file may grow or shrink between the look at its size and the reading.
func TestReadAtMost(t *testing.T) {
	file := t.TempDir() + "/f"
	writeFile(t, file, strings.Repeat("x", 5000))
	for _, c := range []struct {
		expected, most int
		ok             bool
	}{{5000, 5000, true}, {0, 5000, true}, {9999, 9999, true}, {10, 4999, false}, {4999, 4999, false}} {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		data, err := readAtMost(int(f.Fd()), c.expected, c.most)
		if (err == nil) != c.ok || c.ok && len(data) != 5000 {
			t.Errorf("expected %d, at most %d: %d bytes, %v", c.expected, c.most, len(data), err)
		}
		f.Close()
	}
}
