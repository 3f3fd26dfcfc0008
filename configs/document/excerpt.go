package document

import (
	"strings"
	"unicode/utf8"
)

// Text is the text of a file, whose lines are found when the first problem
// quotes one.
type Text struct {
	content string
	starts  []int // offsets of the lines
}

func NewText(data []byte) *Text {
	return &Text{content: strings.TrimPrefix(string(data), "\ufeff")}
}

// line is a line, counted from 1, without its end; "" if there is none.
func (t *Text) line(n int) string {
	if t == nil || n < 1 {
		return ""
	}
	if t.starts == nil {
		t.index()
	}
	if n > len(t.starts) {
		return ""
	}
	rest := t.content[t.starts[n-1]:]
	if end := strings.IndexFunc(rest, isBreak); end >= 0 {
		rest = rest[:end]
	}
	return rest
}

// index finds the lines as YAML counts them.
func (t *Text) index() {
	t.starts = []int{0}
	for i, r := range t.content {
		if !isBreak(r) || r == '\r' && strings.HasPrefix(t.content[i+1:], "\n") {
			continue
		}
		t.starts = append(t.starts, i+utf8.RuneLen(r))
	}
}

// isBreak tells what ends a line in YAML 1.1.
func isBreak(r rune) bool {
	return r == '\n' || r == '\r' || r == '\u0085' || r == '\u2028' || r == '\u2029'
}
