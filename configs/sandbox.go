package configs

import (
	"math"
	"net/netip"
	"strings"
)

// sandboxKeys are the options of a sandbox config (seeds/000 chapter 3).
var sandboxKeys = []string{
	"config-file", "image-dir", "image-dir-levels", "log-file", "log-level", "stdio-log-max-size", "stdio-log-keep",
	"readonly-paths", "writable-paths",
	"allow-users", "default-user", "allow-groups", "default-group", "allow-tcp-ports",
	"additional-hosts", "uid-map", "gid-map", "used-images-list", "auto-clean",
	"resolv-conf", "hosts-file", "bridged-network", "map-image-owners", "secrets-private-key", "secrets-namespaces",
	"pids-limit", "cpu-quota", "cpuset", "io-limits",
	"allow-new-privileges", "add-capabilities", "writable-proc-sys", "unmask-kernel-files", "seccomp",
}

// readSandbox reads the sandbox config of that name.
func readSandbox(v value, name string, m *Master) *SandboxConfig {
	o, _ := v.object(sandboxKeys)
	sb := &SandboxConfig{
		ConfigFile:     o.get("config-file").pathBelow(m.ProcessesDir, name+".yaml"),
		ImageDir:       o.get("image-dir").absolutePath("/var/lib/lithos/containers"),
		ImageDirLevels: int(o.get("image-dir-levels").integer(1, 1, 16)),
		LogFile:        o.get("log-file").pathBelow(m.DefaultLogDir, name+".log"),
		LogLevel:       o.get("log-level").logLevel(m.LogLevel),
		ReadonlyPaths:  readVirtualPaths(o.get("readonly-paths")),
		WritablePaths:  readVirtualPaths(o.get("writable-paths")),
		AllowUsers:     o.get("allow-users").ranges(math.MaxUint32),
		AllowGroups:    o.get("allow-groups").ranges(math.MaxUint32),
		DefaultUser:    o.get("default-user").optionalID(),
		AllowTCPPorts:  o.get("allow-tcp-ports").ranges(math.MaxUint16),
		Additional:     readHosts(o.get("additional-hosts")),
		UIDMap:         o.get("uid-map").idMap(),
		GIDMap:         o.get("gid-map").idMap(),
		UsedImagesList: o.get("used-images-list").absolutePath(""),
		AutoClean:      o.get("auto-clean").boolean(true),
		ResolvConf:     o.get("resolv-conf").absolutePath("/etc/resolv.conf"),
		HostsFile:      o.get("hosts-file").absolutePath("/etc/hosts"),
		Bridged:        readBridge(o.get("bridged-network")),
		MapImageOwners: o.get("map-image-owners").boolean(false),

		SecretsPrivateKey: o.get("secrets-private-key").absolutePath(""),
		SecretsNamespaces: readNamespaces(o.get("secrets-namespaces"), []string{""}),
	}
	readRotation(&o, sb)
	readLimits(&o, sb)
	readLoosened(&o, sb)
	if id := o.get("default-group").optionalID(); id != nil {
		sb.DefaultGroup = *id
	}
	checkIdentities(&o, sb)
	return sb
}

// What stdio-log-max-size can be at least, bytes: each part is a copy, and takes a
// few writes to the disk. And how many parts are kept.
const (
	leastStdioLog = 64 << 10
	defaultKeep   = 3
	maxKeep       = 1000
)

// readRotation reads what becomes of the programs' output.
func readRotation(o *object, sb *SandboxConfig) {
	sb.StdioLogMaxSize = o.get("stdio-log-max-size").integer(0, leastStdioLog, math.MaxInt64/(maxKeep+2))
	sb.StdioLogKeep = int(o.get("stdio-log-keep").integer(defaultKeep, 1, maxKeep))
}

// checkIdentities holds the rules between the ids of a sandbox (C10-C13).
func checkIdentities(o *object, sb *SandboxConfig) {
	if v := o.get("allow-users"); v.empty() {
		v.errorf("no user is allowed, so nothing can run; write such as `allow-users: [1-1000]`")
	}
	if v := o.get("allow-groups"); v.empty() {
		v.errorf("no group is allowed, so nothing can run; write such as `allow-groups: [1-1000]`")
	}
	if v := o.get("default-user"); sb.DefaultUser != nil {
		checkID(v, "user", *sb.DefaultUser, sb.AllowUsers, sb.UIDMap)
	}
	// The default of the default, 0, matters only to a container that says
	// nothing of its group: it is looked at there.
	if v := o.get("default-group"); !v.null() {
		checkID(v, "group", sb.DefaultGroup, sb.AllowGroups, sb.GIDMap)
	}
	checkMapsTogether(o)
}

// checkMapsTogether tells of a map without the other. One that is given but
// wrong was told of already.
func checkMapsTogether(o *object) {
	uid, gid := o.get("uid-map"), o.get("gid-map")
	if uid.empty() == gid.empty() {
		return
	}
	given := uid
	if uid.empty() {
		given = gid
	}
	given.errorf("uid-map and gid-map come together: a user namespace needs both")
}

