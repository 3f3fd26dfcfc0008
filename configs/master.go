package configs

import (
	"net/netip"
	"path"
	"slices"
	"strings"
)

// masterKeys are the options of the master config (seeds/000 chapter 2).
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

// defaultControllers is also what an empty list means (checklist B8).
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
func readMaster(v value, file string) (*Master, *object) {
	o, ok := v.object(masterKeys)
	if !ok && o.fields == nil {
		return nil, nil
	}
	base := path.Dir(file)
	m := &Master{
		File:              file,
		SandboxesDir:      o.get("sandboxes-dir").pathBelow(base, "./sandboxes"),
		ProcessesDir:      o.get("processes-dir").pathBelow(base, "./processes"),
		RuntimeDir:        readRuntimeDir(&o),
		DevfsDir:          o.get("devfs-dir").absolutePath("/var/lib/lithos/dev"),
		CgroupName:        readCgroupName(&o),
		CgroupControllers: readControllers(o.get("cgroup-controllers")),
		DefaultLogDir:     o.get("default-log-dir").absolutePath("/var/log/lithos"),
		ConfigLogDir:      readConfigLogDir(&o),
		StdioLogDir:       o.get("stdio-log-dir").absolutePath("/var/log/lithos/stderr"),
		LogLevel:          o.get("log-level").logLevel("warn"),
		LogFormat:         o.get("log-format").oneOf("text", "text", "json", "journal"),
		SyslogFacility:    readFacility(o.get("syslog-facility")),
		SyslogName:        o.get("syslog-name").str("lithos"),
		ControlGroup:      readGroup(o.get("control-group")),
		MetricsListen:     readAddrPort(o.get("metrics-listen")),
		RestartBudget:     readBudget(o.get("restart-budget")),
	}
	if isDefault(m.CgroupControllers) {
		m.CgroupOnDemand = append([]string(nil), onDemandControllers...)
	}
	m.StateDir = o.get("state-dir").pathBelow(m.RuntimeDir, "state")
	m.MountDir = o.get("mount-dir").pathBelow(m.RuntimeDir, "mnt")
	m.LogFile = o.get("log-file").pathBelow(m.DefaultLogDir, "master.log")
	return m, &o
}

func readRuntimeDir(o *object) string { return o.get("runtime-dir").absolutePath("/run/lithos") }

// readConfigLogDir: null means off, absence does not (checklist B11).
func readConfigLogDir(o *object) string {
	v, given := o.fields["config-log-dir"]
	if given && v.null() {
		return ""
	}
	return o.get("config-log-dir").absolutePath("/var/log/lithos/config")
}

// readCgroupName: null means off (checklist B7).
func readCgroupName(o *object) string {
	const def = "lithos.slice"
	v, given := o.fields["cgroup-name"]
	if !given {
		return def
	}
	if v.null() {
		return ""
	}
	name := v.str(def)
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\n") {
		v.errorf("%q is not the name of a cgroup: one directory name, or null for none", clip(name))
		return def
	}
	return name
}

// readControllers accepts `cpu,cpuacct` for two, as /proc/mounts writes them.
func readControllers(v value) []string {
	items, _ := v.items()
	var list []string
	for _, item := range items {
		s, ok := item.text()
		if !ok {
			continue
		}
		for name := range strings.SplitSeq(s, ",") {
			name = strings.TrimSpace(name)
			if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" || name == "" {
				item.errorf("%q is not the name of a cgroup controller", clip(name))
				continue
			}
			if !contains(knownControllers, name) {
				item.warnf("%q is not a cgroup controller of Linux%s", clip(name), didYouMean(name, knownControllers))
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

// readFacility: an unknown one is told and files are used (checklist B15).
func readFacility(v value) string {
	s := strings.TrimPrefix(strings.ToLower(v.str("")), "log_")
	if s != "" && !contains(syslogFacilities, s) {
		v.warnf("%q is not a syslog facility%s; logging to files instead", clip(s), didYouMean(s, syslogFacilities))
		return ""
	}
	return s
}

// readGroup takes the name of a group, or its number.
func readGroup(v value) string {
	s, ok := v.scalar("a group")
	if ok && (s == "" || strings.ContainsAny(s, ": \t\n/")) {
		v.errorf("%q is not the name or the number of a group", clip(s))
		return ""
	}
	return s
}

// readAddrPort takes ADDRESS:PORT.
func readAddrPort(v value) netip.AddrPort {
	s, ok := v.scalar("an address with a port")
	if !ok {
		return netip.AddrPort{}
	}
	addr, err := netip.ParseAddrPort(s)
	if err != nil || addr.Port() == 0 {
		v.errorf("%q is not an address with a port, such as 127.0.0.1:9187 or [::1]:9187", clip(s))
		return netip.AddrPort{}
	}
	return addr
}

func (v value) logLevel(def string) string {
	s := strings.ToLower(v.str(def))
	if !contains(logLevels, s) {
		v.errorf("%q is not one of %s%s", clip(s), strings.Join(logLevels, ", "), didYouMean(s, logLevels))
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
