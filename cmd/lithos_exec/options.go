package main

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"lithos/cmd/internal/cli"
)

// options are the command line.
type options struct {
	master  string
	name    string
	argv    []string
	env     []string
	workdir string
	user    *identity     // nil = that of the container's program
	timeout time.Duration // 0 = none
}

type identity struct{ uid, gid uint32 }

// shell is the default program.
const shell = "/bin/sh"

const help = `Usage: lithos_exec [OPTIONS] NAME [--] [PROGRAM [ARGUMENTS...]]

Runs a program in a running container, and exits with its code. The program
joins all namespaces of the container, the user namespace too, its cgroups and
its limits. It gets the user, the capabilities, the seccomp filter, the
environment and the workdir of the container's own program. Needs root.

NAME is SANDBOX/PROCESS.INDEX, or SANDBOX/PROCESS if one instance of that runs.
PROGRAM is searched in the container, in the PATH of its environment; the
default is /bin/sh.

Options:
  -e, --env NAME=VALUE  set a variable; may be given several times
  -u, --user UID[:GID]  another user, by its id in the container; 0 is its root
  -w, --workdir DIR     another directory, inside the container
      --timeout SECS    kill the program and its children after that time; the
                        exit code is 124 then
  -C, --config FILE     the master config, which names the runtime-dir (default
                        /etc/lithos/master.yaml; also --master)
      --version         print the version
      --help            print this

Options end at NAME: all words after it are the program's.

Examples:
  lithos_exec web/app.0
      a shell in the first instance

  lithos_exec web/app.0 -- cat /proc/self/status
      the rights of its processes

  lithos_exec db/postgres -- pg_dump orders | gzip > orders.gz
      its output goes through the pipe, byte for byte

  lithos_exec -u 0 web/app.0 -- ls -l /proc/2/fd
      as the container's root

From a terminal the program gets a terminal of its own; TERM, INT, HUP, QUIT,
USR1 and USR2 are forwarded, ALRM ends it as --timeout does. If lithos_exec is
killed, the program gets TERM.

Exit codes: that of the program; 128+N if signal N ended it; 124 after --timeout;
125 if lithos_exec failed, 126 if the program cannot be executed, 127 if the
container has no such program.
`

// parseOptions reads the command line; done says that the program ends here.
func parseOptions(args []string, stdout, stderr io.Writer) (o *options, code int, done bool) {
	o = &options{}
	set := cli.For(cli.Program{Name: "lithos_exec", Version: version, Help: help, Wrong: codeNotRun})
	set.Master(&o.master)
	set.FuncP("env", "e", "", o.addEnv)
	set.FuncP("user", "u", "", o.setUser)
	set.FuncP("workdir", "w", "", o.setWorkdir)
	set.Func("timeout", "", o.setTimeout)
	set.SetInterspersed(false) // the rest is the program's
	code, done = set.Parse(args, stdout, stderr, o.take)
	return o, code, done
}

// take takes the arguments.
func (o *options) take(words []string) error {
	if len(words) == 0 || words[0] == "" {
		return errors.New("the name of a container is needed, such as web/app.0; lithos_ps lists them")
	}
	o.name, o.argv = words[0], words[1:]
	if len(o.argv) > 0 && o.argv[0] == "--" {
		o.argv = o.argv[1:]
	}
	if len(o.argv) == 0 {
		o.argv = []string{shell}
	}
	if o.argv[0] == "" {
		return errors.New("the name of the program is empty")
	}
	return nil
}

func (o *options) addEnv(v string) error {
	if name, _, ok := strings.Cut(v, "="); !ok || name == "" {
		return errors.New("NAME=VALUE is wanted")
	}
	o.env = append(o.env, v)
	return nil
}

func (o *options) setWorkdir(dir string) error {
	if !strings.HasPrefix(dir, "/") {
		return errors.New("an absolute path inside the container is wanted")
	}
	o.workdir = dir
	return nil
}

// setUser takes numbers: names would be those of the image's files, which are
// not to be trusted. Without a group it is the one of the same number.
func (o *options) setUser(text string) error {
	u, g, both := strings.Cut(text, ":")
	if !both {
		g = u
	}
	uid, err1 := strconv.ParseUint(u, 10, 32)
	gid, err2 := strconv.ParseUint(g, 10, 32)
	// The highest number means "as it is" to the kernel.
	if err := errors.Join(err1, err2); err != nil || uint32(uid) == ^uint32(0) || uint32(gid) == ^uint32(0) {
		return errors.New("UID or UID:GID is wanted, in numbers")
	}
	o.user = &identity{uint32(uid), uint32(gid)}
	return nil
}

// maxTimeout is a day, as for the times of the configs.
const maxTimeout = 24 * time.Hour

func (o *options) setTimeout(text string) error {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n > 0 && n <= maxTimeout.Seconds()) {
		return errors.New("a number of seconds is wanted, more than 0 and at most 86400")
	}
	o.timeout = time.Duration(n * float64(time.Second))
	return nil
}
