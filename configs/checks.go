package configs

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"lithos/configs/document"
	"lithos/configs/option"
)

// CheckKind is how a container is asked.
type CheckKind string

// The kinds of checks.
const (
	CheckTCP     CheckKind = "tcp"     // a connection is accepted
	CheckHTTP    CheckKind = "http"    // GET is answered with a status of 200 to 399
	CheckCommand CheckKind = "command" // a program in the container exits with 0
	CheckFD      CheckKind = "fd"      // of ready: the program writes a line to a descriptor
	CheckNotify  CheckKind = "notify"  // of ready: the program sends READY=1, as by sd_notify
)

// Check is how to ask a container whether it serves, from inside its network.
type Check struct {
	Kind    CheckKind
	Addr    netip.AddrPort `json:",omitzero"`  // tcp, http
	Path    string         `json:",omitempty"` // http; notify: the socket, inside the container
	Command []string       `json:",omitempty"` // command, argv
	FD      int            `json:",omitempty"` // fd: what the program has it as
	// Interval is from the end of one check to the next, Timeout what one may
	// take.
	Interval, Timeout time.Duration
}

// Ready is the option ready, ours: when a container that was started counts as
// up.
type Ready struct {
	Check
	Within time.Duration `json:",omitzero"` // one that takes longer is ended; 0 = no limit
	// Watchdog, of notify: one that is ready and sends no WATCHDOG=1 for so long
	// is ended; 0 = it need not.
	Watchdog time.Duration `json:",omitzero"`
}

// Healthcheck is the option healthcheck, ours: a container that is ready, but
// serves no more, is ended and restarted.
type Healthcheck struct {
	Check
	Failures    int           // in a row, that end it
	StartPeriod time.Duration `json:",omitzero"` // failures do not count so long after its start
}

const (
	leastCheckTime  = 100 * time.Millisecond
	maxCheckTimeout = 5 * time.Minute
	maxFailures     = 1000
)

// loopback is the default of a check's host.
var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// What describes the probe in words.
func (c *Check) What() string {
	switch c.Kind {
	case CheckTCP:
		return "TCP connection to " + c.Addr.String()
	case CheckHTTP:
		return "GET http://" + c.Addr.String() + c.Path
	}
	switch c.Kind {
	case CheckFD:
		return "a line written to descriptor " + strconv.Itoa(c.FD)
	case CheckNotify:
		return "READY=1 sent to " + c.Path
	}
	return "command " + strings.Join(c.Command, " ")
}

// Told says that nobody asks: the program tells.
func (c *Check) Told() bool { return c.Kind == CheckFD || c.Kind == CheckNotify }

// String is the option as it may be written in a config; "" for none.
func (r *Ready) String() string {
	if r == nil {
		return ""
	}
	text := r.written()
	if r.Watchdog > 0 {
		text += ", watchdog: " + document.Decimal(r.Watchdog.Seconds())
	}
	if r.Within > 0 {
		text += ", within: " + document.Decimal(r.Within.Seconds())
	}
	return "{" + text + "}"
}

// String is the option as it may be written in a config; "" for none.
func (h *Healthcheck) String() string {
	if h == nil {
		return ""
	}
	text := h.written() + ", failures: " + strconv.Itoa(h.Failures)
	if h.StartPeriod > 0 {
		text += ", start-period: " + document.Decimal(h.StartPeriod.Seconds())
	}
	return "{" + text + "}"
}

func (c *Check) written() string {
	text := string(c.Kind) + ": "
	switch c.Kind {
	case CheckFD:
		return text + strconv.Itoa(c.FD)
	case CheckNotify:
		return text + strconv.Quote(c.Path)
	case CheckCommand:
		text += marshal(c.Command)
	default:
		text += strconv.Itoa(int(c.Addr.Port()))
		if c.Kind == CheckHTTP {
			text += ", path: " + strconv.Quote(c.Path)
		}
		if c.Addr.Addr() != loopback {
			text += ", host: '" + c.Addr.Addr().String() + "'"
		}
	}
	return text + fmt.Sprintf(", interval: %s, timeout: %s", document.Decimal(c.Interval.Seconds()), document.Decimal(c.Timeout.Seconds()))
}

// checkConfig is ready or healthcheck as it is written: what has variables in it is
// not resolved yet.
type checkConfig struct {
	Check // without Addr, Path and Command
	host  netip.Addr
	port  sourced[string]
	path  sourced[string]
	argv  []sourced[string]

	within, watchdog time.Duration // of ready
	failures         int           // of healthcheck
	startPeriod      time.Duration // of healthcheck
}

// portOrVariable is a port, or a variable in its place.
var portOrVariable = option.Type{Name: "port, 1 to 65535, or `@{NAME}`",
	Schema: `{"anyOf": [{"type": "integer", "minimum": 1, "maximum": 65535}, {"type": "string", "pattern": "^([0-9]+|.*@\\{.*)$"}]}`}

