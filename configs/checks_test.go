package configs

import (
	"net/netip"
	"testing"
	"time"
)

func TestChecksAreRead(t *testing.T) {
	const s = time.Second
	at := netip.MustParseAddrPort
	type want struct {
		ready  *Ready
		health *Healthcheck
		words  string
	}
	for yaml, w := range map[string]want{
		"ready: null\nhealthcheck: ~\n": {},
		"ready: {tcp: 80}\n": {
			ready: &Ready{Check: Check{Kind: CheckTCP, Addr: at("127.0.0.1:80"), Interval: s / 2, Timeout: 5 * s}},
			words: "{tcp: 80, interval: 0.5, timeout: 5}"},
		"ready: {http: '80', within: 30}\n": {
			ready: &Ready{Check: Check{Kind: CheckHTTP, Addr: at("127.0.0.1:80"), Path: "/", Interval: s / 2, Timeout: 5 * s}, Within: 30 * s},
			words: `{http: 80, path: "/", interval: 0.5, timeout: 5, within: 30}`},
		"ready: {http: 80, path: '/@{lithos:name}'}\n": {
			ready: &Ready{Check: Check{Kind: CheckHTTP, Addr: at("127.0.0.1:80"), Path: "/web/app.0", Interval: s / 2, Timeout: 5 * s}},
			words: `{http: 80, path: "/web/app.0", interval: 0.5, timeout: 5}`},
		"ready: {fd: 5, within: 60}\n": {
			ready: &Ready{Check: Check{Kind: CheckFD, FD: 5}, Within: 60 * s}, words: "{fd: 5, within: 60}"},
		"ready: {notify: /n, watchdog: 2.5}\n": {
			ready: &Ready{Check: Check{Kind: CheckNotify, Path: "/n"}, Watchdog: 2500 * time.Millisecond}, words: `{notify: "/n", watchdog: 2.5}`},
		"ready: {notify: /run//notify/, within: 60}\n": {
			ready: &Ready{Check: Check{Kind: CheckNotify, Path: "/run/notify"}, Within: 60 * s}, words: `{notify: "/run/notify", within: 60}`},
		"healthcheck: {http: 80, path: '/up?a=1', host: '::1', interval: 1.5, timeout: 0.1, failures: 1, start_period: 60}\n": {
			health: &Healthcheck{Check: Check{Kind: CheckHTTP, Addr: at("[::1]:80"), Path: "/up?a=1", Interval: 3 * s / 2, Timeout: s / 10}, Failures: 1, StartPeriod: 60 * s},
			words:  `{http: 80, path: "/up?a=1", host: '::1', interval: 1.5, timeout: 0.1, failures: 1, start-period: 60}`},
		"healthcheck: {command: [/bin/up, '@{lithos:name}']}\n": {
			health: &Healthcheck{Check: Check{Kind: CheckCommand, Command: []string{"/bin/up", "web/app.0"}, Interval: 10 * s, Timeout: 5 * s}, Failures: 3},
			words:  `{command: ["/bin/up","web/app.0"], interval: 10, timeout: 5, failures: 3}`},
	} {
		t.Run(yaml, func(t *testing.T) {
			c := hostConfig{container: yaml}.app(t)
			equal(t, "ready", c.Ready, w.ready)
			equal(t, "healthcheck", c.Healthcheck, w.health)
			equal(t, "in words", c.Ready.String()+c.Healthcheck.String(), w.words)
			if w.words == "" {
				return
			}
			// The shown value may be written into a config.
			option := map[bool]string{true: "ready: ", false: "healthcheck: "}[c.Ready != nil]
			again := hostConfig{container: option + w.words + "\n"}.app(t)
			equal(t, "the words as a config", again.Ready.String()+again.Healthcheck.String(), w.words)
		})
	}
}

