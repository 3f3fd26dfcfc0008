package configs

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// Covers: E1, E3, E4, E5, E6, E7, E9, E10, E12, E13, E14, E16, E17, E18, E19, E22
func TestContainerDefaults(t *testing.T) {
	plan, dir := hostConfig{}.good(t)
	in := plan.Sandboxes[0].Processes[0].Instances[0]
	equal(t, "defaults", *in.Container, Container{
		Image: dir + "/images/v1", ConfigFile: "/config/app.yaml",
		Kind: KindDaemon, UserID: 1, GroupID: 0,
		MemoryLimit: 0, CPUShares: 1024, FilenoLimit: 1024,
		RestartTimeout: time.Second, KillTimeout: 5 * time.Second, StopSignal: syscall.SIGTERM,
		Executable: "/bin/app",
		Environ:    []EnvVar{{"LITHOS_CONFIG", "/config/app.yaml"}, {"LITHOS_NAME", "web/app.0"}},
		Workdir:    "/",
		ResolvConf: ResolvConf{CopyFromHost: true, Source: "/etc/resolv.conf"},
		HostsFile:  HostsFile{CopyFromHost: true, Source: "/etc/hosts"},
		Volumes:    []Volume{},
	})
}

// Covers: E1, E2, E3, E4, E5, E6, E7, E9, E10, E12, E13, E14, E16, E17, E18, E21, E22, I2, I3, I4, I5, I6, I7
func TestContainerOptions(t *testing.T) {
	boolean := func(b bool) *bool { return &b }
	for _, c := range []struct {
		name, yaml string
		get        func(*Container) any
		want       any
	}{
		{name: "E1 kind CommandOrDaemon", yaml: "kind: CommandOrDaemon", get: func(c *Container) any { return c.Kind }, want: KindCommandOrDaemon},
		{name: "E2 user-id and group-id", yaml: "user-id: 12\ngroup-id: 13",
			get: func(c *Container) any { return []uint32{c.UserID, c.GroupID} }, want: []uint32{12, 13}},
		{name: "E3 memory-limit", yaml: "memory-limit: 100Mi", get: func(c *Container) any { return c.MemoryLimit }, want: int64(100 << 20)},
		{name: "E3 the original's number for none", yaml: "memory-limit: 0x7fffffffffffffff", get: func(c *Container) any { return c.MemoryLimit }, want: int64(0)},
		{name: "E4 cpu-shares", yaml: "cpu-shares: 768", get: func(c *Container) any { return c.CPUShares }, want: uint64(768)},
		{name: "pids-limit and cpu-quota", yaml: "pids-limit: 50\ncpu-quota: 1.5",
			get: func(c *Container) any { return []int64{c.PIDsLimit, c.CPUQuota} }, want: []int64{50, 1500}},
		{name: "E5 fileno-limit", yaml: "fileno-limit: 1k", get: func(c *Container) any { return c.FilenoLimit }, want: uint64(1000)},
		{name: "E6 restart-timeout", yaml: "restart-timeout: 0.25", get: func(c *Container) any { return c.RestartTimeout }, want: 250 * time.Millisecond},
		{name: "E6 restart-timeout of nothing", yaml: "restart-timeout: 0", get: func(c *Container) any { return c.RestartTimeout }, want: time.Duration(0)},
		{name: "E7 kill-timeout of a day", yaml: "kill-timeout: 86400", get: func(c *Container) any { return c.KillTimeout }, want: 24 * time.Hour},
		{name: "E9 arguments", yaml: "arguments: [-x, 60, true, 1.50, '']",
			get: func(c *Container) any { return c.Arguments }, want: []string{"-x", "60", "true", "1.50", ""}},
		{name: "E10 environ", yaml: "environ: {Z: 0x10, A: ' b ', PATH: /bin}",
			get: func(c *Container) any { return c.Environ },
			want: []EnvVar{{"A", " b "}, {"LITHOS_CONFIG", "/config/app.yaml"}, {"LITHOS_NAME", "web/app.0"},
				{"PATH", "/bin"}, {"Z", "0x10"}}},
		{name: "E12 workdir", yaml: "workdir: /app//x/", get: func(c *Container) any { return c.Workdir }, want: "/app/x"},
		{name: "E13 I2 I3 resolv-conf", yaml: "resolv-conf: {mount: false, copy-from-host: false}",
			get: func(c *Container) any { return c.ResolvConf }, want: ResolvConf{Mount: boolean(false), Source: "/etc/resolv.conf"}},
		{name: "E14 I4 I5 I6 I7 hosts-file", yaml: "hosts-file: {mount: true, copy-from-host: false}",
			get:  func(c *Container) any { return c.HostsFile },
			want: HostsFile{Mount: boolean(true), Localhost: true, PublicHostname: true, Source: "/etc/hosts"}},
		{name: "E14 I6 I7 hosts-file with all said", yaml: "hosts-file: {localhost: true, public-hostname: true}",
			get:  func(c *Container) any { return c.HostsFile },
			want: HostsFile{CopyFromHost: true, Localhost: true, PublicHostname: true, Source: "/etc/hosts"}},
		{name: "E16 stdout-stderr-file", yaml: "stdout-stderr-file: /log/out", get: func(c *Container) any { return c.StdoutStderrFile }, want: "/log/out"},
		{name: "E17 interactive", yaml: "interactive: true", get: func(c *Container) any { return c.Interactive }, want: true},
		{name: "E18 restart-process-only", yaml: "restart-process-only: true", get: func(c *Container) any { return c.RestartProcessOnly }, want: true},
		{name: "E21 metadata is not looked at", yaml: "metadata: {a: [1, {executable: 5}, !x y], 2: ~, a.b: 'c'}\nexecutable: /bin/app",
			get: func(c *Container) any { return c.Executable }, want: "/bin/app"},
		{name: "E22 normal-exit-codes", yaml: "normal-exit-codes: [8, 0, 120]", get: func(c *Container) any { return c.NormalExitCodes }, want: []int{8, 0, 120}},
	} {
		t.Run(c.name, func(t *testing.T) {
			equal(t, c.yaml, c.get(hostConfig{container: c.yaml + "\n"}.app(t)), c.want)
		})
	}
}

