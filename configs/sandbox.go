package configs

import (
	"math"
	"net/netip"
	"strconv"
	"strings"

	"lithos/configs/document"
	"lithos/configs/option"
)

// sandboxOptions are the options of a sandbox config.
var sandboxOptions = []declared[SandboxConfig]{
	of("config-file", option.Path, func(s *SandboxConfig) *string { return &s.ConfigFile }, option.Doc{Example: "web.yaml", Manual: "3",
		Text: "The process config. Relative to `processes-dir`; by default it has the sandbox's name."}),
	of("image-dir", option.Absolute, func(s *SandboxConfig) *string { return &s.ImageDir }, option.Doc{Default: "/var/lib/lithos/containers", Manual: "3",
		Text: "Where the images are."}),
	of("image-dir-levels", option.Number[int](1, 16), func(s *SandboxConfig) *int { return &s.ImageDirLevels }, option.Doc{Default: "1", Example: "2", Manual: "3",
		Text: "How many directories the name of an image is deep below `image-dir`."}),
	of("log-file", option.Path, func(s *SandboxConfig) *string { return &s.LogFile }, option.Doc{Example: "web.log", Manual: "3",
		Text: "Log of the supervision of this sandbox. Relative to `default-log-dir`; by default it has the sandbox's name."}),
	of("log-level", logLevel, func(s *SandboxConfig) *string { return &s.LogLevel }, option.Doc{Example: "info", Manual: "3",
		Text: "What is logged there; by default as in the master config."}),
	of("stdio-log-max-size", option.Sizes(leastStdioLog, math.MaxInt64/(maxKeep+2)), func(s *SandboxConfig) *int64 { return &s.StdioLogMaxSize }, option.Doc{Example: "10M",
		Text: "How large the file of the programs' output may grow until its older part is [moved away](logs.md#the-programs-output). By default it grows without a limit."}),
	of("stdio-log-keep", option.Number[int](1, maxKeep), func(s *SandboxConfig) *int { return &s.StdioLogKeep }, option.Doc{Default: "3", Example: "5",
		Text: "How many such parts are kept, `SANDBOX.log.1` being the newest."}),
	of("readonly-paths", virtualPaths, func(s *SandboxConfig) *map[string]string { return &s.ReadonlyPaths }, option.Doc{Example: "{/timezones: /usr/share/zoneinfo}", Manual: "3",
		Text: "What containers may mount by `!Readonly`."}),
	of("writable-paths", virtualPaths, func(s *SandboxConfig) *map[string]string { return &s.WritablePaths }, option.Doc{Example: "{/db: /var/lib/app1-database}", Manual: "3",
		Text: "What containers may mount by `!Persistent`, and by `!Readonly`."}),
	of("allow-users", option.Ranges("user ids", math.MaxUint32), func(s *SandboxConfig) *[]Range { return &s.AllowUsers }, option.Doc{Example: "[1, 99, 1000-2000]", Manual: "3",
		Missing: "no user is allowed, so nothing can run; write such as `allow-users: [1-1000]`",
		Text:    "Whom programs may run as. With a `uid-map` here these are ids inside; with one in the container config it bounds the ids outside."}),
	of("default-user", option.OptionalID, func(s *SandboxConfig) **uint32 { return &s.DefaultUser }, option.Doc{Example: "1000", Manual: "3",
		Text: "The user where the container config names none. Without it, it has to."}),
	of("allow-groups", option.Ranges("group ids", math.MaxUint32), func(s *SandboxConfig) *[]Range { return &s.AllowGroups }, option.Doc{Example: "[1000-2000]", Manual: "3",
		Missing: "no group is allowed, so nothing can run; write such as `allow-groups: [1-1000]`",
		Text:    "As `allow-users`, for groups."}),
	of("default-group", option.ID, func(s *SandboxConfig) *uint32 { return &s.DefaultGroup }, option.Doc{Default: "0", Example: "1000", Manual: "3",
		Text: "The group where the container config names none."}),
	of("allow-tcp-ports", option.Ranges("ports", math.MaxUint16), func(s *SandboxConfig) *[]Range { return &s.AllowTCPPorts }, option.Doc{Default: "[]", Example: "[80, 8000-8099]", Manual: "3",
		Text: "Which ports containers may be given."}),
	of("additional-hosts", hosts, func(s *SandboxConfig) *[]Host { return &s.Additional }, option.Doc{Default: "{}", Example: "{db.local: 10.0.0.7}", Manual: "3",
		Text: "Lines that are added to `/etc/hosts` of containers."}),
	of("uid-map", idMap, func(s *SandboxConfig) *[]IDMap { return &s.UIDMap }, uidMapDoc),
	of("gid-map", idMap, func(s *SandboxConfig) *[]IDMap { return &s.GIDMap }, gidMapDoc),
	of("used-images-list", option.Absolute, func(s *SandboxConfig) *string { return &s.UsedImagesList }, option.Doc{Example: "/var/lib/deploy/web.images", Manual: "3",
		Text: "A file with the images to keep, one a line, for [lithos_clean](lithos_clean.md)."}),
	of("auto-clean", option.Boolean, func(s *SandboxConfig) *bool { return &s.AutoClean }, option.Doc{Default: "true", Manual: "3",
		Text: "Whether lithos_clean cleans the `image-dir`."}),
	of("resolv-conf", option.Absolute, func(s *SandboxConfig) *string { return &s.ResolvConf }, option.Doc{Default: "/etc/resolv.conf", Manual: "3",
		Text: "What containers get as `/etc/resolv.conf`."}),
	of("hosts-file", option.Absolute, func(s *SandboxConfig) *string { return &s.HostsFile }, option.Doc{Default: "/etc/hosts", Manual: "3",
		Text: "What containers get as `/etc/hosts`."}),
	of("bridged-network", bridge, func(s *SandboxConfig) **BridgedNetwork { return &s.Bridged }, option.Doc{Example: "{bridge: br0, network: 10.0.0.0/24}", Manual: "3",
		Text: "Each container has a network of its own, with an address of `ip-addresses`."}).
		shown(func(c *Container) string { return c.Network.String() }),
	of("map-image-owners", option.Boolean, func(s *SandboxConfig) *bool { return &s.MapImageOwners }, option.Doc{Default: "false",
		Text: "In a user namespace, show the files of images with the owners that they have on the disk as inside ids; without it they are nobody's. The file system of the images has to be able to (idmapped mounts)."}).
		shown(func(c *Container) string { return strconv.FormatBool(c.MapImageOwners) }),
	of("secrets-private-key", option.Absolute, func(s *SandboxConfig) *string { return &s.SecretsPrivateKey }, option.Doc{Example: "/etc/lithos/keys/main.key", Manual: "3",
		Text: "The key, or several, that open the secrets of containers: ed25519 in OpenSSH's format, root's, mode 0600."}).
		shown(func(c *Container) string { return c.SecretsPrivateKey }).hidden(func(c *Container) { c.SecretsPrivateKey = "" }),
	of("secrets-namespaces", namespaces(""), func(s *SandboxConfig) *[]string { return &s.SecretsNamespaces }, option.Doc{Default: `[""]`, Example: "[project1.web]", Manual: "3",
		Text: "Which secrets are for this sandbox, see [lithos_crypt](lithos_crypt.md)."}).
		shown(func(c *Container) string { return option.Texts.Show(c.SecretsNamespaces) }).hidden(func(c *Container) { c.SecretsNamespaces = nil }),
	capped("pids-limit", pidsLimit, func(s *SandboxConfig) *int64 { return &s.PIDsLimit }, func(c *Container) *int64 { return &c.PIDsLimit }, pidsLimitDoc),
	capped("cpu-quota", processors, func(s *SandboxConfig) *int64 { return &s.CPUQuota }, func(c *Container) *int64 { return &c.CPUQuota }, cpuQuotaDoc),
	granted("cpuset", cpuList, func(s *SandboxConfig) *string { return &s.CPUSet }, func(c *Container) *string { return &c.CPUSet }, option.Doc{Example: "0-3,5",
		Text: "The processors that containers may use."}),
	granted("io-limits", ioLimits, func(s *SandboxConfig) *[]IOLimit { return &s.IOLimits }, func(c *Container) *[]IOLimit { return &c.IOLimits }, option.Doc{Example: "{/dev/sda: {read-bytes: 10M, write-operations: 500}}",
		Text: "The most that each container may do to a block device."}),
	granted("allow-new-privileges", option.Boolean, func(s *SandboxConfig) *bool { return &s.AllowNewPrivileges }, func(c *Container) *bool { return &c.AllowNewPrivileges }, option.Doc{Default: "false",
		Text: "No `no_new_privs`: setuid programs and file capabilities of the image work. See [security](security.md)."}),
	granted("add-capabilities", capabilityList, func(s *SandboxConfig) *[]string { return &s.AddCapabilities }, func(c *Container) *[]string { return &c.AddCapabilities }, option.Doc{Default: "[]", Example: "[NET_RAW]",
		Text: "Capabilities that programs may have beside the usual ones, `ALL` for all."}),
	granted("writable-proc-sys", option.Boolean, func(s *SandboxConfig) *bool { return &s.WritableProcSys }, func(c *Container) *bool { return &c.WritableProcSys }, option.Doc{Default: "false",
		Text: "`sys`, `sysrq-trigger`, `bus`, `fs` and `irq` in `/proc` are writable for who may."}),
	granted("unmask-kernel-files", option.Boolean, func(s *SandboxConfig) *bool { return &s.UnmaskKernelFiles }, func(c *Container) *bool { return &c.UnmaskKernelFiles }, option.Doc{Default: "false",
		Text: "`kcore`, `kmsg`, `keys` and others in `/proc`, and `/sys/firmware`, show what they are."}),
	granted("seccomp", seccomp, func(s *SandboxConfig) *string { return &s.Seccomp }, func(c *Container) *string { return &c.Seccomp }, option.Doc{Default: `"off"`, Example: "default",
		Text: "A filter of system calls, see [security](security.md)."}),
}

