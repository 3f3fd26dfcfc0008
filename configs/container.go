package configs

import (
	"math"
	"path"
	"strings"
	"time"

	"lithos/configs/document"
)

// containerKeys are the options of a container config (section E of docs/requirements.md).
var containerKeys = []string{
	"kind", "variables", "metadata", "volumes", "user-id", "group-id",
	"restart-timeout", "kill-timeout", "memory-limit", "fileno-limit", "cpu-shares",
	"executable", "arguments", "environ", "secret-environ", "secret-environ-file",
	"workdir=work-dir", "resolv-conf", "hosts-file", "uid-map", "gid-map",
	"stdout-stderr-file", "interactive", "restart-process-only", "normal-exit-codes", "tcp-ports",
	"pids-limit", "cpu-quota", "restart-backoff", "ready", "healthcheck", "standby",
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

	kind      sourced[Kind]
	variables []variable // by name
	userID    sourced[*uint32]
	groupID   sourced[*uint32]

	uidMap, gidMap []IDMap

	fixed  Container                 // values that depend on nothing outside
	root   document.Place            // of the whole file
	places map[string]document.Place // of its options

	arguments         []sourced[string]
	environ           []sourced[EnvVar]    // by name
	secretEnviron     []sourced[SecretVar] // by name; of secret-environ-file too
	secretEnvironFile string               // as written
	secretsFile       string               // where those stand that aren't in the config itself
	volumes           []volumeConfig
	ports             []portConfig
	ready, health     *checkConfig
	within, watchdog  time.Duration // of ready
	failures          int           // of healthcheck
	startPeriod       time.Duration // of healthcheck
	hosts             HostsFile     // without Source and Additional
	resolv            ResolvConf    // without Source
}

// readTemplate reads a container config and checks all that can be checked
// without a sandbox and a process config.
func readTemplate(v document.Value) *template {
	o, _ := v.Object(containerKeys)
	t := &template{
		file:      v.Collector().File,
		text:      v.Collector().Text,
		kind:      source(readKind(o.Get("kind"), KindDaemon, KindCommand, KindCommandOrDaemon), o.Get("kind")),
		variables: readVariables(o.Get("variables")),
		userID:    source(o.Get("user-id").OptionalID(), o.Get("user-id")),
		groupID:   source(o.Get("group-id").OptionalID(), o.Get("group-id")),
		uidMap:    readIDMap(o.Get("uid-map")),
		gidMap:    readIDMap(o.Get("gid-map")),
		root:      v.Place(),
		places:    o.Places(),

		environ:           readEnviron(o.Get("environ")),
		secretEnviron:     readSecrets(o.Get("secret-environ")),
		secretEnvironFile: o.Get("secret-environ-file").Str(""),
		volumes:           readVolumes(o.Get("volumes")),
	}
	for _, item := range listed(o.Get("arguments")) {
		if s, ok := item.Text(); ok {
			t.arguments = append(t.arguments, source(s, item))
		}
	}
	readFixed(&o, &t.fixed)
	t.ports = readPorts(o.Get("tcp-ports"), t.fixed.FilenoLimit)
	t.resolv, t.hosts = readResolvConf(o.Get("resolv-conf")), readHostsFile(o.Get("hosts-file"))
	t.readReady(o.Get("ready"))
	t.readHealthcheck(o.Get("healthcheck"))
	t.readStandby(o.Get("standby"))
	checkMapsTogether(&o)
	checkSecretNames(&o, t)
	t.checkActivation(v.Collector(), &o)
	t.checkSubstitutions(v.Collector())
	t.problems, t.broken = v.Collector().List, v.Collector().Broken()
	return t
}

// at is where an option stands, or the file where it does not.
func (t *template) at(option string) document.Place {
	if at, ok := t.places[option]; ok {
		return at
	}
	at := t.root
	at.Path = option
	return at
}

