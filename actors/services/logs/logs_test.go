package logs

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"lithos/configs"
)

func master(dir string) *configs.Master {
	return &configs.Master{
		File: "/etc/lithos/master.yaml", LogFile: filepath.Join(dir, "master.log"), LogLevel: "warn", SyslogName: "lithos",
	}
}

func sandboxConfig(dir, level string) *configs.SandboxConfig {
	return &configs.SandboxConfig{LogFile: filepath.Join(dir, "web.log"), LogLevel: level}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// sayAll says one line at each level, named like the level.
func sayAll(log zerolog.Logger) {
	log.Trace().Msg("trace")
	log.Debug().Msg("debug")
	log.Info().Msg("info")
	log.Warn().Msg("warn")
	log.Error().Msg("error")
}

var said = regexp.MustCompile(`(?m)(trace|debug|info|warn|error)$`)

func wantSaid(t *testing.T, text string, want ...string) {
	t.Helper()
	if got := said.FindAllString(text, -1); !slices.Equal(got, want) {
		t.Errorf("said %q, want %q", got, want)
	}
}

// Covers: P4
func TestLineFormat(t *testing.T) {
	var b bytes.Buffer
	log := To(&b, zerolog.TraceLevel).Master()
	sayAll(log)
	log.Error().Msg("an image's \x1b[31mfile name\x00\nwith several\nlines\n")
	log.Warn().Msg("tab\tand “ünïcode”")
	lines := strings.Split(b.String(), "\n")
	at := `^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\]`
	for i, want := range []string{
		at + `\[TRACE\]\S*/logs_test\.go:\d+: trace$`,
		at + `\[DEBUG\]\S*/logs_test\.go:\d+: debug$`,
		at + `\[INFO\] info$`,
		at + `\[WARN\] warn$`,
		at + `\[ERROR\] error$`,
		at + `\[ERROR\] an image's \\x1b\[31mfile name\\x00$`,
		`^\twith several$`,
		`^\tlines$`,
		at + `\[WARN\] tab\tand “ünïcode”$`,
		`^$`,
	} {
		if i >= len(lines) || !regexp.MustCompile(want).MatchString(lines[i]) {
			t.Errorf("line %d is %q, want %s", i, lines[min(i, len(lines)-1)], want)
		}
	}
}

// Covers: B14
func TestParseLevel(t *testing.T) {
	for name, want := range map[string]zerolog.Level{
		"error": zerolog.ErrorLevel, "WARN": zerolog.WarnLevel, "Info": zerolog.InfoLevel,
		"debug": zerolog.DebugLevel, "trace": zerolog.TraceLevel, "off": zerolog.Disabled,
	} {
		if got, err := ParseLevel(name); got != want || err != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for _, name := range []string{"", "warning", "fatal", "1"} {
		if _, err := ParseLevel(name); err == nil {
			t.Errorf("%q is accepted", name)
		}
	}
}

// Covers: B14
func TestCommandLineOverridesTheLevel(t *testing.T) {
	tests := []struct {
		name, config, override string
		want                   []string
	}{
		{"the config's", "info", "", []string{"info", "warn", "error"}},
		{"the default is warn", "", "", []string{"warn", "error"}},
		{"the command line overrides it", "error", "debug", []string{"debug", "info", "warn", "error"}},
		{"off", "off", "", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			m := master(dir)
			m.LogLevel = test.config
			set, err := Open(m, Options{Level: test.override})
			if err != nil {
				t.Fatal(err)
			}
			defer set.Close()
			sayAll(set.Master())
			wantSaid(t, read(t, m.LogFile), test.want...)
		})
	}
}

// Covers: B13, P5
func TestMasterLogIsAppendedTo(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		set, err := Open(master(dir), Options{})
		if err != nil {
			t.Fatal(err)
		}
		sayAll(set.Master())
		set.Close()
	}
	wantSaid(t, read(t, filepath.Join(dir, "master.log")), "warn", "error", "warn", "error")
	m := master(filepath.Join(dir, "missing"))
	if _, err := Open(m, Options{}); err == nil || !strings.Contains(err.Error(), "default-log-dir") {
		t.Errorf("for a directory that is missing: %v", err)
	}
}

