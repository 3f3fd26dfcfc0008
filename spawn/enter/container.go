package enter

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"lithos/spawn/records"
	"lithos/sysx/cgroup"
	"lithos/sysx/proc"
)

// Errors of [Open], beside those of the kernel.
var (
	// ErrNotRunning is that there is no such container (any more).
	ErrNotRunning = errors.New("the container does not run")
	// ErrNoProgram is that it runs, but its program does not at present.
	ErrNoProgram = errors.New("the container's program does not run at present")
	// ErrOldRecord is a container whose record does not tell what its program
	// may do.
	ErrOldRecord = errors.New("the container was started by a version of lithos that did not record the rights of its program")
)

// Container is a running one.
type Container struct {
	// Env is the environment that its program was started with.
	Env []string

	identity *records.Identity
	uids     string // uid_map of the program
	init     *os.File
	initPID  int
	program  *os.File
	join     *cgroup.Join
}

// Close releases it.
func (c *Container) Close() {
	for _, f := range []*os.File{c.init, c.program} {
		if f != nil {
			f.Close()
		}
	}
	if c.join != nil {
		c.join.Close()
	}
}

// Alive tells whether the container of a record runs, as far as can be found out.
func Alive(r *records.Record) bool {
	return r.Forked != nil && r.Forked.StartTime != 0 && proc.MayBeSame(r.Forked.PID, r.Forked.StartTime)
}

// Open takes hold of the container of a record.
func Open(r *records.Record) (*Container, error) {
	if r.Forked == nil || r.Forked.StartTime == 0 {
		return nil, ErrNotRunning
	}
	c := &Container{identity: r.Created.Identity, initPID: r.Forked.PID}
	if err := c.open(r); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *Container) open(r *records.Record) (err error) {
	if c.init, err = proc.OpenSame(r.Forked.PID, r.Forked.StartTime); err != nil {
		return notRunning(err)
	}
	if c.identity == nil {
		return ErrOldRecord
	}
	pid, err := c.findProgram(r)
	if err != nil {
		return err
	}
	if c.join, err = cgroup.OfProcess(pid); err != nil {
		return err
	}
	if c.Env, err = environ(pid); err != nil {
		return err
	}
	if c.uids, err = readProc(pid, "uid_map"); err != nil {
		return err
	}
	// All of that was the program's if that lives still.
	if dead, err := proc.AwaitEnd(c.program, 0); err != nil || dead {
		return errors.Join(ErrNoProgram, err)
	}
	return nil
}

func notRunning(err error) error {
	if errors.Is(err, proc.ErrGone) {
		return ErrNotRunning
	}
	return err
}

// Network opens the network of a container's program: its pidfd, to be closed,
// nil = the host's.
func Network(r *records.Record) (*os.File, error) {
	switch {
	case r.Forked == nil || r.Forked.StartTime == 0:
		return nil, ErrNotRunning
	case r.Created.Identity == nil:
		return nil, ErrOldRecord
	case r.Started == nil:
		return nil, ErrNoProgram
	case !r.Created.Identity.NetNS:
		return nil, nil
	}
	c := &Container{}
	if _, err := c.findProgram(r); err != nil {
		return nil, err
	}
	return c.program, nil
}

// findProgram opens the program: the child of PID 1 that has the pid which PID 1
// wrote down.
func (c *Container) findProgram(r *records.Record) (int, error) {
	if r.Started == nil {
		return 0, ErrNoProgram
	}
	children, err := proc.Children(r.Forked.PID)
	if err != nil {
		return 0, notRunning(err)
	}
	for _, pid := range children {
		if inner, err := proc.InnerPID(pid); err != nil || inner != r.Started.PID {
			continue
		}
		f, err := proc.OpenPIDFD(pid)
		if err != nil {
			continue
		}
		// Only now: before, the pid could have become somebody else's.
		stat, err := proc.Look(pid)
		if errors.Is(err, proc.ErrSilent) {
			f.Close()
			return 0, fmt.Errorf("cannot look at the container's program (pid %d): %w", pid, err)
		}
		same, lookErr := proc.Same(r.Forked.PID, r.Forked.StartTime)
		if err == nil && lookErr == nil && stat.PPID == r.Forked.PID && stat.Alive() && same {
			c.program = f
			return pid, nil
		}
		f.Close()
	}
	return 0, ErrNoProgram
}

// maxProc is the most that is read of a file of /proc, bytes; more than a
// program can be started with.
const maxProc = 8 << 20

func readProc(pid int, name string) (string, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/%s", pid, name))
	if err != nil {
		return "", fmt.Errorf("cannot look at the container's program: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxProc))
	if err != nil {
		return "", fmt.Errorf("cannot look at the container's program: %w", err)
	}
	return string(text), nil
}

// environ is the environment of the program. The program can write over it: what
// is no variable is left out.
func environ(pid int) (env []string, err error) {
	text, err := readProc(pid, "environ")
	for v := range bytes.SplitSeq([]byte(text), []byte{0}) {
		name, _, ok := strings.Cut(string(v), "=")
		if ok && name != "" && !activation[name] {
			env = append(env, string(v))
		}
	}
	return env, err
}

// activation are the variables about sockets that the program has, and who
// enters has not.
var activation = map[string]bool{"LISTEN_FDS": true, "LISTEN_PID": true, "LISTEN_FDNAMES": true}

// HostUser is a user of the container as the host knows him.
func (c *Container) HostUser(uid uint32) uint32 {
	if !c.identity.UserNS {
		return uid
	}
	for line := range strings.Lines(c.uids) {
		var inside, outside, count uint32
		if n, _ := fmt.Sscan(line, &inside, &outside, &count); n == 3 && uid >= inside && uid-inside < count {
			return outside + (uid - inside)
		}
	}
	return uid
}

// User is the user that the container's program was started as.
func (c *Container) User() (uid, gid uint32) { return c.identity.UserID, c.identity.GroupID }
