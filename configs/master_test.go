package configs

import (
	"os"
	"path/filepath"
	"testing"
)

// Covers: B1, B2, B3, B4, B5, B6, B7, B8, B10, B11, B12, B13, B14, B15, B16
func TestEmptyMasterIsAllDefaults(t *testing.T) {
	plan, dir := hostConfig{}.good(t)
	equal(t, "defaults", *plan.Master, Master{
		File:         dir + "/master.yaml",
		SandboxesDir: dir + "/sandboxes",
		ProcessesDir: dir + "/processes",
		RuntimeDir:   "/run/lithos",
		StateDir:     "/run/lithos/state",
		MountDir:     "/run/lithos/mnt",
		DevfsDir:     "/var/lib/lithos/dev",

		CgroupName:        "lithos.slice",
		CgroupControllers: []string{"name", "cpu", "cpuacct", "memory", "blkio"},
		CgroupOnDemand:    []string{"pids", "cpuset"},

		DefaultLogDir:  "/var/log/lithos",
		ConfigLogDir:   "/var/log/lithos/config",
		StdioLogDir:    "/var/log/lithos/stderr",
		LogFile:        "/var/log/lithos/master.log",
		LogLevel:       "warn",
		LogFormat:      "text",
		SyslogFacility: "",
		SyslogName:     "lithos",
	})
}

// Covers: A12, B1, B2, B3, B4, B5, B6, B7, B8, B9, B10, B11, B12, B13, B14, B15, B16, M3
func TestMasterOptions(t *testing.T) {
	for _, c := range []struct {
		name, yaml string
		get        func(*Master, string) any
		want       any
	}{
		{name: "B1 A12 sandboxes-dir is relative to the file", yaml: "sandboxes-dir: ./sandboxes/../sandboxes/",
			get: func(m *Master, dir string) any { return m.SandboxesDir == dir+"/sandboxes" }, want: true},
		{name: "B2 A12 processes-dir is relative to the file", yaml: "processes-dir: processes",
			get: func(m *Master, dir string) any { return m.ProcessesDir == dir+"/processes" }, want: true},
		{name: "B3 runtime-dir", yaml: "runtime-dir: /run/x",
			get:  func(m *Master, _ string) any { return []string{m.RuntimeDir, m.StateDir, m.MountDir} },
			want: []string{"/run/x", "/run/x/state", "/run/x/mnt"}},
		{name: "B4 state-dir relative to runtime-dir", yaml: "state-dir: s/t",
			get: func(m *Master, _ string) any { return m.StateDir }, want: "/run/lithos/s/t"},
		{name: "B4 state-dir absolute", yaml: "state-dir: /s",
			get: func(m *Master, _ string) any { return m.StateDir }, want: "/s"},
		{name: "B5 mount-dir", yaml: "mount-dir: m",
			get: func(m *Master, _ string) any { return m.MountDir }, want: "/run/lithos/m"},
		{name: "B6 devfs-dir", yaml: "devfs-dir: /dev",
			get: func(m *Master, _ string) any { return m.DevfsDir }, want: "/dev"},
		{name: "control-group by name", yaml: "control-group: adm",
			get: func(m *Master, _ string) any { return m.ControlGroup }, want: "adm"},
		{name: "control-group by number", yaml: "control-group: 4",
			get: func(m *Master, _ string) any { return m.ControlGroup }, want: "4"},
		{name: "metrics-listen", yaml: "metrics-listen: \"[::1]:9187\"",
			get: func(m *Master, _ string) any { return m.MetricsListen.String() }, want: "[::1]:9187"},
		{name: "log-format", yaml: "log-format: json",
			get: func(m *Master, _ string) any { return m.LogFormat }, want: "json"},
		{name: "B7 cgroup-name", yaml: "cgroup-name: all.slice",
			get: func(m *Master, _ string) any { return m.CgroupName }, want: "all.slice"},
		{name: "B7 B9 cgroup-name null is off", yaml: "cgroup-name: null",
			get: func(m *Master, _ string) any { return m.CgroupName }, want: ""},
		{name: "B8 cgroup-controllers", yaml: "cgroup-controllers: [name]",
			get: func(m *Master, _ string) any { return append(m.CgroupControllers, m.CgroupOnDemand...) }, want: []string{"name"}},
		{name: "B8 an empty list is the default", yaml: "cgroup-controllers: []",
			get: func(m *Master, _ string) any { return m.CgroupControllers }, want: defaultControllers},
		{name: "B8 M3 the default written out is the default", yaml: "cgroup-controllers: [cpu, 'cpuacct,memory', blkio, name]",
			get: func(m *Master, _ string) any { return m.CgroupOnDemand }, want: onDemandControllers},
		{name: "B8 joined controllers", yaml: "cgroup-controllers: [name, 'cpu,cpuacct', cpu]",
			get: func(m *Master, _ string) any { return m.CgroupControllers }, want: []string{"name", "cpu", "cpuacct"}},
		{name: "B10 default-log-dir", yaml: "default-log-dir: /l",
			get: func(m *Master, _ string) any { return []string{m.DefaultLogDir, m.LogFile} }, want: []string{"/l", "/l/master.log"}},
		{name: "B11 config-log-dir null is off", yaml: "config-log-dir: ~",
			get: func(m *Master, _ string) any { return m.ConfigLogDir }, want: ""},
		{name: "B11 config-log-dir", yaml: "config-log-dir: /c",
			get: func(m *Master, _ string) any { return m.ConfigLogDir }, want: "/c"},
		{name: "B12 stdio-log-dir", yaml: "stdio-log-dir: /e",
			get: func(m *Master, _ string) any { return m.StdioLogDir }, want: "/e"},
		{name: "B13 log-file absolute", yaml: "log-file: /m.log",
			get: func(m *Master, _ string) any { return m.LogFile }, want: "/m.log"},
		{name: "B14 log-level", yaml: "log-level: Debug",
			get: func(m *Master, _ string) any { return m.LogLevel }, want: "debug"},
		{name: "B15 syslog-facility", yaml: "syslog-facility: LOG_LOCAL3",
			get: func(m *Master, _ string) any { return m.SyslogFacility }, want: "local3"},
		{name: "B16 syslog-name", yaml: "syslog-name: x",
			get: func(m *Master, _ string) any { return m.SyslogName }, want: "x"},
		{name: "B16 syslog-app-name", yaml: "syslog-app-name: x",
			get: func(m *Master, _ string) any { return m.SyslogName }, want: "x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan, dir := hostConfig{master: c.yaml}.good(t)
			equal(t, c.yaml, c.get(plan.Master, dir), c.want)
		})
	}
}