// Covers: C10, C12, C16, E1, E2, E3, E4, E5, E6, E7, E8, E9, E10, E12, E13, E15, E16, E22
func TestContainerMistakes(t *testing.T) {
	maps := "uid-map: [{inside: 0, outside: 10, count: 5}]\ngid-map: [{inside: 0, outside: 10, count: 5}]\n"
	runProblems(t, []problemCase{
		{name: "E1 kind", host: hostConfig{container: "kind: Demon\n"},
			want: []string{"app.yaml:1:7: error: kind: \"Demon\" is not one of Daemon, Command, CommandOrDaemon, did you mean `Daemon`?"}},
		{name: "E2 C10 C12 ids must be allowed", host: hostConfig{container: "user-id: 1001\ngroup-id: 1001\n"},
			want: []string{"app.yaml:1:10: error: user-id: user 1001 is not in allow-users [1-1000] of the sandbox",
				"app.yaml:2:11: error: group-id: group 1001 is not in allow-groups [0-1000] of the sandbox"}},
		{name: "E2 ids are numbers", host: hostConfig{container: "user-id: www-data\ngroup-id: 4294967295\n"},
			want: []string{`user-id: "www-data" is not a number`, "group-id: 4294967295 is not in 0 to 4294967294"}},
		{name: "E3 E4 E5 limits", host: hostConfig{container: "memory-limit: 0\ncpu-shares: 0\nfileno-limit: 2\n"},
			want: []string{"memory-limit: 0 is less than 1", "warning: cpu-shares: 0 is taken as 2", "fileno-limit: 2 is not in 3 to 2147483647"}},
		{name: "E6 E7 times", host: hostConfig{container: "restart-timeout: 86400.1\nkill-timeout: 5s\n"},
			want: []string{`restart-timeout: "86400.1" is not a number of seconds: it is not in 0 to 86400`,
				`kill-timeout: "5s" is not a number of seconds: write it without a unit, such as 1.5`}},
		{name: "E6 odd times", host: hostConfig{container: "restart-timeout: -1\nkill-timeout: 1e\n"},
			want: []string{"it is not in 0 to 86400", "write it such as 1.5"}},
		{name: "E8 executable is required", host: hostConfig{container: "executable: # none\n"},
			want: []string{"app.yaml:1:12: error: executable: is required"}},
		{name: "E8 executable is absolute", host: hostConfig{container: "executable: python\n"},
			want: []string{`app.yaml:1:13: warning: executable: "python" is no absolute path`}},
		{name: "E8 executable is a file", host: hostConfig{container: "executable: /bin/\n"},
			want: []string{`executable: "/bin/" is a directory`}},
		{name: "E9 arguments are scalars", host: hostConfig{container: "arguments: [[a], {b: c}, ~]\n"},
			want: []string{"arguments[0]: expected a string, got a list", "arguments[1]: expected a string, got a mapping", "arguments[2]: expected a string, got nothing"}},
		{name: "E9 E10 more than execve takes", host: hostConfig{entry: "instances: 1000\n", container: "arguments: ['" + strings.Repeat("@{lithos:name}", 20000) + "']\n"},
			want: []string{"app.yaml: error: arguments: one of arguments or environ has 180001 bytes, the kernel takes at most 131072"}},
		{name: "E9 E10 more than execve takes in all", host: hostConfig{entry: "kind: Command\n", container: "kind: Command\narguments: [&a '" + strings.Repeat("x", 80000) + "'" + strings.Repeat(", *a", 13) + "]\n"},
			want: []string{"app.yaml: error: arguments: arguments and environ have 1120069 bytes, at most 1048576 are taken"}},
		{name: "E10 names of variables", host: hostConfig{container: "environ: {'a=b': c, '': d}\n"},
			want: []string{`"a=b" has an equals sign`, `"" can't be the name of an environment variable`}},
		{name: "E10 lithos's own can't be overridden", host: hostConfig{container: "environ: {LITHOS_NAME: x}\n"},
			want: []string{"app.yaml:1:11: warning: environ.LITHOS_NAME: LITHOS_NAME is always set by lithos itself, this value is not used"}},
		{name: "E12 E16 paths are absolute", host: hostConfig{container: "workdir: app\nstdout-stderr-file: log\n"},
			want: []string{`workdir: "app" is no absolute path`, `stdout-stderr-file: "log" is no absolute path`}},
		{name: "E13 nothing to mount", host: hostConfig{container: "resolv-conf: {mount: true, copy-from-host: false}\n"},
			want: []string{"app.yaml:1:22: error: resolv-conf.mount: there is nothing to mount without copy-from-host"}},
		{name: "E15 C16 maps in both", host: hostConfig{sandbox: maps, container: maps},
			want: []string{"app.yaml:1:10: error: uid-map: the sandbox has a uid-map too, only one of both can have it",
				"app.yaml:2:10: error: gid-map: the sandbox has a gid-map too, only one of both can have it"}},
		{name: "E15 C10 outside ids of the container's map must be allowed", host: hostConfig{sandbox: "allow-users: [1-12, 13-20]\nallow-groups: [0-13]\n", container: maps},
			want: []string{"app.yaml:2:10: error: gid-map: the outside ids 10 to 14 are not in allow-groups [0-13] of the sandbox"}},
		{name: "E15 the user must be mapped", host: hostConfig{container: maps + "user-id: 5\ngroup-id: 7\n"},
			want: []string{"app.yaml:3:10: error: user-id: user 5 is not among the inside ids of the map in force",
				"app.yaml:4:11: error: group-id: group 7 is not among"}},
		{name: "E15 one map alone", host: hostConfig{container: "gid-map: [{inside: 0, outside: 10, count: 5}]\n"},
			want: []string{"app.yaml:1:10: error: gid-map: uid-map and gid-map come together"}},
		{name: "E22 exit codes", host: hostConfig{container: "normal-exit-codes: [256, -1, ~]\n"},
			want: []string{"normal-exit-codes[0]: 256 is not in 0 to 255", "normal-exit-codes[1]: -1 is not in 0 to 255", "normal-exit-codes[2]: expected an exit code, got nothing"}},
	})
}