// readFixed reads what is the same for all that use the file.
func readFixed(o *document.Object, c *Container) {
	c.MemoryLimit = o.Get("memory-limit").Integer(0, 1, math.MaxInt64)
	if c.MemoryLimit == math.MaxInt64 {
		c.MemoryLimit = 0 // the original's way to say none
	}
	c.CPUShares = uint64(o.Get("cpu-shares").Integer(1024, 1, math.MaxInt64))
	c.FilenoLimit = uint64(o.Get("fileno-limit").Integer(1024, 3, math.MaxInt32))
	c.PIDsLimit = o.Get("pids-limit").Integer(0, 1, maxPIDs)
	c.CPUQuota = processors(o.Get("cpu-quota"))
	c.RestartTimeout = o.Get("restart-timeout").Seconds(time.Second)
	c.KillTimeout = o.Get("kill-timeout").Seconds(5 * time.Second)
	c.RestartProcessOnly = o.Get("restart-process-only").Boolean(false)
	readBackoff(o, c)
	c.Interactive = o.Get("interactive").Boolean(false)
	if v := o.Get("executable"); v.Required() {
		c.Executable = readExecutable(v)
	}
	c.Workdir = o.Get("workdir").AbsolutePath("/")
	c.StdoutStderrFile = o.Get("stdout-stderr-file").AbsolutePath("")
	for _, item := range listed(o.Get("normal-exit-codes")) {
		if code := item.Integer(-1, 0, 255); code >= 0 {
			c.NormalExitCodes = append(c.NormalExitCodes, int(code))
		} else if item.Null() {
			item.Errorf("expected an exit code, got nothing")
		}
	}
}

// readExecutable keeps the path as written: it becomes argv[0].
func readExecutable(v document.Value) string {
	s, ok := v.Scalar("a path")
	switch {
	case !ok:
	case !path.IsAbs(s):
		v.Errorf("%q must be an absolute path: there is no search by PATH", document.Clip(s))
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

// readKind reads one of the kinds.
func readKind(v document.Value, kinds ...Kind) Kind {
	words := make([]string, len(kinds))
	for i, k := range kinds {
		words[i] = string(k)
	}
	return Kind(v.OneOf(words[0], words...))
}

// readEnviron reads environ: names to values that are yet to be substituted.
func readEnviron(v document.Value) []sourced[EnvVar] {
	list, _ := v.Entries()
	vars := make([]sourced[EnvVar], 0, len(list))
	for _, e := range list {
		if !checkEnvName(e) {
			continue
		}
		if e.Name == "LITHOS_NAME" || e.Name == "LITHOS_CONFIG" {
			e.Warnf("%s is always set by lithos itself, this value is not used", e.Name)
		}
		if s, ok := e.Value.Text(); ok {
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

var resolvKeys = []string{"mount", "copy-from-host"}

// readResolvConf reads resolv-conf (requirements E13, I2, I3).
func readResolvConf(v document.Value) ResolvConf {
	o, _ := v.Object(resolvKeys)
	r := ResolvConf{
		Mount:        o.Get("mount").OptionalBoolean(),
		CopyFromHost: o.Get("copy-from-host").Boolean(true),
	}
	if r.Mount != nil && *r.Mount && !r.CopyFromHost {
		o.Get("mount").Errorf("there is nothing to mount without copy-from-host")
	}
	return r
}

var hostsKeys = []string{"mount", "copy-from-host", "localhost", "public-hostname"}

// readHostsFile reads hosts-file (requirements I4-I7): our own lines are added by
// default exactly when the host's file is not copied.
func readHostsFile(v document.Value) HostsFile {
	o, _ := v.Object(hostsKeys)
	h := HostsFile{
		Mount:        o.Get("mount").OptionalBoolean(),
		CopyFromHost: o.Get("copy-from-host").Boolean(true),
	}
	h.Localhost = o.Get("localhost").Boolean(!h.CopyFromHost)
	h.PublicHostname = o.Get("public-hostname").Boolean(!h.CopyFromHost)
	return h
}
