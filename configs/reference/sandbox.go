package reference

var idMap = []Option{
	{Name: "inside", Type: id, Example: "0", Manual: "3", Need: true, Text: "The first id in the container."},
	{Name: "outside", Type: id, Example: "100000", Manual: "3", Need: true, Text: "The first id on the host."},
	{Name: "count", Type: number("1 to 4294967295", 1, 4294967295), Example: "65536", Manual: "3", Need: true, Text: "How many ids."},
}

func maps(group string) Type {
	t := list(object(group, idMap...))
	t.Name, t.Fields, t.Group = "list of mappings, see below", idMap, group
	return t
}

func limits(group string) Type {
	count := number("a second", 1, nil)
	fields := []Option{
		{Name: "read-bytes", Type: sizeType, Example: "10M", Text: "Bytes read, a second."},
		{Name: "write-bytes", Type: sizeType, Example: "10M", Text: "Bytes written, a second."},
		{Name: "read-operations", Type: count, Example: "500", Text: "Reads, a second."},
		{Name: "write-operations", Type: count, Example: "500", Text: "Writes, a second."},
	}
	t := mapping("from a block device to limits, see below", object(group, fields...))
	t.Fields, t.Group = fields, group
	return t
}

var (
	pidsLimit = Option{Name: "pids-limit", Type: number("1 to 4194304", 1, 4194304), Example: "100", Text: "The most processes and threads of a container. Of the sandbox's and the container's the lower one counts."}
	cpuQuota  = Option{Name: "cpu-quota", Type: processor, Example: "1.5", Text: "The most CPU time of a container, in processors. Of the sandbox's and the container's the lower one counts."}
	uidMap    = Option{Name: "uid-map", Type: maps("uid-map"), Example: "[{inside: 0, outside: 100000, count: 65536}]", Manual: "3", Text: "User ids of a user namespace, in a sandbox or in a container config, not in both. Together with `gid-map`."}
	gidMap    = Option{Name: "gid-map", Type: maps("gid-map"), Example: "[{inside: 0, outside: 100000, count: 65536}]", Manual: "3", Text: "Group ids of a user namespace. Together with `uid-map`."}
)

