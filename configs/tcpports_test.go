package configs

import (
	"net/netip"
	"testing"
)

// Covers: E20, G2, G3, G4, G5, G6, G7, G8
func TestTCPPortOptions(t *testing.T) {
	c := hostConfig{container: `
tcp-ports:
  80: {fd: 3}
  "443": {fd: 0, host: "::", listen-backlog: 4096, reuse-addr: false, reuse-port: true, set-non-block: true, external: true}
  8080: {fd: 1000, host: "::ffff:127.0.0.1", ipv6-only: false}
`}.app(t)
	no := false
	equal(t, "ports by descriptor", c.TCPPorts, []TCPPort{
		// external means nothing outside a bridge, so it is dropped.
		{Port: 443, FD: 0, Host: netip.IPv6Unspecified(), Backlog: 4096, ReusePort: true, NonBlock: true},
		{Port: 80, FD: 3, Host: netip.MustParseAddr("0.0.0.0"), Backlog: 128, ReuseAddr: true},
		{Port: 8080, FD: 1000, Host: netip.MustParseAddr("127.0.0.1"), IPv6Only: &no, Backlog: 128, ReuseAddr: true},
	})
	bridged := hostConfig{sandbox: "bridged-network: {bridge: br0, network: 10.0.0.0/24}\n",
		entry: "ip-addresses: [10.0.0.2]\n", container: "tcp-ports: {80: {fd: 3, external: true}, 81: {fd: 4}}\n"}.app(t)
	equal(t, "G8 external in a bridge", []bool{bridged.TCPPorts[0].External, bridged.TCPPorts[1].External}, []bool{true, false})
}

// Covers: C14, E5, F4, F5, G2, G3, G4, G10, G11
func TestPortMistakes(t *testing.T) {
	bridge := "bridged-network: {bridge: br0, network: 10.0.0.0/24}\nallow-tcp-ports: [80]\n"
	runProblems(t, []problemCase{
		{name: "G2 fd is required", host: hostConfig{container: "tcp-ports:\n  80: {host: 0.0.0.0}\n  81:\n"},
			want: []string{"app.yaml:2:7: error: tcp-ports.80.fd: is required", "tcp-ports.81.fd: is required"}},
		{name: "G3 host is an address", host: hostConfig{container: "tcp-ports: {80: {fd: 3, host: localhost}}\n"},
			want: []string{`tcp-ports.80.host: "localhost" is not an IP address; host names and zones are not looked up`}},
		{name: "G4 backlog", host: hostConfig{container: "tcp-ports: {80: {fd: 3, listen-backlog: -1}}\n"},
			want: []string{"tcp-ports.80.listen-backlog: -1 is not in 0 to 2147483647"}},
		{name: "G10 one port once", host: hostConfig{container: "tcp-ports:\n  80: {fd: 3, host: 127.0.0.1}\n  80: {fd: 4, host: 127.0.0.2}\n"},
			want: []string{"app.yaml:3:3: error: tcp-ports.80: duplicate key, it was given in line 2 already"}},
		{name: "G10 one port once, by variables", host: hostConfig{
			container: "variables: {a: !TcpPort , b: !TcpPort {activation: systemd}}\ntcp-ports:\n  80: {fd: 4}\n  '@{a}': {fd: 5}\n  '0080': {fd: 6}\n",
			entry:     "variables: {a: 80, b: 80}\n"},
			want: []string{"app.yaml:3:3: error: tcp-ports.80: port 80 is that of variable b already",
				"app.yaml:4:3: error: tcp-ports.@{a}: port 80 is that of variable b already",
				"app.yaml:5:3: error: tcp-ports.0080: port 80 is that of variable b already"}},
		{name: "G11 stdout and stderr", host: hostConfig{container: "tcp-ports: {80: {fd: 1}, 81: {fd: 2}, 82: {fd: 0}, 83: {fd: -1}}\n"},
			want: []string{"app.yaml:1:22: error: tcp-ports.80.fd: 1 is stdout or stderr of the program; a socket may be 0 or 3 and up",
				"tcp-ports.81.fd: 2 is stdout or stderr", "tcp-ports.83.fd: -1 is not in 0 to 2147483647"}},
		{name: "G2 one descriptor once", host: hostConfig{container: "tcp-ports:\n  80: {fd: 3}\n  81: {fd: 3}\n"},
			want: []string{"app.yaml:3:3: error: tcp-ports.81: descriptor 3 is that of port 80 already"}},
		{name: "G2 E5 descriptors below the limit", host: hostConfig{container: "fileno-limit: 10\ntcp-ports: {80: {fd: 10}, 81: {fd: 9}}\n"},
			want: []string{"app.yaml:2:22: error: tcp-ports.80.fd: 10 is beyond fileno-limit 10"}},
		{name: "C14 the range of the sandbox", host: hostConfig{sandbox: "allow-tcp-ports: [80, 8000-8100]\n", container: "tcp-ports: {80: {fd: 3}, 8101: {fd: 4}}\n"},
			want: []string{"app.yaml:1:26: error: tcp-ports.8101: port 8101 is not in allow-tcp-ports [80, 8000-8100] of the sandbox"}},
		{name: "C14 nothing is allowed by default", host: hostConfig{sandbox: "allow-tcp-ports: []\n", container: "tcp-ports: {80: {fd: 3}}\n"},
			want: []string{"tcp-ports.80: port 80 is not in allow-tcp-ports [] of the sandbox"}},
		{name: "C14 F4 in a bridge only external ports are limited", host: hostConfig{sandbox: bridge, entry: "ip-addresses: [10.0.0.2]\nvariables: {p: 90}\n",
			container: "variables: {p: !TcpPort }\ntcp-ports: {81: {fd: 3}, 82: {fd: 4, external: true}, '@{p}': {fd: 5}}\n"},
			want: []string{"app.yaml:2:26: error: tcp-ports.82: port 82 is not in allow-tcp-ports [80] of the sandbox"}},
		{name: "F4 C14 port 0", host: hostConfig{container: "tcp-ports: {0: {fd: 3}, 65536: {fd: 4}, x: {fd: 5}}\n"},
			want: []string{`tcp-ports.0: "0" is not a TCP port: 0 would be any`, `tcp-ports.65536: "65536" is not a TCP port, 1 to 65535`, `tcp-ports.x: "x" is not`}},
		{name: "F4 port 0 by a variable", host: hostConfig{container: "variables: {p: !Choice ['0', x]}\ntcp-ports: {'@{p}': {fd: 3}}\n", entry: "variables: {p: 0}\n"},
			want: []string{`app.yaml:2:13: error: tcp-ports.@{p}: "0" is not a TCP port: 0 would be any`}},
		{name: "F5 a key made of pieces", host: hostConfig{container: "variables: {p: !Choice ['8']}\ntcp-ports: {'@{p}080': {fd: 3}}\n", entry: "variables: {p: 8}\n"}},
		{name: "G2 unknown options", host: hostConfig{container: "tcp-ports: {80: {fd: 3, backlog: 5}}\n"},
			want: []string{"tcp-ports.80.backlog: unknown key"}},
	})
}
