package reference

var (
	exitCode = number("0 to 255", 0, 255)
	sealed   = anyOf(Schema{"type": "string"}, Schema{"type": "array", "items": Schema{"type": "string"}})
	optional = Type{Name: "`true`, `false` or `null`", Schema: boolean.Schema}
)

// The kinds of volumes. A scalar is the path alone; an editor drops the tags, so
// that the schema is one for all kinds.
var (
	volumePath = Option{Name: "path", Type: absolute, Example: "/db/web", Manual: "7", Text: "Virtual directory of the sandbox, or one below it; of a `!Statedir`, the directory below the state directory."}
	volumeMode = Option{Name: "mode", Type: mode, Default: "0o777", Example: "0o700", Manual: "7", Text: "Its permissions, where lithos makes it."}
	volumeUser = Option{Name: "user", Type: id, Default: "0", Example: "1000", Manual: "7", Text: "Its owner, where lithos makes it."}
	volumeGrp  = Option{Name: "group", Type: id, Default: "0", Example: "1000", Manual: "7", Text: "Its group, where lithos makes it."}
	exec       = func(def string) Option {
		return Option{Name: "exec", Type: boolean, Default: def, Text: "Whether programs on it may be executed."}
	}
)

// Volumes are the keys of each kind of volume.
var Volumes = []struct {
	Tag, Text string
	Options   []Option
}{
	{"!Readonly", "A directory of the host, read-only. `!Readonly /virtual` is `!Readonly {path: /virtual}`.", []Option{
		{Name: "path", Type: absolute, Example: "/timezones", Manual: "7", Need: true, Text: "Virtual directory of the sandbox, or one below it."}, exec("false")}},
	{"!Persistent", "A directory of the host, writable. `!Persistent /virtual` is `!Persistent {path: /virtual}`.", []Option{
		volumePath, {Name: "mkdir", Type: boolean, Default: "false", Manual: "7", Text: "Make the directory if it is missing."}, volumeMode, volumeUser, volumeGrp, exec("false")}},
	{"!Statedir", "A directory in the container's state directory, new with each container.", []Option{volumePath, volumeMode, volumeUser, volumeGrp, exec("true")}},
	{"!Tmpfs", "Memory, new and empty with each container. It counts against `memory-limit`.", []Option{
		{Name: "size", Type: sizeType, Default: "100Mi", Example: "10Mi", Manual: "7", Text: "How much it may hold."}, volumeMode, exec("true")}},
}

var volumeSchema = func() Schema {
	seen := map[string]bool{}
	var all []Option
	for _, v := range Volumes {
		for _, o := range v.Options {
			if o.Need = false; !seen[o.Name] {
				seen[o.Name] = true
				all = append(all, o)
			}
		}
	}
	return anyOf(Schema{"type": "null"}, Schema{"type": "string", "pattern": "^(/|$)"}, objectSchema(all))
}()

var variableSchema = anyOf(
	Schema{"type": "null"}, Schema{"type": "string", "maxLength": 0},
	Schema{"type": "array", "items": text.Schema, "minItems": 1}, objectSchema(activation))

var activation = []Option{
	{Name: "activation", Type: Type{Name: "`none` or `systemd`", Schema: Schema{"type": []string{"string", "null"}}}, Default: "none", Example: "systemd", Manual: "5.1", Text: "`systemd` passes the socket by `LISTEN_FDS`, without more in `tcp-ports` and `environ`."},
}

