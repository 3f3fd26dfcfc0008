package deaths

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"lithos/actors/services/api"
	"lithos/sysx/rotate"
)

// Bounds.
const (
	Keep       = 10          // deaths of an instance
	maxBytes   = 16 << 20    // of all files
	queueSize  = 1024        // records that wait to be written
	waitBound  = 1024        // records that could not be written, and are tried again
	retryPause = time.Second // between two tries
	// A file is cut down to the last ones when it has this many lines.
	compactAt = 2 * Keep
)

// Entry is a death to keep, with the part of a log where its output is.
type Entry struct {
	Death *api.Death
	Log   string
	// From and To are offsets in the log, as [Store.Size] counts them; From < 0:
	// there is no output.
	From, To int64

	done chan struct{} // closed when it was looked at, nil = nobody waits
	then func()        // called after that, nil = nothing to do
}

// Store keeps deaths. A nil Store takes everything and keeps nothing.
type Store struct {
	dir     string
	log     zerolog.Logger
	queue   chan Entry
	done    chan struct{}
	lost    atomic.Int64
	pending atomic.Int64 // added, not yet looked at

	// mu is held by who reads or changes the files.
	mu    sync.Mutex
	files map[string]*file
	bytes int64
	// waiting are those that could not be written: the disk was full or
	// read-only, or no descriptor was to be had. The oldest is the first.
	waiting []record
}

// record is a line of a file.
type record struct {
	name string
	line []byte
	at   time.Time
}

// file is one instance's.
type file struct {
	lines int
	bytes int64
	last  time.Time
}

// Dir is where deaths are kept below a runtime-dir.
func Dir(runtimeDir string) string { return filepath.Join(runtimeDir, "deaths") }

// New makes a Store and reads the archive of an earlier daemon.
func New(dir string, log zerolog.Logger) (*Store, error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("cannot make the directory of death records: %w", err)
	}
	s := &Store{
		dir: dir, log: log, queue: make(chan Entry, queueSize), done: make(chan struct{}),
		files: make(map[string]*file),
	}
	s.survey()
	go s.run()
	return s, nil
}

// Add hands a death over. It never waits.
func (s *Store) Add(e Entry) {
	if s == nil {
		return
	}
	s.pending.Add(1)
	select {
	case s.queue <- e:
	default:
		s.pending.Add(-1)
		s.lost.Add(1)
	}
}

// Patience is how long [Store.AddNow] waits. To append a line takes a fraction of
// a millisecond, also on a disk that is full.
const Patience = 200 * time.Millisecond

// AddNow hands a death over and returns when it is written, or could not be, or
// after a moment at the most: for who next writes down that it was told.
func (s *Store) AddNow(e Entry) {
	if s == nil {
		return
	}
	limit := time.NewTimer(Patience)
	defer limit.Stop()
	select {
	case <-s.AddSoon(e, nil):
	case <-limit.C:
	}
}

// AddSoon hands a death over for who has other things to do until it is written, or
// could not be: then the result is closed. Where that is not so when it returns, then
// is called afterwards. It waits for no more than a moment for a place in the queue.
func (s *Store) AddSoon(e Entry, then func()) (kept <-chan struct{}) {
	e.done, e.then = make(chan struct{}), then
	if s == nil {
		close(e.done)
		return e.done
	}
	s.pending.Add(1)
	select {
	case s.queue <- e:
		return e.done
	default:
	}
	limit := time.NewTimer(Patience)
	defer limit.Stop()
	select {
	case s.queue <- e:
	case <-limit.C:
		s.pending.Add(-1)
		s.lost.Add(1)
		close(e.done)
	}
	return e.done
}

// looked wakes the waiting callers.
func (e *Entry) looked() {
	if e.done != nil {
		close(e.done)
	}
	if e.then != nil {
		e.then()
	}
}

// Told is the death of the container whose PID 1 was pid and that was made at a
// time, if it is kept already: by a daemon that was killed before it could write
// that into the container's record. nil = it is not.
func (s *Store) Told(name string, pid int, created time.Time) *api.Death {
	list, err := s.Read(name)
	if err != nil || len(list) == 0 || pid == 0 || list[0].PID != pid || list[0].At.Before(created) {
		return nil
	}
	return &list[0]
}

// Flush returns when what was added is written, or could not be, or the limit is
// over.
func (s *Store) Flush(limit time.Duration) {
	if s == nil {
		return
	}
	for end := time.Now().Add(limit); s.pending.Load() > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

// Lost is how many were lost: too many came at a time, or could not be written.
func (s *Store) Lost() int64 {
	if s == nil {
		return 0
	}
	return s.lost.Load()
}

// Size is how much was ever written to a log, also what was rotated since; 0 if
// there is none.
func (s *Store) Size(log string) int64 {
	if s == nil || log == "" {
		return 0
	}
	return rotate.End(log)
}

// Close writes queued deaths, with a short deadline.
func (s *Store) Close() {
	if s == nil {
		return
	}
	close(s.queue)
	select {
	case <-s.done:
	case <-time.After(2 * time.Second):
	}
}

func (s *Store) run() {
	defer close(s.done)
	var again <-chan time.Time
	for {
		if len(s.waiting) > 0 && again == nil {
			again = time.After(retryPause)
		}
		select {
		case e, open := <-s.queue:
			if !open {
				s.giveUp()
				return
			}
			s.keep(e)
			s.pending.Add(-1)
			e.looked()
		case <-again:
			again = nil
			s.catchUp()
		}
	}
}

func (s *Store) keep(e Entry) {
	defer func() {
		// No record is worth the daemon.
		if reason := recover(); reason != nil {
			s.lost.Add(1)
			s.log.Error().Msgf("Internal error over a death record; please report it: %v", reason)
		}
	}()
	e.Death.Output = tail(e.Log, e.From, e.To)
	line, err := json.Marshal(e.Death)
	if err == nil && !filepath.IsLocal(e.Death.Name) {
		err = errors.New("it has a strange name")
	}
	if err != nil {
		s.lost.Add(1)
		s.log.Warn().Msgf("Cannot archive the death of %q: %v", e.Death.Name, err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := record{e.Death.Name, append(line, '\n'), e.Death.At}
	if len(s.waiting) == 0 {
		if err = s.write(r); err == nil {
			return
		}
		s.log.Error().Msgf("Cannot archive the death of %q, nor later ones until this is solved: %v", r.name, err)
	}
	if len(s.waiting) == waitBound {
		s.waiting = s.waiting[1:]
		s.lost.Add(1)
	}
	s.waiting = append(s.waiting, r)
}

// catchUp writes queued deaths, up to one that still cannot be written.
func (s *Store) catchUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.waiting)
	for len(s.waiting) > 0 {
		if s.write(s.waiting[0]) != nil {
			return
		}
		s.waiting = s.waiting[1:]
	}
	s.waiting = nil
	s.log.Warn().Msgf("Deaths are kept again: %d that had to wait, %d lost since the daemon's start", n, s.lost.Load())
}

// giveUp is the last try.
func (s *Store) giveUp() {
	if len(s.waiting) == 0 {
		return
	}
	s.catchUp()
	if n := len(s.waiting); n > 0 {
		s.lost.Add(int64(n))
		s.log.Error().Msgf("How %d containers died is lost: it could not be written down", n)
	}
}
