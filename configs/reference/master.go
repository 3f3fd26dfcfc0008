package reference

var level = oneOf("off", "error", "warn", "info", "debug", "trace")

// Master are the options of the master config.
var Master = []Option{
	{Name: "sandboxes-dir", Type: path, Default: "./sandboxes", Manual: "2", Text: "Where the sandbox configs are. Relative to the directory of this file."},
	{Name: "processes-dir", Type: path, Default: "./processes", Manual: "2", Text: "Where the process configs are. Relative to the directory of this file."},
	{Name: "runtime-dir", Type: absolute, Default: "/run/lithos", Manual: "2", Text: "Where `master.pid`, the control socket and the records of containers are, and what the next two are relative to. On a tmpfs."},
	{Name: "state-dir", Type: path, Default: "state", Manual: "2", Text: "Where the state directories of containers are. Relative to `runtime-dir`."},
	{Name: "mount-dir", Type: path, Default: "mnt", Manual: "2", Text: "An empty directory that containers mount their root at. Relative to `runtime-dir`."},
	{Name: "devfs-dir", Type: absolute, Default: "/var/lib/lithos/dev", Manual: "2", Text: "What containers see as `/dev`, made by [lithos_mkdev](lithos_mkdev.md)."},
	{Name: "cgroup-name", Type: text, Default: "lithos.slice", Manual: "2", NoNull: true, Text: "Name of the cgroup that all containers are in; with a systemd unit its `Slice=`, too. `null` switches cgroups off, and all limits with them."},
	{Name: "cgroup-controllers", Type: list(text), Default: "[]", Example: "[name, cpu, memory, pids]", Manual: "2", Text: "Which controllers containers get. An empty list means `name`, `cpu`, `cpuacct`, `memory`, `blkio`, and `pids` and `cpuset` as soon as a container needs them; `[name]` alone names containers without limits."},
	{Name: "default-log-dir", Type: absolute, Default: "/var/log/lithos", Manual: "2", Text: "Where the logs of the daemon and of the sandboxes are."},
	{Name: "config-log-dir", Type: absolute, Default: "/var/log/lithos/config", Manual: "2", NoNull: true, Text: "Where each version of the process configs is logged, which [lithos_clean](lithos_clean.md) reads. `null` switches it off."},
	{Name: "stdio-log-dir", Type: absolute, Default: "/var/log/lithos/stderr", Manual: "2", Text: "Where the standard output and error of programs go, a file for each sandbox."},
	{Name: "log-file", Type: path, Default: "master.log", Manual: "2", Text: "The daemon's log. Relative to `default-log-dir`."},
	{Name: "log-level", Type: level, Default: "warn", Manual: "2", Text: "What is logged. `--log-level` of lithos_tree wins."},
	{Name: "log-format", Type: oneOf("text", "json", "journal"), Default: "text", Example: "json", Text: "How the daemon's logs are written, see [logs](logs.md)."},
	{Name: "syslog-facility", Type: text, Example: "daemon", Manual: "2", Text: "Log to syslog with this facility, not to files. An unknown facility is a warning, and files are used."},
	{Name: "syslog-name", Old: "syslog-app-name", Type: text, Default: "lithos", Manual: "2", Text: "The daemon's name in syslog; containers are `NAME-SANDBOX`."},
	{Name: "control-group", Type: text, Example: "adm", Text: "A group, by name or number, that may read the [control socket](control.md). Without it only root may."},
	{Name: "metrics-listen", Type: text, Example: "127.0.0.1:9100", Text: "Address and port where [metrics](metrics.md) for Prometheus can be asked for by everybody. Without it nowhere."},
	{Name: "restart-budget", Type: budgetType(), Example: "{rate: 20, burst: 100}", Text: "How many containers of the host may be restarted a second, all together; a number alone is the rate. Where more want to, who was started least of late comes first, see [restarts](lithos_tree.md#restarts). By default there is no bound."},
}

// budget are the options of restart-budget.
var budget = []Option{
	{Name: "rate", Type: fraction("0.001 to 100000, fractions allowed", 0.001, 100000), Need: true, Example: "20", Text: "Restarts a second."},
	{Name: "burst", Type: number("1 to 1000000", 1, 1000000), Example: "100", Text: "How many may follow at once after a quiet time. By default as many as come in a second, and at least 1."},
}

func budgetType() Type {
	t := object("restart-budget", budget...)
	t.Name = "restarts a second, 0.001 to 100000, or a mapping, see below"
	t.Schema = anyOf(t.Schema, fraction("", 0.001, 100000).Schema)
	return t
}
