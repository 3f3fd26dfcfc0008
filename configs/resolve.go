package configs

import (
	"path"
	"reflect"
	"slices"
	"strconv"

	"lithos/configs/document"
)

// recipe is all that instances of one process are made from. It stays with
// them, so that the instance of a command can be made again under its name.
type recipe struct {
	master  *Master
	sandbox string
	sb      *SandboxConfig
	process string
	cfg     *ProcessConfig
	t       *template
	base    Container // the same for all instances
}

// resolver checks one process against its sandbox and its container config,
// and tells the problems of the process file and of the container config.
type resolver struct {
	recipe
	sandboxFile          string
	sandboxPlaces        document.Places // of the sandbox config's options
	entry                *processEntry
	inProcess, inContent *document.Collector
	inSecrets            *document.Collector // inContent, or that of secret-environ-file
	secretSizes          []int               // bytes that each takes of the environment
	before               []*Instance
}

// setAt says where the sandbox config sets an option, as the end of a sentence.
func (r *resolver) setAt(key string) string {
	at := r.sandboxPlaces.At(key)
	if at.Line == 0 {
		return ""
	}
	return " (" + r.sandboxFile + ":" + strconv.Itoa(at.Line) + ")"
}

// resolve returns nothing if there is an error.
func (r *resolver) resolve(keys func(file string) keyRing) []*Instance {
	r.checkKind()
	r.checkVariables()
	r.checkStandby()
	r.resolveIdentity()
	r.resolveVolumes()
	r.resolveFixed()
	r.resolveSecrets(keys)
	r.checkAddresses()
	ports := r.checkPorts()
	r.checkChecks(ports)
	if r.inProcess.Broken() || r.inContent.Broken() || r.inSecrets.Broken() {
		return nil
	}
	r.base.TCPPorts = ports
	shared := r.recipe
	if r.cfg.Kind == KindCommand {
		list := []*Instance{shared.instance(r.sandbox+"/cmd."+r.process, 0)}
		r.checkSize(list[0].Container)
		return list
	}
	if r.unchanged() && r.checkSize(r.before[0].Container) {
		return r.before
	}
	list := make([]*Instance, r.instances())
	for i := range list {
		list[i] = shared.instance(InstanceName{r.sandbox, r.process, i}.String(), i)
		if i == 0 && !r.checkSize(list[0].Container) {
			return nil
		}
	}
	return list
}

// instances is how many there are: in a bridged network as many as have an address,
// if any has one.
func (r *resolver) instances() int {
	if n := len(r.cfg.IPAddresses); r.sb.Bridged != nil && n > 0 {
		return min(n, r.cfg.Instances)
	}
	return r.cfg.Instances
}

// unchanged tells whether the instances that there were before are those that would
// be made now: nothing goes into one but its recipe, its name and its index.
func (r *resolver) unchanged() bool {
	return len(r.before) > 0 && r.before[0].recipe != nil && reflect.DeepEqual(*r.before[0].recipe, r.recipe)
}

// Limits of execve. The first is the kernel's MAX_ARG_STRLEN. The second is half
// of its default limit, which also keeps the instances of a hostile config, each
// with its own substitutions, from filling the memory.
const (
	maxArgument  = 128 << 10
	maxArguments = 1 << 20
)

// checkSize looks at arguments and environ with all variables put in.
func (r *resolver) checkSize(c *Container) bool {
	total, longest := 0, 0
	for _, a := range c.Arguments {
		total, longest = total+len(a)+1, max(longest, len(a)+1)
	}
	for _, e := range c.Environ {
		n := len(e.Name) + len(e.Value) + 2
		total, longest = total+n, max(longest, n)
	}
	for _, s := range c.checkTexts() {
		total, longest = total+len(s)+1, max(longest, len(s)+1)
	}
	for _, n := range r.secretSizes {
		total, longest = total+n, max(longest, n)
	}
	switch {
	case longest > maxArgument:
		r.inContent.ErrorAt(document.Place{Path: "arguments"}, "one of arguments or environ has %d bytes, the kernel takes at most %d", longest, maxArgument)
	case total > maxArguments:
		r.inContent.ErrorAt(document.Place{Path: "arguments"}, "arguments and environ have %d bytes, at most %d are taken", total, maxArguments)
	default:
		return true
	}
	return false
}

