package spawn

import (
	"fmt"
	"lithos/spawn/readiness"
	"lithos/spawn/records"
	"lithos/spawn/wire"
	"lithos/sysx/forkexec"
	"lithos/sysx/memfd"
	"lithos/sysx/mount"
	"lithos/sysx/proc"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// cloneFlags make the namespaces of PID 1. Those of the program (user, network) are
// made by [isolate].
const cloneFlags = syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC

// lastPID is where the pids of the new namespace continue from: the threads of
// PID 1 take 101 and up, and leave [wire.ProgramPID] to the program.
const lastPID = "100"

// launch is one start under way.
type launch struct {
	config  Config
	request *Request
	spec    wire.Spec // a copy of the request's, completed on the way
	standby *built    // nil = the container is wanted at once
	again   bool      // its address was its own until just now

	donation  donation
	null      *os.File
	record    *os.File
	head      records.Created
	forked    records.Forked
	cgroup    membership
	isolation *isolation
	channel   *readiness.Channel // nil = nothing is heard of its program
}

// newLaunch begins a start, with the container's cgroup.
func (s *Spawner) newLaunch(r *Request) *launch {
	l := &launch{config: s.c, request: r, spec: *r.Spec, head: r.RecordHead, isolation: &isolation{}}
	l.cgroup = s.groups.join(r.Spec.Name, &r.Limits)
	l.donation = append(l.donation, l.cgroup.files...)
	l.spec.CgroupV2, l.spec.CgroupFDs = l.cgroup.v2, len(l.cgroup.files)
	return l
}

func (l *launch) close() {
	l.donation.close()
	l.isolation.close()
	if l.channel != nil && l.channel.Heard != nil {
		l.channel.Heard.Close()
	}
}

// run makes the container's files and namespaces, and forks its PID 1.
func (l *launch) run() (child *Child, err error) {
	if l.null, err = l.donation.add(open(os.DevNull, unix.O_RDWR)); err != nil {
		return nil, err
	}
	if err := l.openChannel(); err != nil {
		return nil, err
	}
	if err := l.createRecord(); err != nil {
		return nil, err
	}
	if l.isolation, err = isolate(l.request, &l.spec, l.again); err != nil {
		return nil, err
	}
	spec, wipe, err := l.sealSpec()
	defer wipe()
	if err != nil {
		return nil, err
	}
	if child, err = l.fork(l.files(spec)); err != nil {
		return nil, err
	}
	if l.cgroup.renew != nil {
		l.cgroup.degraded = append(l.cgroup.degraded, l.cgroup.renew()...)
	}
	child.Degraded = l.cgroup.degraded
	if err := l.noteFork(child); err != nil {
		child.Degraded = append(child.Degraded, fmt.Sprintf("another daemon would not find it: cannot write its record: %v", err))
	}
	if l.channel != nil {
		child.Notice, l.channel.Heard = l.channel.Heard, nil
	}
	return child, nil
}

// openChannel makes the way by which the program tells that it is ready, and gives
// it the program's end, after its sockets.
func (l *launch) openChannel() (err error) {
	target := l.request.NoticeFD
	switch {
	case target != 0:
		if l.channel, err = readiness.Pipe(l.spec.Name, l.spec.HostUser, l.spec.HostGroup); err != nil {
			return err
		}
		l.donation = append(l.donation, l.channel.Told)
		l.head.Notice = l.channel.Inode
	case l.request.NotifyPath != "":
		path := notifySocket(l.request.Record, l.spec.Name)
		if l.standby != nil {
			path = notifySocket(l.request.Record, standbyOf(l.spec.Name))
			l.standby.notify = path
		}
		if l.channel, err = readiness.Socket(path); err != nil {
			return err
		}
		target = wire.KeptByPID1
		l.head.Notify = l.channel.Inode
		l.spec.Volumes = append(slices.Clip(l.spec.Volumes),
			wire.Volume{Kind: wire.Readonly, MountPoint: l.request.NotifyPath, Source: path})
	default:
		return nil
	}
	l.spec.Sockets = append(slices.Clip(l.spec.Sockets), target)
	return nil
}

func (l *launch) createRecord() error {
	if err := os.MkdirAll(filepath.Dir(l.request.Record), 0o700); err != nil {
		return fmt.Errorf("cannot make the directory of its record: %w", err)
	}
	const flags = os.O_RDWR | os.O_CREATE | os.O_TRUNC | os.O_APPEND | unix.O_NOFOLLOW | unix.O_NONBLOCK
	f, err := l.donation.add(os.OpenFile(l.request.Record, flags, 0o600))
	if err != nil {
		return fmt.Errorf("cannot make its record: %w", err)
	}
	l.record = f
	if l.standby != nil {
		return nil // a standby has no container yet
	}
	l.head.Identity = identity(l.request)
	if c := connection(l.request); c != nil {
		l.head.Interface = c.Outer()
	}
	if _, err := f.WriteString(records.CreatedLine(&l.head)); err != nil {
		return fmt.Errorf("cannot write its record: %w", err)
	}
	return nil
}

// noteFork writes the pid down. The start time can only be missing of a child that
// was reaped at once, and nobody looks for that.
func (l *launch) noteFork(child *Child) error {
	started, _ := proc.StartTime(child.PID)
	l.forked = records.Forked{PID: child.PID, StartTime: started, Degraded: child.Degraded}
	_, err := l.record.WriteString(records.ForkedLine(l.forked))
	return err
}

// sealSpec is the memfd with the spec and, for the path without a runtime, the list
// of its calls. wipe is to be called in any case.
func (l *launch) sealSpec() (f *os.File, wipe func(), err error) {
	parts, wipe := encode(&l.spec, l.request.Secrets, !l.config.General)
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	if size > wire.MaxSpec {
		return nil, wipe, fmt.Errorf("its arguments and variables take %d bytes, more than any program can get", size)
	}
	name := l.spec.Name[:min(len(l.spec.Name), maxMemfdName)]
	f, err = l.donation.add(memfd.Sealed("spec of "+name, parts...))
	return f, wipe, err
}

// maxMemfdName is below the limit of memfd_create, 249 bytes.
const maxMemfdName = 200

// files are PID 1's descriptors in their order, see package wire.
func (l *launch) files(spec *os.File) []*os.File {
	files := []*os.File{l.null, l.record, l.record, spec, l.record}
	if l.spec.Interactive {
		for i, f := range l.request.Stdio {
			if f == nil {
				f = l.null
			}
			files[i] = f
		}
	}
	files = append(files, l.isolation.sockets...)
	if l.channel != nil {
		files = append(files, l.channel.Told)
	}
	files = append(files, l.cgroup.files...)
	files = append(files, l.isolation.files()...)
	if l.standby != nil {
		files = append(files, l.standby.peer)
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
		Path: l.config.Knot,
		Argv: l.request.Argv,
		// PID 1 waits all its life: each further P of its runtime would
		// only be memory, and inside it is too late to say so.
		Env:   []string{"TERM=" + term(), "GOMAXPROCS=1"},
		Flags: cloneFlags,
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
	if last, err := l.donation.add(open("/proc/sys/kernel/ns_last_pid", unix.O_WRONLY)); err == nil {
		a.Steps.Write("ns_last_pid", rawFD(last), []byte(lastPID)).IgnoreErr()
	}
	// A container that gets PID 1 to run it once more (/proc/self/exe as its
	// executable) has the file in hand: root in it could write to the host's.
	mount.ReadOnlyFile(a.Steps, l.config.Knot)
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

// term is all of its environment that the supervisor passes on (requirement N15).
func term() string {
	if t := os.Getenv("TERM"); t != "" {
		return t
	}
	return "dumb"
}
