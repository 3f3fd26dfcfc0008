package knot

import (
	"strconv"

	"golang.org/x/sys/unix"

	"lithos/spawn/rights"
	"lithos/spawn/wire"
	"lithos/sysx/cred"
	"lithos/sysx/forkexec"
)

// bounding is the most that a program can have (requirement K10).
var bounding = rights.Bounding

// start is what all starts of the program have in common.
type start struct {
	attr    forkexec.Attr
	nofile  int // index of the step that sets the fileno-limit
	chdir   int // and of the one that enters the workdir
	stdio   [3]int
	ownLogs bool // 1 and 2 are reopened at each start
}

// newStart lays out the steps between fork and exec. The signals of a fresh PID 1
// are as the supervisor gave it them: all have their defaults.
func newStart(spec *wire.Spec, log int, spaces spaces, fresh bool) (*start, error) {
	s := &start{stdio: [3]int{0, log, log}, ownLogs: spec.StdoutStderrFile != "" && !spec.Interactive}
	if spec.Interactive || log < 0 {
		s.stdio = inherited()
	}
	first := new(forkexec.Plan)
	cgroupFDs := wire.FDSockets + len(spec.Sockets)
	s.attr = forkexec.Attr{
		Path: spec.Executable, Argv: spec.Argv, Env: spec.Env, PIDEnv: spec.PIDVars,
		TID:   wire.ProgramPID,
		Steps: first,
		Keep:  spaces.open(),
		Last:  new(forkexec.Plan),
	}
	for i := range spec.CgroupFDs {
		if i == 0 && spec.CgroupV2 {
			s.attr.UseCgroupFD, s.attr.CgroupFD = true, cgroupFDs
			continue
		}
		first.Write("the cgroup's tasks file", cgroupFDs+i, []byte("0"))
	}
	first.Prctl("PR_SET_THP_DISABLE", unix.PR_SET_THP_DISABLE, 0, 0, 0, 0).IgnoreErr()
	if !fresh {
		first.DefaultSignals()
	}
	first.Sigmask(0)
	if spec.Terminal {
		// In PID 1's session, whose terminal it is: a session of its own
		// would be without one, and could not be stopped by Ctrl-Z.
		first.Setpgid(0)
	} else {
		first.Setsid()
	}
	// Not before the descriptors are in their places: those may be above it.
	s.nofile = first.Len()
	s.attr.Last.Setrlimit(forkexec.RlimitNofile, spec.FilenoLimit, spec.FilenoLimit)
	// The rights to do all before are the host's.
	spaces.enter(s.attr.Last)
	id := cred.Identity{
		UID: spec.UserID, GID: spec.GroupID, Bounding: bounding | cred.Set(spec.AddCapabilities),
		InUserNS: spec.UserNS, Ambient: rights.Ambient(spec.NetNS), NewPrivileges: spec.NewPrivileges, Filter: spec.Seccomp,
	}
	if err := id.AddTo(s.attr.Last); err != nil {
		return nil, wrap(err, "cannot read the capabilities of PID 1")
	}
	s.chdir = first.Len() + s.attr.Last.Len()
	s.attr.Last.Chdir(spec.Workdir)
	return s, nil
}

// descriptors is the list of the program's descriptors.
func (s *start) descriptors(spec *wire.Spec, output int) []int {
	fds := []int{s.stdio[0], s.stdio[1], s.stdio[2]}
	if s.ownLogs {
		fds[1], fds[2] = output, output
	}
	for i, target := range spec.Sockets {
		if target == wire.KeptByPID1 {
			continue
		}
		for len(fds) <= target {
			fds = append(fds, -1)
		}
		fds[target] = wire.FDSockets + i
	}
	return fds
}

// startProgram runs the program and gives its pid.
func (k *knot) startProgram() (int, error) {
	output, opened, err := k.output()
	if err != nil {
		return 0, err
	}
	if opened {
		defer unix.Close(output)
	}
	k.start.attr.FDs = k.start.descriptors(k.spec, output)
	pid, _, err := forkexec.Start(&k.start.attr)
	noHugePages() // the child's step acted on the memory that it shares with us
	if err != nil {
		return 0, k.explainStart(err)
	}
	if k.spec.Terminal {
		bringForward(pid)
	}
	if k.spec.Interactive && k.spec.Command {
		letGo()
	}
	return pid, nil
}

// explainStart inspects the program to explain the error.
func (k *knot) explainStart(err error) error {
	e, ok := err.(*forkexec.Error)
	if !ok {
		return err
	}
	switch {
	case e.Step == k.start.chdir:
		return wrap(e.Errno, "cannot enter the workdir "+k.spec.Workdir+" as user "+
			strconv.FormatUint(uint64(k.spec.UserID), 10))
	case e.Step == k.start.nofile:
		return wrap(hint(e.Errno, unix.EPERM, "the kernel allows fs.nr_open, and lithos_tree, without CAP_SYS_RESOURCE, its own limit"),
			"cannot set the fileno-limit "+strconv.FormatUint(k.spec.FilenoLimit, 10))
	case e.Step < 0 && e.Name == "exec "+k.spec.Executable:
		return wrap(explainExec(k.spec.Executable, e.Errno), "cannot run "+k.spec.Executable)
	}
	return wrap(e, "cannot run "+k.spec.Executable)
}
