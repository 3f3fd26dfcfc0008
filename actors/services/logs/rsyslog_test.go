package logs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"lithos/configs"
)

// rsyslog runs Debian's rsyslogd with a socket and a file of its own.
func rsyslog(t *testing.T) (socket, file string) {
	t.Helper()
	program, err := exec.LookPath("/usr/sbin/rsyslogd")
	if err != nil {
		t.Fatalf("rsyslogd is missing, syslog is compared with it: apt-get install rsyslog (%v)", err)
	}
	dir, err := os.MkdirTemp("", "rsyslog-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket, file = filepath.Join(dir, "log"), filepath.Join(dir, "out")
	config := fmt.Sprintf(`global(workDirectory=%q)
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket=%q CreatePath="off" RateLimit.Interval="0")
template(name="all" type="string" string="%%syslogfacility-text%% %%syslogseverity-text%% %%programname%% %%procid%%|%%msg%%\n")
action(type="omfile" file=%q template="all")
`, dir, socket, file)
	path := filepath.Join(dir, "conf")
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-n", "-f", path, "-iNONE")
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("rsyslogd said %s", out.String())
		}
	})
	await(t, "rsyslogd's socket", func() bool {
		_, err := os.Stat(socket)
		return err == nil
	})
	return socket, file
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not come", what)
		}
	}
}

// TestRsyslogParsesOurLines compares with the syslog daemon that Debian
// has, not with our own reading of the protocol.
//
// Covers: B15, B16
func TestRsyslogParsesOurLines(t *testing.T) {
	socket, file := rsyslog(t)
	m := master(t.TempDir())
	m.SyslogFacility, m.LogLevel = "local3", "debug"
	m.SyslogName = "lithos"
	set, err := Open(m, Options{SyslogNetwork: "unixgram", SyslogAddr: socket})
	if err != nil {
		t.Fatal(err)
	}
	web, err := set.Sandbox("web", &configs.SandboxConfig{LogLevel: "warn"})
	if err != nil {
		t.Fatal(err)
	}
	log, sandboxLog := set.Master(), web.Logger()
	log.Debug().Msgf("debugging")
	log.Info().Msg("hello")
	sandboxLog.Warn().Msg(`Started container "web/app.0" (pid 7)`)
	sandboxLog.Error().Msg("dead\nreally \x1b[31m")
	set.Close()
	want := []string{
		`local3 debug lithos \d+\| .*rsyslog_test.go:\d+: debugging`,
		`local3 info lithos \d+\| hello`,
		`local3 warning lithos-web \d+\| Started container "web/app\.0" \(pid 7\)`,
		`local3 err lithos-web \d+\| dead.*really \\x1b\[31m`,
	}
	await(t, "the last line", func() bool {
		text, _ := os.ReadFile(file)
		return strings.Count(string(text), "\n") >= len(want)
	})
	lines := strings.Split(strings.TrimSpace(read(t, file)), "\n")
	if len(lines) != len(want) {
		t.Fatalf("rsyslog wrote %q", lines)
	}
	for i, line := range lines {
		if !regexp.MustCompile("^" + want[i] + "$").MatchString(line) {
			t.Errorf("rsyslog wrote %q, want %s", line, want[i])
		}
	}
}