// Sandbox are the options of a sandbox config.
var Sandbox = []Option{
	{Name: "config-file", Type: path, Example: "web.yaml", Manual: "3", Text: "The process config. Relative to `processes-dir`; by default it has the sandbox's name."},
	{Name: "image-dir", Type: absolute, Default: "/var/lib/lithos/containers", Manual: "3", Text: "Where the images are."},
	{Name: "image-dir-levels", Type: number("1 to 16", 1, 16), Default: "1", Example: "2", Manual: "3", Text: "How many directories the name of an image is deep below `image-dir`."},
	{Name: "log-file", Type: path, Example: "web.log", Manual: "3", Text: "Log of the supervision of this sandbox. Relative to `default-log-dir`; by default it has the sandbox's name."},
	{Name: "log-level", Type: level, Example: "info", Manual: "3", Text: "What is logged there; by default as in the master config."},
	{Name: "stdio-log-max-size", Type: number("bytes, 65536 and more, with `k` `M` `G` (powers of 1000) or `ki` `Mi` `Gi` (of 1024)", 65536, nil), Example: "10M", Text: "How large the file of the programs' output may grow until its older part is [moved away](logs.md#the-programs-output). By default it grows without a limit."},
	{Name: "stdio-log-keep", Type: number("1 to 1000", 1, 1000), Default: "3", Example: "5", Text: "How many such parts are kept, `SANDBOX.log.1` being the newest."},
	{Name: "readonly-paths", Type: mapping("from a virtual directory to one of the host", absolute), Example: "{/timezones: /usr/share/zoneinfo}", Manual: "3", Text: "What containers may mount by `!Readonly`."},
	{Name: "writable-paths", Type: mapping("from a virtual directory to one of the host", absolute), Example: "{/db: /var/lib/app1-database}", Manual: "3", Text: "What containers may mount by `!Persistent`, and by `!Readonly`."},
	{Name: "allow-users", Type: ranges("user ids"), Example: "[1, 99, 1000-2000]", Manual: "3", Need: true, Text: "Whom programs may run as. With a `uid-map` here these are ids inside; with one in the container config it bounds the ids outside."},
	{Name: "default-user", Type: id, Example: "1000", Manual: "3", Text: "The user where the container config names none. Without it, it has to."},
	{Name: "allow-groups", Type: ranges("group ids"), Example: "[1000-2000]", Manual: "3", Need: true, Text: "As `allow-users`, for groups."},
	{Name: "default-group", Type: id, Default: "0", Example: "1000", Manual: "3", Text: "The group where the container config names none."},
	{Name: "allow-tcp-ports", Type: ranges("ports"), Default: "[]", Example: "[80, 8000-8099]", Manual: "3", Text: "Which ports containers may be given."},
	{Name: "additional-hosts", Type: mapping("from a name to an IP address", address), Default: "{}", Example: "{db.local: 10.0.0.7}", Manual: "3", Text: "Lines that are added to `/etc/hosts` of containers."},
	uidMap, gidMap,
	{Name: "used-images-list", Type: absolute, Example: "/var/lib/deploy/web.images", Manual: "3", Text: "A file with the images to keep, one a line, for [lithos_clean](lithos_clean.md)."},
	{Name: "auto-clean", Type: boolean, Default: "true", Manual: "3", Text: "Whether lithos_clean cleans the `image-dir`."},
	{Name: "resolv-conf", Type: absolute, Default: "/etc/resolv.conf", Manual: "3", Text: "What containers get as `/etc/resolv.conf`."},
	{Name: "hosts-file", Type: absolute, Default: "/etc/hosts", Manual: "3", Text: "What containers get as `/etc/hosts`."},
	{Name: "bridged-network", Type: object("bridged-network",
		Option{Name: "bridge", Type: text, Example: "br0", Manual: "3", Need: true, Text: "The bridge, which has to exist."},
		Option{Name: "network", Type: text, Example: "10.0.0.0/24", Manual: "3", Need: true, Text: "The network, with the length of its prefix."},
		Option{Name: "default-gateway", Type: address, Example: "10.0.0.1", Manual: "3", Text: "Where packets to other networks go; without it nowhere."},
		Option{Name: "after-setup-command", Type: list(text), Example: "[/usr/bin/arping, -U, -c1, '@{container_ip}']", Manual: "3", Text: "A command of the host, run as root in the network of each container before its program starts. `@{container_ip}` is replaced."},
	), Example: "{bridge: br0, network: 10.0.0.0/24}", Manual: "3", Text: "Each container has a network of its own, with an address of `ip-addresses`."},
	{Name: "map-image-owners", Type: boolean, Default: "false", Text: "In a user namespace, show the files of images with the owners that they have on the disk as inside ids; without it they are nobody's. The file system of the images has to be able to (idmapped mounts)."},
	{Name: "secrets-private-key", Type: absolute, Example: "/etc/lithos/keys/main.key", Manual: "3", Text: "The key, or several, that open the secrets of containers: ed25519 in OpenSSH's format, root's, mode 0600."},
	{Name: "secrets-namespaces", Type: list(text), Default: `[""]`, Example: "[project1.web]", Manual: "3", Text: "Which secrets are for this sandbox, see [lithos_crypt](lithos_crypt.md)."},
	pidsLimit, cpuQuota,
	{Name: "cpuset", Type: Type{Name: "processors such as `0-3,5`", Schema: Schema{"type": []string{"integer", "string", "array"}}}, Example: "0-3,5", Text: "The processors that containers may use."},
	{Name: "io-limits", Type: limits("io-limits"), Example: "{/dev/sda: {read-bytes: 10M, write-operations: 500}}", Text: "The most that each container may do to a block device."},
	{Name: "allow-new-privileges", Type: boolean, Default: "false", Text: "No `no_new_privs`: setuid programs and file capabilities of the image work. See [security](security.md)."},
	{Name: "add-capabilities", Type: list(text), Default: "[]", Example: "[NET_RAW]", Text: "Capabilities that programs may have beside the usual ones, `ALL` for all."},
	{Name: "writable-proc-sys", Type: boolean, Default: "false", Text: "`sys`, `sysrq-trigger`, `bus`, `fs` and `irq` in `/proc` are writable for who may."},
	{Name: "unmask-kernel-files", Type: boolean, Default: "false", Text: "`kcore`, `kmsg`, `keys` and others in `/proc`, and `/sys/firmware`, show what they are."},
	{Name: "seccomp", Type: oneOf("off", "default"), Default: `"off"`, Example: "default", Text: "A filter of system calls, see [security](security.md)."},
}
