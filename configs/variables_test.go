package configs

import (
	"net/netip"
	"strings"
	"testing"
)

// Covers: E23, F1, F2, F3, F4
func TestVariableValuesAreChecked(t *testing.T) {
	sandbox := &SandboxConfig{AllowTCPPorts: []Range{{First: 80, Last: 80}, {First: 8000, Last: 8999}}}
	long := strings.Repeat("a", 10000)
	for _, c := range []struct {
		tag, value, want string // "" = fine
	}{
		{"!TcpPort", "80", ""}, {"!TcpPort", "8000", ""}, {"!TcpPort", "8999", ""},
		{"!TcpPort", "0", "is not a TCP port: 0 would be any"}, {"!TcpPort", "65536", "is not a TCP port"},
		{"!TcpPort", "", "is not a TCP port"}, {"!TcpPort", "http", "is not a TCP port"}, {"!TcpPort", "-1", "is not a TCP port"},
		{"!TcpPort", "0x50", "is not a TCP port"}, {"!TcpPort", "9000", "port 9000 is not in allow-tcp-ports [80, 8000-8999] of the sandbox"},
		{"!Name", "a", ""}, {"!Name", "A-b_9", ""}, {"!Name", "-", ""},
		{"!Name", "", "is not a !Name"}, {"!Name", "a.b", "is not a !Name"}, {"!Name", "a b", "is not a !Name"},
		{"!Name", "ä", "is not a !Name"}, {"!Name", "a\n", "is not a !Name"},
		{"!DottedName", "a", ""}, {"!DottedName", "a.b-c.d_e.9", ""}, {"!DottedName", "a--b", ""},
		{"!DottedName", "", "has an empty part"}, {"!DottedName", "a..b", "has an empty part"}, {"!DottedName", ".a", "has an empty part"},
		{"!DottedName", "a.", "has an empty part"}, {"!DottedName", "-a", "begins or ends with a dash"},
		{"!DottedName", "x.a-", "begins or ends with a dash"}, {"!DottedName", "a/b", "letters, digits"}, {"!DottedName", "é", "letters, digits"},
		{"!Choice", "high", ""}, {"!Choice", "High", "is not one of the choices high, low, did you mean `high`?"}, {"!Choice", "", "is not one of"},
		{"!Choice", long, "is not one of"},
	} {
		d := variable{kind: c.tag, choices: []string{"high", "low"}}
		got := d.check(c.value, sandbox, "")
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) || len(got) > 500 {
			t.Errorf("%s %q: %q, want %q", c.tag, c.value, got, c.want)
		}
	}
	// The range of a port is not looked at where it is the container's own.
	bridged := &SandboxConfig{Bridged: &BridgedNetwork{}}
	d := variable{kind: "!TcpPort"}
	equal(t, "F4 bridged", d.check("9000", bridged, ""), "")
	equal(t, "F4 bridged, 0", d.check("0", bridged, "") != "", true)
}

