package configs

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
)

// Covers: C1
func TestOnlyYAMLFilesAreSandboxes(t *testing.T) {
	files := hostConfig{}.files()
	sandbox := files["sandboxes/web.yaml"]
	for _, name := range []string{"b-2.yaml", "c.d.yaml", ".hidden.yaml", ".#web.yaml", "web.yaml~", "web.yml", "README", "dir.yaml/x"} {
		files["sandboxes/"+name] = sandbox
	}
	files["processes/b-2.yaml"], files["processes/c.d.yaml"] = "", "{}"
	dir := writeTree(t, files)
	if err := os.Symlink("web.yaml", dir+"/sandboxes/link.yaml"); err != nil {
		t.Fatal(err)
	}
	plan, problems := Load(Options{MasterFile: dir + "/master.yaml"})
	wantProblems(t, problems,
		dir+"/master.yaml: warning: sandboxes-dir: "+dir+"/sandboxes/web.yml is not read: name it web.yaml",
		dir+"/processes/link.yaml: error: cannot read the process config: no such file, create it, `{}` for no processes")
	var names []string
	for _, s := range plan.Sandboxes {
		names = append(names, s.Name)
	}
	equal(t, "sandboxes", names, []string{"b-2", "c.d", "link", "web"})

	files["sandboxes/a b.yaml"], files["sandboxes/-x.yaml"] = sandbox, sandbox
	dir = writeTree(t, files)
	plan, problems = Load(Options{MasterFile: dir + "/master.yaml"})
	wantProblems(t, problems,
		dir+"/master.yaml: warning: sandboxes-dir: "+dir+"/sandboxes/web.yml is not read: name it web.yaml",
		dir+"/sandboxes/a b.yaml: error: the name may have letters, digits, `_`, `-` and `.` in it, not ' '; rename the file",
		dir+"/sandboxes/-x.yaml: error: a sandbox name must not begin with a dot or a dash; rename the file")
	checkBreakage(t, plan, problems)
}

// Covers: C2, C3, C4, C6, C7, C8, C9, C13, C14, C15, C16, C17, C18, C19, C20, C21, C22
func TestSandboxDefaults(t *testing.T) {
	dir := writeTree(t, map[string]string{
		"master.yaml":        "log-level: info\ndefault-log-dir: /logs\n",
		"sandboxes/web.yaml": "allow-users: [1]\nallow-groups: [0]\n",
		"processes/web.yaml": "",
	})
	plan, problems := Load(Options{MasterFile: dir + "/master.yaml"})
	wantProblems(t, problems)
	equal(t, "defaults", *plan.Sandboxes[0].Config, SandboxConfig{
		ConfigFile:        dir + "/processes/web.yaml",
		ImageDir:          "/var/lib/lithos/containers",
		ImageDirLevels:    1,
		LogFile:           "/logs/web.log",
		LogLevel:          "info",
		ReadonlyPaths:     map[string]string{},
		WritablePaths:     map[string]string{},
		AllowUsers:        []Range{{First: 1, Last: 1}},
		AllowGroups:       []Range{{First: 0, Last: 0}},
		AllowTCPPorts:     []Range{},
		AutoClean:         true,
		StdioLogKeep:      3,
		ResolvConf:        "/etc/resolv.conf",
		HostsFile:         "/etc/hosts",
		SecretsNamespaces: []string{""},
	})
}

