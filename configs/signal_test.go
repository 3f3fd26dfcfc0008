package configs

import (
	"syscall"
	"testing"
)

func TestStopSignalIsAnyNameOrNumberThatDockerTakes(t *testing.T) {
	for text, want := range map[string]syscall.Signal{
		"": syscall.SIGTERM, "QUIT": syscall.SIGQUIT, "SIGQUIT": syscall.SIGQUIT, "sigint": syscall.SIGINT, "winch": syscall.SIGWINCH,
		"3": syscall.SIGQUIT, "64": 64, "34": 34, "31": syscall.SIGSYS, "KILL": syscall.SIGKILL,
		"CLD": syscall.SIGCHLD, "IOT": syscall.SIGABRT, "POLL": syscall.SIGIO, "IO": syscall.SIGIO,
		"RTMIN": 34, "SIGRTMIN": 34, "RTMIN+3": 37, "sigrtmin+15": 49, "RTMIN+30": 64, "RTMAX": 64, "RTMAX-14": 50,
	} {
		yaml := ""
		if text != "" {
			yaml = "stop-signal: " + text + "\n"
		}
		c := hostConfig{container: yaml}.app(t)
		if c.StopSignal != want {
			t.Errorf("%q: %d, want %d", text, c.StopSignal, want)
		}
		if again := signalNumber(signalName(c.StopSignal)); again != want {
			t.Errorf("%q is shown as %q, which is %d", text, signalName(c.StopSignal), again)
		}
	}
}

func TestStopSignalRefusesOthers(t *testing.T) {
	for _, text := range []string{"0", "-1", "65", "32", "33", "256", "STOPPED", "SIG", "RTMIN-1", "RTMAX+1", "RTMIN+31", "RTMIN+", "RTMIN3", "1.5", "SIGSIGTERM"} {
		_, problems, _ := hostConfig{container: "stop-signal: " + text + "\n"}.load(t)
		wantProblems(t, problems, `app.yaml:1:14: error: stop-signal: "`+text+`" is no signal: a name such as QUIT or RTMIN+3, or a number`)
	}
}