// Covers: B1, B3, B6, B7, B8, B10, B11, B12, B14, B15, B16
func TestMasterMistakes(t *testing.T) {
	runProblems(t, []problemCase{
		{name: "B3 runtime-dir must be absolute", host: hostConfig{master: "runtime-dir: run\n"},
			want: []string{`master.yaml:1:14: error: runtime-dir: "run" must be an absolute path`}},
		{name: "B6 B10 B11 B12 directories must be absolute",
			host: hostConfig{master: "devfs-dir: d\ndefault-log-dir: l\nconfig-log-dir: c\nstdio-log-dir: s\n"},
			want: []string{"devfs-dir: \"d\" must be an absolute path", "default-log-dir: \"l\" must be an absolute path", "config-log-dir: \"c\" must be an absolute path", "stdio-log-dir: \"s\" must be an absolute path"}},
		{name: "B7 cgroup-name is one directory", host: hostConfig{master: "cgroup-name: ../b\n"},
			want: []string{`cgroup-name: "../b" is not the name of a cgroup`}},
		{name: "B8 controllers", host: hostConfig{master: "cgroup-controllers: [memroy, 'a/b']\n"},
			want: []string{"cgroup-controllers[0]: \"memroy\" is not a cgroup controller of Linux, did you mean `memory`?",
				`cgroup-controllers[1]: "a/b" is not the name of a cgroup controller`}},
		{name: "B14 log-level", host: hostConfig{master: "log-level: warning\n"},
			want: []string{"log-level: \"warning\" is not one of off, error, warn, info, debug, trace"}},
		{name: "B15 an unknown facility falls back to files", host: hostConfig{master: "syslog-facility: local8\n"},
			want: []string{"master.yaml:1:18: warning: syslog-facility: \"local8\" is not a syslog facility, did you mean `local0`?; logging to files instead"}},
		{name: "B16 both names", host: hostConfig{master: "syslog-name: a\nsyslog-app-name: b\n"},
			want: []string{"master.yaml:2:1: warning: syslog-app-name: the same as `syslog-name`, which is given too"}},
		{name: "control-group, metrics-listen, log-format",
			host: hostConfig{master: "control-group: a b\nmetrics-listen: localhost:1\nlog-format: xml\n"},
			want: []string{`master.yaml:1:16: error: control-group: "a b" is not the name or the number of a group`,
				`metrics-listen: "localhost:1" is not an address with a port, such as 127.0.0.1:9187`,
				`log-format: "xml" is not one of text, json, journal`}},
		{name: "B1 the directory of sandboxes must exist, its absence is not emptiness", host: hostConfig{master: "sandboxes-dir: nowhere\n"},
			want: []string{"master.yaml:1:16: warning: sandboxes-dir: there is no directory "}},
		{name: "B1 the master config is a mapping", host: hostConfig{master: "- 1\n"},
			want: []string{"master.yaml:1:1: error: expected a mapping, got a list"}},
	})
}

