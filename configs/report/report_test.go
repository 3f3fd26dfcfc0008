package report

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"lithos/configs"
)

// Covers: A5, R4
func TestExcerptShowsTheColumn(t *testing.T) {
	long := strings.Repeat("a", 3000) + "X" + strings.Repeat("b", 3000)
	for _, tt := range []struct {
		name   string
		line   string
		column int
		width  int
		text   string
		caret  int
	}{
		{"R4 plain", "imaeg: v1", 1, 80, "imaeg: v1", 0},
		{"R4 in the middle", "  a: [1, 2]", 9, 80, "  a: [1, 2]", 8},
		{"R4 behind the end", "a: [", 5, 80, "a: [", 4},
		{"R4 far behind the end", "a: [", 50, 80, "a: [", 4},
		{"R4 a tab goes to its stop", "ab\tc", 4, 80, "ab      c", 8},
		{"R4 wide runes take two columns", "漢字: x", 5, 80, "漢字: x", 6},
		{"R4 combining marks take none", "e\u0301x", 3, 80, "e\u0301x", 1},
		{"R4 escape sequences are written out", "a\x1b[31mb", 7, 80, `a\x1b[31mb`, 9},
		{"R4 changes of direction are written out", "a\u202eb", 3, 80, `a\u202eb`, 7},
		{"R4 a byte that is no UTF-8", "a\xffb", 3, 80, `a\xffb`, 5},
		{"R4 clipped on the right", "0123456789012345678901234567890", 2, 22, "01234567890123456789"[:19] + "…", 1},
		{"R4 clipped on both sides", long, 3001, 22, "…" + strings.Repeat("a", 12) + "X" + strings.Repeat("b", 6) + "…", 13},
		{"R4 clipped on the left", "0123456789012345678901234567890", 31, 22, "…2345678901234567890", 19},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text, caret := excerpt(tt.line, tt.column, tt.width)
			if text != tt.text || caret != tt.caret {
				t.Errorf("got %q with the caret at %d, want %q with %d", text, caret, tt.text, tt.caret)
			}
		})
	}
}

func problems() configs.Problems {
	return configs.Problems{
		{File: "/etc/web.yaml", Line: 4, Column: 3, Path: "w.imaeg", Text: "unknown key", Excerpt: "  imaeg: \x1b[2Jv1", Sandbox: "web", Process: "w"},
		{File: "/etc/web.yaml", Text: "is odd", Severity: configs.SeverityWarning},
	}
}

// Covers: R4
func TestReportIsPrinted(t *testing.T) {
	const plain = `/etc/web.yaml:4:3: error: w.imaeg: unknown key
     4 |   imaeg: \x1b[2Jv1
       |   ^
/etc/web.yaml: warning: is odd
`
	var b bytes.Buffer
	if err := (&Printer{Out: &b}).Print(problems()); err != nil || b.String() != plain {
		t.Errorf("%v, got\n%swant\n%s", err, b.String(), plain)
	}
	b.Reset()
	if err := (&Printer{Out: &b, Color: true}).Print(problems()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\x1b[1m/etc/web.yaml:4:3\x1b[0m: \x1b[1;31merror\x1b[0m: ", "\x1b[1;32m^\x1b[0m", "\x1b[1;33mwarning\x1b[0m"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in %q", want, b.String())
		}
	}
	if strings.Contains(b.String(), "\x1b[2J") {
		t.Error("the file moves the cursor")
	}
}

// Covers: R4
func TestNoColourInAFile(t *testing.T) {
	f, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if p := For(f); p.Color || p.Width != 0 {
		t.Errorf("%+v", p)
	}
}

// Covers: R4
func TestSummaryCountsProblems(t *testing.T) {
	for _, tt := range []struct {
		list configs.Problems
		want string
	}{
		{nil, ""},
		{problems(), "1 error, 1 warning"},
		{append(problems(), problems()...), "2 errors, 2 warnings"},
		{problems()[1:], "1 warning"},
	} {
		if got := Summary(tt.list); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
	for want, got := range map[string]string{"2 processes": Count(2, "process"), "1 process": Count(1, "process"), "0 sandboxes": Count(0, "sandbox"), "3 errors": Count(3, "error")} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Covers: R4
func TestReportAsJSON(t *testing.T) {
	var b bytes.Buffer
	if err := WriteJSON(&b, Problems(problems())); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"line": 4`, `"column": 3`, `"severity": "warning"`, `"path": "w.imaeg"`, `"process": "w"`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %s in %s", want, b.String())
		}
	}
	b.Reset()
	if err := WriteJSON(&b, Problems(nil)); err != nil || b.String() != "[]\n" {
		t.Errorf("an empty list is %q, %v", b.String(), err)
	}
}
