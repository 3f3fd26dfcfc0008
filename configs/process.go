package configs

import (
	"math"
	"net/netip"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"lithos/configs/document"
	"lithos/configs/option"
)

// processOptions are the options of an entry of a process config.
var processOptions = []declared[ProcessConfig]{
	of("kind", option.OneOf(KindDaemon, KindCommand), func(p *ProcessConfig) *Kind { return &p.Kind }, option.Doc{Default: "Daemon", Example: "Command", Manual: "4",
		Text: "A daemon is kept running; a command is run by hand, by lithos_cmd."}),
	of("image", option.Text, func(p *ProcessConfig) *string { return &p.Image }, option.Doc{Example: "web.v3", Manual: "4", Missing: option.Required,
		Text: "Directory of the image below `image-dir`, with exactly `image-dir-levels` parts."}).
		shown(func(c *Container) string { return c.Image }),
	of("config", configPath, func(p *ProcessConfig) *string { return &p.Config }, option.Doc{Example: "/config/web.yaml", Manual: "4", Missing: option.Required,
		Text: "The container config, a path inside the image."}).
		shown(func(c *Container) string { return c.ConfigFile }),
	of("instances", option.Number[int](0, maxInstances), func(p *ProcessConfig) *int { return &p.Instances }, option.Doc{Default: "1", Example: "3", Manual: "4",
		Text: "How many containers are to run."}),
	of("ip-addresses", addresses, func(p *ProcessConfig) *[]netip.Addr { return &p.IPAddresses }, option.Doc{Example: "[10.0.0.10, 10.0.0.11]", Manual: "4",
		Text: "An address for each instance, where the sandbox has a `bridged-network`."}),
	of("variables", values, func(p *ProcessConfig) *map[string]string { return &p.Variables }, option.Doc{Default: "{}", Example: "{port: 8080}", Manual: "4",
		Text: "Values of the variables that the container config declares. Others are ignored."}),
	of("extra-secrets-namespaces", namespaces(), func(p *ProcessConfig) *[]string { return &p.ExtraSecretsNamespaces }, option.Doc{Default: "[]", Example: "[project1.celery]", Manual: "4",
		Text: "Secrets for this process, beside those of the sandbox's `secrets-namespaces`."}),
	of("max-unavailable", option.Number[int](1, maxInstances), func(p *ProcessConfig) *int { return &p.MaxUnavailable }, option.Doc{Example: "1",
		Text: "How many instances are replaced at a time when their config has changed; without it, all. See [operations](operations.md#deploy)."}),
}

// maxInstances is far beyond what a kernel with its 32768 pids runs; it stands
// against a slip of the finger, which would take all memory.
const maxInstances = math.MaxUint16

// processEntry is one entry with the places of what is checked later, when
// its container config is known.
type processEntry struct {
	name string
	cfg  *ProcessConfig

	document.Places                 // of its options
	variables       document.Places // of the values in variables
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
	flat := notIndented(entries)
	for _, e := range entries {
		if flat != "" && isOption(e) {
			continue // told with the entry that it belongs to
		}
		c.Owner = e.Name
		if strings.HasPrefix(e.Name, "_") {
			warnTemplate(e)
			continue
		}
		list = append(list, readProcess(e, e.Name == flat))
	}
	return sortedBy(list, func(p *processEntry) string { return p.name }), true
}

// notIndented is the name of the empty entry that options stand beside instead of
// below, "" = none.
func notIndented(entries []document.Entry) string {
	empty := slices.IndexFunc(entries, func(e document.Entry) bool { return e.Value.Null() })
	if empty < 0 || !slices.ContainsFunc(entries, isOption) {
		return ""
	}
	return entries[empty].Name
}

// isOption tells of a value that is an option's by its name, and can be no process.
func isOption(e document.Entry) bool {
	_, scalar := e.Value.Quiet().Text()
	return scalar && !e.Value.Null() && slices.Contains(processTable.Keys(), e.Name)
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

func readProcess(e document.Entry, flat bool) *processEntry {
	p := &processEntry{name: e.Name}
	c := e.Value.Collector()
	before := c.Errors()
	if err := checkProcessName(e.Name); err != nil {
		e.Errorf("%s", err)
	}
	if e.Value.Null() {
		if flat {
			e.Errorf("expected a mapping with image and config, got nothing: indent its options, so that they are below %s", e.Name)
		} else {
			e.Errorf("expected a mapping with image and config, got nothing")
		}
		return p
	}
	cfg := &ProcessConfig{}
	o, ok := processTable.Object(e.Value)
	if !ok && !o.Usable() {
		return p
	}
	processTable.ReadAll(&o, cfg)
	if image := path.Clean(cfg.Image); image != cfg.Image && filepath.IsLocal(cfg.Image) && !strings.Contains(cfg.Image, "..") {
		o.Get("image").Warnf("%s is taken as %s", document.Quote(cfg.Image), document.Quote(image))
		cfg.Image = image
	}
	p.Places = o.Places()
	p.variables = document.PlacesOf(o.Get("variables"))
	p.checkAddressCount(c, cfg)
	if c.Errors() == before && !e.Twice {
		p.cfg = cfg
	}
	return p
}

// configPath keeps the path as written: it is `@{lithos:config_filename}`.
var configPath = option.Kind[string]{Type: option.Absolute.Type, Read: func(v document.Value, _ string) string {
	s, ok := v.Scalar("a path inside the image")
	if ok && !strings.HasPrefix(s, "/") {
		v.Errorf("%q must be an absolute path inside the image", document.Clip(s))
	}
	return s
}}

// addresses are ip-addresses: one an instance (requirement D6).
var addresses = option.Kind[[]netip.Addr]{Type: option.List(option.Address.Type), Read: func(v document.Value, _ []netip.Addr) []netip.Addr {
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
}}

// checkAddressCount: too few are an error; those left over are not used, as
// after scaling down (requirement D6).
func (p *processEntry) checkAddressCount(c *document.Collector, cfg *ProcessConfig) {
	have, want := len(cfg.IPAddresses), cfg.Instances
	if cfg.Kind == KindCommand {
		want = 1
	}
	switch {
	case have > 0 && have < want:
		c.WarnAt(p.At("ip-addresses"), "%d address%s for %d instances, each needs one: in a bridged network only those with an address run", have, strings.Repeat("es", min(1, have-1)), want)
	case have > want && cfg.Kind == KindDaemon:
		c.WarnAt(p.At("ip-addresses"), "%d addresses for %d instance%s, the rest is not used", have, want, plural(want))
	}
}

// values are variables.
var values = option.Kind[map[string]string]{
	Absent: true, Type: option.Mapping("from a variable to its value", option.Text.Type),
	Read: func(v document.Value, _ map[string]string) map[string]string {
		list, _ := v.Entries()
		values := make(map[string]string, len(list))
		for _, e := range list {
			if s, ok := e.Value.Text(); ok {
				values[e.Name] = s
			}
		}
		return values
	},
}
