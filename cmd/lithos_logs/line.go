package main

import (
	"bytes"
	"regexp"
	"strconv"
	"time"
)

// The kinds of lines.
const (
	kindOutput = "output" // by a program
	kindStart  = "start"  // by PID 1, before the program
	kindDeath  = "death"  // by PID 1 or the daemon, after it
	kindMark   = "mark"   // another line of lithos
)

// line is one of a log.
type line struct {
	Sandbox string `json:"sandbox"`
	// Container is SANDBOX/PROCESS.INDEX of a start or a death.
	Container string `json:"container,omitempty"`
	Kind      string `json:"kind"`
	// Time is the line's own, zero if it has none.
	Time  time.Time `json:"time,omitzero"`
	Cause string    `json:"cause,omitempty"` // of a death
	Text  string    `json:"text"`
	// at is Time, or that of the last line with one.
	at time.Time
}

// mark is a line that lithos writes between those of programs, see
// spawn/knot/lines.go. One may follow an unfinished line of a program directly.
var mark = regexp.MustCompile(`(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ): ----- (?:(Starting|Process) ("(?:[^"\\]|\\.)*")[: ])?.* -----$`)

// ownTime is a time with a zone at the beginning of a line.
var ownTime = regexp.MustCompile(`^\[?(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:?\d\d)`)

// parse makes a line of a text of a log, or two if a mark follows what a program has
// written without an end of the line.
func parse(sandbox string, text []byte) []line {
	found := mark.FindSubmatchIndex(text)
	if found == nil {
		own, _ := timeOf(text)
		return []line{{Sandbox: sandbox, Kind: kindOutput, Time: own, Text: string(text)}}
	}
	var lines []line
	if begin := found[0]; begin > 0 {
		lines = parse(sandbox, text[:begin])
		text = text[begin:]
		found = mark.FindSubmatchIndex(text)
	}
	group := func(n int) string {
		if found[2*n] < 0 {
			return ""
		}
		return string(text[found[2*n]:found[2*n+1]])
	}
	m := line{Sandbox: sandbox, Kind: kindMark, Text: string(text)}
	m.Time, _ = time.Parse(time.RFC3339, group(1))
	switch group(2) {
	case "Starting":
		m.Kind = kindStart
	case "Process":
		m.Kind = kindDeath
	}
	if name, err := strconv.Unquote(group(3)); err == nil {
		m.Container = name
	}
	return append(lines, m)
}

// timeOf is the time that a line has.
func timeOf(text []byte) (time.Time, bool) {
	m := ownTime.FindSubmatch(text)
	if m == nil {
		return time.Time{}, false
	}
	zone := bytes.ReplaceAll(m[4], []byte(":"), nil)
	if string(zone) == "Z" {
		zone = []byte("+0000")
	}
	stamp := string(m[1]) + "T" + string(m[2])
	if len(m[3]) > 0 {
		stamp += "." + string(m[3])
	}
	t, err := time.Parse("2006-01-02T15:04:05-0700", stamp+string(zone))
	return t, err == nil
}