// Covers: C6, C7, P5
func TestSandboxHasItsOwnLog(t *testing.T) {
	dir := t.TempDir()
	set, err := Open(master(dir), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	web, err := set.Sandbox("web", sandboxConfig(dir, "info"))
	if err != nil {
		t.Fatal(err)
	}
	defer web.Close()
	log := web.Logger()
	sayAll(log)
	wantSaid(t, read(t, filepath.Join(dir, "web.log")), "info", "warn", "error")
	wantSaid(t, read(t, filepath.Join(dir, "master.log")), "warn", "error")

	// A logger that is in use follows a changed level, of either file.
	if err := web.Reload(sandboxConfig(dir, "error")); err != nil {
		t.Fatal(err)
	}
	m := master(dir)
	m.LogLevel = "debug"
	if err := set.Reload(m); err != nil {
		t.Fatal(err)
	}
	sayAll(log)
	wantSaid(t, read(t, filepath.Join(dir, "web.log")), "info", "warn", "error", "error")
	wantSaid(t, read(t, filepath.Join(dir, "master.log")), "warn", "error", "debug", "info", "warn", "error")
}

// Covers: C6
func TestSandboxLogThatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	set, err := Open(master(dir), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	web, err := set.Sandbox("web", sandboxConfig(filepath.Join(dir, "missing"), "info"))
	if err == nil {
		t.Error("no error")
	}
	sayAll(web.Logger())
	wantSaid(t, read(t, filepath.Join(dir, "master.log")), "warn", "error")
}

// Covers: P5
func TestReloadReopensRenamedFiles(t *testing.T) {
	dir := t.TempDir()
	set, err := Open(master(dir), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	log := set.Master()
	log.Error().Msg("error")
	path := filepath.Join(dir, "master.log")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	log.Error().Msg("error")
	if err := set.Reload(master(dir)); err != nil {
		t.Fatal(err)
	}
	log.Warn().Msg("warn")
	wantSaid(t, read(t, path+".1"), "error", "error")
	wantSaid(t, read(t, path), "warn")
}

// Covers: R1
func TestLogStderrCopiesLines(t *testing.T) {
	dir := t.TempDir()
	var b bytes.Buffer
	set, err := Open(master(dir), Options{Stderr: &b})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	web, err := set.Sandbox("web", sandboxConfig(dir, "error"))
	if err != nil {
		t.Fatal(err)
	}
	sayAll(web.Logger())
	wantSaid(t, b.String(), "warn", "error")
	wantSaid(t, read(t, filepath.Join(dir, "master.log")), "warn", "error")
}

// Two lines are not written at all, and half of a third, as it is where the disk
// is full.
//
// Covers: P5
func TestLostLinesAreCounted(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		var console bytes.Buffer
		f := &logFile{console: &console}
		f.shape(FormatOf(format))
		log := tee{f}.logger()
		f.file = read // which nobody can write to
		log.Error().Msg("error")
		log.Error().Msg("error")
		f.missed(3, os.ErrClosed)
		f.file = write
		log.Warn().Msg("warn")
		log.Info().Msg("info")
		f.close()
		text, err := io.ReadAll(read)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(text), "\n")
		if len(lines) != 5 || lines[0] != "" || !strings.Contains(lines[1], "3 log lines were lost") ||
			!strings.Contains(lines[2], "warn") || !strings.Contains(lines[3], "info") {
			t.Errorf("%s: %q", format, text)
		}
		if n := strings.Count(console.String(), "Log lines are lost until"); n != 1 {
			t.Errorf("the console says %q", console.String())
		}
	}
}

