package configs

import (
	"math"
	"net/netip"
	"strings"

	"lithos/configs/document"
)

// portConfig is an element of tcp-ports whose key may have variables in it.
type portConfig struct {
	TCPPort
	key string
	at  document.Place // of the key
}

var portKeys = []string{
	"fd", "host", "listen-backlog", "reuse-addr", "reuse-port", "set-non-block", "external",
}

const defaultBacklog = 128

// anyAddress is the default of host (requirement G3).
var anyAddress = netip.IPv4Unspecified()

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
	o, good := e.Value.Object(portKeys)
	if !good || !o.Get("fd").Required() {
		return p, false
	}
	fd := o.Get("fd")
	p.FD = int(fd.Integer(-1, 0, math.MaxInt32))
	switch {
	case p.FD < 0:
		ok = false
	case p.FD == 1 || p.FD == 2:
		fd.Errorf("%d is stdout or stderr of the program; a socket may be 0 or 3 and up", p.FD)
		ok = false
	case uint64(p.FD) >= fds:
		fd.Errorf("%d is beyond fileno-limit %d", p.FD, fds)
		ok = false
	}
	p.Host = o.Get("host").Address(anyAddress)
	p.Backlog = int(o.Get("listen-backlog").Integer(defaultBacklog, 0, math.MaxInt32))
	p.ReuseAddr = o.Get("reuse-addr").Boolean(true)
	p.ReusePort = o.Get("reuse-port").Boolean(false)
	p.NonBlock = o.Get("set-non-block").Boolean(false)
	p.External = o.Get("external").Boolean(false)
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
			if contains(activationVariables, e.Name) {
				at := e.KeyPlace()
				at.Path = key + "." + e.Name
				c.ErrorAt(at, text)
			}
		}
	}
}

// activationPort is the socket of a variable with activation: there are no
// options (requirement F9).
func activationPort(port uint16, fd int) TCPPort {
	return TCPPort{Port: port, FD: fd, Host: anyAddress, Backlog: defaultBacklog, ReuseAddr: true}
}
