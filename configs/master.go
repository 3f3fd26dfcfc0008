package configs

import (
	"net/netip"
	"path"
	"slices"
	"strings"

	"lithos/configs/document"
)

// masterKeys are the options of the master config (section B of docs/requirements.md).
var masterKeys = []string{
	"sandboxes-dir", "processes-dir", "runtime-dir", "state-dir", "mount-dir", "devfs-dir",
	"cgroup-name", "cgroup-controllers",
	"default-log-dir", "config-log-dir", "stdio-log-dir", "log-file", "log-level", "log-format",
	"syslog-facility", "syslog-name=syslog-app-name",
	"control-group", "metrics-listen", "restart-budget",
}

var logLevels = []string{"off", "error", "warn", "info", "debug", "trace"}

var syslogFacilities = []string{
	"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
	"local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
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
	o, ok := v.Object(masterKeys)
	if !ok && !o.Usable() {
		return nil, nil
	}
	base := path.Dir(file)
	m := &Master{
		File:              file,
		SandboxesDir:      o.Get("sandboxes-dir").PathBelow(base, "./sandboxes"),
		ProcessesDir:      o.Get("processes-dir").PathBelow(base, "./processes"),
		RuntimeDir:        readRuntimeDir(&o),
		DevfsDir:          o.Get("devfs-dir").AbsolutePath("/var/lib/lithos/dev"),
		CgroupName:        readCgroupName(&o),
		CgroupControllers: readControllers(o.Get("cgroup-controllers")),
		DefaultLogDir:     o.Get("default-log-dir").AbsolutePath("/var/log/lithos"),
		ConfigLogDir:      readConfigLogDir(&o),
		StdioLogDir:       o.Get("stdio-log-dir").AbsolutePath("/var/log/lithos/stderr"),
		LogLevel:          readLogLevel(o.Get("log-level"), "warn"),
		LogFormat:         o.Get("log-format").OneOf("text", "text", "json", "journal"),
		SyslogFacility:    readFacility(o.Get("syslog-facility")),
		SyslogName:        o.Get("syslog-name").Str("lithos"),
		ControlGroup:      readGroup(o.Get("control-group")),
		MetricsListen:     readAddrPort(o.Get("metrics-listen")),
		RestartBudget:     readBudget(o.Get("restart-budget")),
	}
	if isDefault(m.CgroupControllers) {
		m.CgroupOnDemand = append([]string(nil), onDemandControllers...)
	}
	m.StateDir = o.Get("state-dir").PathBelow(m.RuntimeDir, "state")
	m.MountDir = o.Get("mount-dir").PathBelow(m.RuntimeDir, "mnt")
	m.LogFile = o.Get("log-file").PathBelow(m.DefaultLogDir, "master.log")
	return m, &o
}

func readRuntimeDir(o *document.Object) string {
	return o.Get("runtime-dir").AbsolutePath("/run/lithos")
}

// readConfigLogDir: null means off, absence does not (requirement B11).
func readConfigLogDir(o *document.Object) string {
	v := o.Get("config-log-dir")
	if o.Given("config-log-dir") && v.Null() {
		return ""
	}
	return v.AbsolutePath("/var/log/lithos/config")
}

// readCgroupName: null means off (requirement B7).
func readCgroupName(o *document.Object) string {
	const def = "lithos.slice"
	v := o.Get("cgroup-name")
	if !o.Given("cgroup-name") {
		return def
	}
	if v.Null() {
		return ""
	}
	name := v.Str(def)
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\n") {
		v.Errorf("%q is not the name of a cgroup: one directory name, or null for none", document.Clip(name))
		return def
	}
	return name
}

// readControllers accepts `cpu,cpuacct` for two, as /proc/mounts writes them.
func readControllers(v document.Value) []string {
	items, _ := v.Items()
	var list []string
	for _, item := range items {
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
			if !contains(knownControllers, name) {
				item.Warnf("%q is not a cgroup controller of Linux%s", document.Clip(name), document.DidYouMean(name, knownControllers))
			}
			if !contains(list, name) {
				list = append(list, name)
			}
		}
	}
	if len(list) == 0 {
		return append([]string(nil), defaultControllers...)
	}
	return list
}

// isDefault tells whether the controllers are those of an empty list, whether it
// was empty or they were written out.
func isDefault(controllers []string) bool {
	return len(controllers) == len(defaultControllers) &&
		!slices.ContainsFunc(controllers, func(name string) bool { return !contains(defaultControllers, name) })
}

// readFacility: an unknown one is told and files are used (requirement B15).
func readFacility(v document.Value) string {
	s := strings.TrimPrefix(strings.ToLower(v.Str("")), "log_")
	if s != "" && !contains(syslogFacilities, s) {
		v.Warnf("%q is not a syslog facility%s; logging to files instead", document.Clip(s), document.DidYouMean(s, syslogFacilities))
		return ""
	}
	return s
}

// readGroup takes the name of a group, or its number.
func readGroup(v document.Value) string {
	s, ok := v.Scalar("a group")
	if ok && (s == "" || strings.ContainsAny(s, ": \t\n/")) {
		v.Errorf("%q is not the name or the number of a group", document.Clip(s))
		return ""
	}
	return s
}

// readAddrPort takes ADDRESS:PORT.
func readAddrPort(v document.Value) netip.AddrPort {
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
}

func readLogLevel(v document.Value, def string) string {
	s := strings.ToLower(v.Str(def))
	if !contains(logLevels, s) {
		v.Errorf("%q is not one of %s%s", document.Clip(s), strings.Join(logLevels, ", "), document.DidYouMean(s, logLevels))
		return def
	}
	return s
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}