// Covers: C10, E15
func TestContainerMapLimitsOutsideIDs(t *testing.T) {
	c := hostConfig{container: `
uid-map: [{inside: 0, outside: 100, count: 3000}, {inside: 5000, outside: 1, count: 1}]
gid-map: [{inside: 0, outside: 100, count: 2}]
user-id: 2000
`, sandbox: "allow-users: [1, 50-999, 1000-3099]\n"}.app(t)
	equal(t, "user", c.UserID, uint32(2000)) // not in allow-users, which limits what is outside
	equal(t, "map", c.UIDMap, []IDMap{{0, 100, 3000}, {5000, 1, 1}})
	equal(t, "group map", c.GIDMap, []IDMap{{0, 100, 2}})
}

// Covers: C10, C16
func TestSandboxMapLimitsInsideIDs(t *testing.T) {
	sandbox := "uid-map: [{inside: 0, outside: 100000, count: 65536}]\ngid-map: [{inside: 0, outside: 100000, count: 65536}]\nallow-users: [1-65535]\n"
	c := hostConfig{sandbox: sandbox}.app(t)
	equal(t, "map", c.UIDMap, []IDMap{{0, 100000, 65536}})
	_, problems, _ := hostConfig{sandbox: sandbox, container: "user-id: 0\n"}.load(t)
	wantProblems(t, problems, "user-id: user 0 is not in allow-users [1-65535] of the sandbox")
}

