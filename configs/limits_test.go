package configs

import "testing"

// A container may have less than its sandbox allows, never more.
func TestLimitsOfTheSandboxAndOfTheContainer(t *testing.T) {
	for _, c := range []struct {
		sandbox, container string
		pids, quota        int64
	}{
		{"", "", 0, 0},
		{"pids-limit: 100\ncpu-quota: 2\n", "", 100, 2000},
		{"pids-limit: 100\ncpu-quota: 2\n", "pids-limit: 20\ncpu-quota: 0.5\n", 20, 500},
		{"pids-limit: 100\ncpu-quota: 2\n", "pids-limit: 2000\ncpu-quota: 2.5\n", 100, 2000},
		{"", "pids-limit: 20\ncpu-quota: 0.5\n", 20, 500},
	} {
		plan, _ := hostConfig{sandbox: c.sandbox, container: c.container}.good(t)
		got := plan.Sandboxes[0].Processes[0].Instances[0].Container
		if got.PIDsLimit != c.pids || got.CPUQuota != c.quota {
			t.Errorf("%q, %q: %d processes, %d thousandths of a processor", c.sandbox, c.container, got.PIDsLimit, got.CPUQuota)
		}
	}
}

// Hardening is loosened by who runs the host, not by who is to be held.
//
// Covers: K10
func TestContainerCannotLoosenLimits(t *testing.T) {
	for _, option := range []string{"allow-new-privileges: true", "add-capabilities: [ALL]", "writable-proc-sys: true",
		"unmask-kernel-files: true", "seccomp: off", "cpuset: 0", "io-limits: {/dev/sda: {read-bytes: 1}}"} {
		runProblems(t, []problemCase{{name: option, host: hostConfig{container: option + "\n"}, want: []string{"unknown key"}}})
	}
}
