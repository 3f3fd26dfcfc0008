package deaths

import (
	"strings"
	"unicode/utf8"

	"lithos/sysx/rotate"
)

// Bounds of the archived output of a container.
const (
	tailLines = 20
	tailBytes = 4 << 10
)

// tail gives the last lines of a part of a log, between offsets as Store.Size
// counts them.
func tail(path string, from, to int64) []string {
	if from < 0 || path == "" {
		return nil
	}
	if to < from {
		from = 0 // it was cut off meanwhile, by logrotate
	}
	cut := to-from > tailBytes
	if cut {
		from = to - tailBytes
	}
	text, err := rotate.Read(path, from, to)
	if err != nil || len(text) == 0 {
		return nil
	}
	return lastLines(string(text), cut)
}

// lastLines cuts a text into its last lines; of one that was cut at its
// beginning the first line is not whole.
func lastLines(text string, cut bool) []string {
	text = strings.TrimRight(text, "\n")
	lines := strings.Split(text, "\n")
	if cut {
		if len(lines) > 1 {
			lines = lines[1:]
		} else {
			for len(lines[0]) > 0 && !utf8.RuneStart(lines[0][0]) {
				lines[0] = lines[0][1:]
			}
			lines[0] = "…" + lines[0]
		}
	}
	lines = lines[max(0, len(lines)-tailLines):]
	for i, line := range lines {
		lines[i] = strings.ToValidUTF8(strings.TrimSuffix(line, "\r"), "�")
	}
	return lines
}