// A container that makes containers of its own needs ids for them: more lines,
// as large as one likes.
//
// Covers: K14
func TestMapsForNestedContainers(t *testing.T) {
	const ids = "[{inside: 0, outside: 100000, count: 1000}, {inside: 1000, outside: 1000000, count: 4000000000}]\n"
	c := hostConfig{
		sandbox:   "uid-map: " + ids + "gid-map: " + ids + "allow-users: [0-4294967294]\n",
		container: "user-id: 4000000999\n",
	}.app(t)
	equal(t, "map", c.UIDMap, []IDMap{{0, 100000, 1000}, {1000, 1000000, 4000000000}})
	equal(t, "user", c.UserID, uint32(4000000999))
}

func TestCheckContainer(t *testing.T) {
	dir := writeTree(t, map[string]string{
		"good.yaml": "variables: {p: !TcpPort }\nexecutable: /x\narguments: ['@{p}', '@{lithos:name}']\nvolumes: {/a: !Readonly /nowhere}\nuser-id: 5\n",
		"bad.yaml":  "executable: x\narguments: ['@{p}']\nenviron: {A: '@{ q }'}\ntcp-ports: {'@{r}': {fd: 3}}\n",
	})
	wantProblems(t, CheckContainer(dir+"/good.yaml"))
	wantProblems(t, CheckContainer(dir+"/bad.yaml"),
		dir+`/bad.yaml:1:13: warning: executable: "x" is no absolute path`,
		dir+`/bad.yaml:2:13: error: arguments[0]: variable "p" is not declared in variables`,
		dir+`/bad.yaml:3:14: error: environ.A: variable "q" is not declared in variables`,
		dir+`/bad.yaml:4:13: error: tcp-ports.@{r}: variable "r" is not declared in variables`)
	wantProblems(t, CheckContainer(dir+"/none.yaml"), dir+"/none.yaml: error: cannot read the container config: no such file")
	wantProblems(t, CheckContainer(dir), dir+": error: cannot read the container config: it is a directory, a config must be a regular file")
}
