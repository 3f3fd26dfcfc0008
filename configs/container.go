package configs

import (
	"math"
	"path"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"lithos/configs/document"
	"lithos/configs/option"
)

// containerOptions are the options of a container config. Those that are described
// are read together with others, in readTemplate.
var containerOptions = []declared[template]{
	fixed("kind", option.OneOf(KindDaemon, KindCommand, KindCommandOrDaemon), func(c *Container) *Kind { return &c.Kind }, option.Doc{Default: "Daemon", Manual: "5.2",
		Text: "What it may be run as."}).
		hidden(func(c *Container) { c.Kind = "" }),
	described[template]("variables", variableType, option.Doc{Default: "{}", Example: "{port: !TcpPort }", Manual: "5.1",
		Text: "What a process config may set. `@{NAME}` is replaced in `arguments`, in the values of `environ` and in the keys of `tcp-ports`. Built in are `lithos:name`, `lithos:config_filename` and, as a whole value of `environ`, `lithos:pid`."}),
	described[template]("metadata", option.Anything, option.Doc{Example: "{team: web}", Manual: "5.2",
		Text: "For other tools; lithos does not look at it."}),
	described[template]("volumes", volumeType, option.Doc{Default: "{}", Example: "{/tmp: !Tmpfs {size: 10Mi}}", Manual: "7",
		Text: "What is mounted. The mount points have to exist in the image or on an outer volume."}).
		listed(func(c *Container, key string) (list []setting) {
			for _, v := range c.Volumes {
				list = append(list, setting{key + v.MountPoint, v.String()})
			}
			return list
		}),
	of("user-id", option.OptionalID, func(t *template) **uint32 { return &t.userID }, option.Doc{Example: "1000", Manual: "5.2",
		Text: "Who the program runs as; by default the sandbox's `default-user`."}).
		shown(func(c *Container) string { return option.ID.Show(c.UserID) }),
	of("group-id", option.OptionalID, func(t *template) **uint32 { return &t.groupID }, option.Doc{Example: "1000", Manual: "5.2",
		Text: "Its group; by default the sandbox's `default-group`."}).
		shown(func(c *Container) string { return option.ID.Show(c.GroupID) }),
	fixed("restart-timeout", option.Seconds, func(c *Container) *time.Duration { return &c.RestartTimeout }, option.Doc{Default: "1", Example: "0.2", Manual: "5.2",
		Text: "The least time between two starts."}).
		hidden(func(c *Container) {
			if !c.RestartProcessOnly { // PID 1 restarts the program itself only with that option
				c.RestartTimeout = 0
			}
		}),
	described[template]("restart-backoff", backoffType, option.Doc{Example: "{factor: 2, cap: 300, jitter: 0.2}",
		Text: "Restart a program that fails again and again less and less often: after the n-th failure in a row the least time between two starts is `restart-timeout` times `factor` to the power of n-1. A number alone is the factor. It needs a `restart-timeout` above 0, and can't be together with `restart-process-only`. By default every wait is `restart-timeout`."}).
		shown(func(c *Container) string { return c.RestartBackoff.String() }).hidden(func(c *Container) { c.RestartBackoff = RestartBackoff{} }),
	described[template]("ready", option.Object(readyTable.Infos()), option.Doc{Example: "{http: 8080, path: /health}",
		Text: "When a container that was started counts as up, see [checks](checks.md). `lithos_switch --wait` waits for it. By default it is up when it runs."}).
		shown(func(c *Container) string { return c.Ready.String() }).hidden(func(c *Container) { c.Ready = c.Ready.seen() }),
	described[template]("healthcheck", option.Object(healthTable.Infos()), option.Doc{Example: "{http: 8080, path: /health, interval: 10, failures: 3}",
		Text: "Ask the program again and again whether it serves, see [checks](checks.md); if it does not, end it and start it again. By default nobody asks."}).
		shown(func(c *Container) string { return c.Healthcheck.String() }).hidden(func(c *Container) { c.Healthcheck = nil }),
	described[template]("standby", option.Boolean.Type, option.Doc{Default: "false",
		Text: "Build the next container while the program runs, and have it wait: when the program dies, and its restart is due at once, all that is left to do is to start the next one, see [differences](differences.md#standby). It takes the memory of one more PID 1 (some 50 kB), and no limit of the container's. It can't be together with `restart-process-only`, `reuse-port` and a bridged network."}).
		shown(func(c *Container) string { return strconv.FormatBool(c.Standby) }).hidden(func(c *Container) { c.Standby = false }),
	fixed("kill-timeout", option.Seconds, func(c *Container) *time.Duration { return &c.KillTimeout }, option.Doc{Default: "5", Example: "30", Manual: "5.2",
		Text: "How long the program may take to end after TERM, until it gets KILL."}).
		hidden(func(c *Container) { c.KillTimeout = 0 }),
	fixed("stop-signal", signal, func(c *Container) *syscall.Signal { return &c.StopSignal }, option.Doc{Default: "TERM", Example: "QUIT",
		Text: "The signal by which PID 1 asks the program to end, before KILL: a name in upper or lower case, with or without `SIG`, `RTMIN+3` too, or a number."}).
		hidden(func(c *Container) { c.StopSignal = 0 }),
	fixed("memory-limit", memoryLimit, func(c *Container) *int64 { return &c.MemoryLimit }, option.Doc{Example: "256Mi", Manual: "5.2",
		Text: "The most memory of the program and its children. By default none."}),
	fixed("fileno-limit", option.Number[uint64](3, math.MaxInt32), func(c *Container) *uint64 { return &c.FilenoLimit }, option.Doc{Default: "1024", Example: "4k", Manual: "5.2",
		Text: "The most descriptors of each process."}),
	fixed("cpu-shares", cpuShares, func(c *Container) *uint64 { return &c.CPUShares }, option.Doc{Default: "1024", Example: "256", Manual: "5.2",
		Text: "The share of the processors where they are all in use."}),
	fixed("executable", executable, func(c *Container) *string { return &c.Executable }, option.Doc{Example: "/usr/bin/python3", Manual: "5.2", Missing: option.Required,
		Text: "The program."}),
	of("arguments", arguments, func(t *template) *[]sourced[string] { return &t.arguments }, option.Doc{Default: "[]", Example: "[app.py, --port=8080]", Manual: "5.2",
		Text: "Its arguments, without the zeroth."}).
		shown(func(c *Container) string { return option.Texts.Show(c.Arguments) }),
	of("environ", environ, func(t *template) *[]sourced[EnvVar] { return &t.environ }, option.Doc{Default: "{}", Example: "{LANG: C.UTF-8}", Manual: "5.2",
		Text: "Its environment. Beside it there are `TERM`, `LITHOS_NAME` and `LITHOS_CONFIG`, nothing else."}).
		listed(func(c *Container, key string) (list []setting) {
			for _, e := range c.Environ {
				list = append(list, setting{key + e.Name, e.Value})
			}
			for _, name := range c.PIDVariables {
				list = append(list, setting{key + name, "@{" + builtinPID + "}"})
			}
			return list
		}),
	of("secret-environ", secretEnviron, func(t *template) *[]sourced[SecretVar] { return &t.secretEnviron }, option.Doc{Default: "{}", Manual: "5.2",
		Text: "Secrets of the environment, made by [lithos_crypt](lithos_crypt.md)."}).
		listed(showSecrets).hidden(forgetSeals),
	fixed("secret-environ-file", option.Kind[string]{Type: option.Path.Type, Read: option.Text.Read, Show: option.Text.Show}, func(c *Container) *string { return &c.SecretEnvironFile }, option.Doc{Example: "secrets.yaml", Manual: "5.2",
		Text: "A file with what would be in `secret-environ`: absolute in the image, or relative to this file."}).
		hidden(func(c *Container) { c.SecretEnvironFile = "" }),
	fixed("workdir", option.Absolute, func(c *Container) *string { return &c.Workdir }, option.Doc{Old: "work-dir", Default: "/", Example: "/app", Manual: "5.2",
		Text: "The working directory."}),
	fixed("resolv-conf", resolvConf, func(c *Container) *ResolvConf { return &c.ResolvConf }, option.Doc{Example: "{mount: true}", Manual: "5.2",
		Text: "What becomes of `/etc/resolv.conf`."}),
	fixed("hosts-file", hostsFile, func(c *Container) *HostsFile { return &c.HostsFile }, option.Doc{Example: "{copy-from-host: false}", Manual: "5.2",
		Text: "What becomes of `/etc/hosts`."}),
	fixed("uid-map", idMap, func(c *Container) *[]IDMap { return &c.UIDMap }, uidMapDoc),
	fixed("gid-map", idMap, func(c *Container) *[]IDMap { return &c.GIDMap }, gidMapDoc),
	fixed("stdout-stderr-file", option.Absolute, func(c *Container) *string { return &c.StdoutStderrFile }, option.Doc{Example: "/var/log/app.log", Manual: "5.2",
		Text: "A file in the container for standard output and error, on a volume that is writable for the program's user."}),
	fixed("interactive", option.Boolean, func(c *Container) *bool { return &c.Interactive }, option.Doc{Default: "false", Manual: "5.2",
		Text: "Leave standard input, output and error of a command as they are."}),
	fixed("restart-process-only", option.Boolean, func(c *Container) *bool { return &c.RestartProcessOnly }, option.Doc{Default: "false", Manual: "5.2",
		Text: "Start the program again in the same container, with its volumes as they are."}),
	fixed("normal-exit-codes", exitCodes, func(c *Container) *[]int { return &c.NormalExitCodes }, option.Doc{Default: "[]", Example: "[42]", Manual: "5.2",
		Text: "Exit codes that are no failure in the metrics."}).
		hidden(func(c *Container) { c.NormalExitCodes = nil }),
	described[template]("tcp-ports", portsType, option.Doc{Default: "{}", Example: `{"8080": {fd: 3}}`, Manual: "5.2",
		Text: "Sockets that lithos opens and the program gets. All instances share them."}).
		listed(func(c *Container, key string) (list []setting) {
			for _, p := range c.TCPPorts {
				list = append(list, setting{key + strconv.Itoa(int(p.Port)), portTable.Show(&p)})
			}
			return list
		}),
	fixed("pids-limit", pidsLimit, func(c *Container) *int64 { return &c.PIDsLimit }, pidsLimitDoc),
	fixed("cpu-quota", processors, func(c *Container) *int64 { return &c.CPUQuota }, cpuQuotaDoc),
}