var ports = []Option{
	{Name: "fd", Type: number("0, or 3 and more", 0, 2147483647), Example: "3", Manual: "5.2", Need: true, Text: "The descriptor that the program gets."},
	{Name: "host", Type: address, Default: "0.0.0.0", Example: "127.0.0.1", Manual: "5.2", Text: "The address to listen at."},
	{Name: "listen-backlog", Type: number("0 and more", 0, 2147483647), Default: "128", Manual: "5.2", Text: "How many connections wait; the kernel caps it by `net.core.somaxconn`."},
	{Name: "reuse-addr", Type: boolean, Default: "true", Manual: "5.2", Text: "`SO_REUSEADDR`."},
	{Name: "reuse-port", Type: boolean, Default: "false", Manual: "5.2", Text: "A socket of its own for each start of the program, by `SO_REUSEPORT`."},
	{Name: "set-non-block", Type: boolean, Default: "false", Manual: "5.2", Text: "Make the socket non-blocking, for programs that forget it, such as nginx. " +
		"The flag is the same for all who share the socket, so a program can change it for the others. `true` is restored at each start. `false` is restored only if no other container has the socket: an event loop that set the flag itself would block. " +
		"So let either all or none of the processes that share a port expect a non-blocking socket; uvicorn, unicorn, pgbouncer and lighttpd do."},
	{Name: "external", Type: boolean, Default: "false", Manual: "5.2", Text: "Listen in the host's network although the container has its own."},
}

func portsType() Type {
	t := mapping("from a port to its options, see below", object("tcp-ports", ports...))
	t.Fields, t.Group = ports, "tcp-ports"
	return t
}

// backoff are the options of restart-backoff.
var backoff = []Option{
	{Name: "factor", Type: fraction("1 to 100, fractions allowed", 1, 100), Default: "2", Text: "What the wait is multiplied with at each failure in a row."},
	{Name: "cap", Type: seconds, Example: "300", Text: "The longest wait, not less than `restart-timeout`. By default 60, or `restart-timeout` if that is more."},
	{Name: "jitter", Type: fraction("0 to 1, fractions allowed", 0, 1), Default: "0", Text: "The part of the wait that chance may take away, so that not all start at the same moment. No wait gets shorter than `restart-timeout`."},
	{Name: "reset", Type: seconds, Default: "10", Text: "A container that ran this long was healthy: the failures before it count no more."},
}

func backoffType() Type {
	t := object("restart-backoff", backoff...)
	t.Name = "factor, 1 to 100, or a mapping, see below"
	t.Schema = anyOf(t.Schema, fraction("", 1, 100).Schema)
	return t
}

// checkOptions are what ready and healthcheck have in common.
func checkOptions(interval string, more ...Option) []Option {
	return append([]Option{
		{Name: "tcp", Type: portNumber, Example: "8080", Text: "A port: the program accepts a connection. Of no use for a port of `tcp-ports`, where lithos itself listens."},
		{Name: "http", Type: portNumber, Example: "8080", Text: "A port: the program answers GET with a status of 200 to 399."},
		{Name: "path", Type: Type{Name: "path of a URL", Schema: Schema{"type": "string", "pattern": "^/"}}, Default: "/", Example: "/health", Text: "With `http`: what is asked for."},
		{Name: "host", Type: address, Default: "127.0.0.1", Example: "'::1'", Text: "With `tcp` and `http`: the address, as seen from inside the container's network."},
		{Name: "command", Type: list(text), Example: "[/bin/check, --fast]", Text: "A program of the container and its arguments, run in it as `lithos_exec` does: it exits with 0."},
		{Name: "interval", Type: checkTime("seconds, 0.1 to 86400", 86400), Default: interval, Text: "From the end of one check to the next."},
		{Name: "timeout", Type: checkTime("seconds, 0.1 to 300", 300), Default: "5", Text: "How long one may take."},
	}, more...)
}

// portNumber is a port, or a variable in its place.
var portNumber = Type{Name: "port, 1 to 65535, or `@{NAME}`", Schema: anyOf(
	Schema{"type": "integer", "minimum": 1, "maximum": 65535}, Schema{"type": "string", "pattern": "^([0-9]+|.*@\\{.*)$"})}

func checkTime(name string, most int) Type {
	return Type{Name: name, Schema: anyOf(
		Schema{"type": "number", "minimum": 0.1, "maximum": most}, Schema{"type": "string", "pattern": "^[0-9.eE+-]+$"})}
}

