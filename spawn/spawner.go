package spawn

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lithos/spawn/records"
	"lithos/spawn/wire"
	"lithos/sysx/cgroup"
	"lithos/sysx/forkexec"
	"lithos/sysx/memfd"
	"lithos/sysx/mount"
	"lithos/sysx/proc"
)

// Config is what all containers of a host have in common.
type Config struct {
	Knot    string       // absolute path of lithos_knot
	Cgroups *cgroup.Tree // nil = off: no limits, and none missing
	General bool         // no container is made by the quick path, see spawn/knot
}

// Spawner starts containers. It holds nothing open but their mounts and networks,
// and what waits to become one.
type Spawner struct {
	c Config
	// networks has those of the bridged containers, by their names, until
	// these are dead and removed, and lately what those had that died since.
	networks sync.Map // of *network
	lately   sync.Map // of lately
	// groups has the cgroups whose limits are set, by the containers' names.
	groups sync.Map // of *group
	// mounts has the mount namespaces of containers, by their names, until
	// these are dead and removed.
	mounts sync.Map // of int, a descriptor
	// standbys has what waits, by pid, until it is dead or has become a container.
	standbys sync.Map // of *built
}

// NewSpawner makes a Spawner.
func NewSpawner(c Config) *Spawner { return &Spawner{c: c} }

// namespaces of a container (checklist K1); those of the program (user,
// network) are PID 1's to make.
const namespaces = syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC

// lastPID is where the pids of the new namespace go on from: the threads of
// PID 1 take 101 and up, and leave [wire.ProgramPID] to the program.
const lastPID = "100"

// Start makes the container's cgroup with its limits, the memfd and the record,
// and forks PID 1. An error says why nothing runs (whose it is the caller knows);
// what was made on the way is
// left for [Spawner.Remove] or the next start.
//
// Preconditions: the calling thread is in the host's namespaces and has its
// root's credentials; the one who waits for children expects Child.PID.
func (s *Spawner) Start(r *Request) (*Child, error) {
	if err := check(r); err != nil {
		return nil, err
	}
	if r.Standby != nil {
		if child := s.promote(r); child != nil {
			return child, nil
		}
	}
	l := &launch{r: r, spec: *r.Spec, knot: s.c.Knot, head: r.RecordHead, general: s.c.General}
	defer l.close()
	if c := l.connection(); c != nil {
		l.again = s.hadLately(c.Owner, c.Outer())
	}
	l.joinCgroup(s)
	child, err := l.run()
	if err != nil {
		return nil, fmt.Errorf("%w%s", errors.Join(err, l.disconnect()), shortage(err))
	}
	s.keepNetwork(l)
	s.holdMounts(r.Spec, child)
	return child, nil
}

func check(r *Request) error {
	switch {
	case r.Spec == nil:
		return errors.New("no spec")
	case len(r.Sockets) != len(r.Spec.Sockets):
		return fmt.Errorf("%d sockets for %d descriptors of the program", len(r.Sockets), len(r.Spec.Sockets))
	case len(r.Argv) == 0:
		return errors.New("no command line")
	case r.Network == nil && slices.Contains(r.Sockets, nil):
		return errors.New("a socket is missing")
	}
	return nil
}

// launch is one start under way.
type launch struct {
	r    *Request
	spec Spec
	knot string
	head records.Created
	// general is Config.General.
	general bool

	// opened are the files that are only for PID 1, closed here afterwards.
	opened   []*os.File
	null     *os.File
	record   *os.File
	join     []*os.File
	spaces   []*os.File // the program's namespaces, and asking
	sockets  []*os.File
	degraded []string
	network  *os.File // its network namespace, nil if it has none or the Spawner keeps it
	asking   *os.File // the socket of [launch.ask], nil = none
	// again: the container's address was its own until just now.
	again  bool
	forked records.Forked
	// renew sets the limits of a cgroup again that was taken as it was; nil if
	// there is no need to.
	renew func()
	// The ends of the pipe for its readiness, nil = none, see notice.go; with a
	// socket both are that.
	notice, noticeOfProgram *os.File
	// standby is what is to wait, nil = it is the container at once; peer is its
	// end of the socket.
	standby *built
	peer    *os.File
}

func (l *launch) close() {
	for _, f := range l.opened {
		f.Close()
	}
	if l.network != nil {
		l.network.Close()
	}
	if f := l.asking; f != nil {
		time.AfterFunc(askLinger, func() { f.Close() })
	}
}

