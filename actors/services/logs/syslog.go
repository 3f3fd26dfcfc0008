package logs

import (
	"fmt"
	"log/syslog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// facilities are the values of `syslog-facility`, each also as LOG_NAME.
var facilities = map[string]syslog.Priority{
	"kern": syslog.LOG_KERN, "user": syslog.LOG_USER, "mail": syslog.LOG_MAIL, "daemon": syslog.LOG_DAEMON,
	"auth": syslog.LOG_AUTH, "syslog": syslog.LOG_SYSLOG, "lpr": syslog.LOG_LPR, "news": syslog.LOG_NEWS,
	"uucp": syslog.LOG_UUCP, "cron": syslog.LOG_CRON, "authpriv": syslog.LOG_AUTHPRIV, "ftp": syslog.LOG_FTP,
	"local0": syslog.LOG_LOCAL0, "local1": syslog.LOG_LOCAL1, "local2": syslog.LOG_LOCAL2,
	"local3": syslog.LOG_LOCAL3, "local4": syslog.LOG_LOCAL4, "local5": syslog.LOG_LOCAL5,
	"local6": syslog.LOG_LOCAL6, "local7": syslog.LOG_LOCAL7,
}

func parseFacility(name string) (syslog.Priority, error) {
	f, ok := facilities[strings.TrimPrefix(strings.ToLower(name), "log_")]
	if !ok {
		return 0, fmt.Errorf("unknown syslog-facility %q: use daemon, user, local0 … local7 or another of syslog(3)", name)
	}
	return f, nil
}

// syslogQueue is how many lines may wait for a syslog daemon that is slow or
// away; more are dropped and counted, since nobody must wait for it.
const syslogQueue = 1024

// syslogger sends lines to the local syslog daemon, from one goroutine.
type syslogger struct {
	facility      syslog.Priority
	network, addr string // "" is the local daemon's socket
	lines         chan syslogLine
	dropped       atomic.Int64
	done          chan struct{}
	conns         map[string]*syslog.Writer // by tag; the goroutine's own
}

type syslogLine struct {
	tag   string
	level zerolog.Level
	text  string
}

func newSyslogger(facility syslog.Priority, network, addr string) *syslogger {
	s := &syslogger{
		facility: facility, network: network, addr: addr,
		lines: make(chan syslogLine, syslogQueue),
		done:  make(chan struct{}),
		conns: make(map[string]*syslog.Writer),
	}
	go s.run()
	return s
}

func (s *syslogger) run() {
	defer close(s.done)
	for line := range s.lines {
		if n := s.dropped.Load(); n > 0 && s.send(syslogLine{line.tag, zerolog.ErrorLevel,
			fmt.Sprintf("%d log lines were lost: syslog did not take them", n)}) {
			s.dropped.Add(-n)
		}
		if !s.send(line) {
			s.dropped.Add(1)
		}
	}
	for _, conn := range s.conns {
		_ = conn.Close()
	}
}

// send tells whether the daemon has taken the line.
func (s *syslogger) send(line syslogLine) bool {
	conn := s.conns[line.tag]
	if conn == nil {
		var err error
		if conn, err = syslog.Dial(s.network, s.addr, s.facility|syslog.LOG_WARNING, line.tag); err != nil {
			return false
		}
		s.conns[line.tag] = conn
	}
	write := conn.Debug
	switch line.level {
	case zerolog.ErrorLevel:
		write = conn.Err
	case zerolog.WarnLevel:
		write = conn.Warning
	case zerolog.InfoLevel:
		write = conn.Info
	}
	return write(line.text) == nil
}

// close sends queued lines, with a short deadline.
func (s *syslogger) close() {
	close(s.lines)
	select {
	case <-s.done:
	case <-time.After(2 * time.Second):
	}
}

// tagged is an output to syslog under one name (B16).
type tagged struct {
	leveled
	tag  string
	sink *syslogger
}

func (t *tagged) write(level zerolog.Level, e *entry, _ time.Time) {
	select {
	case t.sink.lines <- syslogLine{t.tag, level, e.text()}:
	default:
		t.sink.dropped.Add(1)
	}
}
