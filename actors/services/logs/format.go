package logs

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/rs/zerolog"
)

// levelNames are the words that a line has.
var levelNames = map[zerolog.Level]string{
	zerolog.TraceLevel: "TRACE", zerolog.DebugLevel: "DEBUG", zerolog.InfoLevel: "INFO",
	zerolog.WarnLevel: "WARN", zerolog.ErrorLevel: "ERROR",
}

// LevelNames are the levels of configs and of the command line.
const LevelNames = "error, warn, info, debug, trace or off"

// ParseLevel reads the name of a level, in any case.
func ParseLevel(name string) (zerolog.Level, error) {
	switch strings.ToLower(name) {
	case "error":
		return zerolog.ErrorLevel, nil
	case "warn":
		return zerolog.WarnLevel, nil
	case "info":
		return zerolog.InfoLevel, nil
	case "debug":
		return zerolog.DebugLevel, nil
	case "trace":
		return zerolog.TraceLevel, nil
	case "off":
		return zerolog.Disabled, nil
	}
	return zerolog.NoLevel, fmt.Errorf("unknown log level %q: use %s", name, LevelNames)
}

// entry is what zerolog hands over, as JSON.
type entry struct {
	Caller  string `json:"caller"`
	Message string `json:"message"`

	raw []byte // all of it
}

// Format is how a line looks.
type Format int32

// The formats, `log-format`.
const (
	// Text is `[RFC3339][LEVEL] text`, P4.
	Text Format = iota
	// JSON is an object a line: time, level, message, and what else is known:
	// sandbox, container, pid, event, cause, uptime.
	JSON
	// Journal is for standard error that systemd reads: `<N>text`, N being
	// the level as syslog counts; the journal knows the time. Files are text.
	Journal
)

// FormatOf is the format of that name; Text if there is none.
func FormatOf(name string) Format {
	switch name {
	case "json":
		return JSON
	case "journal":
		return Journal
	}
	return Text
}

// text is the line without its head: for syslog, which has a head of its own.
func (e *entry) text() string {
	text := e.Message
	if e.Caller != "" {
		text = e.Caller + ": " + text
	}
	return clean(text)
}

func parse(p []byte) *entry {
	e := &entry{raw: p}
	if err := json.Unmarshal(p, e); err != nil {
		e.Message = string(p)
	}
	return e
}

// in is the whole line in a format.
func (e *entry) in(format Format, level zerolog.Level, at time.Time) []byte {
	switch format {
	case JSON:
		return e.json(at)
	case Journal:
		// Each line is an entry of its own there.
		prefix := fmt.Sprintf("<%d>", severity[level])
		return []byte(prefix + strings.ReplaceAll(e.text(), "\n", "\n"+prefix) + "\n")
	}
	return e.line(level, at)
}

// severity is the level as syslog counts.
var severity = map[zerolog.Level]int{
	zerolog.ErrorLevel: 3, zerolog.WarnLevel: 4, zerolog.InfoLevel: 6, zerolog.DebugLevel: 7, zerolog.TraceLevel: 7,
}

// json is what zerolog has made, with the time in front.
func (e *entry) json(at time.Time) []byte {
	b := append([]byte(`{"time":"`), at.UTC().Format(time.RFC3339Nano)...)
	b = append(b, '"')
	if len(e.raw) > 2 && e.raw[0] == '{' {
		b = append(append(b, ','), e.raw[1:]...)
	} else {
		text, _ := json.Marshal(e.Message)
		b = append(append(append(b, `,"message":`...), text...), '}')
	}
	if b[len(b)-1] != '\n' {
		b = append(b, '\n')
	}
	return b
}

// line is the whole line, P4.
func (e *entry) line(level zerolog.Level, at time.Time) []byte {
	b := make([]byte, 0, len(e.Message)+len(e.Caller)+40)
	b = append(b, '[')
	b = at.UTC().AppendFormat(b, time.RFC3339)
	b = append(b, "]["...)
	b = append(b, levelNames[level]...)
	b = append(b, ']')
	if e.Caller == "" {
		b = append(b, ' ')
	}
	b = append(b, e.text()...)
	return append(b, '\n')
}

// clean makes one log entry of a text that may hold anything.
func clean(text string) string {
	text = strings.TrimRight(text, "\n")
	if strings.IndexFunc(text, needsCare) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\n':
			b.WriteString("\n\t")
		case needsCare(r):
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func needsCare(r rune) bool { return r != '\t' && unicode.IsControl(r) }