// Covers: F5
func TestChecksSubstituteVariables(t *testing.T) {
	h := hostConfig{
		entry:     "variables: {p: 8080, way: up}\n",
		container: "variables:\n  p: !TcpPort\n  way: !Name\nready: {tcp: '@{p}'}\nhealthcheck: {command: [/bin/check, '--port=@{p}', '@{way}']}\n",
	}
	c := h.app(t)
	equal(t, "port", c.Ready.Addr.String(), "127.0.0.1:8080")
	equal(t, "command", c.Healthcheck.What(), "command /bin/check --port=8080 up")
	h.container = "variables:\n  p: !TcpPort\n  way: !Name\nhealthcheck: {http: '@{p}', path: '/@{way}'}\n"
	equal(t, "path", h.app(t).Healthcheck.What(), "GET http://127.0.0.1:8080/up")
}

// Covers: C23
func TestChangedChecksReplaceNothing(t *testing.T) {
	a, b := full(), full()
	b.Ready, b.Healthcheck = nil, nil
	equal(t, "the fingerprint", instanceOf(a).Fingerprint, instanceOf(b).Fingerprint)
	// But for a descriptor, which the program has to get.
	a.Ready = &Ready{Check: Check{Kind: CheckFD, FD: 5}}
	equal(t, "with a descriptor", instanceOf(a).Fingerprint == instanceOf(b).Fingerprint, false)
	b.Ready = &Ready{Check: a.Ready.Check, Within: time.Minute}
	a.Ready.Check = Check{Kind: CheckNotify, Path: "/a"}
	b.Ready = &Ready{Check: Check{Kind: CheckNotify, Path: "/b"}}
	equal(t, "with a socket at another place", instanceOf(a).Fingerprint == instanceOf(b).Fingerprint, false)
	b.Ready = &Ready{Check: a.Ready.Check, Within: time.Minute}
	equal(t, "its other options", instanceOf(a).Fingerprint, instanceOf(b).Fingerprint)
}

