package enter

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"lithos/spawn"
	"lithos/spawn/rights"
	"lithos/sysx/cred"
	"lithos/sysx/eintr"
	"lithos/sysx/forkexec"
	"lithos/sysx/proc"
	"lithos/sysx/thread"
)

// Request is what to start.
type Request struct {
	// Argv is the program and its arguments. One without a slash is looked
	// for in the PATH of Env, or in DefaultPath.
	Argv []string
	Env  []string
	// UserID and GroupID are as the container knows them.
	UserID, GroupID uint32
	Workdir         string // inside the container; "" = that of its program
	Stdio           [3]*os.File
	// Terminal: Stdio[0] is a terminal that is nobody's controlling one yet.
	Terminal bool
}

// DefaultPath is searched where the environment has no PATH.
const DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Process is a program that was started.
type Process struct {
	pid    int // on the host
	init   int // PID 1 of its container, on the host
	pidfd  *os.File
	done   chan struct{}
	status unix.WaitStatus

	reaping sync.Mutex
	reaped  bool
}

// umask is what files of the program are made without, as of the container's.
const umask = 0o022

// Start starts it. The error is, or wraps, a [*forkexec.Error] where the kernel
// refused; ErrNotFound and ErrNotExecutable tell what is wrong with Argv[0].
//
// Preconditions: [Protect], root, and the host's namespaces.
func (c *Container) Start(r *Request) (*Process, error) {
	a, err := c.attributes(r)
	if err != nil {
		return nil, err
	}
	p := &Process{done: make(chan struct{}), init: c.initPID}
	started := make(chan error)
	// The thread is the one to make a child in the pid namespace, and its end
	// would be that of the child (PR_SET_PDEATHSIG): so it waits, too.
	go thread.Spend(func() {
		defer close(p.done)
		pid, err := c.fork(a, r, p)
		started <- err
		if err != nil {
			return
		}
		p.wait(pid)
	})
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// Errors about the program, which wrap that of the kernel.
var (
	ErrNotFound      = errors.New("there is no such program in the container")
	ErrNotExecutable = errors.New("it can't be executed in the container")
)

// fork does so on a thread that is of no use for anything else afterwards.
func (c *Container) fork(a *forkexec.Attr, r *Request, p *Process) (int, error) {
	if err := unix.Setns(int(c.init.Fd()), unix.CLONE_NEWPID); err != nil {
		return 0, fmt.Errorf("cannot enter the container's pid namespace: %w", err)
	}
	denied := false
	for _, a.Path = range candidates(r) {
		pid, pidfd, err := forkexec.Start(a)
		if err == nil {
			p.pid, p.pidfd = pid, os.NewFile(uintptr(pidfd), "pidfd")
			return pid, nil
		}
		var e *forkexec.Error
		isExec := errors.As(err, &e) && e.Step < 0 && e.Name == "exec "+a.Path
		switch {
		case !isExec:
			return 0, explain(err)
		case e.Errno == unix.ENOENT || e.Errno == unix.ENOTDIR:
		case e.Errno == unix.EACCES:
			denied = true // there may be another further on, as for execvp(3)
		default:
			return 0, fmt.Errorf("%s: %w: %w", a.Path, ErrNotExecutable, e.Errno)
		}
	}
	if denied {
		return 0, fmt.Errorf("%s: %w: %w", r.Argv[0], ErrNotExecutable, unix.EACCES)
	}
	return 0, fmt.Errorf("%s: %w (or its interpreter is missing)", r.Argv[0], ErrNotFound)
}

// candidates are the paths that may be meant, inside the container.
func candidates(r *Request) (paths []string) {
	name := r.Argv[0]
	if strings.Contains(name, "/") || name == "" {
		return []string{name}
	}
	search := DefaultPath
	for _, v := range r.Env {
		if dirs, ok := strings.CutPrefix(v, "PATH="); ok {
			search = dirs
		}
	}
	for dir := range strings.SplitSeq(search, ":") {
		// Joined with care: execve of "name" is that in the workdir.
		paths = append(paths, path.Join(dir, name))
	}
	return paths
}

// attributes are the steps of the start, see doc.go.
func (c *Container) attributes(r *Request) (*forkexec.Attr, error) {
	id := c.identity
	a := &forkexec.Attr{Argv: r.Argv, Env: r.Env, PIDFD: true, Steps: new(forkexec.Plan), Last: new(forkexec.Plan)}
	for _, f := range r.Stdio {
		a.FDs = append(a.FDs, int(f.Fd()))
	}
	if c.join.V2 != nil {
		a.UseCgroupFD, a.CgroupFD = true, int(c.join.V2.Fd())
	}
	for _, f := range c.join.Tasks {
		a.Steps.Write("the cgroup's tasks file", int(f.Fd()), []byte("0"))
	}
	// The keys of the caller's session are not for containers.
	a.Steps.Raw("keyctl", unix.SYS_KEYCTL, unix.KEYCTL_JOIN_SESSION_KEYRING, 0).IgnoreErr()
	a.Steps.Raw("enter its namespaces", unix.SYS_SETNS, c.init.Fd(), unix.CLONE_NEWNS|unix.CLONE_NEWIPC|unix.CLONE_NEWUTS)
	a.Steps.DefaultSignals().Sigmask(0).Umask(umask).Setsid()

	program := int(c.program.Fd())
	a.Keep = []int{program}
	if r.Terminal {
		a.Last.Raw("take the terminal", unix.SYS_IOCTL, 0, unix.TIOCSCTTY, 0)
	}
	a.Last.Setrlimit(forkexec.RlimitNofile, id.FilenoLimit, id.FilenoLimit)
	if id.NetNS {
		a.Last.Raw("enter its network namespace", unix.SYS_SETNS, uintptr(program), unix.CLONE_NEWNET)
	}
	if id.UserNS {
		a.Last.Raw("enter its user namespace", unix.SYS_SETNS, uintptr(program), unix.CLONE_NEWUSER)
	}
	a.Last.Close(program)
	if err := c.addIdentity(a.Last, r); err != nil {
		return nil, err
	}
	// After the ids, whose change would take it back.
	a.Last.Prctl("PR_SET_PDEATHSIG", unix.PR_SET_PDEATHSIG, uintptr(unix.SIGTERM), 0, 0, 0)
	dir := r.Workdir
	if dir == "" {
		dir = id.Workdir
	}
	a.Last.Chdir(dir)
	return a, nil
}

func (c *Container) addIdentity(p *forkexec.Plan, r *Request) (err error) {
	id := c.identity
	as := cred.Identity{
		UID: r.UserID, GID: r.GroupID, Bounding: rights.Bounding | cred.Set(id.AddCapabilities),
		InUserNS: id.UserNS, Ambient: rights.Ambient(id.NetNS), NewPrivileges: id.NewPrivileges,
	}
	if id.Seccomp {
		if as.Filter, err = spawn.DefaultSeccomp(id.AddCapabilities); err != nil {
			return fmt.Errorf("cannot make the seccomp profile: %w", err)
		}
	}
	if err := as.AddTo(p); err != nil {
		return fmt.Errorf("cannot read the capabilities of this process: %w", err)
	}
	return nil
}

// explain adds a remedy to the kernel's error.
func explain(err error) error {
	var e *forkexec.Error
	if !errors.As(err, &e) {
		return err
	}
	advice := ""
	switch {
	case e.Errno == unix.ESRCH || e.Name == "clone3" && e.Errno == unix.ENOMEM:
		return ErrNotRunning // ENOMEM: its PID 1 is gone, pid_namespaces(7)
	case e.Name == "clone3" && e.Errno == unix.EAGAIN:
		advice = " (the container has as many processes as its pids-limit allows, or the host has)"
	case (e.Name == "setresuid" || e.Name == "setresgid") && e.Errno == unix.EINVAL:
		advice = " (the user or group is not in the container's uid-map or gid-map)"
	}
	return fmt.Errorf("%w%s", err, advice)
}

// Signal sends a signal to it; one that has ended takes none.
func (p *Process) Signal(sig unix.Signal) error {
	if err := proc.Signal(p.pidfd, sig); !errors.Is(err, proc.ErrGone) {
		return err
	}
	return nil
}

// wait waits for its end. It is reaped under the lock, so that its pid is its own
// for who has that.
func (p *Process) wait(pid int) {
	_ = eintr.Retry(func() error { return unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) })
	p.reaping.Lock()
	defer p.reaping.Unlock()
	p.reaped = true
	_, _ = eintr.Get(func() (int, error) { return unix.Wait4(pid, &p.status, 0, nil) })
}

// KillAll kills it and its children, except daemons, see [proc.KillSession].
func (p *Process) KillAll() error {
	p.reaping.Lock()
	defer p.reaping.Unlock()
	if p.reaped {
		return nil
	}
	proc.KillSession(p.pid, p.init)
	return p.Signal(unix.SIGKILL)
}

// Done is closed when it has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Code is its exit code, 128+N if signal N ended it; valid when it has ended.
func (p *Process) Code() int {
	if p.status.Signaled() {
		return 128 + int(p.status.Signal())
	}
	return p.status.ExitStatus()
}