// sourced is a value with the place that it was read from.
type sourced[T any] struct {
	value T
	at    document.Place
}

func source[T any](x T, v document.Value) sourced[T] { return sourced[T]{x, v.Place()} }

// template is a container config that was read once, for all processes that use
// it. Values that depend on a sandbox, a process or an instance are still
// unresolved, with their positions.
type template struct {
	file     string // as shown in problems
	text     *document.Text
	problems []document.Problem
	broken   bool // there is an error among them

	document.Places // of its options

	fixed           Container // values that depend on nothing outside
	userID, groupID *uint32   // nil = the sandbox's
	variables       []variable
	arguments       []sourced[string]
	environ         []sourced[EnvVar]    // by name
	secretEnviron   []sourced[SecretVar] // by name; of secret-environ-file too
	secretsFile     string               // where those stand that aren't in the config itself
	volumes         []volumeConfig
	ports           []portConfig
	ready, health   *checkConfig
	used            map[string]bool // variables that something needs
}

// readTemplate reads a container config and checks all that can be checked
// without a sandbox and a process config.
func readTemplate(v document.Value) *template {
	c := v.Collector()
	t := &template{file: c.File, text: c.Text}
	o, _ := containerTable.Read(v, t)
	t.Places = o.Places()
	t.variables = readVariables(o.Get("variables"))
	t.volumes = readVolumes(o.Get("volumes"))
	t.ports = readPorts(o.Get("tcp-ports"), t.fixed.FilenoLimit)
	readBackoff(o.Get("restart-backoff"), &t.fixed)
	t.readReady(o.Get("ready"))
	t.readHealthcheck(o.Get("healthcheck"))
	t.readStandby(o.Get("standby"))
	checkMapsTogether(&o)
	checkSecretNames(&o, t)
	t.checkActivation(c, &o)
	t.checkSubstitutions(c)
	t.problems, t.broken = c.List, c.Broken()
	return t
}

