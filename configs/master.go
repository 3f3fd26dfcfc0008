package configs

import (
	"net/netip"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"lithos/configs/document"
	"lithos/configs/option"
)

// masterOptions are the options of the master config.
var masterOptions = []declared[Master]{
	of("sandboxes-dir", option.Path, func(m *Master) *string { return &m.SandboxesDir }, option.Doc{Default: "./sandboxes", Manual: "2",
		Text: "Where the sandbox configs are. Relative to the directory of this file."}),
	of("processes-dir", option.Path, func(m *Master) *string { return &m.ProcessesDir }, option.Doc{Default: "./processes", Manual: "2",
		Text: "Where the process configs are. Relative to the directory of this file."}),
	of("runtime-dir", option.DaemonPath, func(m *Master) *string { return &m.RuntimeDir }, option.Doc{Default: "/run/lithos", Manual: "2",
		Text: "Where `master.pid`, the control socket and the records of containers are, and what the next two are relative to. On a tmpfs."}),
	of("state-dir", option.Path, func(m *Master) *string { return &m.StateDir }, option.Doc{Default: "state", Manual: "2",
		Text: "Where the state directories of containers are. Relative to `runtime-dir`."}),
	of("mount-dir", option.Path, func(m *Master) *string { return &m.MountDir }, option.Doc{Default: "mnt", Manual: "2",
		Text: "An empty directory that containers mount their root at. Relative to `runtime-dir`."}),
	devfsDir(),
	of("cgroup-name", cgroupName, func(m *Master) *string { return &m.CgroupName }, option.Doc{Default: "lithos.slice", Manual: "2",
		Text: "Name of the cgroup that all containers are in; with a systemd unit its `Slice=`, too. `null` switches cgroups off, and all limits with them."}),
	of("cgroup-controllers", controllers, func(m *Master) *[]string { return &m.CgroupControllers }, option.Doc{Default: "[]", Example: "[name, cpu, memory, pids]", Manual: "2",
		Text: "Which controllers containers get. An empty list means `name`, `cpu`, `cpuacct`, `memory`, `blkio`, and `pids` and `cpuset` as soon as a container needs them; `[name]` alone names containers without limits."}),
	of("default-log-dir", option.DaemonPath, func(m *Master) *string { return &m.DefaultLogDir }, option.Doc{Default: "/var/log/lithos", Manual: "2",
		Text: "Where the logs of the daemon and of the sandboxes are."}),
	of("config-log-dir", nullable(option.DaemonPath), func(m *Master) *string { return &m.ConfigLogDir }, option.Doc{Default: "/var/log/lithos/config", Manual: "2",
		Text: "Where each version of the process configs is logged, which [lithos_clean](lithos_clean.md) reads. `null` switches it off."}),
	of("stdio-log-dir", option.DaemonPath, func(m *Master) *string { return &m.StdioLogDir }, option.Doc{Default: "/var/log/lithos/stderr", Manual: "2",
		Text: "Where the standard output and error of programs go, a file for each sandbox."}),
	of("log-file", option.Path, func(m *Master) *string { return &m.LogFile }, option.Doc{Default: "master.log", Manual: "2",
		Text: "The daemon's log. Relative to `default-log-dir`."}),
	of("log-level", logLevel, func(m *Master) *string { return &m.LogLevel }, option.Doc{Default: "warn", Manual: "2",
		Text: "What is logged. `--log-level` of lithos_tree wins."}),
	of("log-format", option.OneOf("text", "json", "journal"), func(m *Master) *string { return &m.LogFormat }, option.Doc{Default: "text", Example: "json",
		Text: "How the daemon's logs are written, see [logs](logs.md)."}),
	of("syslog-facility", facility, func(m *Master) *string { return &m.SyslogFacility }, option.Doc{Example: "daemon", Manual: "2",
		Text: "Log to syslog with this facility, not to files. An unknown facility is a warning, and files are used."}),
	of("syslog-name", option.Text, func(m *Master) *string { return &m.SyslogName }, option.Doc{Old: "syslog-app-name", Default: "lithos", Manual: "2",
		Text: "The daemon's name in syslog; containers are `NAME-SANDBOX`."}),
	of("control-group", group, func(m *Master) *string { return &m.ControlGroup }, option.Doc{Example: "adm",
		Text: "A group, by name or number, that may read the [control socket](control.md). Without it only root may."}),
	of("metrics-listen", addrPort, func(m *Master) *netip.AddrPort { return &m.MetricsListen }, option.Doc{Example: "127.0.0.1:9100",
		Text: "Address and port where [metrics](metrics.md) for Prometheus can be asked for by everybody. Without it nowhere."}),
	of("restart-budget", budget, func(m *Master) *RestartBudget { return &m.RestartBudget }, option.Doc{Example: "{rate: 20, burst: 100}",
		Text: "How many containers of the host may be restarted a second, all together; a number alone is the rate. Where more want to, who was started least of late comes first, see [restarts](lithos_tree.md#restarts). By default there is no bound."}),
}

func devfsDir() declared[Master] {
	d := of("devfs-dir", option.DaemonPath, func(m *Master) *string { return &m.DevfsDir }, option.Doc{Default: "/var/lib/lithos/dev", Manual: "2",
		Text: "What containers see as `/dev`, made by [lithos_mkdev](lithos_mkdev.md)."})
	d.settings = func(in *Instance) []setting { return []setting{{d.Key, in.recipe.master.DevfsDir}} }
	return d
}

