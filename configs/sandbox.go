package configs

import (
	"math"
	"net/netip"
	"strings"

	"lithos/configs/document"
)

// sandboxKeys are the options of a sandbox config (section C of docs/requirements.md).
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
func readSandbox(v document.Value, name string, m *Master) *SandboxConfig {
	o, _ := v.Object(sandboxKeys)
	sb := &SandboxConfig{
		ConfigFile:     o.Get("config-file").PathBelow(m.ProcessesDir, name+".yaml"),
		ImageDir:       o.Get("image-dir").AbsolutePath("/var/lib/lithos/containers"),
		ImageDirLevels: int(o.Get("image-dir-levels").Integer(1, 1, 16)),
		LogFile:        o.Get("log-file").PathBelow(m.DefaultLogDir, name+".log"),
		LogLevel:       readLogLevel(o.Get("log-level"), m.LogLevel),
		ReadonlyPaths:  readVirtualPaths(o.Get("readonly-paths")),
		WritablePaths:  readVirtualPaths(o.Get("writable-paths")),
		AllowUsers:     o.Get("allow-users").Ranges(math.MaxUint32),
		AllowGroups:    o.Get("allow-groups").Ranges(math.MaxUint32),
		DefaultUser:    o.Get("default-user").OptionalID(),
		AllowTCPPorts:  o.Get("allow-tcp-ports").Ranges(math.MaxUint16),
		Additional:     readHosts(o.Get("additional-hosts")),
		UIDMap:         readIDMap(o.Get("uid-map")),
		GIDMap:         readIDMap(o.Get("gid-map")),
		UsedImagesList: o.Get("used-images-list").AbsolutePath(""),
		AutoClean:      o.Get("auto-clean").Boolean(true),
		ResolvConf:     o.Get("resolv-conf").AbsolutePath("/etc/resolv.conf"),
		HostsFile:      o.Get("hosts-file").AbsolutePath("/etc/hosts"),
		Bridged:        readBridge(o.Get("bridged-network")),
		MapImageOwners: o.Get("map-image-owners").Boolean(false),

		SecretsPrivateKey: o.Get("secrets-private-key").AbsolutePath(""),
		SecretsNamespaces: readNamespaces(o.Get("secrets-namespaces"), []string{""}),
	}
	readRotation(&o, sb)
	readLimits(&o, sb)
	readLoosened(&o, sb)
	if id := o.Get("default-group").OptionalID(); id != nil {
		sb.DefaultGroup = *id
	}
	checkIdentities(&o, sb)
	return sb
}

// The least value of stdio-log-max-size, in bytes, because each part costs a copy
// and some writes to the disk; and the limit of parts.
const (
	leastStdioLog = 64 << 10
	defaultKeep   = 3
	maxKeep       = 1000
)

// readRotation reads what becomes of the programs' output.
func readRotation(o *document.Object, sb *SandboxConfig) {
	sb.StdioLogMaxSize = o.Get("stdio-log-max-size").Integer(0, leastStdioLog, math.MaxInt64/(maxKeep+2))
	sb.StdioLogKeep = int(o.Get("stdio-log-keep").Integer(defaultKeep, 1, maxKeep))
}

// checkIdentities holds the rules between the ids of a sandbox (C10-C13).
func checkIdentities(o *document.Object, sb *SandboxConfig) {
	if v := o.Get("allow-users"); v.Empty() {
		v.Errorf("no user is allowed, so nothing can run; write such as `allow-users: [1-1000]`")
	}
	if v := o.Get("allow-groups"); v.Empty() {
		v.Errorf("no group is allowed, so nothing can run; write such as `allow-groups: [1-1000]`")
	}
	if v := o.Get("default-user"); sb.DefaultUser != nil {
		checkID(v, "user", *sb.DefaultUser, sb.AllowUsers, sb.UIDMap)
	}
	// The default of the default, 0, matters only to a container that says
	// nothing of its group: it is looked at there.
	if v := o.Get("default-group"); !v.Null() {
		checkID(v, "group", sb.DefaultGroup, sb.AllowGroups, sb.GIDMap)
	}
	checkMapsTogether(o)
}

// checkMapsTogether tells of a map without the other. One that is given but
// wrong was told of already.
func checkMapsTogether(o *document.Object) {
	uid, gid := o.Get("uid-map"), o.Get("gid-map")
	if uid.Empty() == gid.Empty() {
		return
	}
	given := uid
	if uid.Empty() {
		given = gid
	}
	given.Errorf("uid-map and gid-map come together: a user namespace needs both")
}