// Covers: E5, E10, E11, E18, F7, F9, G1
func TestChecksThatMakeNoSense(t *testing.T) {
	runProblems(t, []problemCase{
		{name: "nothing to ask", host: hostConfig{container: "ready: {interval: 1}\n"},
			want: []string{"app.yaml:1:8: error: ready: needs one of tcp, http, command, fd and notify"}},
		{name: "nothing to ask for health", host: hostConfig{container: "healthcheck: {}\n"},
			want: []string{"app.yaml:1:14: error: healthcheck: needs one of tcp, http and command"}},
		{name: "no descriptor for health", host: hostConfig{container: "healthcheck: {fd: 5}\n"}, want: []string{"app.yaml:1:15: error: healthcheck.fd: unknown key"}},
		{name: "both ask and tell", host: hostConfig{container: "ready: {fd: 5, tcp: 80, interval: 1}\n"},
			want: []string{"app.yaml:1:21: error: ready.tcp: can't be together with fd", "app.yaml:1:35: error: ready.interval: can't be together with fd"}},
		{name: "stdout", host: hostConfig{container: "ready: {fd: 1}\n"}, want: []string{"app.yaml:1:13: error: ready.fd: 1 is"}},
		{name: "E5 beyond the limit", host: hostConfig{container: "fileno-limit: 10\nready: {fd: 10}\n"}, want: []string{"app.yaml:2:13: error: ready.fd: 10 is beyond fileno-limit 10"}},
		{name: "G1 that of a port", host: hostConfig{container: "tcp-ports: {80: {fd: 4}}\nready: {fd: 4}\n"}, want: []string{"app.yaml:2:13: error: ready.fd: descriptor 4 is that of port 80 already"}},
		{name: "F9 that of an activation", host: hostConfig{entry: "variables: {p: 80}\n", container: "variables:\n  p: !TcpPort {activation: systemd}\nready: {fd: 3}\n"},
			want: []string{`app.yaml:3:13: error: ready.fd: descriptor 3 is that of variable "p" by its activation`}},
		{name: "E18 told once", host: hostConfig{container: "restart-process-only: true\nready: {fd: 5}\n"}, want: []string{"app.yaml:2:13: error: ready.fd: can't be together with restart-process-only"}},
		{name: "two ways to tell", host: hostConfig{container: "ready: {fd: 5, notify: /n}\n"}, want: []string{"app.yaml:1:24: error: ready.notify: can't be together with fd"}},
		{name: "both ask and be told", host: hostConfig{container: "ready: {notify: /n, tcp: 80, timeout: 1}\n"},
			want: []string{"app.yaml:1:26: error: ready.tcp: can't be together with notify", "app.yaml:1:39: error: ready.timeout: can't be together with notify"}},
		{name: "a place for the socket", host: hostConfig{container: "ready: {notify: run/notify}\n"}, want: []string{`app.yaml:1:17: error: ready.notify: "run/notify" must be an absolute path`}},
		{name: "a place beyond the image", host: hostConfig{container: "ready: {notify: /run/../notify}\n"}, want: []string{"app.yaml:1:17: error: ready.notify: \"/run/../notify\" must not have `..` in it"}},
		{name: "the root is no place for it", host: hostConfig{container: "ready: {notify: /}\n"}, want: []string{"app.yaml:1:17: error: ready.notify: the root can't be a socket"}},
		{name: "a place that is taken", host: hostConfig{container: "volumes: {/n: !Tmpfs {}}\nready: {notify: /n/}\n"}, want: []string{"app.yaml:2:17: error: ready.notify: /n is the mount point of a volume already"}},
		{name: "E10 its variable", host: hostConfig{container: "environ: {NOTIFY_SOCKET: /x}\nready: {notify: /n}\n"}, want: []string{"app.yaml:1:26: error: environ.NOTIFY_SOCKET: is set by `ready: {notify: …}`, it must not be given"}},
		{name: "E10 E11 the watchdog's", host: hostConfig{container: "environ: {WATCHDOG_USEC: 1}\nready: {notify: /n}\n"}, want: []string{"app.yaml:1:26: error: environ.WATCHDOG_USEC: is set by `ready: {notify: …}`, it must not be given"}},
		{name: "a watchdog without a socket", host: hostConfig{container: "ready: {tcp: 80, watchdog: 5}\n"}, want: []string{"app.yaml:1:28: error: ready.watchdog: belongs to notify"}},
		{name: "a watchdog of a pipe", host: hostConfig{container: "ready: {fd: 5, watchdog: 5}\n"}, want: []string{"app.yaml:1:26: error: ready.watchdog: belongs to notify"}},
		{name: "a quick watchdog", host: hostConfig{container: "ready: {notify: /n, watchdog: 0.5}\n"}, want: []string{"app.yaml:1:31: error: ready.watchdog: 0.5 s is not in 1 to 86400"}},
		{name: "a watchdog of a second program", host: hostConfig{container: "ready: {notify: /n, watchdog: 5}\nrestart-process-only: true\n"}, want: []string{"app.yaml:1:31: error: ready.watchdog: can't be together with restart-process-only"}},
		{name: "no socket for health", host: hostConfig{container: "healthcheck: {notify: /n}\n"}, want: []string{"app.yaml:1:15: error: healthcheck.notify: unknown key"}},
		{name: "two ways", host: hostConfig{container: "ready: {tcp: 80, http: 80}\n"},
			want: []string{"app.yaml:1:24: error: ready.http: tcp is given already"}},
		{name: "a word", host: hostConfig{container: "healthcheck: tcp\n"}, want: []string{"app.yaml:1:14: error: healthcheck: expected a mapping"}},
		{name: "a key", host: hostConfig{container: "healthcheck: {tcp: 80, within: 3}\n"}, want: []string{"app.yaml:1:24: error: healthcheck.within: unknown key"}},
		{name: "a port", host: hostConfig{container: "ready: {tcp: http}\n"}, want: []string{`app.yaml:1:14: error: ready.tcp: "http" is not a TCP port`}},
		{name: "no port", host: hostConfig{container: "ready: {tcp: 0}\n"}, want: []string{"app.yaml:1:14: error: ready.tcp:"}},
		{name: "a list of ports", host: hostConfig{container: "ready: {tcp: [80]}\n"}, want: []string{"app.yaml:1:14: error: ready.tcp: expected a port, got a list"}},
		{name: "paths", host: hostConfig{container: "ready: {tcp: 80, path: /}\nhealthcheck: {http: 80, path: health}\n"},
			want: []string{"app.yaml:1:24: error: ready.path: belongs to http, not to tcp", `app.yaml:2:31: error: healthcheck.path: "health" must begin with a slash`}},
		{name: "a line in the path", host: hostConfig{container: "ready: {http: 80, path: \"/ HTTP/1.0\\r\\nX: y\"}\n"}, want: []string{"app.yaml:1:25: error: ready.path:"}},
		{name: "a variable in the path", host: hostConfig{entry: "variables: {v: a b}\n", container: "variables: {v: !Choice [a b]}\nready: {http: 80, path: '/@{v}'}\n"},
			want: []string{`app.yaml:2:25: error: ready.path: "/a b" has characters that can't be in a URL`}},
		{name: "a variable for a port", host: hostConfig{entry: "variables: {v: x}\n", container: "variables: {v: !Name }\nready: {tcp: '@{v}'}\n"},
			want: []string{`app.yaml:2:14: error: ready.tcp: "x" is not a TCP port`}},
		{name: "F7 not declared", host: hostConfig{container: "ready: {tcp: '@{port}'}\n"},
			want: []string{`app.yaml:1:14: error: ready.tcp: variable "port" is not declared in variables`}},
		{name: "hosts", host: hostConfig{container: "ready: {command: [/a], host: '::1'}\nhealthcheck: {tcp: 80, host: localhost}\n"},
			want: []string{"app.yaml:1:30: error: ready.host: belongs to tcp and http, not to command", "app.yaml:2:30: error: healthcheck.host:"}},
		{name: "no command", host: hostConfig{container: "ready: {command: []}\n"}, want: []string{"app.yaml:1:18: error: ready.command: expected a list"}},
		{name: "a shell's command", host: hostConfig{container: "ready: {command: [curl, -f, localhost]}\n"},
			want: []string{`app.yaml:1:18: error: ready.command: "curl" must be an absolute path inside the container`}},
		{name: "times", host: hostConfig{container: "ready: {tcp: 80, interval: 0, timeout: 0.01, within: 1m}\nhealthcheck: {tcp: 80, timeout: 301, failures: 0, start-period: -1}\n"},
			want: []string{"app.yaml:1:28: error: ready.interval: 0 s is not in 0.1 to 86400", "app.yaml:1:40: error: ready.timeout: 0.01 s is not in 0.1 to 300",
				`app.yaml:1:54: error: ready.within: "1m" is not a number of seconds`, "app.yaml:2:33: error: healthcheck.timeout: 301 s is not in 0.1 to 300",
				"app.yaml:2:48: error: healthcheck.failures: 0 is", `app.yaml:2:65: error: healthcheck.start-period: "-1" is not a number of seconds`}},
		{name: "G lithos listens itself", host: hostConfig{container: "tcp-ports: {8080: {fd: 3}}\nready: {tcp: 8080}\n"},
			want: []string{"app.yaml:2:14: warning: ready.tcp: a connection to port 8080 says nothing: it is in tcp-ports"}},
		{name: "a command", host: hostConfig{entry: "kind: Command\n", container: "kind: Command\nready: {tcp: 8080}\n"},
			want: []string{"app.yaml:2:8: warning: ready: is not used: a command ends by itself"}},
	})
}