// openHeld opens a file that is only for PID 1. Package os would have the Go runtime
// poll it, and wake up another thread.
func openHeld(path string, flags int) (*os.File, error) {
	for {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
		if err == nil {
			return os.NewFile(uintptr(fd), path), nil
		}
		if err != unix.EINTR {
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
	}
}

// opens takes a file to be closed in the end.
func (l *launch) opens(f *os.File, err error) (*os.File, error) {
	if err == nil {
		l.opened = append(l.opened, f)
	}
	return f, err
}

func (l *launch) run() (*Child, error) {
	var err error
	if l.null, err = l.opens(openHeld(os.DevNull, unix.O_RDWR)); err != nil {
		return nil, err
	}
	if err := l.makeNotice(); err != nil {
		return nil, err
	}
	if err := l.makeNotify(); err != nil {
		return nil, err
	}
	if err := l.addStandby(); err != nil {
		return nil, err
	}
	if err := l.createRecord(); err != nil {
		return nil, err
	}
	if err := l.isolate(); err != nil {
		return nil, err
	}
	l.addNotice()
	parts, wipe := l.encode()
	defer wipe()
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	if size > wire.MaxSpec {
		return nil, fmt.Errorf("its arguments and variables take %d bytes, more than any program can get", size)
	}
	spec, err := l.opens(memfd.Sealed("spec of "+shorten(l.spec.Name), parts...))
	if err != nil {
		return nil, err
	}
	child, err := l.fork(l.files(spec))
	if err != nil {
		return nil, err
	}
	if l.renew != nil {
		l.renew()
	}
	// The start time can only be missing if the child was dead and reaped at
	// once; then nobody will look for it.
	started, _ := proc.StartTime(child.PID)
	l.forked = records.Forked{PID: child.PID, StartTime: started, Degraded: l.degraded}
	_, err = l.record.WriteString(records.ForkedLine(l.forked))
	if err != nil {
		l.degraded = append(l.degraded, fmt.Sprintf("another daemon would not find it: cannot write its record: %v", err))
	}
	child.Degraded, child.Notice = l.degraded, l.keepNotice()
	return child, nil
}

// shorten keeps a name within what memfd_create takes, 249 bytes.
func shorten(name string) string { return name[:min(len(name), 200)] }

func (l *launch) createRecord() error {
	if err := os.MkdirAll(filepath.Dir(l.r.Record), 0o700); err != nil {
		return fmt.Errorf("cannot make the directory of its record: %w", err)
	}
	const flags = os.O_RDWR | os.O_CREATE | os.O_TRUNC | os.O_APPEND | unix.O_NOFOLLOW | unix.O_NONBLOCK
	f, err := l.opens(os.OpenFile(l.r.Record, flags, 0o600))
	if err != nil {
		return fmt.Errorf("cannot make its record: %w", err)
	}
	l.record = f
	if l.standby != nil {
		return nil // it is nobody's yet
	}
	l.head.Identity = identity(l.r)
	if c := l.connection(); c != nil {
		l.head.Interface = c.Outer()
	}
	if _, err := f.WriteString(records.CreatedLine(&l.head)); err != nil {
		return fmt.Errorf("cannot write its record: %w", err)
	}
	return nil
}

// files are PID 1's descriptors in their order, see package wire.
func (l *launch) files(spec *os.File) []*os.File {
	files := []*os.File{l.null, l.record, l.record, spec, l.record}
	if l.spec.Interactive {
		for i, f := range l.r.Stdio {
			if f == nil {
				f = l.null
			}
			files[i] = f
		}
	}
	files = append(files, l.sockets...)
	files = append(files, l.join...)
	files = append(files, l.spaces...)
	if l.peer != nil {
		files = append(files, l.peer)
	}
	return files
}

// freshSignals gives PID 1 its signals.
var freshSignals = newSignals()

func newSignals() *forkexec.Plan {
	return new(forkexec.Plan).DefaultSignals().Sigmask(wire.Blocked)
}

func (l *launch) fork(files []*os.File) (*Child, error) {
	a := &forkexec.Attr{
		Path: l.knot,
		Argv: l.r.Argv,
		// PID 1 waits all its life: each further P of its runtime would
		// only be memory, and inside it is too late to say so.
		Env:   []string{"TERM=" + term(), "GOMAXPROCS=1"},
		Flags: namespaces,
		PIDFD: true,
		Steps: new(forkexec.Plan),
		Last:  freshSignals,
	}
	for _, f := range files {
		fd := rawFD(f)
		if fd < 0 {
			return nil, fmt.Errorf("a socket is closed: %s", f.Name())
		}
		a.FDs = append(a.FDs, fd)
	}
	// Without it (a kernel without CONFIG_CHECKPOINT_RESTORE) the program has
	// another pid.
	if last, err := l.opens(openHeld("/proc/sys/kernel/ns_last_pid", unix.O_WRONLY)); err == nil {
		a.Steps.Write("ns_last_pid", rawFD(last), []byte(lastPID)).IgnoreErr()
	}
	// A container that gets PID 1 to run it once more (/proc/self/exe as its
	// executable) has the file in hand: root in it could write to the host's.
	mount.ReadOnlyFile(a.Steps, l.knot)
	// The keys of the daemon's session are not for containers. A kernel
	// without keys has none to keep.
	a.Steps.Raw("keyctl", unix.SYS_KEYCTL, unix.KEYCTL_JOIN_SESSION_KEYRING, 0).IgnoreErr()
	// A session of its own: the terminal of who starts it is not the
	// program's to put input into (TIOCSTI), and its Ctrl-C not for PID 1.
	a.Steps.Setsid()
	if l.spec.Terminal {
		a.Last = newSignals().Raw("take the terminal", syscall.SYS_IOCTL, 0, unix.TIOCSCTTY, 0)
	}
	pid, pidfd, err := forkexec.Start(a)
	started := time.Now()
	if err != nil {
		return nil, fmt.Errorf("%w%s", err, advice(err))
	}
	return &Child{PID: pid, PIDFD: os.NewFile(uintptr(pidfd), "pidfd of "+l.spec.Name), Started: started}, nil
}

// term is all of its environment that the supervisor passes on (checklist N15).
func term() string {
	if t := os.Getenv("TERM"); t != "" {
		return t
	}
	return "dumb"
}

// rawFD is f's descriptor, -1 if it is closed. Unlike File.Fd it leaves a
// non-blocking file non-blocking, which it is for all who share it.
func rawFD(f *os.File) int {
	fd := -1
	if c, err := f.SyscallConn(); err == nil {
		_ = c.Control(func(n uintptr) { fd = int(n) })
	}
	return fd
}

func advice(err error) string {
	var e *forkexec.Error
	if !errors.As(err, &e) {
		return ""
	}
	exec := strings.HasPrefix(e.Name, "exec ") || strings.HasPrefix(e.Name, "use ")
	switch {
	case exec && e.Errno == syscall.ENOENT:
		return " (lithos_knot must be installed beside the other programs of lithos)"
	case exec && e.Errno == syscall.E2BIG:
		return " (the process config of one instance is too long for a command line)"
	case e.Name == "clone3" && e.Errno == syscall.ENOSPC:
		return " (the host has no more namespaces: sysctl user.max_pid_namespaces, user.max_mnt_namespaces)"
	case strings.HasPrefix(e.Name, "move_mount ") && e.Errno == syscall.ENOSPC:
		return " (a mount namespace has as many mounts as it may: sysctl fs.mount-max)"
	case e.Name == "clone3" && e.Errno == syscall.EAGAIN:
		return " (the host has no more processes: sysctl kernel.pid_max, pids.max of the daemon's cgroup)"
	case e.Name == "clone3" && e.Errno == syscall.ENOMEM:
		return " (the kernel has no memory for another process, or the daemon's pid namespace is ending)"
	case e.Name == "clone3" && e.Errno == syscall.EPERM:
		return " (lithos must run as root)"
	}
	return ""
}

// shortage says what to do where the host has no more of something, whichever
// call was the one that did not get it.
func shortage(err error) string {
	switch {
	case errors.Is(err, syscall.EMFILE):
		return " (the daemon has as many descriptors open as it may: LimitNOFILE of its service, ulimit -n)"
	case errors.Is(err, syscall.ENFILE):
		return " (the host has no more descriptors: sysctl fs.file-max)"
	case errors.Is(err, syscall.ENOSPC) && !errors.As(err, new(*forkexec.Error)):
		return " (the file system of the runtime-dir is full: df -h, df -i)"
	case errors.Is(err, syscall.EROFS):
		return " (the file system of the runtime-dir is read-only; after an error of its disk the kernel makes it so: dmesg)"
	}
	return ""
}

// Usage is what the cgroup of a container uses, without how long it was held
// up; all unknown without cgroups.
func (s *Spawner) Usage(name string) cgroup.Usage {
	if s.c.Cgroups == nil {
		return cgroup.NoUsage
	}
	return s.c.Cgroups.Group(scope(name)).Usage()
}

// UsageAndWaits is Usage with how long it was held up.
func (s *Spawner) UsageAndWaits(name string) cgroup.Usage {
	u := s.Usage(name)
	if s.c.Cgroups != nil {
		s.c.Cgroups.Group(scope(name)).Waits(&u)
	}
	return u
}

// Spent is what the cgroup of a container has counted; all unknown without
// cgroups.
func (s *Spawner) Spent(name string) cgroup.Spent {
	if s.c.Cgroups == nil {
		return cgroup.NothingSpent
	}
	return s.c.Cgroups.Group(scope(name)).Spent()
}

// scope is the name of a container's cgroup (checklist M1).
func scope(name string) string { return strings.Replace(name, "/", ":", 1) + ".scope" }

// scopePattern is what names of our cgroups look like (checklist D11, M6). Names of
// sandboxes may have dots in them.
var scopePattern = regexp.MustCompile(`^([\w-][\w.-]*):([\w.-]+\.[0-9]+)\.scope$`)

// unscope is the name of the container that a cgroup is of.
func unscope(group string) (name string, ok bool) {
	m := scopePattern.FindStringSubmatch(group)
	if m == nil {
		return "", false
	}
	return m[1] + "/" + m[2], true
}
