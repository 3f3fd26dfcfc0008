package configs

import (
	"math"
	"net/netip"
	"strings"

	"lithos/configs/document"
)

// processKeys are the options of an entry of a process config (section D of docs/requirements.md).
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

	at, image, config, kind, addresses, vars document.Place
	varAt                                    map[string]document.Place
}

// readProcesses reads a process config. Entries that have an error come back
// without cfg; ok is false if the file as a whole can't be used. The problems
// of an entry get its name.
func readProcesses(v document.Value) (list []*processEntry, ok bool) {
	entries, _ := v.Entries()
	c := v.Collector()
	for _, e := range entries {
		if e.Twice {
			attribute(c.List, e.Name)
		}
		if e.Name == "" {
			e.Errorf("a process has no name")
		}
	}
	for _, p := range c.List {
		if p.Owner == "" && p.Severity == SeverityError {
			return nil, false
		}
	}
	defer func() { c.Owner = "" }()
	for _, e := range entries {
		c.Owner = e.Name
		if strings.HasPrefix(e.Name, "_") {
			warnTemplate(e)
			continue
		}
		list = append(list, readProcess(e))
	}
	return sortedBy(list, func(p *processEntry) string { return p.name }), true
}

// attribute gives the problems with a key to the process of that name.
func attribute(list []document.Problem, name string) {
	for i := range list {
		if list[i].Path == name {
			list[i].Owner = name
		}
	}
}

// warnTemplate: a name that begins with an underscore is for anchors, as a key
// is everywhere (requirement A4); but it looks like a process that will not run.
func warnTemplate(e document.Entry) {
	if e.Value.Has("image") && e.Value.Has("config") {
		e.Warnf("is not run: names that begin with `_` are for anchors")
	}
}

func readProcess(e document.Entry) *processEntry {
	p := &processEntry{name: e.Name, at: e.KeyPlace(), varAt: map[string]document.Place{}}
	before := e.Value.Collector().Errors()
	if err := checkProcessName(e.Name); err != nil {
		e.Errorf("%s", err)
	}
	if e.Value.Null() {
		e.Errorf("expected a mapping with image and config, got nothing")
		return p
	}
	o, ok := e.Value.Object(processKeys)
	if !ok && !o.Usable() {
		return p
	}
	p.image, p.config, p.kind = o.Get("image").Place(), o.Get("config").Place(), o.Get("kind").Place()
	p.addresses, p.vars = o.Get("ip-addresses").Place(), o.Get("variables").Place()
	cfg := &ProcessConfig{
		Kind:                   readKind(o.Get("kind"), KindDaemon, KindCommand),
		Instances:              int(o.Get("instances").Integer(1, 0, maxInstances)),
		IPAddresses:            readAddresses(o.Get("ip-addresses")),
		Variables:              readValues(o.Get("variables"), p.varAt),
		ExtraSecretsNamespaces: readNamespaces(o.Get("extra-secrets-namespaces"), nil),
		MaxUnavailable:         int(o.Get("max-unavailable").Integer(0, 1, maxInstances)),
	}
	if v := o.Get("image"); v.Required() {
		cfg.Image = v.Str("")
	}
	if v := o.Get("config"); v.Required() {
		cfg.Config = readConfigPath(v)
	}
	p.checkAddressCount(e.Value.Collector(), cfg)
	if e.Value.Collector().Errors() == before && !e.Twice {
		p.cfg = cfg
	}
	return p
}

// readConfigPath keeps the path as written: it is `@{lithos:config_filename}`.
func readConfigPath(v document.Value) string {
	s, ok := v.Scalar("a path inside the image")
	if ok && !strings.HasPrefix(s, "/") {
		v.Errorf("%q must be an absolute path inside the image", document.Clip(s))
	}
	return s
}

// readAddresses reads ip-addresses: one an instance (requirement D6).
func readAddresses(v document.Value) []netip.Addr {
	var list []netip.Addr
	seen := map[netip.Addr]bool{}
	for _, item := range listed(v) {
		if _, ok := item.Text(); !ok {
			continue
		}
		a := item.Address(netip.Addr{})
		if !a.IsValid() {
			continue
		}
		if seen[a] {
			item.Errorf("%s is given twice", a)
		}
		seen[a] = true
		list = append(list, a)
	}
	return list
}

// checkAddressCount: too few are an error; those left over are not used, as
// after scaling down (requirement D6).
func (p *processEntry) checkAddressCount(c *document.Collector, cfg *ProcessConfig) {
	have, want := len(cfg.IPAddresses), cfg.Instances
	if cfg.Kind == KindCommand {
		want = 1
	}
	switch {
	case have > 0 && have < want:
		c.ErrorAt(p.addresses, "%d address%s for %d instances, each needs one", have, strings.Repeat("es", min(1, have-1)), want)
	case have > want && cfg.Kind == KindDaemon:
		c.WarnAt(p.addresses, "%d addresses for %d instance%s, the rest is not used", have, want, plural(want))
	}
}

// readValues reads variables and where each stands.
func readValues(v document.Value, at map[string]document.Place) map[string]string {
	list, _ := v.Entries()
	values := make(map[string]string, len(list))
	for _, e := range list {
		if s, ok := e.Value.Text(); ok {
			values[e.Name], at[e.Name] = s, e.Value.Place()
		}
	}
	return values
}