// checkTable are the options of ready or healthcheck: those that both have, and more.
func checkTable(interval string, more ...option.Option[checkConfig]) *option.Table[checkConfig] {
	return option.NewTable(append([]option.Option[checkConfig]{
		option.Described[checkConfig]("tcp", portOrVariable, option.Doc{Example: "8080",
			Text: "A port: the program accepts a connection. Of no use for a port of `tcp-ports`, where lithos itself listens."}),
		option.Described[checkConfig]("http", portOrVariable, option.Doc{Example: "8080",
			Text: "A port: the program answers GET with a status of 200 to 399."}),
		option.Described[checkConfig]("path", option.Type{Name: "path of a URL", Schema: `{"type": "string", "pattern": "^/"}`}, option.Doc{Default: "/", Example: "/health",
			Text: "With `http`: what is asked for."}),
		option.Of("host", option.Address, func(c *checkConfig) *netip.Addr { return &c.host }, option.Doc{Default: "127.0.0.1", Example: "'::1'",
			Text: "With `tcp` and `http`: the address, as seen from inside the container's network."}),
		option.Described[checkConfig]("command", option.Texts.Type, option.Doc{Example: "[/bin/check, --fast]",
			Text: "A program of the container and its arguments, run in it as `lithos_exec` does: it exits with 0."}),
		option.Of("interval", option.Between(leastCheckTime, 24*time.Hour), func(c *checkConfig) *time.Duration { return &c.Interval }, option.Doc{Default: interval,
			Text: "From the end of one check to the next."}),
		option.Of("timeout", option.Between(leastCheckTime, maxCheckTimeout), func(c *checkConfig) *time.Duration { return &c.Timeout }, option.Doc{Default: "5",
			Text: "How long one may take."}),
	}, more...)...)
}

var readyTable = checkTable("0.5",
	option.Described[checkConfig]("fd", option.Number[int](3, math.MaxInt32).Type, option.Doc{Example: "5",
		Text: "In the place of a check: the program gets this descriptor, and writes a line to it when it is ready, as for s6. It can't be together with `restart-process-only`."}),
	option.Described[checkConfig]("notify", option.Absolute.Type, option.Doc{Example: "/run/notify",
		Text: "In the place of a check: the program sends `READY=1` to a socket, as by `sd_notify`. It finds it by `NOTIFY_SOCKET` at this path, which has to be a file of the image, an empty one say."}),
	option.Of("watchdog", option.Between(time.Second, 24*time.Hour), func(c *checkConfig) *time.Duration { return &c.watchdog }, option.Doc{Example: "30",
		Text: "Of `notify`: when it is ready, the program has to send `WATCHDOG=1` at least that often, as `WATCHDOG_USEC` tells it; otherwise it is ended and started again, as one that fails its `healthcheck`. It can't be together with `restart-process-only`."}),
	option.Of("within", option.Seconds, func(c *checkConfig) *time.Duration { return &c.within }, option.Doc{Example: "60",
		Text: "A container that is not ready so long after its start is ended and started again, as one that fails its `healthcheck`. By default it may take any time."}),
)

var healthTable = checkTable("10",
	option.Of("failures", option.Number[int](1, maxFailures), func(c *checkConfig) *int { return &c.failures }, option.Doc{Default: "3",
		Text: "So many failures in a row end the container."}),
	option.Of("start-period", option.Seconds, func(c *checkConfig) *time.Duration { return &c.startPeriod }, option.Doc{Default: "0", Example: "30",
		Text: "Failures do not count so long after the container was started."}),
)

// checkKeys are the options of a check, in which the daemon asks.
var checkKeys = checkTable("").Keys()

// readReady reads ready.
func (t *template) readReady(v document.Value) {
	if v.Null() {
		return
	}
	o, ok := readyTable.Object(v)
	if !ok {
		return
	}
	c := &checkConfig{}
	before := v.Collector().Errors()
	switch {
	case !o.Get("fd").Null():
		t.readNotice(&o, c)
		readyTable.ReadOne("within", &o, c)
	case !o.Get("notify").Null():
		t.readNotify(&o, c)
		readyTable.ReadOne("within", &o, c)
	default:
		c.read(v, &o, readyTable, "tcp, http, command, fd and notify")
	}
	t.readWatchdog(&o, c)
	if v.Collector().Errors() == before {
		t.ready = c
	}
	t.checkDaemon(v)
}

// readHealthcheck reads healthcheck.
func (t *template) readHealthcheck(v document.Value) {
	if v.Null() {
		return
	}
	o, ok := healthTable.Object(v)
	if !ok {
		return
	}
	c := &checkConfig{}
	before := v.Collector().Errors()
	c.read(v, &o, healthTable, "tcp, http and command")
	if v.Collector().Errors() == before {
		t.health = c
	}
	t.checkDaemon(v)
}