// Covers: C4, C6, C7, C8, C9, C13, C15, C16, C17, C18, C19, C20, C21, C22, J2, K10, L8
func TestSandboxOptions(t *testing.T) {
	for _, c := range []struct {
		name, yaml string
		get        func(*SandboxConfig) any
		want       any
	}{
		{name: "C4 image-dir-levels", yaml: "image-dir-levels: 16", get: func(s *SandboxConfig) any { return s.ImageDirLevels }, want: 16},
		{name: "C6 log-file is relative to default-log-dir", yaml: "log-file: w/x.log",
			get: func(s *SandboxConfig) any { return s.LogFile }, want: "/var/log/lithos/w/x.log"},
		{name: "C7 log-level", yaml: "log-level: error", get: func(s *SandboxConfig) any { return s.LogLevel }, want: "error"},
		{name: "C8 readonly-paths", yaml: "readonly-paths: {/tz/: /usr/share/zoneinfo/}",
			get: func(s *SandboxConfig) any { return s.ReadonlyPaths }, want: map[string]string{"/tz": "/usr/share/zoneinfo"}},
		{name: "C9 writable-paths", yaml: "writable-paths: {/db: /var/db}",
			get: func(s *SandboxConfig) any { return s.WritablePaths }, want: map[string]string{"/db": "/var/db"}},
		{name: "C13 default-group", yaml: "default-group: 7", get: func(s *SandboxConfig) any { return s.DefaultGroup }, want: uint32(7)},
		{name: "C15 additional-hosts", yaml: "additional-hosts: {b: '::1', a: 10.0.0.1}",
			get:  func(s *SandboxConfig) any { return s.Additional },
			want: []Host{{"a", netip.MustParseAddr("10.0.0.1")}, {"b", netip.MustParseAddr("::1")}}},
		{name: "C17 used-images-list", yaml: "used-images-list: /etc/images", get: func(s *SandboxConfig) any { return s.UsedImagesList }, want: "/etc/images"},
		{name: "C18 auto-clean", yaml: "auto-clean: false", get: func(s *SandboxConfig) any { return s.AutoClean }, want: false},
		{name: "C19 resolv-conf", yaml: "resolv-conf: /r", get: func(s *SandboxConfig) any { return s.ResolvConf }, want: "/r"},
		{name: "C20 hosts-file", yaml: "hosts-file: /h", get: func(s *SandboxConfig) any { return s.HostsFile }, want: "/h"},
		{name: "C22 J2 secrets", yaml: "secrets-private-key: /k\nsecrets-namespaces: [a.b, '', c-_1]",
			get:  func(s *SandboxConfig) any { return append([]string{s.SecretsPrivateKey}, s.SecretsNamespaces...) },
			want: []string{"/k", "a.b", "", "c-_1"}},
		{name: "C22 an empty list of namespaces is the default", yaml: "secrets-namespaces: []",
			get: func(s *SandboxConfig) any { return s.SecretsNamespaces }, want: []string{""}},
		{name: "C21 bridged-network", yaml: "bridged-network: {bridge: br0, network: 10.1.2.3/16}",
			get:  func(s *SandboxConfig) any { return *s.Bridged },
			want: BridgedNetwork{Bridge: "br0", Network: netip.MustParsePrefix("10.1.0.0/16")}},
		{name: "C21 L8 a v6 network with a gateway",
			yaml: "bridged-network: {bridge: br0, network: 'fd00::/64', default-gateway: 'fd00::1', after-setup-command: [/x, '{@container_ip}']}",
			get:  func(s *SandboxConfig) any { return *s.Bridged },
			want: BridgedNetwork{Bridge: "br0", Network: netip.MustParsePrefix("fd00::/64"), DefaultGateway: netip.MustParseAddr("fd00::1"),
				AfterSetupCommand: []string{"/x", "{@container_ip}"}}},
		{name: "C16 uid-map and gid-map", yaml: "uid-map: [{inside: 0, outside: 1000, count: 5}]\ngid-map: [{inside: 0, outside: 100, count: 1}]",
			get:  func(s *SandboxConfig) any { return [][]IDMap{s.UIDMap, s.GIDMap} },
			want: [][]IDMap{{{0, 1000, 5}}, {{0, 100, 1}}}},
		{name: "pids-limit and cpu-quota", yaml: "pids-limit: 1k\ncpu_quota: 0.29",
			get: func(s *SandboxConfig) any { return []int64{s.PIDsLimit, s.CPUQuota} }, want: []int64{1000, 290}},
		{name: "cpuset", yaml: "cpuset: 7, 2-3", get: func(s *SandboxConfig) any { return s.CPUSet }, want: "2-3,7"},
		{name: "cpuset as a list", yaml: "cpuset: [5, 0-1]", get: func(s *SandboxConfig) any { return s.CPUSet }, want: "0-1,5"},
		{name: "io-limits", yaml: "io-limits: {/dev/vdb: {read-bytes: 10M}, /dev/sda/: {write-operations: 50, write-bytes: 1Mi, read-operations: 7}}",
			get:  func(s *SandboxConfig) any { return s.IOLimits },
			want: []IOLimit{{"/dev/sda", 0, 1 << 20, 7, 50}, {Device: "/dev/vdb", ReadBytes: 10e6}}},
		{name: "K10 what is loosened", yaml: "allow-new-privileges: true\nwritable-proc-sys: true\nunmask-kernel-files: true\nseccomp: default",
			get: func(s *SandboxConfig) any {
				return []any{s.AllowNewPrivileges, s.WritableProcSys, s.UnmaskKernelFiles, s.Seccomp}
			},
			want: []any{true, true, true, SeccompDefault}},
		{name: "seccomp is off", yaml: "seccomp: off", get: func(s *SandboxConfig) any { return s.Seccomp }, want: ""},
		{name: "K10 add-capabilities", yaml: "add-capabilities: [sys_ptrace, CAP_NET_RAW, NET_RAW]",
			get: func(s *SandboxConfig) any { return s.AddCapabilities }, want: []string{"NET_RAW", "SYS_PTRACE"}},
		{name: "K10 all capabilities", yaml: "add-capabilities: [all, CHOWN]",
			get: func(s *SandboxConfig) any { return CapabilityBits(s.AddCapabilities) }, want: uint64(1<<41 - 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan, _ := hostConfig{sandbox: c.yaml + "\n", process: "{}"}.good(t)
			equal(t, c.yaml, c.get(plan.Sandboxes[0].Config), c.want)
		})
	}
}