// checkKind: what a container config is for must match what it is used as (E1).
func (r *resolver) checkKind() {
	kind := r.t.fixed.Kind
	if kind != KindCommandOrDaemon && kind != r.cfg.Kind {
		r.inProcess.ErrorAt(r.entry.At("kind"), "is %s here but %s in the container config %s", r.cfg.Kind, kind, r.t.file)
	}
}

// checkVariables: each declared variable must have a right value (D7, F1);
// values of undeclared ones are not looked at.
func (r *resolver) checkVariables() {
	for i := range r.t.variables {
		d := &r.t.variables[i]
		s, ok := r.cfg.Variables[d.name]
		if !ok && !r.t.used[d.name] {
			r.inProcess.WarnAt(r.entry.variables.At(d.name), "a value is missing for this %s of the container config %s, where nothing uses it", d.kind, r.t.file)
		} else if !ok {
			r.inProcess.ErrorAt(r.entry.variables.At(d.name), "a value is missing for this %s of the container config %s", d.kind, r.t.file)
		} else if text := d.check(s, r.sb, r.setAt("allow-tcp-ports")); text != "" {
			r.inProcess.ErrorAt(r.entry.variables.At(d.name), "%s", text)
		}
	}
}

// resolveIdentity finds the user, the group and the maps in force (C10-C13,
// C16, E2, E15).
func (r *resolver) resolveIdentity() {
	r.base.UIDMap = r.mapInForce(r.sb.UIDMap, r.t.fixed.UIDMap, r.sb.AllowUsers, r.t.At("uid-map"), "uid-map", "allow-users")
	r.base.GIDMap = r.mapInForce(r.sb.GIDMap, r.t.fixed.GIDMap, r.sb.AllowGroups, r.t.At("gid-map"), "gid-map", "allow-groups")

	user := r.t.userID
	if user == nil {
		user = r.sb.DefaultUser
	}
	if user == nil {
		r.inContent.ErrorAt(r.t.At("user-id"), "is required, since the sandbox has no default-user")
		return
	}
	group := &r.sb.DefaultGroup
	if r.t.groupID != nil {
		group = r.t.groupID
	}
	r.base.UserID, r.base.GroupID = *user, *group
	r.checkID(r.t.At("user-id"), "user", *user, r.base.UIDMap, len(r.t.fixed.UIDMap) > 0, r.sb.AllowUsers, "allow-users")
	r.checkID(r.t.At("group-id"), "group", *group, r.base.GIDMap, len(r.t.fixed.GIDMap) > 0, r.sb.AllowGroups, "allow-groups")
}

// mapInForce: a map is in the sandbox or in the container config; the latter's
// outside ids are limited by what the sandbox allows (C10).
func (r *resolver) mapInForce(sandbox, container []IDMap, allowed []Range, at document.Place, key, list string) []IDMap {
	if len(container) == 0 {
		return sandbox
	}
	if len(sandbox) > 0 {
		r.inContent.ErrorAt(at, "the sandbox has a %s too, only one of both can have it", key)
		return sandbox
	}
	for _, m := range container {
		if !m.outsideAllowed(allowed) {
			r.inContent.ErrorAt(at, "the outside ids %d to %d are not in %s %s of the sandbox%s",
				m.Outside, uint64(m.Outside)+uint64(m.Count)-1, list, document.FormatRanges(allowed), r.setAt(list))
		}
	}
	return container
}