func checkID(v value, what string, id uint32, allowed []Range, ids []IDMap) {
	list := map[string]string{"user": "allow-users", "group": "allow-groups"}[what]
	mapKey := map[string]string{"user": "uid-map", "group": "gid-map"}[what]
	if len(allowed) > 0 && !inRanges(allowed, id) {
		v.errorf("%s %d is not in %s %s", what, id, list, formatRanges(allowed))
	} else if !mapped(ids, id) {
		v.errorf("%s %d is not among the inside ids of %s", what, id, mapKey)
	}
}

// readVirtualPaths reads readonly-paths or writable-paths.
func readVirtualPaths(v value) map[string]string {
	list, _ := v.entries()
	paths := make(map[string]string, len(list))
	for _, e := range list {
		virtual, err := cleanInside(e.name)
		if err != nil {
			e.errorf("the virtual directory %q %s", clip(e.name), err)
			continue
		}
		if _, twice := paths[virtual]; twice {
			e.errorf("the virtual directory %s is given twice", virtual)
			continue
		}
		if !e.value.null() {
			paths[virtual] = e.value.absolutePath("/")
		} else {
			e.errorf("the host directory is missing")
		}
	}
	return paths
}

func (e entry) errorf(format string, args ...any) { e.value.c.errorAt(e.keyPlace(), format, args...) }

// readHosts reads additional-hosts, by name (checklist C15). A key may be
// several names with blanks between, as in a hosts file.
func readHosts(v value) []Host {
	list, _ := v.entries()
	var hosts []Host
	for _, e := range list {
		if strings.TrimSpace(e.name) == "" || strings.ContainsAny(e.name, "#\n\r\x00") {
			e.errorf("%q is not a host name", clip(e.name))
			continue
		}
		if _, ok := e.value.text(); !ok {
			continue
		}
		if a := e.value.address(netip.Addr{}); a.IsValid() {
			hosts = append(hosts, Host{Name: e.name, Addr: a})
		}
	}
	return sortedBy(hosts, func(h Host) string { return h.Name })
}

// readNamespaces reads secrets-namespaces: `^[a-zA-Z0-9_.-]*$` (checklist J2).
// An empty list is the default.
func readNamespaces(v value, def []string) []string {
	items, _ := v.items()
	var list []string
	for _, item := range items {
		s, ok := item.text()
		if !ok {
			continue
		}
		if strings.ContainsFunc(s, func(r rune) bool { return !isWord(r) && r != '.' && r != '-' }) {
			item.errorf("%q is not a namespace: letters, digits, `_`, `.` and `-`", clip(s))
			continue
		}
		list = append(list, s)
	}
	if len(list) == 0 {
		return def
	}
	return list
}

var bridgeKeys = []string{"bridge", "network", "default-gateway", "after-setup-command"}

// readBridge reads bridged-network (checklist C21).
func readBridge(v value) *BridgedNetwork {
	if v.null() {
		return nil
	}
	o, ok := v.object(bridgeKeys)
	if !ok || !allRequired(&o, []string{"bridge", "network"}) {
		return nil
	}
	b := &BridgedNetwork{
		Bridge:            o.get("bridge").str(""),
		DefaultGateway:    o.get("default-gateway").address(netip.Addr{}),
		AfterSetupCommand: o.get("after-setup-command").strings(),
	}
	if len(b.Bridge) > 15 || b.Bridge == "" || strings.ContainsAny(b.Bridge, "/: \t\n") || b.Bridge == "." || b.Bridge == ".." {
		o.get("bridge").errorf("%q is not the name of a network interface (at most 15 bytes)", clip(b.Bridge))
	}
	s, _ := o.get("network").scalar("a network such as 10.0.0.0/24")
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		o.get("network").errorf("%q is not a network such as 10.0.0.0/24", clip(s))
		return b
	}
	b.Network = prefix.Masked()
	if b.DefaultGateway.IsValid() && !b.Network.Contains(b.DefaultGateway) {
		o.get("default-gateway").errorf("%s is not in the network %s", b.DefaultGateway, b.Network)
	}
	checkAfterSetup(o.get("after-setup-command"), b.AfterSetupCommand)
	return b
}

func checkAfterSetup(v value, command []string) {
	if len(command) == 0 {
		return
	}
	if !strings.HasPrefix(command[0], "/") {
		v.errorf("the command %q must have an absolute path", clip(command[0]))
	}
	for _, arg := range command {
		if _, unknown := expandAfterSetup(arg, ""); unknown != "" {
			v.errorf("unknown variable %s, only @{container_ip} is known here", clip(unknown))
		}
	}
}

// expandAfterSetup replaces `@{container_ip}` and the manual's spelling
// `{@container_ip}` (checklist L4); unknown is a variable that is neither.
func expandAfterSetup(arg, ip string) (result, unknown string) {
	var b strings.Builder
	for {
		i := strings.IndexAny(arg, "@{")
		if i < 0 {
			break
		}
		b.WriteString(arg[:i])
		arg = arg[i:]
		end := strings.IndexByte(arg, '}')
		if end < 0 || !strings.HasPrefix(arg, "@{") && !strings.HasPrefix(arg, "{@") {
			b.WriteByte(arg[0])
			arg = arg[1:]
			continue
		}
		if strings.TrimSpace(arg[2:end]) != "container_ip" {
			return "", arg[:end+1]
		}
		b.WriteString(ip)
		arg = arg[end+1:]
	}
	b.WriteString(arg)
	return b.String(), ""
}
