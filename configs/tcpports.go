package configs

import (
	"math"
	"net/netip"
	"strings"
)

// portConfig is an element of tcp-ports whose key may have variables in it.
type portConfig struct {
	TCPPort
	key string
	at  place // of the key
}

var portKeys = []string{
	"fd", "host", "listen-backlog", "reuse-addr", "reuse-port", "set-non-block", "external",
}

const defaultBacklog = 128

// anyAddress is the default of host (checklist G3).
var anyAddress = netip.IPv4Unspecified()

// readPorts reads tcp-ports. fds is the program's limit of descriptors.
func readPorts(v value, fds uint64) []portConfig {
	list, _ := v.entries()
	var ports []portConfig
	byFD := map[int]string{}
	for _, e := range list {
		p, ok := readPort(e, fds)
		if !ok {
			continue
		}
		if first, twice := byFD[p.FD]; twice {
			e.errorf("descriptor %d is that of port %s already", p.FD, clip(first))
			continue
		}
		byFD[p.FD] = e.name
		ports = append(ports, p)
	}
	return ports
}

func readPort(e entry, fds uint64) (portConfig, bool) {
	p := portConfig{key: e.name, at: e.keyPlace()}
	ok := true
	if !strings.Contains(e.name, "@{") {
		if _, err := parsePort(e.name); err != nil {
			e.errorf("%q %s", clip(e.name), err)
			ok = false
		}
	}
	o, good := e.value.object(portKeys)
	if !good || !o.get("fd").required() {
		return p, false
	}
	fd := o.get("fd")
	p.FD = int(fd.integer(-1, 0, math.MaxInt32))
	switch {
	case p.FD < 0:
		ok = false
	case p.FD == 1 || p.FD == 2:
		fd.errorf("%d is stdout or stderr of the program; a socket may be 0 or 3 and up", p.FD)
		ok = false
	case uint64(p.FD) >= fds:
		fd.errorf("%d is beyond fileno-limit %d", p.FD, fds)
		ok = false
	}
	p.Host = o.get("host").address(anyAddress)
	p.Backlog = int(o.get("listen-backlog").integer(defaultBacklog, 0, math.MaxInt32))
	p.ReuseAddr = o.get("reuse-addr").boolean(true)
	p.ReusePort = o.get("reuse-port").boolean(false)
	p.NonBlock = o.get("set-non-block").boolean(false)
	p.External = o.get("external").boolean(false)
	return p, ok
}

// activationVariables are what systemd's protocol of socket passing sets.
var activationVariables = []string{"LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID"}

// firstActivationFD is SD_LISTEN_FDS_START.
const firstActivationFD = 3

// activated are the variables with `activation: systemd`, by name, which is
// the order of their descriptors (checklist F9).
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
func (t *template) checkActivation(c *collector, o *object) {
	list := t.activated()
	if len(list) == 0 {
		return
	}
	for _, p := range t.ports {
		if i := p.FD - firstActivationFD; i >= 0 && i < len(list) {
			c.errorAt(p.at, "descriptor %d is that of variable %q by its activation; "+
				"take a higher one, or write the activation out", p.FD, clip(list[i].name))
		}
	}
	for i, d := range list {
		if fd := firstActivationFD + i; uint64(fd) >= t.fixed.FilenoLimit {
			c.errorAt(d.at, "its descriptor %d is beyond fileno-limit %d", fd, t.fixed.FilenoLimit)
		}
	}
	const text = "is set by `activation: systemd`, it must not be given"
	for _, key := range []string{"environ", "secret-environ"} {
		list, _ := o.get(key).quiet().entries()
		for _, e := range list {
			if contains(activationVariables, e.name) {
				c.errorAt(place{e.at.Line, e.at.Column, key + "." + e.name}, text)
			}
		}
	}
}

// activationPort is the socket of a variable with activation: there are no
// options (checklist F9).
func activationPort(port uint16, fd int) TCPPort {
	return TCPPort{Port: port, FD: fd, Host: anyAddress, Backlog: defaultBacklog, ReuseAddr: true}
}