// checkID: with a container's own map it is the map that is limited, without
// one it is the id.
func (r *resolver) checkID(at document.Place, what string, id uint32, ids []IDMap, own bool, allowed []Range, list string) {
	switch {
	case !mapped(ids, id):
		r.inContent.ErrorAt(at, "%s %d is not among the inside ids of the map in force", what, id)
	case !own && !document.InRanges(allowed, id):
		r.inContent.ErrorAt(at, "%s %d is not in %s %s of the sandbox%s", what, id, list, document.FormatRanges(allowed), r.setAt(list))
	}
}

// resolveVolumes finds the host directories and looks at the owners (H7-H9).
func (r *resolver) resolveVolumes() {
	volumes := make([]Volume, 0, len(r.t.volumes))
	for _, vc := range r.t.volumes {
		vol, text := resolveVolume(vc, r.sb)
		if text != "" {
			r.inContent.ErrorAt(vc.at, "%s", text)
			continue
		}
		owned := vol.Kind == VolumePersistent && vol.Mkdir || vol.Kind == VolumeStatedir && vol.SubPath != ""
		if owned && !mapped(r.base.UIDMap, vol.User) {
			r.inContent.ErrorAt(vc.at, "its user %d is not among the inside ids of the map in force", vol.User)
		}
		if owned && !mapped(r.base.GIDMap, vol.Group) {
			r.inContent.ErrorAt(vc.at, "its group %d is not among the inside ids of the map in force", vol.Group)
		}
		volumes = append(volumes, vol)
	}
	r.base.Volumes = volumes
}

// resolveFixed takes over what is the same for all instances.
func (r *resolver) resolveFixed() {
	f := r.t.fixed
	f.UserID, f.GroupID = r.base.UserID, r.base.GroupID
	f.UIDMap, f.GIDMap, f.Volumes = r.base.UIDMap, r.base.GIDMap, r.base.Volumes
	f.MapImageOwners = r.sb.MapImageOwners && len(f.UIDMap) > 0
	f.Image = path.Join(r.sb.ImageDir, r.cfg.Image)
	f.ConfigFile = r.cfg.Config
	f.SecretEnvironFile = secretFile(f.SecretEnvironFile, r.cfg.Config)
	f.ResolvConf.Source = r.sb.ResolvConf
	f.HostsFile.Source, f.HostsFile.Additional = r.sb.HostsFile, r.sb.Additional
	for i := range effects {
		if take := effects[i].take; take != nil {
			take(&f, r.sb)
		}
	}
	r.base = f
}

// checkAddresses: in a bridged sandbox each daemon has an address inside the
// network (D6); a command without one has only loopback (L6).
func (r *resolver) checkAddresses() {
	if r.sb.Bridged == nil {
		return
	}
	if len(r.cfg.IPAddresses) == 0 && r.cfg.Kind == KindDaemon && r.cfg.Instances > 0 {
		r.inProcess.WarnAt(r.entry.At("ip-addresses"), "is missing: the sandbox has a bridged-network, without an address an instance has only its loopback")
	}
	for _, a := range r.cfg.IPAddresses {
		if !r.sb.Bridged.Network.Contains(a) {
			r.inProcess.ErrorAt(r.entry.At("ip-addresses"), "%s is not in the network %s of the sandbox", a, r.sb.Bridged.Network)
		}
	}
}

// checkPorts resolves tcp-ports and holds them against allow-tcp-ports (C14).
func (r *resolver) checkPorts() []TCPPort {
	var ports []TCPPort
	seen := map[uint16]string{}
	add := func(p TCPPort, key string, at document.Place) {
		if first, twice := seen[p.Port]; twice {
			r.inContent.ErrorAt(at, "port %d is that of %s already", p.Port, document.Clip(first))
			return
		}
		seen[p.Port] = key
		if r.sb.Bridged == nil {
			p.External = false // means nothing here, so it must not tell containers apart
		}
		ports = append(ports, p)
	}
	for i, d := range r.t.activated() {
		if port, err := parsePort(r.cfg.Variables[d.name]); err == nil {
			add(activationPort(port, firstActivationFD+i), "variable "+d.name, d.at)
		}
	}
	for _, pc := range r.t.ports {
		if p, ok := r.resolvePort(pc); ok {
			add(p, pc.key, pc.at)
		}
	}
	slices.SortFunc(ports, func(a, b TCPPort) int { return a.FD - b.FD })
	return ports
}