// Covers: C2
func TestConfigFileIsRelativeToProcessesDir(t *testing.T) {
	for _, file := range []string{"other.yaml", "HOST/processes/other.yaml"} {
		files := hostConfig{sandbox: "config-file: " + file + "\n"}.files()
		files["processes/other.yaml"] = files["processes/web.yaml"]
		files["processes/web.yaml"] = "- broken"
		dir := writeTree(t, files)
		plan, problems := Load(Options{MasterFile: dir + "/master.yaml"})
		wantProblems(t, problems)
		equal(t, file, plan.Sandboxes[0].ProcessFile, dir+"/processes/other.yaml")
		equal(t, file, len(plan.Sandboxes[0].Processes), 1)
	}
}

// Covers: C2, C3, C4, C7, C8, C9, C10, C11, C12, C13, C14, C15, C16, C21, C22, J2, K10, L4
func TestSandboxMistakes(t *testing.T) {
	runProblems(t, []problemCase{
		{name: "C3 image-dir must be absolute", host: hostConfig{sandbox: "image-dir: images\n"},
			want: []string{`web.yaml:1:12: warning: image-dir: "images" is no absolute path`, "app.image: cannot open the image-dir /images"}},
		{name: "C4 image-dir-levels is 1 to 16", host: hostConfig{sandbox: "image-dir-levels: 0\n"},
			want: []string{"web.yaml:1:19: error: image-dir-levels: 0 is not in 1 to 16"}},
		{name: "C7 log-level", host: hostConfig{sandbox: "log-level: loud\n"},
			want: []string{`web.yaml:1:12: warning: log-level: "loud" is not one of`}},
		{name: "C8 C9 virtual and host directories are absolute", host: hostConfig{sandbox: "readonly-paths: {a: /x, /b: y, /c/../d: /x}\nwritable-paths: {/e: /x, /e/: /y, /f: }\n"},
			want: []string{
				`web.yaml:1:18: error: readonly-paths.a: the virtual directory "a" must be an absolute path`,
				`web.yaml:1:29: warning: readonly-paths./b: "y" is no absolute path`,
				"readonly-paths./c/../d: the virtual directory \"/c/../d\" must not have `..` in it",
				`web.yaml:2:26: error: writable-paths./e/: the virtual directory /e is given twice`,
				`writable-paths./f: the host directory is missing`,
			}},
		{name: "C10 C12 nothing allowed", host: hostConfig{sandbox: "allow-users: []\nallow-groups: []\ndefault-user: null\n"},
			want: []string{
				"web.yaml:1:14: error: allow-users: no user is allowed, so nothing can run; write such as `allow-users: [1-1000]`",
				"web.yaml:2:15: error: allow-groups: no group is allowed",
			}},
		{name: "C11 C13 defaults must be allowed", host: hostConfig{sandbox: "allow-users: [5-9]\ndefault-user: 4\nallow-groups: [5]\ndefault-group: 6\n"},
			want: []string{
				"web.yaml:2:15: error: default-user: user 4 is not in allow-users [5-9]",
				"web.yaml:4:16: error: default-group: group 6 is not in allow-groups [5]",
			}},
		{name: "C13 the default 0 of default-group must be allowed where it is used", host: hostConfig{sandbox: "allow-groups: [5]\n"},
			want: []string{"app.yaml:2:1: error: group-id: group 0 is not in allow-groups [5] of the sandbox"}},
		{name: "C11 without default-user user-id is required", host: hostConfig{sandbox: "default-user: null\n"},
			want: []string{"app.yaml:2:1: error: user-id: is required, since the sandbox has no default-user"}},
		{name: "C14 ports are ports", host: hostConfig{sandbox: "allow-tcp-ports: [65536]\n"},
			want: []string{`allow-tcp-ports[0]: "65536" is not a range: 65535 is the largest number here`}},
		{name: "limits", host: hostConfig{sandbox: "pids-limit: 0\ncpu-quota: 150%\ncpuset: 0-x\nio-limits: {sda: {read-bytes: 1}, /dev/sda: {}, /dev/sdb: {bps: 1}}\n"},
			want: []string{
				"web.yaml:1:13: error: pids-limit: 0 is not in 1 to 4194304",
				`web.yaml:2:12: error: cpu-quota: "150%" is not a number of processors such as 0.5 or 2`,
				`web.yaml:3:9: error: cpuset: "0-x" is not a range of processors`,
				`io-limits.sda: "sda" is not the path of a block device such as /dev/sda`,
				"io-limits./dev/sda: says nothing: give one of read-bytes, write-bytes, read-operations, write-operations",
				"io-limits./dev/sdb.bps: unknown key",
			}},
		{name: "K10 what is loosened", host: hostConfig{sandbox: "add-capabilities: [NET_ROW, 5]\nseccomp: docker\nwritable-proc-sys: yes\ncpu-quota: 0.001\n"},
			want: []string{
				`web.yaml:1:20: error: add-capabilities[0]: "NET_ROW" is not a capability such as NET_RAW, did you mean`,
				`add-capabilities[1]: "5" is not a capability such as NET_RAW`,
				`web.yaml:2:10: error: seccomp: "docker" is not one of off, default`,
				`web.yaml:3:20: error: writable-proc-sys: expected true or false, got "yes"`,
				`web.yaml:4:12: error: cpu-quota: 0.001 is not in 0.01 to 8192 processors`,
			}},
		{name: "C15 additional-hosts", host: hostConfig{sandbox: "additional-hosts: {a: b.example, 'c\\n': 1.2.3.4, \"d\\ne\": 1.2.3.4, f: 'fe80::1%eth0', g: }\n"},
			want: []string{
				`additional-hosts.a: "b.example" is not an IP address, no resolver`,
				`additional-hosts.d\ne: "d\ne" is not a host name`,
				`additional-hosts.f: "fe80::1%eth0" is not an IP address`,
				`additional-hosts.g: expected a string, got nothing`,
			}},
		{name: "C16 maps", host: hostConfig{sandbox: `
uid-map:
- {inside: 0, outside: 10, count: 5}
- {inside: 4, outside: 100, count: 1}
- {inside: 9, outside: 14, count: 1}
- {inside: 20, outside: 4294967290, count: 100}
- {inside: 30, outside: 30}
- {inside: 30, outside: 30, count: 0}
gid-map: [{inside: 0, outside: 0, count: 1}]
default-user: 1
`},
			want: []string{
				"uid-map[1]: maps inside ids that another line maps already",
				"uid-map[2]: maps outside ids that another line maps already",
				"uid-map[3]: maps ids beyond 4294967294",
				"uid-map[4].count: is required",
				"uid-map[5].count: 0 is not in 1 to 4294967295",
			}},
		{name: "C16 one map alone", host: hostConfig{sandbox: "uid-map: [{inside: 0, outside: 10, count: 5}]\n"},
			want: []string{"web.yaml:1:10: error: uid-map: uid-map and gid-map come together"}},
		{name: "C16 C11 default-user must be mapped", host: hostConfig{
			sandbox: "uid-map: [{inside: 0, outside: 10, count: 5}]\ngid-map: [{inside: 0, outside: 10, count: 5}]\ndefault-user: 5\n"},
			want: []string{"web.yaml:3:15: error: default-user: user 5 is not among the inside ids of uid-map"}},
		{name: "C16 more lines than the kernel takes", host: hostConfig{sandbox: "gid-map: [{inside: 0, outside: 10, count: 5}]\nuid-map:\n" + manyLines(341)},
			want: []string{"web.yaml:3:1: error: uid-map: has 341 lines, the kernel takes at most 340"}},
		{name: "C21 bridged-network", host: hostConfig{sandbox: `
bridged-network:
  bridge: a/very long name
  network: 10.0.0.0
  default-gateway: x
`},
			want: []string{
				`bridged-network.bridge: "a/very long name" is not the name of a network interface`,
				`bridged-network.network: "10.0.0.0" is not a network such as 10.0.0.0/24`,
				`bridged-network.default-gateway: "x" is not an IP address`,
			}},
		{name: "C21 L4 after-setup-command", host: hostConfig{process: "{}", sandbox: `
bridged-network:
  bridge: br0
  network: 10.0.0.0/24
  default-gateway: 10.0.1.1
  after-setup-command: [arping, '@{container_ip}', '{@ container_ip }', '@{ip}', '{@name}', 'a}b', '@{', '{x}']
`},
			want: []string{
				"default-gateway: 10.0.1.1 is not in the network 10.0.0.0/24",
				`after-setup-command: the command "arping" must have an absolute path`,
				"after-setup-command: unknown variable @{ip}, only @{container_ip} is known here",
				"after-setup-command: unknown variable {@name}, only @{container_ip} is known here",
			}},
		{name: "C22 J2 namespaces", host: hostConfig{sandbox: "secrets-namespaces: [a/b, {}]\nsecrets-private-key: k\n"},
			want: []string{
				`secrets-namespaces[0]: "a/b" is not a namespace`,
				"secrets-namespaces[1]: expected a string, got a mapping",
				`secrets-private-key: "k" is no absolute path`,
			}},
		{name: "C22 a private key alone is fine", host: hostConfig{sandbox: "secrets-private-key: /k\n"}},
		{name: "C2 config-file may not be empty", host: hostConfig{sandbox: "config-file: ''\n"},
			want: []string{"web.yaml:1:14: error: config-file: must not be empty"}},
	})
}

