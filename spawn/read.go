package spawn

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// How much of a record is read, bytes: the supervisor's lines are at its
// beginning, the latest ones of PID 1 at its end.
const (
	recordHead = 16 << 10
	recordTail = 48 << 10
)

// ReadRecord reads a record file. What is missing or makes no sense in it is
// left out: whoever wrote it may have died over a line.
func ReadRecord(path string) (*Record, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot read a container's record: %w", err)
	}
	defer f.Close()
	text, err := readEnds(f)
	if err != nil {
		return nil, fmt.Errorf("cannot read a container's record: %w", err)
	}
	return parseRecord(text), nil
}

// readEnds reads the whole file, or its two ends in whole lines.
func readEnds(f *os.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", f.Name())
	}
	if info.Size() <= recordHead+recordTail {
		return io.ReadAll(io.LimitReader(f, recordHead+recordTail))
	}
	head, err := io.ReadAll(io.LimitReader(f, recordHead))
	if err != nil {
		return nil, err
	}
	tail, err := io.ReadAll(io.NewSectionReader(f, info.Size()-recordTail, recordTail))
	if err != nil {
		return nil, err
	}
	head = head[:bytes.LastIndexByte(head, '\n')+1]
	return append(head, tail[bytes.IndexByte(tail, '\n')+1:]...), nil
}

// event is one line; one of its fields is set, and Tally may be beside Noted.
type event struct {
	Created *Created        `json:"created,omitempty"`
	Forked  *Forked         `json:"forked,omitempty"`
	Started *ProgramStarted `json:"started,omitempty"`
	Failed  *string         `json:"failed,omitempty"`
	Killing bool            `json:"killing,omitempty"`
	Exited  *ProgramExited  `json:"exited,omitempty"`
	Noted   bool            `json:"noted,omitempty"`
	// These are written by a supervisor long after the start.
	Ready     *time.Time `json:"ready,omitempty"`
	Unhealthy string     `json:"unhealthy,omitempty"`
	Ending    string     `json:"ending,omitempty"`
	// Tally stands beside Noted, where one who does not know it passes over it.
	Tally *Tally `json:"tally,omitempty"`
}

func parseRecord(text []byte) *Record {
	r := &Record{}
	var crash [][]byte
	for line := range bytes.Lines(text) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		rest, e := parseLine(line)
		r.add(e)
		if len(rest) > 0 {
			crash = append(crash, rest)
		}
	}
	r.Crash = string(bytes.ToValidUTF8(bytes.Join(crash, []byte("\n")), []byte("?")))
	return r
}

// parseLine finds the event at the end of a line; rest is what stands before
// it, when another line was cut off there, or all.
func parseLine(line []byte) (rest []byte, e event) {
	at := 0
	// More braces than that are in no half line, but may be in a crash's text.
	for range 4 {
		next := bytes.Index(line[at:], []byte(`{"`))
		if next < 0 {
			break
		}
		at += next
		e = event{}
		if json.Unmarshal(line[at:], &e) == nil && e != (event{}) {
			return line[:at], e
		}
		at++
	}
	return line, event{}
}

func (r *Record) add(e event) {
	switch {
	case e.Created != nil:
		r.Created = *e.Created
	case e.Forked != nil:
		r.Forked = e.Forked
	case e.Started != nil:
		r.Started = e.Started
	case e.Failed != nil:
		r.Failed = *e.Failed
	case e.Killing:
		r.Killing = true
	case e.Exited != nil:
		r.Exited = e.Exited
	case e.Noted:
		r.Noted = true
		if e.Tally != nil {
			r.Tally = e.Tally
		}
	case e.Ready != nil:
		r.Ready = *e.Ready
	case e.Unhealthy != "":
		r.Unhealthy = e.Unhealthy
	case e.Ending != "":
		r.Ending = e.Ending
	}
}

// appendEvent writes one line with one write(2).
func appendEvent(f *os.File, e event) error {
	line, err := json.Marshal(e)
	if err == nil {
		_, err = f.Write(append(line, '\n'))
	}
	return err
}
