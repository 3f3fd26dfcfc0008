package process

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"lithos/actors"
	"lithos/configs"
	"lithos/spawn"
	"lithos/spawn/records"
	"lithos/sysx/cgroup"
	"lithos/sysx/sock"
)

// Sockets are the listening sockets of the host's network that a container
// inherits, in the order of their ports.
func Sockets(c *configs.Container) []actors.Socket {
	var sockets []actors.Socket
	for _, port := range sortedPorts(c) {
		if !inside(c, port) {
			sockets = append(sockets, socketOf(c, port))
		}
	}
	return sockets
}

// inside tells whether a socket is the container's network's own, and made again
// with it (G8, G18).
func inside(c *configs.Container, port configs.TCPPort) bool {
	return c.Network != nil && !port.External
}

func socketOf(c *configs.Container, port configs.TCPPort) actors.Socket {
	uid, _ := mapID(c.UIDMap, c.UserID)
	gid, _ := mapID(c.GIDMap, c.GroupID)
	return actors.Socket{
		Addr:      netip.AddrPortFrom(port.Host, port.Port),
		V6Only:    v6Only(port.IPv6Only),
		Backlog:   port.Backlog,
		ReuseAddr: port.ReuseAddr,
		ReusePort: port.ReusePort,
		NonBlock:  port.NonBlock,
		UID:       uid,
		GID:       gid,
	}
}

func v6Only(option *bool) sock.V6Only {
	switch {
	case option == nil:
		return sock.V6OnlyBySysctl
	case *option:
		return sock.V6OnlyYes
	}
	return sock.V6OnlyNo
}

func sortedPorts(c *configs.Container) []configs.TCPPort {
	ports := slices.Clone(c.TCPPorts)
	slices.SortFunc(ports, func(a, b configs.TCPPort) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.FD, b.FD))
	})
	return ports
}

// BuildRequest turns a resolved instance into what the spawner needs to start
// it. The sockets are those that [Sockets] asks for.
func BuildRequest(inst *configs.Instance, env *Env, sockets []*os.File, restarts int) (*spawn.Request, error) {
	spec, err := buildSpec(inst, env)
	if err != nil {
		return nil, err
	}
	c := inst.Container
	secrets, err := openSecrets(c, env)
	if err != nil {
		return nil, err
	}
	request := &spawn.Request{
		Spec: spec,
		// The order is what people's pgrep patterns rely on, R2.
		Argv:   []string{env.Knot, "--name", inst.Name, "--master", env.MasterFile, "--config", inst.JSON},
		Record: env.RecordOf(inst.Name),
		RecordHead: records.Created{
			Name:        inst.Name,
			Fingerprint: inst.Fingerprint,
			Image:       c.Image,
			Config:      c.ConfigFile,
			At:          time.Now(),
			Restarts:    restarts,
			KillTimeout: c.KillTimeout.Seconds(),
		},
		Secrets: secrets,
		Limits:  buildLimits(c),
		UIDMap:  buildMap(c.UIDMap),
		GIDMap:  buildMap(c.GIDMap),
		Network: buildNetwork(c.Network),
	}
	addSockets(request, c, sockets)
	return request, nil
}

// addSockets puts those that were leased and those that are to be made inside
// in the order of the ports.
func addSockets(r *spawn.Request, c *configs.Container, leased []*os.File) {
	for i, port := range sortedPorts(c) {
		if !inside(c, port) {
			r.Sockets = append(r.Sockets, leased[0])
			leased = leased[1:]
			continue
		}
		if r.Inside == nil {
			r.Inside = make(map[int]spawn.Socket)
		}
		r.Sockets = append(r.Sockets, nil)
		r.Inside[i] = socketOf(c, port)
	}
}

func buildMap(ids []configs.IDMap) []spawn.IDMap {
	var list []spawn.IDMap
	for _, m := range ids {
		list = append(list, spawn.IDMap(m))
	}
	return list
}

func buildNetwork(n *configs.Network) *spawn.Network {
	if n == nil {
		return nil
	}
	return &spawn.Network{Bridge: n.Bridge, Address: n.Address, Prefix: n.Prefix, Gateway: n.Gateway}
}

// openSecrets gives the container's secrets to the start, which wipes them.
func openSecrets(c *configs.Container, env *Env) ([]spawn.Secret, error) {
	if len(c.SecretEnviron) == 0 {
		return nil, nil
	}
	opened, err := env.Kernel.OpenSecrets(c)
	if err != nil {
		return nil, err
	}
	secrets := make([]spawn.Secret, 0, len(opened))
	for _, o := range opened {
		secrets = append(secrets, spawn.Secret{Name: o.Name, Value: o.Value.Reveal()})
	}
	return secrets, nil
}