// daemon is a syslog daemon; it returns its address and what it gets.
func daemon(t *testing.T) (addr string, lines <-chan string) {
	t.Helper()
	addr = filepath.Join(t.TempDir(), "log")
	conn, err := net.ListenPacket("unixgram", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ch := make(chan string, 100)
	go func() {
		defer close(ch)
		buffer := make([]byte, 4096)
		for {
			n, _, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			ch <- string(buffer[:n])
		}
	}()
	return addr, ch
}

func next(t *testing.T, lines <-chan string) string {
	t.Helper()
	select {
	case line := <-lines:
		return line
	case <-time.After(10 * time.Second):
		t.Fatal("syslog got nothing")
		return ""
	}
}

// Covers: B15, B16, P5
func TestSyslogReplacesTheFiles(t *testing.T) {
	addr, lines := daemon(t)
	dir := t.TempDir()
	m := master(dir)
	m.SyslogFacility, m.SyslogName, m.LogLevel = "local3", "ours", "info"
	set, err := Open(m, Options{SyslogNetwork: "unixgram", SyslogAddr: addr})
	if err != nil {
		t.Fatal(err)
	}
	web, err := set.Sandbox("web", &configs.SandboxConfig{LogLevel: "warn"})
	if err != nil {
		t.Fatal(err)
	}
	log, sandboxLog := set.Master(), web.Logger()
	log.Info().Msg("hello")
	sandboxLog.Info().Msg("below the level")
	sandboxLog.Warn().Msg("started")
	sandboxLog.Error().Msg("dead\nreally")
	// <PRI>Mmm dd hh:mm:ss … TAG[PID]: text, RFC 3164; local3 is 19.
	for _, want := range []string{
		`^<158>\S.* ours\[\d+\]: hello\n$`,
		`^<156>\S.* ours-web\[\d+\]: started\n$`,
		`^<155>\S.* ours-web\[\d+\]: dead\n\treally\n$`,
	} {
		if line := next(t, lines); !regexp.MustCompile(want).MatchString(line) {
			t.Errorf("syslog got %q, want %s", line, want)
		}
	}
	set.Close()
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("there are files too: %v", entries)
	}
}

// Covers: B15
func TestUnknownFacilityFallsBackToFiles(t *testing.T) {
	dir := t.TempDir()
	m := master(dir)
	m.SyslogFacility = "local9"
	var console bytes.Buffer
	set, err := Open(m, Options{Console: &console})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	sayAll(set.Master())
	wantSaid(t, read(t, m.LogFile), "warn", "error")
	if !strings.Contains(console.String(), `"local9"`) || !strings.Contains(console.String(), "files instead") {
		t.Errorf("the console says %q", console.String())
	}
}

// Covers: B15
func TestFacilityHasTwoSpellings(t *testing.T) {
	for _, name := range []string{"daemon", "LOG_DAEMON", "Local0", "log_local7", "authpriv"} {
		if _, err := parseFacility(name); err != nil {
			t.Error(err)
		}
	}
}

// Covers: B15
func TestSyslogBlocksNobody(t *testing.T) {
	// Nobody listens there: lines are dropped and counted.
	m := master(t.TempDir())
	m.SyslogFacility = "daemon"
	set, err := Open(m, Options{SyslogNetwork: "unixgram", SyslogAddr: filepath.Join(t.TempDir(), "nobody")})
	if err != nil {
		t.Fatal(err)
	}
	log := set.Master()
	began := time.Now()
	for range 3 * syslogQueue {
		log.Error().Msg("error")
	}
	set.Close()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	if n := set.syslog.dropped.Load(); n != 3*syslogQueue {
		t.Errorf("%d of %d lines are counted as dropped", n, 3*syslogQueue)
	}
}

// Covers: B15
func TestLostSyslogLinesAreReported(t *testing.T) {
	addr, lines := daemon(t)
	m := master(t.TempDir())
	m.SyslogFacility = "daemon"
	set, err := Open(m, Options{SyslogNetwork: "unixgram", SyslogAddr: addr})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	set.syslog.dropped.Store(7)
	log := set.Master()
	log.Error().Msg("after the gap")
	if line := next(t, lines); !strings.Contains(line, "7 log lines were lost") {
		t.Errorf("syslog got %q", line)
	}
	if line := next(t, lines); !strings.Contains(line, "after the gap") {
		t.Errorf("syslog got %q", line)
	}
}