// readNotice reads `ready: {fd: N}`: nobody is asked, the program tells.
func (t *template) readNotice(o *document.Object, c *checkConfig) {
	v := o.Get("fd")
	alone(o, "fd", append(slices.Clone(checkKeys), "notify"))
	if t.fixed.RestartProcessOnly {
		v.Errorf("can't be together with restart-process-only: the second program would not be heard")
	}
	fd := int(v.Integer(3, 3, math.MaxInt32))
	if uint64(fd) >= t.fixed.FilenoLimit {
		v.Errorf("%d is beyond fileno-limit %d", fd, t.fixed.FilenoLimit)
	}
	for _, p := range t.ports {
		if p.FD == fd {
			v.Errorf("descriptor %d is that of port %s already", fd, document.Clip(p.key))
		}
	}
	if i := fd - firstActivationFD; i < len(t.activated()) {
		v.Errorf("descriptor %d is that of variable %q by its activation", fd, document.Clip(t.activated()[i].name))
	}
	c.Kind, c.FD = CheckFD, fd
}

// alone refuses what makes no sense beside a key by which the program tells.
func alone(o *document.Object, key string, others []string) {
	for _, other := range others {
		if v := o.Get(other); !v.Null() {
			v.Errorf("can't be together with %s: with that nobody asks, the program tells", key)
		}
	}
}

// notifyVariables tell the program where to send READY=1 to, and how often
// WATCHDOG=1.
var notifyVariables = []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}

// refuseNotifyVariable refuses a variable that would have the program tell
// somebody else, or not know of the watchdog.
func (t *template) refuseNotifyVariable(c *document.Collector, name string, at document.Place) {
	if slices.Contains(notifyVariables, name) {
		c.ErrorAt(at, "is set by `ready: {notify: …}`, it must not be given")
	}
}

// readWatchdog reads `watchdog: SECONDS` beside notify.
func (t *template) readWatchdog(o *document.Object, c *checkConfig) {
	v := o.Get("watchdog")
	switch {
	case v.Null():
		return
	case o.Get("notify").Null():
		v.Errorf("belongs to notify: the program sends WATCHDOG=1 to that socket")
		return
	case t.fixed.RestartProcessOnly:
		v.Errorf("can't be together with restart-process-only: while the second program starts, nothing is sent")
		return
	}
	readyTable.ReadOne("watchdog", o, c)
}

// readNotify reads `ready: {notify: PATH}`: a socket is mounted on a file of the
// container, by the rules for volumes.
func (t *template) readNotify(o *document.Object, c *checkConfig) {
	v := o.Get("notify")
	before := v.Collector().Errors()
	alone(o, "notify", checkKeys)
	point := v.InsidePath("/")
	if point == "/" && v.Collector().Errors() == before {
		v.Errorf("the root can't be a socket: expected the path of an empty file of the image, such as /run/notify")
	}
	for _, volume := range t.volumes {
		if volume.MountPoint == point {
			v.Errorf("%s is the mount point of a volume already", document.Clip(point))
		}
	}
	for _, e := range t.environ {
		t.refuseNotifyVariable(v.Collector(), e.value.Name, e.at)
	}
	for _, e := range t.secretEnviron {
		t.refuseNotifyVariable(v.Collector(), e.value.Name, e.at)
	}
	t.Set("ready.notify", v)
	c.Kind, c.Path = CheckNotify, point
}

// checkDaemon: nobody watches over a command.
func (t *template) checkDaemon(v document.Value) {
	if t.fixed.Kind == KindCommand {
		v.Warnf("is not used: a command ends by itself, only daemons are checked")
	}
}

// read reads a check in which the daemon asks.
func (c *checkConfig) read(v document.Value, o *document.Object, table *option.Table[checkConfig], ways string) {
	for _, kind := range []CheckKind{CheckTCP, CheckHTTP, CheckCommand} {
		switch {
		case o.Get(string(kind)).Null():
		case c.Kind != "":
			o.Get(string(kind)).Errorf("%s is given already: one check asks in one way", c.Kind)
		default:
			c.Kind = kind
		}
	}
	if c.Kind == "" {
		v.Errorf("needs one of %s", ways)
		return
	}
	table.ReadAll(o, c)
	c.readWay(o)
}

