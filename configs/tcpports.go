package configs

import (
	"math"
	"net/netip"
	"slices"
	"strings"

	"lithos/configs/document"
	"lithos/configs/option"
)

// portConfig is an element of tcp-ports whose key may have variables in it.
type portConfig struct {
	TCPPort
	key string
	at  document.Place // of the key
}

var portTable = option.NewTable(
	option.Of("fd", option.Number[int](0, math.MaxInt32).Named("0, or 3 and more"), func(p *TCPPort) *int { return &p.FD }, option.Doc{Example: "3", Manual: "5.2", Missing: option.Required,
		Text: "The descriptor that the program gets."}),
	option.Of("host", option.Address, func(p *TCPPort) *netip.Addr { return &p.Host }, option.Doc{Default: "0.0.0.0", Example: "127.0.0.1", Manual: "5.2",
		Text: "The address to listen at."}),
	option.Of("ipv6-only", option.Maybe, func(p *TCPPort) **bool { return &p.IPv6Only }, option.Doc{Example: "true",
		Text: "Whether a socket at `::` takes no IPv4 connections. Without it the sysctl `net.ipv6.bindv6only` decides, which is 0 on most hosts: it takes both."}),
	option.Of("listen-backlog", option.Number[int](0, math.MaxInt32), func(p *TCPPort) *int { return &p.Backlog }, option.Doc{Default: "128", Manual: "5.2",
		Text: "How many connections wait; the kernel caps it by `net.core.somaxconn`."}),
	option.Of("reuse-addr", option.Boolean, func(p *TCPPort) *bool { return &p.ReuseAddr }, option.Doc{Default: "true", Manual: "5.2",
		Text: "`SO_REUSEADDR`."}),
	option.Of("reuse-port", option.Boolean, func(p *TCPPort) *bool { return &p.ReusePort }, option.Doc{Default: "false", Manual: "5.2",
		Text: "A socket of its own for each start of the program, by `SO_REUSEPORT`."}),
	option.Of("set-non-block", option.Boolean, func(p *TCPPort) *bool { return &p.NonBlock }, option.Doc{Default: "false", Manual: "5.2",
		Text: "Make the socket non-blocking, for programs that forget it, such as nginx. " +
			"The flag is the same for all who share the socket, so a program can change it for the others. `true` is restored at each start. `false` is restored only if no other container has the socket: an event loop that set the flag itself would block. " +
			"So let either all or none of the processes that share a port expect a non-blocking socket; uvicorn, unicorn, pgbouncer and lighttpd do."}),
	option.Of("external", option.Boolean, func(p *TCPPort) *bool { return &p.External }, option.Doc{Default: "false", Manual: "5.2",
		Text: "Listen in the host's network although the container has its own."}),
)

var portsType = func() option.Type {
	return option.Mapping("from a port to its options, see below", option.Object(portTable.Infos()))
}()

// readPorts reads tcp-ports. fds is the program's limit of descriptors.
func readPorts(v document.Value, fds uint64) []portConfig {
	list, _ := v.Entries()
	var ports []portConfig
	byFD := map[int]string{}
	for _, e := range list {
		p, ok := readPort(e, fds)
		if !ok {
			continue
		}
		if first, twice := byFD[p.FD]; twice {
			e.Errorf("descriptor %d is that of port %s already", p.FD, document.Clip(first))
			continue
		}
		byFD[p.FD] = e.Name
		ports = append(ports, p)
	}
	return ports
}

func readPort(e document.Entry, fds uint64) (portConfig, bool) {
	p := portConfig{key: e.Name, at: e.KeyPlace()}
	ok := true
	if !strings.Contains(e.Name, "@{") {
		if _, err := parsePort(e.Name); err != nil {
			e.Errorf("%q %s", document.Clip(e.Name), err)
			ok = false
		}
	}
	o, good := portTable.Object(e.Value)
	if !good {
		return p, false
	}
	p.FD = -1
	portTable.ReadAll(&o, &p.TCPPort)
	fd := o.Get("fd")
	switch {
	case p.FD < 0:
		ok = false // and reported
	case p.FD == 1 || p.FD == 2:
		fd.Errorf("%d is stdout or stderr of the program; a socket may be 0 or 3 and up", p.FD)
		ok = false
	case uint64(p.FD) >= fds:
		fd.Errorf("%d is beyond fileno-limit %d", p.FD, fds)
		ok = false
	}
	return p, ok
}

// activationVariables are what systemd's protocol of socket passing sets.
var activationVariables = []string{"LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID"}

// firstActivationFD is SD_LISTEN_FDS_START.
const firstActivationFD = 3

// activated are the variables with `activation: systemd`, by name, which is
// the order of their descriptors (requirement F9).
func (t *template) activated() []*variable {
	var list []*variable
	for i := range t.variables {
		if t.variables[i].systemd {
			list = append(list, &t.variables[i])
		}
	}
	return list
}

// checkActivation reports what can't be together with `activation: systemd`.
func (t *template) checkActivation(c *document.Collector, o *document.Object) {
	list := t.activated()
	if len(list) == 0 {
		return
	}
	for _, p := range t.ports {
		if i := p.FD - firstActivationFD; i >= 0 && i < len(list) {
			c.ErrorAt(p.at, "descriptor %d is that of variable %q by its activation; "+
				"take a higher one, or write the activation out", p.FD, document.Clip(list[i].name))
		}
	}
	for i, d := range list {
		if fd := firstActivationFD + i; uint64(fd) >= t.fixed.FilenoLimit {
			c.ErrorAt(d.at, "its descriptor %d is beyond fileno-limit %d", fd, t.fixed.FilenoLimit)
		}
	}
	const text = "is set by `activation: systemd`, it must not be given"
	for _, key := range []string{"environ", "secret-environ"} {
		list, _ := o.Get(key).Quiet().Entries()
		for _, e := range list {
			if slices.Contains(activationVariables, e.Name) {
				c.ErrorAt(e.KeyPlace(), text)
			}
		}
	}
}

// activationPort is the socket of a variable with activation: there are no
// options (requirement F9).
func activationPort(port uint16, fd int) TCPPort {
	p := TCPPort{Port: port}
	portTable.Defaults(&p)
	p.FD = fd
	return p
}