// Covers: C14, F1, F5, F7, F8, F9
func TestVariableMistakes(t *testing.T) {
	runProblems(t, []problemCase{
		{name: "F1 types", host: hostConfig{container: "variables:\n  a: !TcpProt\n  b: x\n  c: !Choice\n  d: !Choice []\n  e: !Name x\n  f: !TcpPort {activation: sytemd}\n  g: !TcpPort 80\n  h: !Choice [[]]\n"},
			want: []string{
				"app.yaml:2:6: error: variables.a: unknown type of variable !TcpProt, did you mean `!TcpPort`?",
				"app.yaml:3:6: error: variables.b: a variable has a type, one of !TcpPort, !Name, !DottedName, !Choice",
				"app.yaml:4:6: error: variables.c: !Choice takes a list of values",
				"variables.d: !Choice takes a list of values",
				"variables.e: !Name takes no value",
				"app.yaml:7:28: error: variables.f.activation: \"sytemd\" is not one of none, systemd, did you mean `systemd`?",
				`variables.g: expected a mapping, got "80"`,
				"variables.h[0]: expected a string, got a list",
				"variables.h: !Choice takes a list of values",
			}},
		{name: "F1 C14 wrong values are told in the process config", host: hostConfig{sandbox: "allow-tcp-ports: [80]\n",
			container: "variables: {p: !TcpPort , m: !Choice [a, b], n: !Name , q: !DottedName }\n",
			entry:     "variables:\n  p: 81\n  m: c\n  n: a.b\n  q: a..b\n"},
			want: []string{
				"web.yaml:5:8: error: app.variables.p: port 81 is not in allow-tcp-ports [80] of the sandbox",
				`web.yaml:6:8: error: app.variables.m: "c" is not one of the choices a, b`,
				`web.yaml:7:8: error: app.variables.n: "a.b" is not a !Name`,
				`web.yaml:8:8: error: app.variables.q: "a..b" is not a !DottedName`,
			}},
		{name: "F1 a value is a scalar", host: hostConfig{container: "variables: {m: !Choice [a]}\n", entry: "variables: {m: [a]}\n"},
			want: []string{"web.yaml:4:18: error: app.variables.m: expected a string, got a list"}},
		{name: "F5 nowhere else", host: hostConfig{container: "executable: /bin/@{x}\nworkdir: /@{x}\nenviron: {'@{x}': y}\nstdout-stderr-file: /@{x}\n"}},
		{name: "F7 undeclared variables, once each", host: hostConfig{
			container: "variables: {port: !Name }\narguments: ['@{prot} @{port}', '@{lithos:nmae}']\nenviron: {A: '@{}'}\n", entry: "variables: {port: x, prot: y}\n"},
			want: []string{
				"app.yaml:2:13: error: arguments[0]: variable \"prot\" is not declared in variables, did you mean `port`?",
				"app.yaml:2:32: error: arguments[1]: variable \"lithos:nmae\" is not declared in variables, did you mean `lithos:name`?",
				`app.yaml:3:14: error: environ.A: variable "" is not declared in variables`,
			}},
		{name: "F8 the pid is only a whole value of environ", host: hostConfig{
			container: "arguments: ['@{lithos:pid}']\nenviron: {A: 'pid @{lithos:pid}', B: '@{lithos:pid}@{lithos:pid}'}\n"},
			want: []string{
				"arguments[0]: @{lithos:pid} can only be the whole value of a variable in environ",
				"app.yaml:2:14: error: environ.A: @{lithos:pid} can only be",
				"environ.B: @{lithos:pid} can only be",
			}},
		{name: "F8 built-ins can't be declared", host: hostConfig{container: "variables: {'lithos:name': !Name }\n"},
			want: []string{"app.yaml:1:13: error: variables.lithos:name: names that begin with lithos: are built in"}},
		{name: "F9 what activation sets must not be given", host: hostConfig{
			container: "variables: {p: !TcpPort {activation: systemd}}\nenviron: {LISTEN_FDS: 1, LISTEN_PID: '@{lithos:pid}', LISTEN_FDNames: p}\nsecret-environ: {LISTEN_FDNAMES: '" + sealed + "'}\n",
			entry:     "variables: {p: 80}\n"},
			want: []string{
				"app.yaml:2:11: error: environ.LISTEN_FDS: is set by `activation: systemd`, it must not be given",
				"app.yaml:2:26: error: environ.LISTEN_PID: is set by `activation: systemd`, it must not be given",
				"app.yaml:3:18: error: secret-environ.LISTEN_FDNAMES: is set by `activation: systemd`, it must not be given",
			}},
		{name: "F9 descriptors of activation", host: hostConfig{
			container: "variables: {a: !TcpPort {activation: systemd}, b: !TcpPort {activation: systemd}}\ntcp-ports: {80: {fd: 4}, 81: {fd: 5}}\n",
			entry:     "variables: {a: 90, b: 91}\n"},
			want: []string{"app.yaml:2:13: error: tcp-ports.80: descriptor 4 is that of variable \"b\" by its activation; take a higher one, or write the activation out"}},
		{name: "F9 descriptors beyond the limit", host: hostConfig{
			container: "fileno-limit: 3\nvariables: {a: !TcpPort {activation: systemd}}\n", entry: "variables: {a: 90}\n"},
			want: []string{"app.yaml:2:13: error: variables.a: its descriptor 3 is beyond fileno-limit 3"}},
		{name: "F9 names with colons", host: hostConfig{container: "variables: {'a:b': !TcpPort {activation: systemd}}\n"},
			want: []string{`variables.a:b: the name "a:b" can't be in LISTEN_FDNAMES, which separates names by colons`}},
	})
}