// memoryLimit is a size; the largest number is the original's way to say none.
var memoryLimit = func() option.Kind[int64] {
	k := option.Size
	k.Read = func(v document.Value, _ int64) int64 {
		if n := v.Integer(0, 1, math.MaxInt64); n != math.MaxInt64 {
			return n
		}
		return 0
	}
	return k
}()

// leastShares is what the kernel makes of less.
const leastShares = 2

// cpuShares are at least 1; 0 is what the original takes, too.
var cpuShares = func() option.Kind[uint64] {
	k := option.Number[uint64](1, option.Open)
	k.Read = func(v document.Value, def uint64) uint64 {
		n := v.Integer(int64(def), 0, math.MaxInt64)
		if n == 0 {
			v.Warnf("0 is taken as %d, the least that the kernel has", leastShares)
			return leastShares
		}
		return uint64(n)
	}
	return k
}()

// exitCodes are what a program may end with.
var exitCodes = option.Kind[[]int]{
	Type: option.List(option.Number[int](0, 255).Type),
	Read: func(v document.Value, _ []int) (codes []int) {
		for _, item := range listed(v) {
			if code := item.Integer(-1, 0, 255); code >= 0 {
				codes = append(codes, int(code))
			} else if item.Null() {
				item.Errorf("expected an exit code, got nothing")
			}
		}
		return codes
	},
	Show: func(codes []int) string { return words(codes) },
}

