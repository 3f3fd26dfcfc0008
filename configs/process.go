package configs

import (
	"math"
	"net/netip"
	"strings"
)

// processKeys are the options of an entry of a process config (seeds/000 §4.1).
var processKeys = []string{
	"kind", "image", "config", "instances", "ip-addresses", "variables", "extra-secrets-namespaces",
	"max-unavailable",
}

// maxInstances is far beyond what a kernel with its 32768 pids runs; it stands
// against a slip of the finger, which would take all memory.
const maxInstances = math.MaxUint16

// processEntry is one entry with the places of what is checked later, when
// its container config is known.
type processEntry struct {
	name string
	cfg  *ProcessConfig

	at, image, config, kind, addresses, vars place
	varAt                                    map[string]place
}

// readProcesses reads a process config. Entries that have an error come back
// without cfg; ok is false if the file as a whole can't be used. The problems
// of an entry get its name.
func readProcesses(v value) (list []*processEntry, ok bool) {
	entries, _ := v.entries()
	c := v.c
	for _, e := range entries {
		if e.twice {
			attribute(c.list, e.name)
		}
		if e.name == "" {
			e.errorf("a process has no name")
		}
	}
	for _, p := range c.list {
		if p.Process == "" && p.Severity == SeverityError {
			return nil, false
		}
	}
	defer func() { c.process = "" }()
	for _, e := range entries {
		c.process = e.name
		if strings.HasPrefix(e.name, "_") {
			warnTemplate(e)
			continue
		}
		list = append(list, readProcess(e))
	}
	return sortedBy(list, func(p *processEntry) string { return p.name }), true
}

// attribute gives the problems with a key to the process of that name.
func attribute(list Problems, name string) {
	for i := range list {
		if list[i].Path == name {
			list[i].Process = name
		}
	}
}

// warnTemplate: a name that begins with an underscore is for anchors, as a key
// is everywhere (checklist A4); but it looks like a process that will not run.
func warnTemplate(e entry) {
	if e.value.has("image") && e.value.has("config") {
		e.value.c.warnAt(e.keyPlace(), "is not run: names that begin with `_` are for anchors")
	}
}

func readProcess(e entry) *processEntry {
	p := &processEntry{name: e.name, at: e.keyPlace(), varAt: map[string]place{}}
	before := e.value.c.errors
	if err := checkProcessName(e.name); err != nil {
		e.errorf("%s", err)
	}
	if e.value.null() {
		e.errorf("expected a mapping with image and config, got nothing")
		return p
	}
	o, ok := e.value.object(processKeys)
	if !ok && len(o.fields) == 0 {
		return p
	}
	p.image, p.config, p.kind = o.get("image").place(), o.get("config").place(), o.get("kind").place()
	p.addresses, p.vars = o.get("ip-addresses").place(), o.get("variables").place()
	cfg := &ProcessConfig{
		Kind:                   o.get("kind").kind(KindDaemon, KindCommand),
		Instances:              int(o.get("instances").integer(1, 0, maxInstances)),
		IPAddresses:            readAddresses(o.get("ip-addresses")),
		Variables:              readValues(o.get("variables"), p.varAt),
		ExtraSecretsNamespaces: readNamespaces(o.get("extra-secrets-namespaces"), nil),
		MaxUnavailable:         int(o.get("max-unavailable").integer(0, 1, maxInstances)),
	}
	if v := o.get("image"); v.required() {
		cfg.Image = v.str("")
	}
	if v := o.get("config"); v.required() {
		cfg.Config = readConfigPath(v)
	}
	p.checkAddressCount(e.value.c, cfg)
	if e.value.c.errors == before && !e.twice {
		p.cfg = cfg
	}
	return p
}

// readConfigPath keeps the path as written: it is `@{lithos:config_filename}`.
func readConfigPath(v value) string {
	s, ok := v.scalar("a path inside the image")
	if ok && !strings.HasPrefix(s, "/") {
		v.errorf("%q must be an absolute path inside the image", clip(s))
	}
	return s
}

// readAddresses reads ip-addresses: one an instance (checklist D6).
func readAddresses(v value) []netip.Addr {
	var list []netip.Addr
	seen := map[netip.Addr]bool{}
	for _, item := range listed(v) {
		if _, ok := item.text(); !ok {
			continue
		}
		a := item.address(netip.Addr{})
		if !a.IsValid() {
			continue
		}
		if seen[a] {
			item.errorf("%s is given twice", a)
		}
		seen[a] = true
		list = append(list, a)
	}
	return list
}

// checkAddressCount: too few are an error; those left over are not used, as
// after scaling down (checklist D6).
func (p *processEntry) checkAddressCount(c *collector, cfg *ProcessConfig) {
	have, want := len(cfg.IPAddresses), cfg.Instances
	if cfg.Kind == KindCommand {
		want = 1
	}
	switch {
	case have > 0 && have < want:
		c.errorAt(p.addresses, "%d address%s for %d instances, each needs one", have, strings.Repeat("es", min(1, have-1)), want)
	case have > want && cfg.Kind == KindDaemon:
		c.warnAt(p.addresses, "%d addresses for %d instance%s, the rest is not used", have, want, plural(want))
	}
}

// readValues reads variables and where each stands.
func readValues(v value, at map[string]place) map[string]string {
	list, _ := v.entries()
	values := make(map[string]string, len(list))
	for _, e := range list {
		if s, ok := e.value.text(); ok {
			values[e.name], at[e.name] = s, e.value.place()
		}
	}
	return values
}
