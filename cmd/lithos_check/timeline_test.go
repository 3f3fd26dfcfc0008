package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// spaces are what aligns a table.
var spaces = regexp.MustCompile(` +`)

// slowHost is a host with a process for each of these container configs.
func slowHost(t *testing.T, containers map[string]string) (master string) {
	master = bigHost(t, 1)
	dir := filepath.Dir(master)
	var processes strings.Builder
	for name, text := range containers {
		write(t, dir+"/images/v0/config/"+name+".yaml", "executable: /bin/app\n"+text, 0o644)
		processes.WriteString(name + ": {image: v0, config: /config/" + name + ".yaml}\n")
	}
	processes.WriteString("cmd: {kind: Command, image: v0, config: /config/slow.yaml}\n")
	write(t, dir+"/processes/s0.yaml", processes.String(), 0o644)
	return master
}

// Covers: N3
func TestTimelineOfRestarts(t *testing.T) {
	master := slowHost(t, map[string]string{
		"slow":   "kind: CommandOrDaemon\nrestart-timeout: 0.5\nrestart-backoff: {factor: 3, cap: 20, jitter: 0.5}\n",
		"plain":  "restart-timeout: 2\n",
		"inside": "restart-process-only: true\n",
		"broken": "restart-backoff: x\n",
	})
	for _, c := range []struct {
		name string
		code int
		want []string // of standard output, or of standard error if it fails
	}{
		{"s0/slow", exitOK, []string{
			"s0/slow: restart-timeout 500ms, restart-backoff {factor: 3, cap: 20, jitter: 0.5, reset: 10}\n",
			"\n 1 0s 0s\n",
			"\n 2 500ms 500ms\n",
			"\n 3 750ms to 1.5s 1.25s to 2s\n",
			"\n 6 10s to 20s 20.25s to 40s\n",
			"\n 12 10s to 20s ", "\nFrom try 6 on the wait is 10s to 20s.\nA run of 10s, or another config, ends the row of failures"}},
		{"s0/plain", exitOK, []string{"restart-timeout 2s, no restart-backoff\n", "\n 12 2s 22s\n", "From try 2 on the wait is 2s.\n"}},
		{"s0/inside", exitOK, []string{"by PID 1 in the same container"}},
		{"s0/broken", exitErrors, []string{`restart-backoff: "x" is not a number`, "s0/broken has errors in its configs"}},
		{"s0/cmd", exitErrors, []string{"s0/cmd is a command: nothing starts it again"}},
		{"slow", exitErrors, []string{`there is no process "slow" that can be read; it is given as SANDBOX/PROCESS`}},
	} {
		code, stdout, stderr := checked(t, "-C", master, "--timeline", c.name)
		text := spaces.ReplaceAllString(stdout, " ")
		if c.code != exitOK {
			text = stderr
		}
		for _, want := range c.want {
			if code != c.code || !strings.Contains(text, want) {
				t.Errorf("%s: exit code %d, without %q:\n%s%s", c.name, code, want, stdout, stderr)
			}
		}
	}

	code, stdout, stderr := checked(t, "-C", master, "--timeline", "s0/slow", "--json")
	var got timeline
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != exitOK {
		t.Fatalf("exit code %d, %v:\n%s%s", code, err, stdout, stderr)
	}
	if len(got.Tries) != triesTold || got.Tries[5] != (attempt{6, 10, 20, 20.25, 40}) || got.Steady != (attempt{Try: 6, LeastWait: 10, Wait: 20}) ||
		*got.RestartBackoff != (backoff{3, 20, 0.5, 10}) || got.RestartTimeout != 0.5 {
		t.Errorf("%s", stdout)
	}
	if code, _, stderr := checked(t, "--timeline", "s0/slow", "more"); code != exitUsage || !strings.Contains(stderr, "--timeline is about one process") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

func TestTimelineNamesTheBudgetOfTheHost(t *testing.T) {
	master := slowHost(t, map[string]string{"slow": "kind: CommandOrDaemon\n", "inside": "restart-process-only: true\n"})
	text, err := os.ReadFile(master)
	if err != nil {
		t.Fatal(err)
	}
	write(t, master, string(text)+"restart-budget: {rate: 2.5, burst: 10}\n", 0o644)
	const want = "All restarts of the host share restart-budget: 2.5 a second, 10 at once. Where more want to, it takes longer.\n"
	if code, stdout, stderr := checked(t, "-C", master, "--timeline", "s0/slow"); code != exitOK || !strings.Contains(stdout, want) {
		t.Errorf("exit code %d, without %q:\n%s%s", code, want, stdout, stderr)
	}
	// PID 1 restarts the program, without the daemon.
	if _, stdout, _ := checked(t, "-C", master, "--timeline", "s0/inside"); strings.Contains(stdout, "budget") {
		t.Errorf("with restart-process-only:\n%s", stdout)
	}
	_, stdout, _ := checked(t, "-C", master, "--timeline", "s0/slow", "--json")
	var got struct {
		Budget *budget `json:"restart_budget"`
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || got.Budget == nil || *got.Budget != (budget{2.5, 10}) {
		t.Errorf("%v in\n%s", err, stdout)
	}
}