// executable keeps the path as written: it becomes argv[0].
var executable = option.Kind[string]{Type: option.Absolute.Type, Read: readExecutable, Show: option.Absolute.Show}

// arguments are texts that are yet to be substituted.
var arguments = option.Kind[[]sourced[string]]{Type: option.Texts.Type, Read: func(v document.Value, _ []sourced[string]) (list []sourced[string]) {
	for _, item := range listed(v) {
		if s, ok := item.Text(); ok {
			list = append(list, source(s, item))
		}
	}
	return list
}}

// environ are names to values that are yet to be substituted.
var environ = option.Kind[[]sourced[EnvVar]]{Type: option.Mapping("from a name to a value", option.Text.Type), Read: readEnviron}

func readExecutable(v document.Value, _ string) string {
	s, ok := v.Scalar("a path")
	switch {
	case !ok:
	case s == "":
		v.Errorf("must not be empty")
	case !path.IsAbs(s) && !strings.HasSuffix(s, "/"):
		v.Warnf("%q is no absolute path, it is taken as %s: there is no search by PATH", document.Clip(s), document.Clip("/"+s))
		return "/" + s
	case strings.HasSuffix(s, "/"):
		v.Errorf("%q is a directory", document.Clip(s))
	default:
		return s
	}
	return ""
}

func listed(v document.Value) []document.Value {
	items, _ := v.Items()
	return items
}

// shellVariable is how shells and compose write a variable.
var shellVariable = regexp.MustCompile(`\$\{([A-Za-z_][\w-]*)\}`)