func checkID(v document.Value, what string, id uint32, allowed []Range, ids []IDMap) {
	list := map[string]string{"user": "allow-users", "group": "allow-groups"}[what]
	mapKey := map[string]string{"user": "uid-map", "group": "gid-map"}[what]
	if len(allowed) > 0 && !document.InRanges(allowed, id) {
		v.Errorf("%s %d is not in %s %s", what, id, list, document.FormatRanges(allowed))
	} else if !mapped(ids, id) {
		v.Errorf("%s %d is not among the inside ids of %s", what, id, mapKey)
	}
}

// readVirtualPaths reads readonly-paths or writable-paths.
func readVirtualPaths(v document.Value) map[string]string {
	list, _ := v.Entries()
	paths := make(map[string]string, len(list))
	for _, e := range list {
		virtual, err := document.CleanInside(e.Name)
		if err != nil {
			e.Errorf("the virtual directory %q %s", document.Clip(e.Name), err)
			continue
		}
		if _, twice := paths[virtual]; twice {
			e.Errorf("the virtual directory %s is given twice", virtual)
			continue
		}
		if !e.Value.Null() {
			paths[virtual] = e.Value.AbsolutePath("/")
		} else {
			e.Errorf("the host directory is missing")
		}
	}
	return paths
}

// readHosts reads additional-hosts, by name (requirement C15). A key may be
// several names with blanks between, as in a hosts file.
func readHosts(v document.Value) []Host {
	list, _ := v.Entries()
	var hosts []Host
	for _, e := range list {
		if strings.TrimSpace(e.Name) == "" || strings.ContainsAny(e.Name, "#\n\r\x00") {
			e.Errorf("%q is not a host name", document.Clip(e.Name))
			continue
		}
		if _, ok := e.Value.Text(); !ok {
			continue
		}
		if a := e.Value.Address(netip.Addr{}); a.IsValid() {
			hosts = append(hosts, Host{Name: e.Name, Addr: a})
		}
	}
	return sortedBy(hosts, func(h Host) string { return h.Name })
}

// readNamespaces reads secrets-namespaces: `^[a-zA-Z0-9_.-]*$` (requirement J2).
// An empty list is the default.
func readNamespaces(v document.Value, def []string) []string {
	items, _ := v.Items()
	var list []string
	for _, item := range items {
		s, ok := item.Text()
		if !ok {
			continue
		}
		if strings.ContainsFunc(s, func(r rune) bool { return !isWord(r) && r != '.' && r != '-' }) {
			item.Errorf("%q is not a namespace: letters, digits, `_`, `.` and `-`", document.Clip(s))
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

// readBridge reads bridged-network (requirement C21).
func readBridge(v document.Value) *BridgedNetwork {
	if v.Null() {
		return nil
	}
	o, ok := v.Object(bridgeKeys)
	if !ok || !allRequired(&o, []string{"bridge", "network"}) {
		return nil
	}
	b := &BridgedNetwork{
		Bridge:            o.Get("bridge").Str(""),
		DefaultGateway:    o.Get("default-gateway").Address(netip.Addr{}),
		AfterSetupCommand: o.Get("after-setup-command").Strings(),
	}
	if len(b.Bridge) > 15 || b.Bridge == "" || strings.ContainsAny(b.Bridge, "/: \t\n") || b.Bridge == "." || b.Bridge == ".." {
		o.Get("bridge").Errorf("%q is not the name of a network interface (at most 15 bytes)", document.Clip(b.Bridge))
	}
	s, _ := o.Get("network").Scalar("a network such as 10.0.0.0/24")
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		o.Get("network").Errorf("%q is not a network such as 10.0.0.0/24", document.Clip(s))
		return b
	}
	b.Network = prefix.Masked()
	if b.DefaultGateway.IsValid() && !b.Network.Contains(b.DefaultGateway) {
		o.Get("default-gateway").Errorf("%s is not in the network %s", b.DefaultGateway, b.Network)
	}
	checkAfterSetup(o.Get("after-setup-command"), b.AfterSetupCommand)
	return b
}

func checkAfterSetup(v document.Value, command []string) {
	if len(command) == 0 {
		return
	}
	if !strings.HasPrefix(command[0], "/") {
		v.Errorf("the command %q must have an absolute path", document.Clip(command[0]))
	}
	for _, arg := range command {
		if _, unknown := expandAfterSetup(arg, ""); unknown != "" {
			v.Errorf("unknown variable %s, only @{container_ip} is known here", document.Clip(unknown))
		}
	}
}

// expandAfterSetup replaces `@{container_ip}` and the manual's spelling
// `{@container_ip}` (requirement L4); unknown is a variable that is neither.
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