// The least value of stdio-log-max-size, in bytes, because each part costs a copy
// and some writes to the disk; and the limit of parts.
const (
	leastStdioLog = 64 << 10
	maxKeep       = 1000
)

// readSandbox reads the sandbox config of that name, and where its options stand.
func readSandbox(v document.Value, name string, m *Master) (*SandboxConfig, document.Places) {
	sb := &SandboxConfig{ConfigFile: name + ".yaml", LogFile: name + ".log", LogLevel: m.LogLevel}
	o, _ := sandboxTable.Read(v, sb)
	sb.ConfigFile = document.Below(m.ProcessesDir, sb.ConfigFile)
	sb.LogFile = document.Below(m.DefaultLogDir, sb.LogFile)
	checkIdentities(&o, sb)
	return sb, o.Places()
}

// checkIdentities holds the rules between the ids of a sandbox (C10-C13).
func checkIdentities(o *document.Object, sb *SandboxConfig) {
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

// virtualPaths is readonly-paths or writable-paths.
var virtualPaths = option.Kind[map[string]string]{Absent: true, Type: option.Mapping("from a virtual directory to one of the host", option.Absolute.Type), Read: readVirtualPaths}

func readVirtualPaths(v document.Value, _ map[string]string) map[string]string {
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

var hosts = option.Kind[[]Host]{Type: option.Mapping("from a name to an IP address", option.Address.Type), Read: readHosts}

// readHosts reads additional-hosts, by name (requirement C15). A key may be
// several names with blanks between, as in a hosts file.
func readHosts(v document.Value, _ []Host) []Host {
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
		a, err := netip.ParseAddr(e.Value.Str(""))
		if err != nil || a.Zone() != "" {
			e.Value.Warnf("%s is not an IP address, no resolver would use the line: it is left out", document.Quote(e.Value.Str("")))
			continue
		}
		hosts = append(hosts, Host{Name: e.Name, Addr: a.Unmap()})
	}
	return sortedBy(hosts, func(h Host) string { return h.Name })
}

// namespaces is a list of namespaces of secrets, `^[a-zA-Z0-9_.-]*$` (requirement J2).
// An empty list is the default.
func namespaces(def ...string) option.Kind[[]string] {
	return option.Kind[[]string]{Absent: true, Type: option.Texts.Type, Read: func(v document.Value, _ []string) []string {
		var list []string
		for _, item := range listed(v) {
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
	}}
}

var bridgeTable = option.NewTable(
	option.Of("bridge", option.Text, func(b *BridgedNetwork) *string { return &b.Bridge }, option.Doc{Example: "br0", Manual: "3", Missing: option.Required,
		Text: "The bridge, which has to exist."}),
	option.Of("network", network, func(b *BridgedNetwork) *netip.Prefix { return &b.Network }, option.Doc{Example: "10.0.0.0/24", Manual: "3", Missing: option.Required,
		Text: "The network, with the length of its prefix."}),
	option.Of("default-gateway", option.Address, func(b *BridgedNetwork) *netip.Addr { return &b.DefaultGateway }, option.Doc{Example: "10.0.0.1", Manual: "3",
		Text: "Where packets to other networks go; without it nowhere."}),
	option.Of("after-setup-command", option.Texts, func(b *BridgedNetwork) *[]string { return &b.AfterSetupCommand }, option.Doc{Example: "[/usr/bin/arping, -U, -c1, '@{container_ip}']", Manual: "3",
		Text: "A command of the host, run as root in the network of each container before its program starts. `@{container_ip}` is replaced."}),
)

var bridge = option.Kind[*BridgedNetwork]{Type: option.Object(bridgeTable.Infos()), Read: readBridge}

var network = option.Kind[netip.Prefix]{Type: option.Text.Type, Read: func(v document.Value, _ netip.Prefix) netip.Prefix {
	s, _ := v.Scalar("a network such as 10.0.0.0/24")
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		v.Errorf("%q is not a network such as 10.0.0.0/24", document.Clip(s))
	}
	return prefix.Masked()
}}

// readBridge reads bridged-network (requirement C21).
func readBridge(v document.Value, _ *BridgedNetwork) *BridgedNetwork {
	if v.Null() {
		return nil
	}
	o, ok := bridgeTable.Object(v)
	if !ok {
		return nil
	}
	b := &BridgedNetwork{}
	bridgeTable.ReadAll(&o, b)
	if o.Get("bridge").Null() {
		return nil
	}
	if len(b.Bridge) > 15 || b.Bridge == "" || strings.ContainsAny(b.Bridge, "/: \t\n") || b.Bridge == "." || b.Bridge == ".." {
		o.Get("bridge").Errorf("%q is not the name of a network interface (at most 15 bytes)", document.Clip(b.Bridge))
	}
	if b.Network.IsValid() && b.DefaultGateway.IsValid() && !b.Network.Contains(b.DefaultGateway) {
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