// Covers: L4
func TestAfterSetupCommandSubstitution(t *testing.T) {
	for arg, want := range map[string]string{
		"@{container_ip}": "10.0.0.1", "{@container_ip}": "10.0.0.1", "x{@ container_ip }y@{ container_ip}": "x10.0.0.1y10.0.0.1",
		"plain": "plain", "@": "@", "{": "{", "@{": "@{", "{a}": "{a}", "a@b.c": "a@b.c", "{@container_ip": "{@container_ip",
	} {
		if got, unknown := expandAfterSetup(arg, "10.0.0.1"); got != want || unknown != "" {
			t.Errorf("%q: got %q, unknown %q; want %q", arg, got, unknown, want)
		}
	}
}

// A problem of one sandbox does not affect the others.
//
// Covers: C23, D12
func TestBrokenObjectBreaksNoOther(t *testing.T) {
	files := hostConfig{}.files()
	files["sandboxes/bad.yaml"] = "image-dri: /x\n"
	files["sandboxes/noproc.yaml"] = files["sandboxes/web.yaml"]
	files["sandboxes/badproc.yaml"] = files["sandboxes/web.yaml"]
	files["processes/badproc.yaml"] = "app: [\n"
	files["processes/web.yaml"] += "other: {image: v1, config: /config/none.yaml}\nthird: {image: v1}\n"
	dir := writeTree(t, files)
	plan, problems := Load(Options{MasterFile: dir + "/master.yaml"})
	wantProblems(t, problems,
		"/sandboxes/bad.yaml:1:1: error: image-dri: unknown key, did you mean `image-dir`?",
		"/sandboxes/bad.yaml:1:1: error: allow-users: no user is allowed",
		"/sandboxes/bad.yaml:1:1: error: allow-groups: no group is allowed",
		"/processes/noproc.yaml: error: cannot read the process config: no such file, create it, `{}` for no processes",
		"/processes/badproc.yaml:1:6: error: not valid YAML: did not find expected node content",
		"/processes/web.yaml:4:28: error: other.config: cannot read /config/none.yaml in the image "+dir+"/images/v1: no such file or directory",
		"/processes/web.yaml:5:8: error: third.config: is required")
	checkBreakage(t, plan, problems)
	web := plan.Sandboxes[3]
	equal(t, "web", [2]any{web.Broken, web.ProcessesBroken}, [2]any{false, false})
	equal(t, "app", [2]any{web.Processes[0].Broken, len(web.Processes[0].Instances)}, [2]any{false, 1})
	equal(t, "other", web.Processes[1].Broken, true)
	equal(t, "third", web.Processes[2].Broken, true)
}

// Covers: D12
func TestMissingProcessFileIsAnError(t *testing.T) {
	for _, text := range []string{"", "{}", "# nothing\n", "null\n"} {
		files := hostConfig{}.files()
		files["processes/web.yaml"] = text
		dir := writeTree(t, files)
		plan, problems := Load(Options{MasterFile: dir + "/master.yaml"})
		wantProblems(t, problems)
		equal(t, "ProcessesBroken", plan.Sandboxes[0].ProcessesBroken, false)
	}
	dir := writeTree(t, hostConfig{}.files())
	if err := os.Remove(dir + "/processes/web.yaml"); err != nil {
		t.Fatal(err)
	}
	plan, problems := Load(Options{MasterFile: dir + "/master.yaml"})
	equal(t, "an error, not a warning", problems.HasErrors(), true)
	equal(t, "ProcessesBroken", plan.Sandboxes[0].ProcessesBroken, true)
}

// manyLines is a map of n lines, each for one id.
func manyLines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "- {inside: %d, outside: %d, count: 1}\n", i, i+1000)
	}
	return b.String()
}
