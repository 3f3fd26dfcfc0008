package knot

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"lithos/spawn/wire"
)

// Covers: P2
func TestLogLines(t *testing.T) {
	spec := &wire.Spec{Name: "web/app.0", Executable: "/bin/app", Argv: []string{"app", "--port", "80", "x\ny"}, KillTimeout: 1500 * time.Millisecond}
	at := time.Date(2024, 2, 29, 13, 14, 15, 999, time.FixedZone("", 3600))
	const head = "2024-02-29T12:14:15Z: ----- "
	ended := func(s syscall.WaitStatus) []byte {
		return endedLine(nil, at, appendProcess(nil, spec), &run{began: at.Add(-61900 * time.Millisecond), status: s})
	}
	tests := []struct {
		name string
		line []byte
		want string
	}{
		{"P2 start", startingLine(nil, at, spec), `Starting "web/app.0": "/bin/app" "--port" "80" "x\ny" -----`},
		{"P2 exit", ended(3 << 8), `Process "web/app.0" exited with code 3, uptime 61s -----`},
		{"P2 signal", ended(9), `Process "web/app.0" killed by signal SIGKILL[9], uptime 61s -----`},
		{"P2 core", ended(11 | 0x80), `Process "web/app.0" killed by signal SIGSEGV[11] (core dumped), uptime 61s -----`},
		{"P2 nameless signal", ended(40), `Process "web/app.0" killed by signal [40], uptime 61s -----`},
		{"P2 kill-timeout", killingLine(nil, at, appendProcess(nil, spec), []byte(killingText(spec)), &run{began: at.Add(-time.Hour)}),
			`Process "web/app.0" did not respond to SIGTERM in 1.5s, uptime 3600s. Killing.. -----`},
		{"P2 failure", failedLine(nil, at, spec, errors.New("why")), `Process "web/app.0" did not start: why -----`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(tt.line); got != head+tt.want+"\n" {
				t.Errorf("got %q, want %q", got, head+tt.want+"\n")
			}
		})
	}
	for sig, name := range map[uint32]string{0: "SIGTERM", 3: "SIGQUIT", 37: "signal 37"} {
		spec.StopSignal = sig
		if got, want := killingText(spec), "did not respond to "+name+" in 1.5s"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := string(startingLine(nil, at, spec)); strings.Count(got, "\n") != 1 {
		t.Errorf("an argument makes a line of its own: %q", got)
	}
}