var (
	readyOptions = checkOptions("0.5",
		Option{Name: "fd", Type: number("3 and more", 3, 2147483647), Example: "5", Text: "In the place of a check: the program gets this descriptor, and writes a line to it when it is ready, as for s6. It can't be together with `restart-process-only`."},
		Option{Name: "notify", Type: absolute, Example: "/run/notify", Text: "In the place of a check: the program sends `READY=1` to a socket, as by `sd_notify`. It finds it by `NOTIFY_SOCKET` at this path, which has to be a file of the image, an empty one say."},
		Option{Name: "watchdog", Type: Type{Name: "seconds, 1 to 86400", Schema: anyOf(
			Schema{"type": "number", "minimum": 1, "maximum": 86400}, Schema{"type": "string", "pattern": "^[0-9.eE+-]+$"})}, Example: "30", Text: "Of `notify`: when it is ready, the program has to send `WATCHDOG=1` at least that often, as `WATCHDOG_USEC` tells it; otherwise it is ended and started again, as one that fails its `healthcheck`. It can't be together with `restart-process-only`."},
		Option{Name: "within", Type: seconds, Example: "60", Text: "A container that is not ready so long after its start is ended and started again, as one that fails its `healthcheck`. By default it may take any time."})
	healthOptions = checkOptions("10",
		Option{Name: "failures", Type: number("1 to 1000", 1, 1000), Default: "3", Text: "So many failures in a row end the container."},
		Option{Name: "start-period", Type: seconds, Default: "0", Example: "30", Text: "Failures do not count so long after the container was started."})
)

