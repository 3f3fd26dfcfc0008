package records

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"lithos/spawn/wire"
)

// How much of a record is read, bytes: the supervisor's lines are at its
// beginning, the latest ones of PID 1 at its end.
const (
	recordHead = 16 << 10
	recordTail = 48 << 10
)

// Read reads a record file. Missing and invalid fields are left out: the writer
// may have died over a line.
func Read(path string) (*Record, error) { return readRecord(path, true) }

// ReadEnd is [Read] for the supervisor that has begun the record, when the
// container has ended: without Created, which takes as long as all the rest.
func ReadEnd(path string) (*Record, error) { return readRecord(path, false) }

func readRecord(path string, all bool) (*Record, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot read a container's record: %w", err)
	}
	defer f.Close()
	text, err := readEnds(f)
	if err != nil {
		return nil, fmt.Errorf("cannot read a container's record: %w", err)
	}
	r := parse(text, all)
	r.Created.At = byPresentClock(r.Created.At, r.Created.Boot)
	if t := r.Tally; t != nil {
		t.Tried = byPresentClock(t.Tried, t.Boot)
	}
	return r, nil
}

// clockSet is how far the clock must be off what it was for it to have been set. Less
// is what it is kept right by, and what it takes to look at two clocks.
const clockSet = time.Second

// byPresentClock is what the clock of the present would have said at a time that is
// known by the time since the boot, too: the clock may have been set since, and what
// is counted from there, such as restart-timeout, must neither take a day longer
// for that nor be over at once. If the clock is set later, the result is counted from
// rightly all the same: it has a reading of the monotonic clock.
func byPresentClock(at time.Time, boot int64) time.Time {
	now, up := time.Now(), sinceBoot()
	age := up - time.Duration(boot)
	if boot <= 0 || age < 0 || up <= 0 {
		return at
	}
	if set := now.Add(-age); set.Sub(at).Abs() > clockSet {
		return set
	}
	return now.Add(at.Sub(now))
}

// bootTime is a time in nanoseconds since the boot, 0 if it is none or can't be told.
func bootTime(at time.Time) int64 {
	now := sinceBoot()
	if at.IsZero() || now == 0 {
		return 0
	}
	return max(0, int64(now-time.Since(at)))
}

// sinceBoot is how long the host runs, 0 if it can't be told.
func sinceBoot() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
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
	Created *Created             `json:"created,omitempty"`
	Forked  *Forked              `json:"forked,omitempty"`
	Started *wire.ProgramStarted `json:"started,omitempty"`
	Failed  *string              `json:"failed,omitempty"`
	Killing bool                 `json:"killing,omitempty"`
	Exited  *wire.ProgramExited  `json:"exited,omitempty"`
	Noted   bool                 `json:"noted,omitempty"`
	// These are written by a supervisor long after the start.
	Ready     *time.Time `json:"ready,omitempty"`
	Unhealthy string     `json:"unhealthy,omitempty"`
	Ending    string     `json:"ending,omitempty"`
	// Tally stands beside Noted, where one who does not know it passes over it.
	Tally *Tally `json:"tally,omitempty"`
}

func parseRecord(text []byte) *Record { return parse(text, true) }

// parse reads the lines, all or without the first.
func parse(text []byte, all bool) *Record {
	r := &Record{}
	var crash [][]byte
	for line := range bytes.Lines(text) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		if !all && bytes.HasPrefix(line, []byte(`{"created":{`)) && json.Valid(line) {
			continue
		}
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
	if e, ok := parseOwn(line); ok {
		return nil, e
	}
	at := 0
	// More braces than that are in no half line, but may be in a crash's text.
	for range 4 {
		next := bytes.Index(line[at:], []byte(`{"`))
		if next < 0 {
			break
		}
		at += next
		e = event{}
		// A whole line that says nothing is an event of a later release.
		if json.Unmarshal(line[at:], &e) == nil && (at == 0 || e != (event{})) {
			return line[:at], e
		}
		at++
	}
	return line, event{}
}

// parseOwn reads the lines that are written in the life of any container after the
// first, in exactly the form in which they are; all others are package json's, which
// takes ten times as long.
func parseOwn(line []byte) (e event, ok bool) {
	s := scanner{rest: line, ok: true}
	switch {
	case s.is(`{"started":{"pid":`):
		var p wire.ProgramStarted
		p.PID = int(s.number())
		p.At = s.time()
		e.Started = &p
	case s.is(`{"forked":{"pid":`):
		var p Forked
		p.PID = int(s.number())
		s.must(`,"start_time":`)
		since := s.number()
		s.ok = s.ok && since >= 0
		p.StartTime = uint64(since)
		e.Forked = &p
	case s.is(`{"exited":{"code":`):
		var p wire.ProgramExited
		p.Code = int(s.number())
		s.must(`,"signal":`)
		p.Signal = int(s.number())
		s.must(`,"asked":`)
		p.Asked = s.is("true")
		if !p.Asked {
			s.must("false")
		}
		s.must(`,"utime_ns":`)
		p.UserTime = time.Duration(s.number())
		s.must(`,"stime_ns":`)
		p.SysTime = time.Duration(s.number())
		s.must(`,"maxrss_bytes":`)
		p.MaxRSS = s.number()
		s.must(`,"uptime_ns":`)
		p.Uptime = time.Duration(s.number())
		p.At = s.time()
		e.Exited = &p
	default:
		return event{}, false
	}
	s.must("}}")
	if !s.ok || len(s.rest) > 0 {
		return event{}, false
	}
	return e, true
}

// scanner reads what stands at the beginning of rest; ok is over for good with
// the first thing that is not as expected.
type scanner struct {
	rest []byte
	ok   bool
}

func (s *scanner) is(text string) bool {
	if len(s.rest) < len(text) || string(s.rest[:len(text)]) != text {
		return false
	}
	s.rest = s.rest[len(text):]
	return true
}

func (s *scanner) must(text string) { s.ok = s.is(text) && s.ok }

// number is one as package json would take it.
func (s *scanner) number() int64 {
	negative := s.is("-")
	var n int64
	i := 0
	for ; i < len(s.rest) && i < 18 && s.rest[i] >= '0' && s.rest[i] <= '9'; i++ {
		n = n*10 + int64(s.rest[i]-'0')
	}
	s.ok = s.ok && i > 0 && (i == 1 || s.rest[0] != '0')
	s.rest = s.rest[i:]
	if negative {
		return -n
	}
	return n
}

// time is the member "at", which is the last.
func (s *scanner) time() (t time.Time) {
	s.must(`,"at":`)
	end := bytes.IndexByte(s.rest, '}')
	if end < 0 || t.UnmarshalJSON(s.rest[:end]) != nil {
		s.ok = false
		return t
	}
	s.rest = s.rest[end:]
	return t
}

func (r *Record) add(e event) {
	switch {
	case e.Created != nil:
		r.Created = *e.Created
	case e.Forked != nil:
		r.Forked = e.Forked
	case e.Started != nil:
		r.Started, r.Again = e.Started, r.Exited != nil
	case e.Failed != nil:
		r.Failed = *e.Failed
	case e.Killing:
		r.Killing = true
	case e.Exited != nil:
		r.Exited, r.Again = e.Exited, false
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