func readEnviron(v document.Value, _ []sourced[EnvVar]) []sourced[EnvVar] {
	list, _ := v.Entries()
	vars := make([]sourced[EnvVar], 0, len(list))
	for _, e := range list {
		if strings.Contains(e.Name, "=") {
			e.Warnf("%s has an equals sign, so programs see the variable %s", document.Quote(e.Name), document.Quote(strings.SplitN(e.Name, "=", 2)[0]))
		} else if !checkEnvName(e) {
			continue
		}
		if e.Name == "LITHOS_NAME" || e.Name == "LITHOS_CONFIG" {
			e.Warnf("%s is always set by lithos itself, this value is not used", e.Name)
		}
		if s, ok := e.Value.Text(); ok {
			if m := shellVariable.FindStringSubmatch(s); m != nil {
				e.Value.Warnf("%s stays as it is: a variable is written @{%s}", m[0], m[1])
			}
			vars = append(vars, sourced[EnvVar]{EnvVar{e.Name, s}, e.Value.Place()})
		}
	}
	return sortedBy(vars, func(s sourced[EnvVar]) string { return s.value.Name })
}

func checkEnvName(e document.Entry) bool {
	if e.Name == "" || strings.ContainsAny(e.Name, "=\x00") {
		e.Errorf("%q can't be the name of an environment variable", document.Clip(e.Name))
		return false
	}
	return true
}

var resolvTable = option.NewTable(
	option.Of("mount", option.Maybe, func(r *ResolvConf) **bool { return &r.Mount }, option.Doc{Manual: "5.2",
		Text: "Mount it over `/etc/resolv.conf`; by default if that is a file and there is something to mount."}),
	option.Of("copy-from-host", option.Boolean, func(r *ResolvConf) *bool { return &r.CopyFromHost }, option.Doc{Default: "true", Manual: "5.2",
		Text: "Copy the sandbox's `resolv-conf`."}),
)

// resolvConf is resolv-conf (requirements E13, I2, I3).
var resolvConf = option.Kind[ResolvConf]{Absent: true,
	Type: option.Object(resolvTable.Infos()),
	Read: func(v document.Value, r ResolvConf) ResolvConf {
		o, _ := resolvTable.Read(v, &r)
		if r.Mount != nil && *r.Mount && !r.CopyFromHost {
			o.Get("mount").Errorf("there is nothing to mount without copy-from-host")
		}
		return r
	},
	Show: func(r ResolvConf) string { return resolvTable.Show(&r, "source: "+r.Source) },
}

var hostsTable = option.NewTable(
	option.Of("mount", option.Maybe, func(h *HostsFile) **bool { return &h.Mount }, option.Doc{Manual: "5.2",
		Text: "Mount it over `/etc/hosts`; by default if that is a file."}),
	option.Of("copy-from-host", option.Boolean, func(h *HostsFile) *bool { return &h.CopyFromHost }, option.Doc{Default: "true", Manual: "5.2",
		Text: "Copy the sandbox's `hosts-file`."}),
	option.Of("localhost", option.Boolean, func(h *HostsFile) *bool { return &h.Localhost }, option.Doc{Example: "true", Manual: "5.2",
		Text: "Add a line for localhost; by default if nothing is copied."}),
	option.Of("public-hostname", option.Boolean, func(h *HostsFile) *bool { return &h.PublicHostname }, option.Doc{Example: "true", Manual: "5.2",
		Text: "Add a line for the host's name; by default if nothing is copied."}),
)

// hostsFile is hosts-file.
var hostsFile = option.Kind[HostsFile]{Absent: true,
	Type: option.Object(hostsTable.Infos()),
	Read: func(v document.Value, h HostsFile) HostsFile {
		o, _ := hostsTable.Object(v)
		hostsTable.ReadOne("copy-from-host", &o, &h)
		h.Localhost, h.PublicHostname = !h.CopyFromHost, !h.CopyFromHost // our own lines by default, requirements I4-I7
		hostsTable.ReadAll(&o, &h)
		return h
	},
	Show: func(h HostsFile) string {
		text := []string{"source: " + h.Source}
		for _, host := range h.Additional {
			text = append(text, host.Name+": "+host.Addr.String())
		}
		return hostsTable.Show(&h, text...)
	},
}