func BenchmarkLine(b *testing.B) {
	dir := b.TempDir()
	set, err := Open(master(dir), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer set.Close()
	web, err := set.Sandbox("web", sandboxConfig(dir, "warn"))
	if err != nil {
		b.Fatal(err)
	}
	log := web.Logger()
	b.ReportAllocs()
	for b.Loop() {
		log.Warn().Msgf("Started container %q (pid %d)", "web/app.0", 12345)
	}
}

func BenchmarkDisabled(b *testing.B) {
	log := To(&bytes.Buffer{}, zerolog.WarnLevel).Master()
	b.ReportAllocs()
	for b.Loop() {
		log.Info().Msg("nothing")
	}
}

func TestLogFormats(t *testing.T) {
	dir := t.TempDir()
	m := master(dir)
	m.LogFormat = "json"
	var console bytes.Buffer
	set, err := Open(m, Options{Stderr: &console})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	web, err := set.Sandbox("web", sandboxConfig(dir, "warn"))
	if err != nil {
		t.Fatal(err)
	}
	log, sandboxLog := set.Master(), web.Logger()
	log.Warn().Msg("hello \"you\"\n\x01")
	sandboxLog.Error().Str("event", "death").Str("container", "web/app.0").Int("pid", 7).Msg("it died")
	const time = `"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"`
	hello := `^\{` + time + `,"level":"warn","message":"hello \\"you\\"\\n\\u0001"\}$`
	died := `^\{` + time + `,"level":"error","sandbox":"web","event":"death","container":"web/app\.0","pid":7,"message":"it died"\}$`
	check := func(what, text string, want ...string) {
		t.Helper()
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		if len(lines) != len(want) {
			t.Fatalf("%s has %q", what, lines)
		}
		for i, line := range lines {
			if !regexp.MustCompile(want[i]).MatchString(line) {
				t.Errorf("%s has %s, want %s", what, line, want[i])
			}
			if strings.HasPrefix(want[i], `^\{`) && !json.Valid([]byte(line)) {
				t.Errorf("%s has no JSON in %s", what, line)
			}
		}
	}
	check("stderr", console.String(), hello, died)
	check("master.log", read(t, filepath.Join(dir, "master.log")), hello, died)
	check("web.log", read(t, filepath.Join(dir, "web.log")), died)

	m.LogFormat = "journal"
	console.Reset()
	if err := set.Reload(m); err != nil {
		t.Fatal(err)
	}
	sandboxLog.Warn().Str("event", "start").Msg("it\nstarted")
	check("stderr for the journal", console.String(), `^<4>it$`, `^<4>\tstarted$`)
	check("web.log", read(t, filepath.Join(dir, "web.log")), died, `^\[....-..-..T..:..:..Z\]\[WARN\] it$`, `^\tstarted$`)
}

func TestSetLevelLastsUntilTheNextReload(t *testing.T) {
	dir := t.TempDir()
	m := master(dir)
	m.LogLevel = "error"
	set, err := Open(m, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	web, err := set.Sandbox("web", sandboxConfig(dir, "error"))
	if err != nil {
		t.Fatal(err)
	}
	log := web.Logger()
	log.Info().Msg("one")
	if err := set.SetLevel("INFO"); err != nil || set.Level() != "info" {
		t.Errorf("%q, %v", set.Level(), err)
	}
	log.Info().Msg("two")
	if err := set.SetLevel("loud"); err == nil {
		t.Error("any level is taken")
	}
	if err := set.Reload(m); err != nil || set.Level() != "error" {
		t.Errorf("%q, %v", set.Level(), err)
	}
	if err := web.Reload(sandboxConfig(dir, "error")); err != nil {
		t.Fatal(err)
	}
	log.Info().Msg("three")
	for _, name := range []string{"master.log", "web.log"} {
		text := read(t, filepath.Join(dir, name))
		if strings.Contains(text, "one") || !strings.Contains(text, "two") || strings.Contains(text, "three") {
			t.Errorf("%s has %q", name, text)
		}
	}
}
