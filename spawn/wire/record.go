package wire

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// ProgramStarted is written by PID 1 when the program was executed.
type ProgramStarted struct {
	PID int       `json:"pid"` // inside the container
	At  time.Time `json:"at"`
}

// ProgramExited is written by PID 1 when the program ended.
type ProgramExited struct {
	Code     int           `json:"code"`   // exit code, -1 if a signal ended it
	Signal   int           `json:"signal"` // 0 if it exited
	Asked    bool          `json:"asked"`  // after TERM was forwarded
	UserTime time.Duration `json:"utime_ns"`
	SysTime  time.Duration `json:"stime_ns"`
	MaxRSS   int64         `json:"maxrss_bytes"`
	Uptime   time.Duration `json:"uptime_ns"`
	At       time.Time     `json:"at"`
}

// maxText is the most of a text that goes into a line, bytes.
const maxText = 4096

// MaxRecord is how large PID 1 may let the record grow, bytes. A container
// that restarts its program for months would fill the runtime directory: when
// the file is larger, PID 1 cuts it (ftruncate) to the length it had before
// the second start of the program, by when the supervisor's lines are in it.
const MaxRecord = 32 << 10

// The Append functions append one line of the record to b. PID 1 writes it
// with one write(2), so that lines of the supervisor don't get into the middle.

// AppendStarted is `{"started":{…}}`.
func AppendStarted(b []byte, s *ProgramStarted) []byte {
	b = append(b, `{"started":{"pid":`...)
	b = strconv.AppendInt(b, int64(s.PID), 10)
	b = appendTime(append(b, `,"at":`...), s.At)
	return append(b, "}}\n"...)
}

// AppendFailed is `{"failed":"why"}`: the container could not be built.
func AppendFailed(b []byte, why string) []byte {
	b = appendString(append(b, `{"failed":`...), why)
	return append(b, "}\n"...)
}

// AppendKilling is `{"killing":true}`: the kill-timeout ran out.
func AppendKilling(b []byte) []byte { return append(b, "{\"killing\":true}\n"...) }

// AppendExited is `{"exited":{…}}`.
func AppendExited(b []byte, e *ProgramExited) []byte {
	b = append(b, `{"exited":{"code":`...)
	b = strconv.AppendInt(b, int64(e.Code), 10)
	b = strconv.AppendInt(append(b, `,"signal":`...), int64(e.Signal), 10)
	b = strconv.AppendBool(append(b, `,"asked":`...), e.Asked)
	b = strconv.AppendInt(append(b, `,"utime_ns":`...), int64(e.UserTime), 10)
	b = strconv.AppendInt(append(b, `,"stime_ns":`...), int64(e.SysTime), 10)
	b = strconv.AppendInt(append(b, `,"maxrss_bytes":`...), e.MaxRSS, 10)
	b = strconv.AppendInt(append(b, `,"uptime_ns":`...), int64(e.Uptime), 10)
	b = appendTime(append(b, `,"at":`...), e.At)
	return append(b, "}}\n"...)
}

func appendTime(b []byte, t time.Time) []byte {
	b = append(b, '"')
	b = AppendTime(b, t, true)
	return append(b, '"')
}

// appendString is a JSON string of at most maxText bytes of s.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	if len(s) > maxText {
		s = s[:maxText]
	}
	b = append(b, '"')
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', s[i])
		case r < ' ' || r == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default: // an invalid byte is U+FFFD here
			b = utf8.AppendRune(b, r)
		}
		i += n
	}
	return append(b, '"')
}
