package logs

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/rs/zerolog"

	"lithos/configs"
)

// Options are the command line's options about logs.
type Options struct {
	// Stderr gets everything too (`--log-stderr`), from several goroutines;
	// nil = not asked for.
	Stderr io.Writer
	// Journal says that systemd's journal reads it: what would be text is
	// written in the form Journal.
	Journal bool
	// Level overrides every log-level of the configs; "" = it does not.
	Level string
	// Console is where a problem with logging itself is told.
	Console io.Writer
	// SyslogNetwork and SyslogAddr are where syslog listens, "" = the local
	// daemon's socket; for tests.
	SyslogNetwork, SyslogAddr string
}

// Set is all logs of the daemon.
type Set struct {
	options Options
	console *stream // stderr, nil if not asked for
	syslog  *syslogger
	name    string // syslog-name
	file    *logFile
	main    *tagged
	master  tee

	mu        sync.Mutex
	format    Format
	shown     string // the level of the daemon's own log
	sandboxes map[*Sandbox]bool
}

// Open opens the daemon's own log as the master config says.
func Open(m *configs.Master, o Options) (*Set, error) {
	s := &Set{options: o, name: m.SyslogName, sandboxes: make(map[*Sandbox]bool)}
	s.show(cmp.Or(o.Level, m.LogLevel, defaultLevel))
	level, err := s.level(m.LogLevel)
	if err != nil {
		return nil, err
	}
	s.format = FormatOf(m.LogFormat)
	if o.Stderr != nil {
		s.console = newStream(o.Stderr, level)
		s.console.shape(s.consoleFormat())
		s.master = append(s.master, s.console)
	}
	if m.SyslogFacility != "" {
		facility, err := parseFacility(m.SyslogFacility)
		if err == nil {
			s.syslog = newSyslogger(facility, o.SyslogNetwork, o.SyslogAddr)
			s.main = s.tagged(m.SyslogName, level)
			s.master = append(s.master, s.main)
			return s, nil
		}
		if o.Console != nil {
			fmt.Fprintf(o.Console, "%v. Logging to files instead.\n", err)
		}
	}
	s.file = &logFile{console: o.Console}
	s.file.set(level)
	s.file.shape(s.format)
	if err := s.file.open(m.LogFile); err != nil {
		return nil, fmt.Errorf("%w; see log-file and default-log-dir in %s", err, m.File)
	}
	s.master = append(s.master, s.file)
	return s, nil
}

// To makes a set that writes everything to one place, from several goroutines.
func To(w io.Writer, level zerolog.Level) *Set {
	s := &Set{console: newStream(w, level), shown: level.String(), sandboxes: make(map[*Sandbox]bool)}
	s.master = tee{s.console}
	return s
}

// Master is the daemon's own log.
func (s *Set) Master() zerolog.Logger { return s.master.logger() }

// Reload reopens the daemon's own log file and applies a changed level.
// Whether it is syslog or files stays as it was.
func (s *Set) Reload(m *configs.Master) error {
	level, err := s.level(m.LogLevel)
	if err != nil {
		return err
	}
	s.show(cmp.Or(s.options.Level, m.LogLevel, defaultLevel))
	s.set(level)
	s.reshape(FormatOf(m.LogFormat))
	if s.file == nil {
		return nil
	}
	return s.file.open(m.LogFile)
}

// set applies a level to the daemon's own log.
func (s *Set) set(level zerolog.Level) {
	if s.console != nil {
		s.console.set(level)
	}
	if s.main != nil {
		s.main.set(level)
	}
	if s.file != nil {
		s.file.set(level)
	}
}

// reshape applies a format to all logs.
func (s *Set) reshape(format Format) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.format = format
	if s.console != nil {
		s.console.shape(s.consoleFormat())
	}
	if s.file != nil {
		s.file.shape(format)
	}
	for sb := range s.sandboxes {
		if sb.file != nil {
			sb.file.shape(format)
		}
	}
}

// consoleFormat is the form of lines on standard error.
func (s *Set) consoleFormat() Format {
	if s.options.Journal && s.format == Text {
		return Journal
	}
	return s.format
}

// SetLevel changes the level of all logs until the next reload.
func (s *Set) SetLevel(name string) error {
	level, err := ParseLevel(name)
	if err != nil {
		return err
	}
	s.set(level)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shown = strings.ToLower(name)
	for sb := range s.sandboxes {
		sb.set(level)
	}
	return nil
}

// Level is that of the daemon's own log.
func (s *Set) Level() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown
}

func (s *Set) show(level string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shown = strings.ToLower(level)
}

// defaultLevel is B14.
const defaultLevel = "warn"

// Close flushes the queues and closes the files.
func (s *Set) Close() {
	if s.syslog != nil {
		s.syslog.close()
	}
	if s.file != nil {
		s.file.close()
	}
}

func (s *Set) level(configured string) (zerolog.Level, error) {
	return ParseLevel(cmp.Or(s.options.Level, configured, defaultLevel))
}

func (s *Set) tagged(tag string, level zerolog.Level) *tagged {
	t := &tagged{tag: tag, sink: s.syslog}
	t.set(level)
	return t
}

// Sandbox is the supervisor log of one sandbox (C6). Its lines go to the daemon's
// own log too, each by its own level; with syslog only under the sandbox's name.
type Sandbox struct {
	all    *Set
	name   string
	file   *logFile
	tagged *tagged
	out    tee
}

// Sandbox opens the log of a sandbox.
func (s *Set) Sandbox(name string, c *configs.SandboxConfig) (*Sandbox, error) {
	sb := &Sandbox{all: s}
	switch {
	case s.syslog != nil:
		if s.console != nil {
			sb.out = append(sb.out, s.console)
		}
		sb.tagged = s.tagged(s.name+"-"+name, zerolog.WarnLevel)
		sb.out = append(sb.out, sb.tagged)
	case s.file == nil: // made by To
		sb.out = s.master
	default:
		sb.file = &logFile{console: s.options.Console}
		sb.out = append(append(sb.out, s.master...), sb.file)
	}
	s.mu.Lock()
	s.sandboxes[sb] = true
	if sb.file != nil {
		sb.file.shape(s.format)
	}
	s.mu.Unlock()
	sb.name = name
	return sb, sb.Reload(c)
}

// set applies a level.
func (sb *Sandbox) set(level zerolog.Level) {
	if sb.tagged != nil {
		sb.tagged.set(level)
	}
	if sb.file != nil {
		sb.file.set(level)
	}
}

// Reload reopens the file, under another name if the config says so, and
// applies a changed level.
func (sb *Sandbox) Reload(c *configs.SandboxConfig) error {
	level, err := sb.all.level(c.LogLevel)
	if err != nil {
		return err
	}
	sb.set(level)
	if sb.file == nil {
		return nil
	}
	return sb.file.open(c.LogFile)
}

// Logger writes to the sandbox's log.
func (sb *Sandbox) Logger() zerolog.Logger {
	return sb.out.logger().With().Str("sandbox", sb.name).Logger()
}

// Close closes the file.
func (sb *Sandbox) Close() {
	sb.all.mu.Lock()
	delete(sb.all.sandboxes, sb)
	sb.all.mu.Unlock()
	if sb.file != nil {
		sb.file.close()
	}
}