// Covers: F5, F6, F8
func TestVariablesAreSubstituted(t *testing.T) {
	c := hostConfig{container: `
variables: {port: !TcpPort , name: !Name }
arguments:
- "--listen=localhost:@{port}"
- "@{ name }-@{name	}@{port}"
- "@{lithos:name} @{lithos:config_filename}"
- "@{unclosed"
- "$@{name} {name} @name @@{name}}"
- "@{name} @{open"
environ:
  A: "@{port}@{name}"
  PID: "@{ lithos:pid }"
  ZPID: "@{lithos:pid}"
tcp-ports:
  "@{port}": {fd: 3}
`, entry: "variables: {port: 8080, name: '@{port}'}\n"}
	_, problems, _ := c.load(t)
	wantProblems(t, problems, `app.variables.name: "@{port}" is not a !Name`)
	c.entry = "variables: {port: 8080, name: n}\n"
	app := c.app(t)
	equal(t, "arguments", app.Arguments, []string{
		"--listen=localhost:8080", "n-n8080", "web/app.0 /config/app.yaml", "@{unclosed", "$n {name} @name @n}", "n @{open",
	})
	equal(t, "environ", env(app, "A"), "8080n")
	equal(t, "PIDVariables", app.PIDVariables, []string{"PID", "ZPID"})
	equal(t, "port", app.TCPPorts[0].Port, uint16(8080))
	// A substituted value is not substituted again.
	d := hostConfig{container: "variables: {c: !Choice ['@{x}']}\narguments: ['@{c}']\n", entry: "variables: {c: '@{x}'}\n"}.app(t)
	equal(t, "once", d.Arguments[0], "@{x}")
}

// Covers: F9
func TestSystemdActivationSetsEnvironment(t *testing.T) {
	c := hostConfig{container: `
variables:
  zeta: !TcpPort {activation: systemd}
  plain: !TcpPort
  none: !TcpPort {activation: none}
  tagged: !TcpPort {activation: !systemd }
  alpha: !TcpPort
    activation: systemd
tcp-ports:
  7000: {fd: 6}
environ: {PID: "@{lithos:pid}"}
`, entry: "variables: {zeta: 80, alpha: 8080, plain: 1, none: 2, tagged: 443}\n"}.app(t)
	equal(t, "LISTEN_FDS", env(c, "LISTEN_FDS"), "3")
	equal(t, "LISTEN_FDNAMES", env(c, "LISTEN_FDNAMES"), "alpha:tagged:zeta")
	equal(t, "LISTEN_PID", c.PIDVariables, []string{"LISTEN_PID", "PID"})
	var got [][2]int
	for _, p := range c.TCPPorts {
		got = append(got, [2]int{p.FD, int(p.Port)})
	}
	equal(t, "descriptors by name", got, [][2]int{{3, 8080}, {4, 443}, {5, 80}, {6, 7000}})
	equal(t, "options", c.TCPPorts[0], TCPPort{Port: 8080, FD: 3, Host: netip.IPv4Unspecified(), Backlog: 128, ReuseAddr: true})
}