// defaultControllers is also what an empty list means (requirement B8).
var defaultControllers = []string{"name", "cpu", "cpuacct", "memory", "blkio"}

// onDemandControllers are those of the options pids-limit and cpuset, which the
// original doesn't have.
var onDemandControllers = []string{"pids", "cpuset"}

// knownControllers are those of Linux, of both cgroup versions.
var knownControllers = []string{
	"name", "cpu", "cpuacct", "memory", "blkio", "io", "cpuset", "devices", "freezer", "net_cls", "net_prio",
	"perf_event", "hugetlb", "pids", "rdma", "misc", "dmem",
}

// readMaster reads the master config; the second result are the values that
// Load itself may have to complain about. file is absolute.
func readMaster(v document.Value, file string) (*Master, *document.Object) {
	m := &Master{File: file}
	o, ok := masterTable.Read(v, m)
	if !ok && !o.Usable() {
		return nil, nil
	}
	base := path.Dir(file)
	m.SandboxesDir, m.ProcessesDir = document.Below(base, m.SandboxesDir), document.Below(base, m.ProcessesDir)
	m.StateDir, m.MountDir = document.Below(m.RuntimeDir, m.StateDir), document.Below(m.RuntimeDir, m.MountDir)
	m.LogFile = document.Below(m.DefaultLogDir, m.LogFile)
	if isDefault(m.CgroupControllers) {
		m.CgroupOnDemand = append([]string(nil), onDemandControllers...)
	}
	return m, &o
}

// nullable is a kind whose null means off, while absence does not (requirements B7,
// B11).
func nullable(k option.Kind[string]) option.Kind[string] {
	read := k.Read
	k.Read = func(v document.Value, def string) string {
		if v.Null() && !v.Absent() {
			return ""
		}
		return read(v, def)
	}
	return k
}

var cgroupName = nullable(option.Kind[string]{Type: option.Text.Type, Read: func(v document.Value, def string) string {
	name := v.Str(def)
	if !v.Absent() && (!filepath.IsLocal(name) || name == "." || path.Clean(name) != name || strings.Contains(name, "\n")) {
		v.Errorf("%q is not the name of a cgroup: a directory name, or several with slashes between, or null for none", document.Clip(name))
		return def
	}
	return name
}})

// controllers accepts `cpu,cpuacct` for two, as /proc/mounts writes them.
var controllers = option.Kind[[]string]{Absent: true, Type: option.List(option.Text.Type), Read: func(v document.Value, _ []string) []string {
	var list []string
	for _, item := range listed(v) {
		s, ok := item.Text()
		if !ok {
			continue
		}
		for name := range strings.SplitSeq(s, ",") {
			name = strings.TrimSpace(name)
			if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" || name == "" {
				item.Errorf("%q is not the name of a cgroup controller", document.Clip(name))
				continue
			}
			if !slices.Contains(knownControllers, name) {
				item.Warnf("%q is not a cgroup controller of Linux%s", document.Clip(name), document.DidYouMean(name, knownControllers))
			}
			if !slices.Contains(list, name) {
				list = append(list, name)
			}
		}
	}
	if len(list) == 0 {
		return append([]string(nil), defaultControllers...)
	}
	return list
}}

// isDefault tells whether the controllers are those of an empty list, whether it
// was empty or they were written out.
func isDefault(controllers []string) bool {
	return len(controllers) == len(defaultControllers) &&
		!slices.ContainsFunc(controllers, func(name string) bool { return !slices.Contains(defaultControllers, name) })
}

var syslogFacilities = []string{
	"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
	"local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
}

// facility: an unknown one is told and files are used (requirement B15).
var facility = option.Kind[string]{Type: option.Text.Type, Read: func(v document.Value, _ string) string {
	s := strings.TrimPrefix(strings.ToLower(v.Str("")), "log_")
	if s != "" && !slices.Contains(syslogFacilities, s) {
		v.Warnf("%q is not a syslog facility%s; logging to files instead", document.Clip(s), document.DidYouMean(s, syslogFacilities))
		return ""
	}
	return s
}}

// group takes the name of a group, or its number.
var group = option.Kind[string]{Type: option.Text.Type, Read: func(v document.Value, _ string) string {
	s, ok := v.Scalar("a group")
	if ok && (s == "" || strings.ContainsAny(s, ": \t\n/")) {
		v.Errorf("%q is not the name or the number of a group", document.Clip(s))
		return ""
	}
	return s
}}

// addrPort takes ADDRESS:PORT.
var addrPort = option.Kind[netip.AddrPort]{Type: option.Text.Type, Read: func(v document.Value, _ netip.AddrPort) netip.AddrPort {
	s, ok := v.Scalar("an address with a port")
	if !ok {
		return netip.AddrPort{}
	}
	addr, err := netip.ParseAddrPort(s)
	if err != nil || addr.Port() == 0 {
		v.Errorf("%q is not an address with a port, such as 127.0.0.1:9187 or [::1]:9187", document.Clip(s))
		return netip.AddrPort{}
	}
	return addr
}}

var logLevels = []string{"off", "error", "warn", "info", "debug", "trace"}

// logLevel is a level in any case.
var logLevel = func() option.Kind[string] {
	k := option.OneOf(logLevels...)
	k.Read = func(v document.Value, def string) string {
		s := strings.ToLower(v.Str(def))
		if !slices.Contains(logLevels, s) {
			v.Warnf("%q is not one of %s%s; `warn` is used", document.Clip(s), strings.Join(logLevels, ", "), document.DidYouMean(s, logLevels))
			return "warn"
		}
		return s
	}
	return k
}()
