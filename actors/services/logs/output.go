package logs

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// output is one place that lines go to, with the level from which on they do.
type output interface {
	enabled(zerolog.Level) bool
	write(zerolog.Level, *entry, time.Time)
}

// leveled is the part of an output that a reload may change at any time.
type leveled struct {
	level  atomic.Int32
	format atomic.Int32
}

func (l *leveled) set(level zerolog.Level)          { l.level.Store(int32(level)) }
func (l *leveled) shape(format Format)              { l.format.Store(int32(format)) }
func (l *leveled) enabled(level zerolog.Level) bool { return int32(level) >= l.level.Load() }

// stream is an output to something that is open already, and that can be
// written to from several goroutines, as an *os.File can.
type stream struct {
	leveled
	w io.Writer
}

func newStream(w io.Writer, level zerolog.Level) *stream {
	s := &stream{w: w}
	s.set(level)
	return s
}

func (s *stream) write(level zerolog.Level, e *entry, at time.Time) {
	_, _ = s.w.Write(e.in(Format(s.format.Load()), level, at))
}

// logFile is an output to a file. It is reopened at each reload, so that
// one that was renamed is let go.
type logFile struct {
	leveled
	console io.Writer // where it is told that the file can't be written to; nil = nowhere
	mu      sync.Mutex
	path    string
	file    *os.File
	lost    int  // lines since the last one that was written
	torn    bool // the last line in the file is only the half of one
}

func (f *logFile) open(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("cannot open the log file: %w", err)
	}
	f.mu.Lock()
	old := f.file
	f.path, f.file, f.torn = path, file, false
	f.mu.Unlock()
	if old != nil {
		_ = old.Close()
	}
	return nil
}

func (f *logFile) write(level zerolog.Level, e *entry, at time.Time) {
	format := Format(f.format.Load())
	if format == Journal {
		format = Text
	}
	line := e.in(format, level, at)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil {
		return
	}
	if f.lost > 0 {
		gap := entry{Message: fmt.Sprintf("%d log lines were lost: this file could not be written to", f.lost)}
		line = append(gap.in(format, zerolog.ErrorLevel, at), line...)
		if f.torn {
			line = append([]byte{'\n'}, line...)
		}
	}
	n, err := f.file.Write(line)
	if err != nil {
		f.missed(n, err)
		return
	}
	f.lost, f.torn = 0, false
}

// missed notes that a line did not get into the file, most of all because its
// disk is full. Nobody can wait for that: lines are counted until it is over.
func (f *logFile) missed(n int, err error) {
	if n > 0 {
		f.torn = true
	}
	f.lost++
	if f.lost == 1 && f.console != nil {
		fmt.Fprintf(f.console, "Log lines are lost until this is better: %v\n", err)
	}
}

func (f *logFile) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file != nil {
		_ = f.file.Close()
		f.file = nil
	}
}

// tee is the writer of a logger.
type tee []output

// Write implements io.Writer, for entries without a level.
func (t tee) Write(p []byte) (int, error) { return t.WriteLevel(zerolog.ErrorLevel, p) }

// WriteLevel implements zerolog.LevelWriter.
func (t tee) WriteLevel(level zerolog.Level, p []byte) (int, error) {
	e, now := parse(p), time.Now()
	for _, o := range t {
		if o.enabled(level) {
			o.write(level, e, now)
		}
	}
	return len(p), nil
}

// Sample implements zerolog.Sampler: the level that a line must have is asked
// for each time, since a reload changes it for loggers that are in use.
func (t tee) Sample(level zerolog.Level) bool {
	for _, o := range t {
		if o.enabled(level) {
			return true
		}
	}
	return false
}

// logger makes a logger over the outputs.
func (t tee) logger() zerolog.Logger {
	return zerolog.New(t).Level(zerolog.TraceLevel).Sample(t).Hook(caller{})
}

// caller adds file:line to debug and trace lines (P4).
type caller struct{}

// callerFrames is how deep zerolog calls a hook.
const callerFrames = 3

// Run implements zerolog.Hook.
func (caller) Run(e *zerolog.Event, level zerolog.Level, _ string) {
	if level <= zerolog.DebugLevel {
		e.Caller(callerFrames)
	}
}
