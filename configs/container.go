package configs

import (
	"math"
	"path"
	"strings"
	"time"
)

// containerKeys are the options of a container config (seeds/000 §5.2).
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
	at    place
}

func source[T any](x T, v value) sourced[T] { return sourced[T]{x, v.place()} }

// template is a container config that was read once and from which each
// process that uses it is made. What depends on a sandbox, a process or an
// instance is still as written, with its place.
type template struct {
	file     string // as shown in problems
	text     *fileText
	problems Problems
	broken   bool // there is an error among them

	kind      sourced[Kind]
	variables []variable // by name
	userID    sourced[*uint32]
	groupID   sourced[*uint32]

	uidMap, gidMap     []IDMap
	uidMapAt, gidMapAt place

	fixed Container // what needs nothing from outside
	// Where options of fixed stand, for what is found in images.
	executableAt, workdirAt, outputAt, resolvAt, hostsAt, secretFileAt, notifyAt, standbyAt place

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
func readTemplate(v value) *template {
	o, _ := v.object(containerKeys)
	t := &template{
		file:      v.c.file,
		text:      v.c.text,
		kind:      source(o.get("kind").kind(KindDaemon, KindCommand, KindCommandOrDaemon), o.get("kind")),
		variables: readVariables(o.get("variables")),
		userID:    source(o.get("user-id").optionalID(), o.get("user-id")),
		groupID:   source(o.get("group-id").optionalID(), o.get("group-id")),
		uidMap:    o.get("uid-map").idMap(),
		gidMap:    o.get("gid-map").idMap(),
		uidMapAt:  o.get("uid-map").place(),
		gidMapAt:  o.get("gid-map").place(),

		environ:           readEnviron(o.get("environ")),
		secretEnviron:     readSecrets(o.get("secret-environ")),
		secretEnvironFile: o.get("secret-environ-file").str(""),
		volumes:           readVolumes(o.get("volumes")),
	}
	for _, item := range listed(o.get("arguments")) {
		if s, ok := item.text(); ok {
			t.arguments = append(t.arguments, source(s, item))
		}
	}
	readFixed(&o, &t.fixed)
	t.executableAt, t.workdirAt = o.get("executable").place(), o.get("workdir").place()
	t.outputAt, t.secretFileAt = o.get("stdout-stderr-file").place(), o.get("secret-environ-file").place()
	t.resolvAt, t.hostsAt = o.get("resolv-conf").place(), o.get("hosts-file").place()
	t.ports = readPorts(o.get("tcp-ports"), t.fixed.FilenoLimit)
	t.resolv, t.hosts = readResolvConf(o.get("resolv-conf")), readHostsFile(o.get("hosts-file"))
	t.readReady(o.get("ready"))
	t.readHealthcheck(o.get("healthcheck"))
	t.readStandby(o.get("standby"))
	checkMapsTogether(&o)
	checkSecretNames(&o, t)
	t.checkActivation(v.c, &o)
	t.checkSubstitutions(v.c)
	t.problems, t.broken = v.c.list, v.c.broken()
	return t
}

// readFixed reads what is the same for all that use the file.
func readFixed(o *object, c *Container) {
	c.MemoryLimit = o.get("memory-limit").integer(0, 1, math.MaxInt64)
	if c.MemoryLimit == math.MaxInt64 {
		c.MemoryLimit = 0 // the original's way to say none
	}
	c.CPUShares = uint64(o.get("cpu-shares").integer(1024, 1, math.MaxInt64))
	c.FilenoLimit = uint64(o.get("fileno-limit").integer(1024, 3, math.MaxInt32))
	c.PIDsLimit = o.get("pids-limit").integer(0, 1, maxPIDs)
	c.CPUQuota = o.get("cpu-quota").processors()
	c.RestartTimeout = o.get("restart-timeout").seconds(time.Second)
	c.KillTimeout = o.get("kill-timeout").seconds(5 * time.Second)
	c.RestartProcessOnly = o.get("restart-process-only").boolean(false)
	readBackoff(o, c)
	c.Interactive = o.get("interactive").boolean(false)
	if v := o.get("executable"); v.required() {
		c.Executable = readExecutable(v)
	}
	c.Workdir = o.get("workdir").absolutePath("/")
	c.StdoutStderrFile = o.get("stdout-stderr-file").absolutePath("")
	for _, item := range listed(o.get("normal-exit-codes")) {
		if code := item.integer(-1, 0, 255); code >= 0 {
			c.NormalExitCodes = append(c.NormalExitCodes, int(code))
		} else if item.null() {
			item.errorf("expected an exit code, got nothing")
		}
	}
}

// readExecutable keeps the path as written: it becomes argv[0].
func readExecutable(v value) string {
	s, ok := v.scalar("a path")
	switch {
	case !ok:
	case !path.IsAbs(s):
		v.errorf("%q must be an absolute path: there is no search by PATH", clip(s))
	case strings.HasSuffix(s, "/"):
		v.errorf("%q is a directory", clip(s))
	default:
		return s
	}
	return ""
}

func listed(v value) []value {
	items, _ := v.items()
	return items
}

// kind reads one of the kinds.
func (v value) kind(kinds ...Kind) Kind {
	words := make([]string, len(kinds))
	for i, k := range kinds {
		words[i] = string(k)
	}
	return Kind(v.oneOf(words[0], words...))
}

// readEnviron reads environ: names to values that are yet to be substituted.
func readEnviron(v value) []sourced[EnvVar] {
	list, _ := v.entries()
	vars := make([]sourced[EnvVar], 0, len(list))
	for _, e := range list {
		if !checkEnvName(e) {
			continue
		}
		if e.name == "LITHOS_NAME" || e.name == "LITHOS_CONFIG" {
			e.value.c.warnAt(e.keyPlace(), "%s is always set by lithos itself, this value is not used", e.name)
		}
		if s, ok := e.value.text(); ok {
			vars = append(vars, sourced[EnvVar]{EnvVar{e.name, s}, e.value.place()})
		}
	}
	return sortedBy(vars, func(s sourced[EnvVar]) string { return s.value.Name })
}

func checkEnvName(e entry) bool {
	if e.name == "" || strings.ContainsAny(e.name, "=\x00") {
		e.errorf("%q can't be the name of an environment variable", clip(e.name))
		return false
	}
	return true
}

var resolvKeys = []string{"mount", "copy-from-host"}

// readResolvConf reads resolv-conf (checklist E13, I2, I3).
func readResolvConf(v value) ResolvConf {
	o, _ := v.object(resolvKeys)
	r := ResolvConf{
		Mount:        o.get("mount").optionalBoolean(),
		CopyFromHost: o.get("copy-from-host").boolean(true),
	}
	if r.Mount != nil && *r.Mount && !r.CopyFromHost {
		o.get("mount").errorf("there is nothing to mount without copy-from-host")
	}
	return r
}

var hostsKeys = []string{"mount", "copy-from-host", "localhost", "public-hostname"}

// readHostsFile reads hosts-file (checklist I4-I7): our own lines are added by
// default exactly when the host's file is not copied.
func readHostsFile(v value) HostsFile {
	o, _ := v.object(hostsKeys)
	h := HostsFile{
		Mount:        o.get("mount").optionalBoolean(),
		CopyFromHost: o.get("copy-from-host").boolean(true),
	}
	h.Localhost = o.get("localhost").boolean(!h.CopyFromHost)
	h.PublicHostname = o.get("public-hostname").boolean(!h.CopyFromHost)
	return h
}
