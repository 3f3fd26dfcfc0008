package check

import (
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"lithos/sysx/forkexec"
)

// Helper is a lithos_exec that runs a program in a container.
type Helper struct {
	Exec   string // its path
	Master string // the master config
	Name   string // of the container
	Argv   []string
	// Timeout is how long the program may run; lithos_exec kills it then, and
	// exits with [CodeTimeout].
	Timeout time.Duration
	Output  *os.File // standard output and error
}

// The exit codes of lithos_exec when the program has none.
const (
	CodeTimeout = 124
	CodeNotRun  = 125
)

// Start starts it, as a child that gets TERM when the calling thread ends.
//
// Preconditions: the calling thread is locked, and in the host's namespaces.
func (h *Helper) Start() (pid int, pidfd *os.File, err error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, nil, err
	}
	defer null.Close()
	output := int(h.Output.Fd())
	argv := []string{
		"lithos_exec", "--master", h.Master, "--timeout", strconv.FormatFloat(h.Timeout.Seconds(), 'f', -1, 64), h.Name, "--",
	}
	a := &forkexec.Attr{
		Path: h.Exec, Argv: append(argv, h.Argv...), Env: []string{"GOMAXPROCS=1"}, PIDFD: true,
		FDs:   []int{int(null.Fd()), output, output},
		Steps: new(forkexec.Plan).Setsid(),
		Last: new(forkexec.Plan).DefaultSignals().Sigmask(0).
			Prctl("PR_SET_PDEATHSIG", unix.PR_SET_PDEATHSIG, uintptr(unix.SIGTERM), 0, 0, 0),
	}
	pid, fd, err := forkexec.Start(a)
	if err != nil {
		return 0, nil, err
	}
	return pid, os.NewFile(uintptr(fd), "pidfd of lithos_exec"), nil
}
