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

	"lithos/actors/control/api"
)

// Bounds.
const (
	Keep      = 10       // deaths of an instance
	maxBytes  = 16 << 20 // of all files
	queueSize = 1024     // records that wait to be written
	// A file is cut down to the last ones when it has this many lines.
	compactAt = 2 * Keep
)

// Entry is a death to keep, with the part of a log where its output is.
type Entry struct {
	Death *api.Death
	Log   string
	// From and To are offsets in the log; From < 0: there is no output.
	From, To int64
}

// Store keeps deaths. A nil Store takes everything and keeps nothing.
type Store struct {
	dir   string
	log   zerolog.Logger
	queue chan Entry
	done  chan struct{}
	lost  atomic.Int64

	// mu is held by who reads or changes the files.
	mu    sync.Mutex
	files map[string]*file
	bytes int64
}

// file is one instance's.
type file struct {
	lines int
	bytes int64
	last  time.Time
}

// Dir is where deaths are kept below a runtime-dir.
func Dir(runtimeDir string) string { return filepath.Join(runtimeDir, "deaths") }

// New makes a Store and looks at what an earlier daemon has kept.
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
	select {
	case s.queue <- e:
	default:
		s.lost.Add(1)
	}
}

// Lost is how many were lost because too many came at a time.
func (s *Store) Lost() int64 {
	if s == nil {
		return 0
	}
	return s.lost.Load()
}

// Size is the length of a log, 0 if there is none.
func (s *Store) Size(log string) int64 {
	if s == nil || log == "" {
		return 0
	}
	info, err := os.Stat(log)
	if err != nil {
		return 0
	}
	return info.Size()
}

// Close writes what waits, and does not wait for long.
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
	for e := range s.queue {
		s.keep(e)
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
	if err == nil {
		err = s.write(e.Death.Name, append(line, '\n'), e.Death.At)
	}
	if err != nil {
		s.lost.Add(1)
		s.log.Warn().Msgf("Cannot keep how %q died: %v", e.Death.Name, err)
	}
}