// readWay reads what belongs to the kind of check, and refuses what belongs to
// another.
func (c *checkConfig) readWay(o *document.Object) {
	network := c.Kind == CheckTCP || c.Kind == CheckHTTP
	for _, part := range []struct {
		key string
		ok  bool
		of  string
	}{{"path", c.Kind == CheckHTTP, "http"}, {"host", network, "tcp and http"}} {
		if v := o.Get(part.key); !v.Null() && !part.ok {
			v.Errorf("belongs to %s, not to %s", part.of, c.Kind)
		}
	}
	if c.Kind == CheckCommand {
		c.readCommand(o.Get("command"))
		return
	}
	v := o.Get(string(c.Kind))
	s, ok := v.Scalar("a port")
	if ok && !strings.Contains(s, "@{") {
		if _, err := parsePort(s); err != nil {
			v.Errorf("%q %s", document.Clip(s), err)
		}
	}
	c.port = source(s, v)
	c.path = source("/", v)
	if v := o.Get("path"); !v.Null() && c.Kind == CheckHTTP {
		s, ok := v.Scalar("a path")
		if text := badPath(s); ok && text != "" {
			v.Errorf("%s", text)
		}
		c.path = source(s, v)
	}
}

// badPath says what is wrong with the path of a URL.
func badPath(s string) string {
	switch {
	case !strings.HasPrefix(s, "/"):
		return document.Quote(s) + " must begin with a slash"
	case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' }):
		return document.Quote(s) + " has characters that can't be in a URL; write them as %20"
	}
	return ""
}

func (c *checkConfig) readCommand(v document.Value) {
	for _, item := range listed(v) {
		if s, ok := item.Text(); ok {
			c.argv = append(c.argv, source(s, item))
		}
	}
	switch {
	case len(c.argv) == 0:
		v.Errorf("expected a list: a program of the container and its arguments, such as [/bin/check, --fast]")
	case !strings.HasPrefix(c.argv[0].value, "/"):
		v.Errorf("%q must be an absolute path inside the container", document.Clip(c.argv[0].value))
	}
}

// seen is what of ready the program sees: the descriptor, or the socket.
func (r *Ready) seen() *Ready {
	if r == nil || !r.Told() {
		return nil
	}
	return &Ready{Check: Check{Kind: r.Kind, FD: r.FD, Path: r.Path}, Watchdog: r.Watchdog}
}

// substituted are the texts with variables in them.
func (c *checkConfig) substituted() []sourced[string] {
	if c == nil {
		return nil
	}
	return append([]sourced[string]{c.port, c.path}, c.argv...)
}

// checkChecks resolves the ports of checks, and looks at what variables make of
// them.
func (r *resolver) checkChecks(ports []TCPPort) {
	for _, c := range []*checkConfig{r.t.ready, r.t.health} {
		if c == nil || c.Kind == CheckCommand || c.Told() {
			continue
		}
		replaced := func(s sourced[string]) string {
			return substitute(s.value, func(name string) string { return r.replace(r.process, name) })
		}
		port, err := parsePort(replaced(c.port))
		if err != nil {
			r.inContent.ErrorAt(c.port.at, "%s %s", document.Quote(replaced(c.port)), err)
			continue
		}
		if text := badPath(replaced(c.path)); text != "" {
			r.inContent.ErrorAt(c.path.at, "%s", text)
		}
		ours := slices.ContainsFunc(ports, func(p TCPPort) bool { return p.Port == port })
		if c.Kind == CheckTCP && ours {
			r.inContent.WarnAt(c.port.at, "a connection to port %d says nothing: it is in tcp-ports, so that lithos itself listens there before the program runs; use http or command", port)
		}
	}
}

// checks makes the probes of one instance. Their errors were found before.
func (r *recipe) checks(c *Container, name string) {
	if t := r.t.ready; t != nil {
		c.Ready = &Ready{Check: r.check(t, name), Within: t.within, Watchdog: t.watchdog}
	}
	if t := r.t.health; t != nil {
		c.Healthcheck = &Healthcheck{Check: r.check(t, name), Failures: t.failures, StartPeriod: t.startPeriod}
	}
}

func (r *recipe) check(t *checkConfig, name string) Check {
	c := t.Check
	replaced := func(s sourced[string]) string {
		return substitute(s.value, func(variable string) string { return r.replace(name, variable) })
	}
	for _, a := range t.argv {
		c.Command = append(c.Command, replaced(a))
	}
	if c.Kind == CheckCommand || c.Told() {
		return c
	}
	port, _ := parsePort(replaced(t.port))
	c.Addr = netip.AddrPortFrom(t.host, port)
	if c.Kind == CheckHTTP {
		c.Path = replaced(t.path)
	}
	return c
}

// checkTexts are the texts of checks that variables make longer.
func (c *Container) checkTexts() (texts []string) {
	if c.Ready != nil {
		texts = append(append(texts, c.Ready.Path), c.Ready.Command...)
	}
	if c.Healthcheck != nil {
		texts = append(append(texts, c.Healthcheck.Path), c.Healthcheck.Command...)
	}
	return texts
}