func buildSpec(inst *configs.Instance, env *Env) (*spawn.Spec, error) {
	c := inst.Container
	volumes, err := buildVolumes(c)
	if err != nil {
		return nil, err
	}
	spec := &spawn.Spec{
		Name:               inst.Name,
		Image:              c.Image,
		MountDir:           env.MountDir,
		DevfsDir:           env.DevfsDir,
		StateDir:           env.StateDirOf(inst.Name),
		ResolvConf:         buildResolvConf(c.ResolvConf),
		Hosts:              buildHosts(c.HostsFile),
		Volumes:            volumes,
		Executable:         c.Executable,
		Argv:               append([]string{c.Executable}, c.Arguments...),
		Env:                buildEnv(c, env.Term),
		PIDVars:            c.PIDVariables,
		Workdir:            c.Workdir,
		UserID:             c.UserID,
		GroupID:            c.GroupID,
		FilenoLimit:        c.FilenoLimit,
		StdioLog:           env.StdioLog,
		StdoutStderrFile:   c.StdoutStderrFile,
		RestartProcessOnly: c.RestartProcessOnly,
		RestartTimeout:     c.RestartTimeout,
		KillTimeout:        c.KillTimeout,
		NormalExitCodes:    c.NormalExitCodes,
		AddCapabilities:    configs.CapabilityBits(c.AddCapabilities),
		NewPrivileges:      c.AllowNewPrivileges,
		WritableProcSys:    c.WritableProcSys,
		UnmaskKernelFiles:  c.UnmaskKernelFiles,
		MapImage:           c.MapImageOwners,
	}
	if c.StopSignal != syscall.SIGTERM { // without it the Spec is one for older releases, too
		spec.StopSignal = uint32(c.StopSignal)
	}
	spec.HostUser, _ = mapID(c.UIDMap, c.UserID) // both are mapped, or there would be no plan
	spec.HostGroup, _ = mapID(c.GIDMap, c.GroupID)
	if c.Network != nil {
		spec.Network.AfterSetup = c.Network.AfterSetup
	}
	if c.Seccomp == configs.SeccompDefault {
		if spec.Seccomp, err = spawn.DefaultSeccomp(spec.AddCapabilities); err != nil {
			return nil, fmt.Errorf("cannot make the seccomp profile: %w", err)
		}
	}
	for _, port := range sortedPorts(c) {
		spec.Sockets = append(spec.Sockets, port.FD)
	}
	return spec, nil
}

func buildLimits(c *configs.Container) cgroup.Limits {
	limits := cgroup.Limits{
		Memory: c.MemoryLimit, CPUShares: c.CPUShares, CPUQuota: c.CPUQuota, CPUs: c.CPUSet, PIDs: c.PIDsLimit,
	}
	for _, l := range c.IOLimits {
		limits.IO = append(limits.IO, cgroup.DeviceLimit(l))
	}
	return limits
}

// buildEnv adds TERM, the one variable that is passed on (E10), where the
// config has none; the result is sorted as environ is.
func buildEnv(c *configs.Container, term string) []string {
	vars := c.Environ
	env := make([]string, 0, len(vars)+1)
	hasTerm := slices.ContainsFunc(c.SecretEnviron, func(s configs.SecretVar) bool { return s.Name == "TERM" })
	for _, v := range vars {
		hasTerm = hasTerm || v.Name == "TERM"
		env = append(env, v.Name+"="+v.Value)
	}
	if hasTerm {
		return env
	}
	at, _ := slices.BinarySearchFunc(vars, "TERM", func(v configs.EnvVar, name string) int {
		return strings.Compare(v.Name, name)
	})
	return slices.Insert(env, at, "TERM="+cmp.Or(term, "dumb"))
}

func buildResolvConf(r configs.ResolvConf) spawn.ResolvConf {
	conf := spawn.ResolvConf{Mount: buildMount(r.Mount)}
	if r.CopyFromHost {
		conf.Source = r.Source
	}
	return conf
}

func buildHosts(h configs.HostsFile) spawn.Hosts {
	hosts := spawn.Hosts{Localhost: h.Localhost, PublicHostname: h.PublicHostname, Mount: buildMount(h.Mount)}
	if h.CopyFromHost {
		hosts.Source = h.Source
	}
	for _, host := range h.Additional {
		hosts.Additional = append(hosts.Additional, host.Addr.String()+" "+host.Name)
	}
	return hosts
}

func buildMount(option *bool) spawn.Mount {
	switch {
	case option == nil:
		return spawn.MountAuto
	case *option:
		return spawn.MountAlways
	}
	return spawn.MountNever
}

var volumeKinds = map[configs.VolumeKind]spawn.VolumeKind{
	configs.VolumeReadonly:   spawn.Readonly,
	configs.VolumePersistent: spawn.Persistent,
	configs.VolumeStatedir:   spawn.Statedir,
	configs.VolumeTmpfs:      spawn.Tmpfs,
}

// buildVolumes translates owners, which are ids inside the container, to host
// ids by the map in force (H8).
func buildVolumes(c *configs.Container) ([]spawn.Volume, error) {
	volumes := make([]spawn.Volume, 0, len(c.Volumes))
	for _, v := range c.Volumes {
		kind, ok := volumeKinds[v.Kind]
		if !ok {
			return nil, fmt.Errorf("cannot mount %s: unknown kind of volume %q", v.MountPoint, v.Kind)
		}
		user, userOK := mapID(c.UIDMap, v.User)
		group, groupOK := mapID(c.GIDMap, v.Group)
		if !userOK || !groupOK {
			return nil, fmt.Errorf("cannot give the volume at %s to user %d and group %d: not in uid-map and gid-map; map them or choose others",
				v.MountPoint, v.User, v.Group)
		}
		volumes = append(volumes, spawn.Volume{
			Kind:       kind,
			MountPoint: v.MountPoint,
			Source:     v.Source,
			SubPath:    v.SubPath,
			Mkdir:      v.Mkdir,
			Mode:       v.Mode,
			User:       user,
			Group:      group,
			Size:       v.Size,
			Exec:       v.Exec,
		})
	}
	return volumes, nil
}

// mapID translates an id inside the container to the host's; without a map
// they are the same.
func mapID(ids []configs.IDMap, inside uint32) (uint32, bool) {
	if len(ids) == 0 {
		return inside, true
	}
	for _, m := range ids {
		if inside >= m.Inside && inside-m.Inside < m.Count {
			return m.Outside + (inside - m.Inside), true
		}
	}
	return 0, false
}