// Covers: A1, A12
func TestFourConfigsByPathOfTheMaster(t *testing.T) {
	files := hostConfig{master: "sandboxes-dir: s\nprocesses-dir: ../p\n"}.files()
	dir := writeTree(t, map[string]string{
		"etc/master.yaml":           files["master.yaml"],
		"etc/s/web.yaml":            files["sandboxes/web.yaml"],
		"p/web.yaml":                files["processes/web.yaml"],
		"images/v1/config/app.yaml": files["images/v1/config/app.yaml"],
	})
	// Relative to the file wherever the program was started.
	t.Chdir(filepath.Join(dir, "etc"))
	plan, problems := Load(Options{MasterFile: "master.yaml"})
	wantProblems(t, problems)
	equal(t, "master", plan.Master.File, dir+"/etc/master.yaml")
	s := plan.Sandboxes[0]
	equal(t, "files", []string{s.File, s.ProcessFile, s.Processes[0].Instances[0].Container.Image},
		[]string{dir + "/etc/s/web.yaml", dir + "/p/web.yaml", dir + "/images/v1"})
}

func TestMasterMustExistButMayBeEmpty(t *testing.T) {
	dir := t.TempDir()
	plan, problems := Load(Options{MasterFile: dir + "/master.yaml"})
	if plan != nil {
		t.Error("a plan without a master config")
	}
	wantProblems(t, problems, dir+"/master.yaml: error: cannot read the master config: no such file, make it (it may be empty) or name another by -C")
	if err := os.WriteFile(dir+"/master.yaml", []byte("# nothing\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir+"/sandboxes", 0o700); err != nil {
		t.Fatal(err)
	}
	plan, problems = Load(Options{MasterFile: dir + "/master.yaml"})
	wantProblems(t, problems)
	equal(t, "sandboxes", len(plan.Sandboxes), 0)
}

// Where the daemon is to be found may be certain although the rest is broken.
func TestLocate(t *testing.T) {
	for _, tt := range []struct{ yaml, dir string }{
		{"", "/run/lithos"},
		{"runtime-dir: /run/other\n", "/run/other"},
		{"runtime-dir: /run/other\nlog-level: 7\n", "/run/other"},
		{"log-level: 7\n", "/run/lithos"},
		{"runtime-dir: /run/other\nlog-levl: warn\n", "/run/other"},
		{"runtme-dir: /run/other\n", ""},
		{"runtime-dir: other\n", ""},
		{"runtime-dir: [/run]\n", ""},
		{"- runtime-dir\n", ""},
		{"runtime-dir: /run/other\n\tx: [", ""},
	} {
		dir := writeTree(t, map[string]string{"master.yaml": tt.yaml, "sandboxes/x.yaml": ""})
		m, problems := Locate(dir + "/master.yaml")
		switch {
		case m == nil && tt.dir != "", m != nil && m.RuntimeDir != tt.dir:
			t.Errorf("%q: %+v", tt.yaml, m)
		case m == nil && !problems.HasErrors():
			t.Errorf("%q: no errors", tt.yaml)
		}
	}
	if m, problems := Locate(t.TempDir() + "/gone.yaml"); m != nil || !problems.HasErrors() {
		t.Errorf("of a file that is not there: %+v", m)
	}
}