func (r *resolver) resolvePort(pc portConfig) (TCPPort, bool) {
	missing := false
	key := substitute(pc.key, func(name string) string {
		s, ok := r.cfg.Variables[name]
		missing = missing || !ok // and reported
		return s
	})
	if missing {
		return TCPPort{}, false
	}
	port, err := parsePort(key)
	if err != nil {
		r.inContent.ErrorAt(pc.at, "%s %s", document.Quote(key), err)
		return TCPPort{}, false
	}
	p := pc.TCPPort
	p.Port = port
	if (r.sb.Bridged == nil || p.External) && !document.InRanges(r.sb.AllowTCPPorts, uint32(port)) {
		r.inContent.ErrorAt(pc.at, "%s", notAllowed(port, r.sb, r.setAt("allow-tcp-ports")))
		return p, false
	}
	return p, true
}

// instance makes one instance. Its errors were found before.
func (r *recipe) instance(name string, index int) *Instance {
	c := r.base
	replace := func(variable string) string { return r.replace(name, variable) }
	for _, a := range r.t.arguments {
		c.Arguments = append(c.Arguments, substitute(a.value, replace))
	}
	r.setEnviron(&c, name, replace)
	r.checks(&c, name)
	in := &Instance{
		Name: name, Sandbox: r.sandbox, Process: r.process, Index: index,
		JSON:      instanceJSON(r.cfg, index),
		Container: &c,
		recipe:    r,
	}
	c.Network = r.network(index)
	in.Fingerprint = fingerprint(&c, r.master)
	return in
}

// replace is the value of a variable for the instance of that name.
func (r *recipe) replace(name, variable string) string {
	switch variable {
	case builtinName:
		return name
	case builtinConfig:
		return r.cfg.Config
	}
	return r.cfg.Variables[variable]
}

// setEnviron adds what lithos itself sets, which can't be overridden (E10, F9).
func (r *recipe) setEnviron(c *Container, name string, replace func(string) string) {
	for _, e := range r.t.environ {
		switch {
		case e.value.Name == "LITHOS_NAME" || e.value.Name == "LITHOS_CONFIG" || r.t.secret(e.value.Name):
		case isPID(e.value.Value):
			c.PIDVariables = append(c.PIDVariables, e.value.Name)
		default:
			c.Environ = append(c.Environ, EnvVar{e.value.Name, substitute(e.value.Value, replace)})
		}
	}
	c.Environ = append(c.Environ, EnvVar{"LITHOS_NAME", name}, EnvVar{"LITHOS_CONFIG", r.cfg.Config})
	if list := r.t.activated(); len(list) > 0 {
		names := list[0].name
		for _, d := range list[1:] {
			names += ":" + d.name
		}
		c.Environ = append(c.Environ, EnvVar{"LISTEN_FDS", strconv.Itoa(len(list))}, EnvVar{"LISTEN_FDNAMES", names})
		c.PIDVariables = append(c.PIDVariables, "LISTEN_PID")
	}
	sortedBy(c.Environ, func(e EnvVar) string { return e.Name })
	slices.Sort(c.PIDVariables)
}

// network is the instance's place in the bridged network.
func (r *recipe) network(index int) *Network {
	b := r.sb.Bridged
	if b == nil {
		return nil
	}
	n := &Network{Bridge: b.Bridge, Prefix: b.Network, Gateway: b.DefaultGateway}
	if index < len(r.cfg.IPAddresses) {
		n.Address = r.cfg.IPAddresses[index]
		for _, arg := range b.AfterSetupCommand {
			arg, _ = expandAfterSetup(arg, n.Address.String())
			n.AfterSetup = append(n.AfterSetup, arg)
		}
	}
	return n
}
