package configs

import (
	"lithos/configs/option"
	"slices"
	"strings"
)

// Action is what a reload does to an instance.
type Action string

// The actions. ActionUnknown is for what runs under a config that is broken:
// the daemon holds its last good version, which no file has any more.
const (
	ActionStart   Action = "start"
	ActionStop    Action = "stop"
	ActionReplace Action = "replace"
	ActionKeep    Action = "keep"
	ActionUnknown Action = "unknown"
)

// Step is what happens to one instance, and why.
type Step struct {
	Name    string
	Action  Action
	Changes []Change // of a replaced instance, and of a kept one what it gets later
	// MaxUnavailable is how many of its process are replaced at a time; 0 = all.
	MaxUnavailable int
}

// Change is an option whose effective value is another one; "" = not set.
type Change struct {
	Option   string // such as "environ.PORT"
	Old, New string
	// Later: it is no reason to replace the container, and counts from its
	// next start, or its end, on.
	Later bool
}

// Compare tells what a reload does to the daemons of a sandbox that runs as
// its old version says. Commands are not the daemon's. old may be nil.
func Compare(old, wanted *Sandbox) []Step {
	before, after := daemons(old), daemons(wanted)
	var steps []Step
	for name, a := range after {
		step := Step{Name: name, Action: ActionStart}
		b, ran := before[name]
		switch {
		case ran && b.Fingerprint == a.Fingerprint:
			step.Action, step.Changes = ActionKeep, Diff(b, a)
		case ran:
			step.Action, step.Changes = ActionReplace, Diff(b, a)
			step.MaxUnavailable = wanted.maxUnavailable(a.Process)
		case unknown(old, a.Process):
			step.Action = ActionUnknown
		}
		steps = append(steps, step)
	}
	for name, b := range before {
		if after[name] != nil {
			continue
		}
		step := Step{Name: name, Action: ActionStop}
		if unknown(wanted, b.Process) {
			step.Action = ActionKeep // a broken object changes nothing
		}
		steps = append(steps, step)
	}
	slices.SortFunc(steps, func(a, b Step) int { return CompareNames(a.Name, b.Name) })
	return steps
}

func (s *Sandbox) maxUnavailable(process string) int {
	for _, p := range s.Processes {
		if p.Name == process {
			return p.MaxUnavailable()
		}
	}
	return 0
}

// daemons are the instances that the daemon runs, by name.
func daemons(s *Sandbox) map[string]*Instance {
	all := map[string]*Instance{}
	if s == nil {
		return all
	}
	for _, p := range s.Processes {
		if p.Kind != KindDaemon {
			continue
		}
		for _, in := range p.Instances {
			all[in.Name] = in
		}
	}
	return all
}

// unknown tells whether a config says nothing of a process because it is broken.
func unknown(s *Sandbox, process string) bool {
	if s == nil {
		return false
	}
	return s.Broken || s.ProcessesBroken || slices.ContainsFunc(s.Processes, func(p *Process) bool {
		return p.Name == process && p.Broken
	})
}

// Diff lists the options by which two instances differ: those of the process
// config, of the container config, of the sandbox and of the master config.
func Diff(old, wanted *Instance) []Change {
	a, b := settingsOf(old), settingsOf(wanted)
	before, after := textsOf(settingsOf(old.seen())), textsOf(settingsOf(wanted.seen()))
	texts := textsOf(a)
	var changes []Change
	add := func(name, is, becomes string) {
		changes = append(changes, Change{name, is, becomes, before[name] == after[name]})
	}
	for _, s := range b {
		if text, ok := texts[s.name]; !ok || text != s.text {
			add(s.name, text, s.text)
		}
		delete(texts, s.name)
	}
	for _, s := range a {
		if _, gone := texts[s.name]; gone {
			add(s.name, s.text, "")
		}
	}
	return changes
}

// seen is the instance with what a program in it can see alone.
func (in *Instance) seen() *Instance {
	only := *in
	only.Container = seen(in.Container)
	return &only
}

// settingsOf is all of an instance that can differ.
func settingsOf(in *Instance) []setting {
	var list []setting
	for i := range effects {
		if settings := effects[i].settings; settings != nil {
			list = append(list, settings(in)...)
		}
	}
	return list
}

func textsOf(list []setting) map[string]string {
	texts := make(map[string]string, len(list))
	for _, s := range list {
		texts[s.name] = s.text
	}
	return texts
}

// words is a list as JSON; "" for nothing.
func words(v any) string {
	if s := marshal(v); s != "null" && s != "[]" {
		return s
	}
	return ""
}

// braced is a mapping; "" for nothing.
func braced(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return "{" + strings.Join(words, ", ") + "}"
}

// showEach is a list of mappings; "" for nothing.
func showEach[T any](list []T, table *option.Table[T]) string {
	words := make([]string, len(list))
	for i := range list {
		words[i] = table.Show(&list[i])
	}
	if len(words) == 0 {
		return ""
	}
	return "[" + strings.Join(words, ", ") + "]"
}

// String is the network in words; "" for the host's.
func (n *Network) String() string {
	if n == nil {
		return ""
	}
	words := []string{"bridge: " + n.Bridge, "network: " + n.Prefix.String()}
	if n.Address.IsValid() {
		words = append(words, "address: "+n.Address.String())
	}
	if n.Gateway.IsValid() {
		words = append(words, "default-gateway: "+n.Gateway.String())
	}
	if len(n.AfterSetup) > 0 {
		words = append(words, "after-setup-command: "+option.Texts.Show(n.AfterSetup))
	}
	return braced(words)
}
