package main

import (
	"bytes"
	"time"

	"lithos/sysx/rotate"
)

const (
	chunk = 256 << 10
	// longest is how long a line may be that is kept whole.
	longest = 1 << 20
)

// source is the log of one sandbox, read by the offsets of [rotate.End].
type source struct {
	sandbox string
	path    string
	next    int64  // offset of what was not read yet
	rest    []byte // of a line that is not complete
	lines   []line // that were read, and not taken
	at      time.Time
}

// rewind goes back to where the last n lines begin (-1 = all), and not to before the
// last line that is older than since.
func (s *source) rewind(n int, since time.Time) error {
	s.next, s.rest = 0, nil
	var head []byte // of the line that the chunk before ends with
	for to, lines := rotate.End(s.path), 0; to > 0; {
		from := max(0, to-chunk)
		part, err := rotate.Read(s.path, from, to)
		if err != nil {
			return err
		}
		oldest := from == 0 || int64(len(part)) < to-from // what is older is gone
		first := to - int64(len(part))
		text := append(part, head...)
		end := len(text)
		for end > 0 {
			begin := bytes.LastIndexByte(text[:end-1], '\n') + 1
			if begin == 0 && !oldest {
				break
			}
			if at, ok := timeOf(text[begin:end]); ok && at.Before(since) {
				s.next, s.at = first+int64(end), at
				return nil
			}
			if lines++; n >= 0 && lines > n {
				s.next = first + int64(end)
				return nil
			}
			end = begin
		}
		if s.next = first; oldest || end > longest {
			return nil
		}
		head, to = bytes.Clone(text[:end]), from
	}
	return nil
}

// read takes in what was written since, at most a chunk; false = nothing. A file that
// is shorter than it was begins anew: somebody else has emptied or replaced it.
func (s *source) read() (bool, error) {
	end := rotate.End(s.path)
	if end < s.next {
		s.next, s.rest = 0, nil
	}
	to := min(end, s.next+chunk)
	if to == s.next {
		return false, nil
	}
	part, err := rotate.Read(s.path, s.next, to)
	if err != nil {
		return false, err
	}
	s.next = to
	text := append(s.rest, part...)
	for {
		end := bytes.IndexByte(text, '\n')
		if end < 0 {
			break
		}
		s.add(text[:end])
		text = text[end+1:]
	}
	if len(text) > longest {
		s.add(text)
		text = nil
	}
	s.rest = bytes.Clone(text)
	return true, nil
}

func (s *source) add(text []byte) {
	for _, l := range parse(s.sandbox, bytes.TrimSuffix(text, []byte("\r"))) {
		if !l.Time.IsZero() {
			s.at = l.Time
		}
		l.at = s.at
		s.lines = append(s.lines, l)
	}
}

// peek is the next line, nil = all that is there was taken. With whole, what the log
// ends with is a line though it has no end yet.
func (s *source) peek(whole bool) (*line, error) {
	for len(s.lines) == 0 {
		more, err := s.read()
		switch {
		case err != nil:
			return nil, err
		case more:
		case whole && len(s.rest) > 0:
			s.add(s.rest)
			s.rest = nil
		default:
			return nil, nil
		}
	}
	return &s.lines[0], nil
}
