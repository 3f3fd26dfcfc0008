package configs

import (
	"slices"
	"strconv"
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

// Diff lists the options by which two instances differ, in the order of the
// manual's container config.
func Diff(old, wanted *Instance) []Change {
	a, b := effective(old), effective(wanted)
	values := map[string]string{}
	for _, o := range a {
		values[o.name] = o.value
	}
	var changes []Change
	for _, o := range b {
		if before, ok := values[o.name]; !ok || before != o.value {
			changes = append(changes, Change{o.name, before, o.value, o.later})
		}
		delete(values, o.name)
	}
	for _, o := range a {
		if _, gone := values[o.name]; gone {
			changes = append(changes, Change{Option: o.name, Old: o.value, Later: o.later})
		}
	}
	return changes
}

// option is an option with its effective value in words.
type option struct {
	name, value string
	later       bool
}

// effective is all of an instance that can differ.
func effective(in *Instance) []option {
	c := in.Container
	list := []option{
		{name: "image", value: c.Image},
		{name: "config", value: c.ConfigFile},
		{name: "kind", value: string(c.Kind), later: true},
		{name: "user-id", value: strconv.FormatUint(uint64(c.UserID), 10)},
		{name: "group-id", value: strconv.FormatUint(uint64(c.GroupID), 10)},
		{name: "uid-map", value: words(c.UIDMap)},
		{name: "gid-map", value: words(c.GIDMap)},
		{name: "map-image-owners", value: strconv.FormatBool(c.MapImageOwners)},
		{name: "memory-limit", value: strconv.FormatInt(c.MemoryLimit, 10)},
		{name: "cpu-shares", value: strconv.FormatUint(c.CPUShares, 10)},
		{name: "fileno-limit", value: strconv.FormatUint(c.FilenoLimit, 10)},
		{name: "pids-limit", value: strconv.FormatInt(c.PIDsLimit, 10)},
		{name: "cpu-quota", value: strconv.FormatFloat(float64(c.CPUQuota)/1000, 'f', -1, 64)},
		{name: "cpuset", value: c.CPUSet},
		{name: "io-limits", value: words(c.IOLimits)},
		{name: "allow-new-privileges", value: strconv.FormatBool(c.AllowNewPrivileges)},
		{name: "add-capabilities", value: words(c.AddCapabilities)},
		{name: "writable-proc-sys", value: strconv.FormatBool(c.WritableProcSys)},
		{name: "unmask-kernel-files", value: strconv.FormatBool(c.UnmaskKernelFiles)},
		{name: "seccomp", value: c.Seccomp},
		{name: "restart-timeout", value: c.RestartTimeout.String(), later: !c.RestartProcessOnly},
		{name: "restart-backoff", value: c.RestartBackoff.String(), later: true},
		{name: "ready", value: c.Ready.String(), later: c.Ready.seen() == nil},
		{name: "healthcheck", value: c.Healthcheck.String(), later: true},
		{name: "standby", value: strconv.FormatBool(c.Standby), later: true},
		{name: "kill-timeout", value: c.KillTimeout.String(), later: true},
		{name: "restart-process-only", value: strconv.FormatBool(c.RestartProcessOnly)},
		{name: "normal-exit-codes", value: words(c.NormalExitCodes), later: true},
		{name: "interactive", value: strconv.FormatBool(c.Interactive)},
		{name: "executable", value: c.Executable},
		{name: "arguments", value: words(c.Arguments)},
		{name: "workdir", value: c.Workdir},
		{name: "secret-environ-file", value: c.SecretEnvironFile, later: true},
		{name: "secrets-private-key", value: c.SecretsPrivateKey, later: true},
		{name: "secrets-namespaces", value: words(c.SecretsNamespaces), later: true},
		{name: "resolv-conf", value: marshal(c.ResolvConf)},
		{name: "hosts-file", value: marshal(c.HostsFile)},
		{name: "stdout-stderr-file", value: c.StdoutStderrFile},
		{name: "bridged-network", value: words(c.Network)},
		{name: "devfs-dir", value: in.recipe.master.DevfsDir},
	}
	for _, e := range c.Environ {
		list = append(list, option{name: "environ." + e.Name, value: e.Value})
	}
	for _, name := range c.PIDVariables {
		list = append(list, option{name: "environ." + name, value: "@{lithos:pid}"})
	}
	for _, s := range c.SecretEnviron {
		value := words(s.Values)
		if s.Hash != "" {
			value = "the secret with the hash " + s.Hash
		}
		list = append(list, option{name: "secret-environ." + s.Name, value: value})
	}
	for _, v := range c.Volumes {
		point := v.MountPoint
		v.MountPoint = ""
		list = append(list, option{name: "volumes." + point, value: marshal(v)})
	}
	for _, p := range c.TCPPorts {
		list = append(list, option{name: "tcp-ports." + strconv.Itoa(int(p.Port)), value: marshal(p)})
	}
	return list
}

// words is a list, or a whole, as JSON; "" for nothing.
func words(v any) string {
	if s := marshal(v); s != "null" && s != "[]" {
		return s
	}
	return ""
}
