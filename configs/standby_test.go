package configs

import "testing"

func TestStandbyIsRead(t *testing.T) {
	for yaml, want := range map[string]bool{"": false, "standby: false": false, "standby: true": true, "standby: null": false} {
		equal(t, yaml, hostConfig{container: yaml}.app(t).Standby, want)
	}
}

// Covers: E18, G6, L2
func TestStandbyIsRefusedWhereItCanNotBe(t *testing.T) {
	runProblems(t, []problemCase{
		{name: "a word", host: hostConfig{container: "standby: yes\n"}, want: []string{`app.yaml:1:10: error: standby: expected true or false, got "yes"`}},
		{name: "E18 no other container follows", host: hostConfig{container: "restart-process-only: true\nstandby: true\n"},
			want: []string{"app.yaml:2:10: error: standby: can't be together with restart-process-only"}},
		{name: "G6 each has a socket of its own", host: hostConfig{container: "tcp-ports: {80: {fd: 3}, 81: {fd: 4, reuse-port: true}}\nstandby: true\n"},
			want: []string{"app.yaml:2:10: error: standby: can't be together with reuse-port, of port 81"}},
		{name: "L2 one address", host: hostConfig{container: "standby: true\n", sandbox: "bridged-network: {bridge: br0, network: 10.0.0.0/24}\n",
			entry: "ip-addresses: [10.0.0.2]\n"},
			want: []string{"app.yaml:1:10: error: standby: can't be together with the sandbox's bridged-network"}},
		{name: "a command", host: hostConfig{container: "kind: Command\nstandby: true\n", entry: "kind: Command\n"},
			want: []string{"app.yaml:2:10: warning: standby: is not used"}},
	})
}