// Container are the options of a container config.
var Container = []Option{
	{Name: "kind", Type: oneOf("Daemon", "Command", "CommandOrDaemon"), Default: "Daemon", Manual: "5.2", Text: "What it may be run as."},
	{Name: "variables", Type: mapping("from a name to a type, see below", Type{Schema: variableSchema}), Default: "{}", Example: "{port: !TcpPort }", Manual: "5.1", Text: "What a process config may set. `@{NAME}` is replaced in `arguments`, in the values of `environ` and in the keys of `tcp-ports`. Built in are `lithos:name`, `lithos:config_filename` and, as a whole value of `environ`, `lithos:pid`."},
	{Name: "metadata", Type: anything, Example: "{team: web}", Manual: "5.2", Text: "For other tools; lithos does not look at it."},
	{Name: "volumes", Type: mapping("from a mount point to a volume, see below", Type{Schema: volumeSchema}), Default: "{}", Example: "{/tmp: !Tmpfs {size: 10Mi}}", Manual: "7", Text: "What is mounted. The mount points have to exist in the image or on an outer volume."},
	{Name: "user-id", Type: id, Example: "1000", Manual: "5.2", Text: "Who the program runs as; by default the sandbox's `default-user`."},
	{Name: "group-id", Type: id, Example: "1000", Manual: "5.2", Text: "Its group; by default the sandbox's `default-group`."},
	{Name: "restart-timeout", Type: seconds, Default: "1", Example: "0.2", Manual: "5.2", Text: "The least time between two starts."},
	{Name: "restart-backoff", Type: backoffType(), Example: "{factor: 2, cap: 300, jitter: 0.2}", Text: "Restart a program that fails again and again less and less often: after the n-th failure in a row the least time between two starts is `restart-timeout` times `factor` to the power of n-1. A number alone is the factor. It needs a `restart-timeout` above 0, and can't be together with `restart-process-only`. By default every wait is `restart-timeout`."},
	{Name: "ready", Type: object("ready", readyOptions...), Example: "{http: 8080, path: /health}", Text: "When a container that was started counts as up, see [checks](checks.md). `lithos_switch --wait` waits for it. By default it is up when it runs."},
	{Name: "healthcheck", Type: object("healthcheck", healthOptions...), Example: "{http: 8080, path: /health, interval: 10, failures: 3}", Text: "Ask the program again and again whether it serves, see [checks](checks.md); if it does not, end it and start it again. By default nobody asks."},
	{Name: "standby", Type: boolean, Default: "false", Text: "Build the next container while the program runs, and have it wait: when the program dies, and its restart is due at once, all that is left to do is to start the next one, see [differences](differences.md#standby). It takes the memory of one more PID 1 (some 50 kB), and no limit of the container's. It can't be together with `restart-process-only`, `reuse-port` and a bridged network."},
	{Name: "kill-timeout", Type: seconds, Default: "5", Example: "30", Manual: "5.2", Text: "How long the program may take to end after TERM, until it gets KILL."},
	{Name: "memory-limit", Type: sizeType, Example: "256Mi", Manual: "5.2", Text: "The most memory of the program and its children. By default none."},
	{Name: "fileno-limit", Type: number("3 and more", 3, 2147483647), Default: "1024", Example: "4k", Manual: "5.2", Text: "The most descriptors of each process."},
	{Name: "cpu-shares", Type: number("1 and more", 1, nil), Default: "1024", Example: "256", Manual: "5.2", Text: "The share of the processors where they are all in use."},
	{Name: "executable", Type: absolute, Example: "/usr/bin/python3", Manual: "5.2", Need: true, Text: "The program."},
	{Name: "arguments", Type: list(text), Default: "[]", Example: "[app.py, --port=8080]", Manual: "5.2", Text: "Its arguments, without the zeroth."},
	{Name: "environ", Type: mapping("from a name to a value", text), Default: "{}", Example: "{LANG: C.UTF-8}", Manual: "5.2", Text: "Its environment. Beside it there are `TERM`, `LITHOS_NAME` and `LITHOS_CONFIG`, nothing else."},
	{Name: "secret-environ", Type: Type{Name: "mapping from a name to a sealed value, or a list of them", Schema: Schema{"type": "object", "additionalProperties": sealed}}, Default: "{}", Manual: "5.2", Text: "Secrets of the environment, made by [lithos_crypt](lithos_crypt.md)."},
	{Name: "secret-environ-file", Type: path, Example: "secrets.yaml", Manual: "5.2", Text: "A file with what would be in `secret-environ`: absolute in the image, or relative to this file."},
	{Name: "workdir", Old: "work-dir", Type: absolute, Default: "/", Example: "/app", Manual: "5.2", Text: "The working directory."},
	{Name: "resolv-conf", Type: object("container resolv-conf",
		Option{Name: "mount", Type: optional, Manual: "5.2", Text: "Mount it over `/etc/resolv.conf`; by default if that is a file and there is something to mount."},
		Option{Name: "copy-from-host", Type: boolean, Default: "true", Manual: "5.2", Text: "Copy the sandbox's `resolv-conf`."},
	), Example: "{mount: true}", Manual: "5.2", Text: "What becomes of `/etc/resolv.conf`."},
	{Name: "hosts-file", Type: object("container hosts-file",
		Option{Name: "mount", Type: optional, Manual: "5.2", Text: "Mount it over `/etc/hosts`; by default if that is a file."},
		Option{Name: "copy-from-host", Type: boolean, Default: "true", Manual: "5.2", Text: "Copy the sandbox's `hosts-file`."},
		Option{Name: "localhost", Type: boolean, Example: "true", Manual: "5.2", Text: "Add a line for localhost; by default if nothing is copied."},
		Option{Name: "public-hostname", Type: boolean, Example: "true", Manual: "5.2", Text: "Add a line for the host's name; by default if nothing is copied."},
	), Example: "{copy-from-host: false}", Manual: "5.2", Text: "What becomes of `/etc/hosts`."},
	uidMap, gidMap,
	{Name: "stdout-stderr-file", Type: absolute, Example: "/var/log/app.log", Manual: "5.2", Text: "A file in the container for standard output and error, on a volume that is writable for the program's user."},
	{Name: "interactive", Type: boolean, Default: "false", Manual: "5.2", Text: "Leave standard input, output and error of a command as they are."},
	{Name: "restart-process-only", Type: boolean, Default: "false", Manual: "5.2", Text: "Start the program again in the same container, with its volumes as they are."},
	{Name: "normal-exit-codes", Type: list(exitCode), Default: "[]", Example: "[42]", Manual: "5.2", Text: "Exit codes that are no failure in the metrics."},
	{Name: "tcp-ports", Type: portsType(), Default: "{}", Example: `{"8080": {fd: 3}}`, Manual: "5.2", Text: "Sockets that lithos opens and the program gets. All instances share them."},
	pidsLimit, cpuQuota,
}
