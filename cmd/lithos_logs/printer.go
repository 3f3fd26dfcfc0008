package main

import (
	"encoding/json"
	"hash/fnv"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"lithos/actors/services/deaths"
)

// printer writes lines for people or for programs.
type printer struct {
	out    io.Writer
	json   bool
	color  bool
	escape bool // it is a terminal, which output must not control
	label  bool // with the sandbox, as there are several
	causes *causes
}

func (p *printer) print(l line) error {
	if l.Kind == kindDeath {
		l.Cause = p.causes.of(l.Container, l.Time)
	}
	if p.json {
		l.Text = strings.ToValidUTF8(l.Text, "\uFFFD")
		encoder := json.NewEncoder(p.out)
		encoder.SetEscapeHTML(false)
		return encoder.Encode(l)
	}
	text := l.Text
	if p.escape {
		text = harmless(text)
	}
	if l.Cause != "" {
		text += " cause: " + l.Cause
	}
	if l.Kind != kindOutput {
		text = p.paint(map[bool]string{true: "1;31", false: "2"}[l.Kind == kindDeath], text)
	}
	if p.label {
		text = p.paint(colorOf(l.Sandbox), l.Sandbox+" |") + " " + text
	}
	_, err := io.WriteString(p.out, text+"\n")
	return err
}

func (p *printer) paint(style, text string) string {
	if !p.color {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}

// colorOf is always the same for a name.
func colorOf(name string) string {
	hash := fnv.New32()
	_, _ = io.WriteString(hash, name)
	return strconv.Itoa(32 + int(hash.Sum32()%5)) // green to cyan
}

// harmless writes control characters out.
func harmless(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == '\t' || strconv.IsPrint(r) && (r != utf8.RuneError || size > 1):
			b.WriteString(text[:size])
		default:
			quoted := strconv.Quote(text[:size])
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		text = text[size:]
	}
	return b.String()
}

// deathAt is what is of interest of a death record.
type deathAt struct {
	at    time.Time
	cause string
}

// causes finds the causes of deaths.
type causes struct {
	// patience is how long to wait for the record of a death of this moment, which
	// comes after the line.
	patience time.Duration
	read     func(name string) ([]deathAt, error) // the newest first
	known    map[string][]deathAt
}

// near is how far the time of a line about a death may be from that of its record: PID
// 1 writes one, in seconds, and the daemon the other.
const near = 2 * time.Second

// of is the cause of the death of a container at a time, "" = it is not known.
func (c *causes) of(name string, at time.Time) string {
	known := c.known[name]
	if len(known) > 0 && at.Before(known[0].at.Add(near)) {
		return find(known, at)
	}
	for begin := time.Now(); ; time.Sleep(recordPause) {
		list, err := c.read(name)
		if err != nil {
			return "" // it is for root
		}
		if c.known == nil {
			c.known = map[string][]deathAt{}
		}
		c.known[name] = list
		cause := find(list, at)
		if cause != "" || time.Since(at) > near+c.patience || time.Since(begin) > c.patience {
			return cause
		}
	}
}

// recordPause is between two looks for the record of a death.
const recordPause = 20 * time.Millisecond

func find(list []deathAt, at time.Time) (cause string) {
	best := near
	for _, d := range list {
		if off := d.at.Sub(at).Abs(); off < best {
			best, cause = off, d.cause
		}
	}
	return cause
}

func readDeaths(dir, name string) ([]deathAt, error) {
	list, err := deaths.Read(dir, name)
	kept := make([]deathAt, 0, len(list))
	for _, d := range list {
		kept = append(kept, deathAt{d.At, d.Cause})
	}
	return kept, err
}
