package spawn

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lithos/spawn/records"
	"lithos/spawn/wire"
	"lithos/sysx/inroot"
	"lithos/sysx/proc"
)

// Remove removes the remains of a dead container: its state dir, its interface
// on a bridge, and with all
// its cgroup and record too (retired, requirement M5). It continues after an error
// and returns them all. Never follows a link out of the state dir; may be slow;
// safe from any goroutine. An empty path is nothing to remove.
//
// Preconditions: PID 1 was waited for, and no start of the same name is under
// way.
func (s *Spawner) Remove(name, stateDir, record string, all bool) error {
	errs := []error{s.mounts.drop(name, all), s.networks.remove(name, record, all)}
	if record != "" {
		if err := os.Remove(notifySocket(record, name)); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) {
			errs = append(errs, fmt.Errorf("cannot remove the socket for the readiness of %q: %w", name, err))
		}
	}
	if stateDir != "" {
		if err := inroot.RemoveAll(stateDir); err != nil {
			errs = append(errs, fmt.Errorf("cannot remove the state dir of %q: %w", name, err))
		}
	}
	if all {
		errs = append(errs, s.groups.remove(name))
	}
	if all && record != "" {
		if err := os.Remove(record); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("cannot remove the record of %q: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// Leftovers is what earlier daemons left (requirement M6).
type Leftovers struct {
	Containers []Leftover // by name
	// Unknown has a sentence for each thing that is none of ours by its name;
	// it is left alone.
	Unknown []string
	// Unsure is why more may be left, or live, than stands here: nothing may be
	// concluded from what is missing, and another look has to be taken. nil = none.
	Unsure error
}

// Leftover are the remains of one container. Each may be missing.
type Leftover struct {
	Name     string          // "SANDBOX/PROCESS.INDEX"
	StateDir string          // path, also if it does not exist
	Record   string          // path, also if it does not exist
	Info     *records.Record // the record, nil if there is none
	Cgroup   bool            // it has one
	// PID and StartTime are of its PID 1 if that is alive, else 0.
	PID       int
	StartTime uint64
}

// Leftovers lists what earlier daemons left, by their records, state dirs and
// cgroups; for the daemon's start, before anything is started. A directory that
// does not exist has nothing in it. With an error there is still what was found.
func (s *Spawner) Leftovers(recordsDir, stateDir string) (Leftovers, error) {
	return s.leftovers(recordsDir, stateDir, func(string) bool { return true })
}

// CommandLeftovers is [Spawner.Leftovers] of commands only: it does not read
// those of daemons, which would take long on a host with many containers.
func (s *Spawner) CommandLeftovers(recordsDir, stateDir string) (Leftovers, error) {
	return s.leftovers(recordsDir, stateDir, IsCommand)
}

func (s *Spawner) leftovers(recordsDir, stateDir string, wanted func(name string) bool) (Leftovers, error) {
	f := &finder{recordsDir: recordsDir, stateDir: stateDir, wanted: wanted, found: map[string]*Leftover{}}
	records := f.walk(recordsDir, fs.FileMode.IsRegular)
	f.walk(stateDir, fs.FileMode.IsDir)
	for _, name := range records {
		f.readRecord(f.found[name])
	}
	f.cgroups(s)
	left := Leftovers{Unknown: f.unknown}
	for _, l := range f.found {
		if !f.ofLivingCommand(l) {
			left.Containers = append(left.Containers, *l)
		}
	}
	left.Unsure = errors.Join(f.unsure...)
	slices.SortFunc(left.Containers, func(a, b Leftover) int { return strings.Compare(a.Name, b.Name) })
	return left, errors.Join(f.errs...)
}

// ofLivingCommand says that lithos_cmd is still there to clean up after itself.
// Where the container lives it has to be its child, so that another lithos_cmd
// with a pid that was used before protects nothing but what is dead.
func (f *finder) ofLivingCommand(l *Leftover) bool {
	m := commandPattern.FindStringSubmatch(l.Name)
	if m == nil {
		return false
	}
	pid, err := strconv.Atoi(m[1])
	if err != nil {
		return false
	}
	command, err := proc.ReadStat(pid)
	f.doubt(err)
	if err != nil || !command.Alive() || command.Comm != "lithos_cmd" {
		return false
	}
	if l.PID == 0 {
		return true
	}
	knot, err := proc.ReadStat(l.PID)
	f.doubt(err)
	return err != nil || knot.PPID == pid
}

type finder struct {
	recordsDir, stateDir string
	wanted               func(name string) bool
	found                map[string]*Leftover
	unknown              []string
	errs                 []error
	unsure               []error
}

// doubt notes an error that says nothing of what was looked at.
func (f *finder) doubt(err error) {
	if proc.Shortage(err) {
		f.unsure = append(f.unsure, err)
	}
}

// fail notes an error.
func (f *finder) fail(err error) {
	f.doubt(err)
	f.errs = append(f.errs, err)
}

func (f *finder) add(name string) *Leftover {
	l := f.found[name]
	if l == nil {
		l = &Leftover{Name: name, StateDir: filepath.Join(f.stateDir, name), Record: filepath.Join(f.recordsDir, name)}
		f.found[name] = l
	}
	return l
}

// instancePattern is PROCESS.INDEX, or cmd.NAME.PID.
var instancePattern = regexp.MustCompile(`^.+\.[0-9]+$`)

// walk finds SANDBOX/PROCESS.INDEX below dir, each of the kind that it has to
// be, and returns the names.
func (f *finder) walk(dir string, is func(fs.FileMode) bool) (names []string) {
	for _, sandbox := range f.list(dir) {
		if !sandbox.IsDir() {
			f.strange(filepath.Join(dir, sandbox.Name()))
			continue
		}
		for _, instance := range f.list(filepath.Join(dir, sandbox.Name())) {
			name := filepath.Join(sandbox.Name(), instance.Name())
			if !is(instance.Type()) || !instancePattern.MatchString(instance.Name()) {
				f.strange(filepath.Join(dir, name))
				continue
			}
			if f.wanted(name) {
				f.add(name)
				names = append(names, name)
			}
		}
	}
	return names
}

func (f *finder) list(dir string) []fs.DirEntry {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.fail(err)
	}
	return entries
}

func (f *finder) strange(what string) {
	f.unknown = append(f.unknown, fmt.Sprintf("Leaving %s alone: it is nothing that a daemon of lithos makes there", what))
}

// readRecord finds out whether the container that the record is of is alive.
func (f *finder) readRecord(l *Leftover) {
	info, err := records.Read(l.Record)
	if err != nil {
		f.fail(err)
		return
	}
	if l.Info = info; IsStandby(l.Name) {
		l.Info = nil // it is none, and a standby has never run
	}
	if info.Forked == nil || info.Forked.StartTime == 0 {
		// The daemon died between the fork and the line about it.
		l.PID, l.StartTime = f.holder(l.Record)
		return
	}
	same, err := proc.Same(info.Forked.PID, info.Forked.StartTime)
	if err != nil {
		f.unsure = append(f.unsure, err)
	}
	if same {
		l.PID, l.StartTime = info.Forked.PID, info.Forked.StartTime
	}
}

// holder finds the PID 1 that has a record open. It looks at every process of the
// host; what these have open may be on a file system that does not answer, so only
// names are compared before the file is. One that can't be looked at is none: PID 1s
// do not execute anything.
func (f *finder) holder(record string) (pid int, startTime uint64) {
	want, err := os.Stat(record)
	if err != nil {
		f.doubt(err)
		return 0, 0
	}
	name := "/" + filepath.Join(filepath.Base(filepath.Dir(record)), filepath.Base(record))
	entries, err := os.ReadDir("/proc")
	f.doubt(err)
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		has, err := proc.WithDeadline(pid, func() (bool, error) {
			path, err := os.Readlink("/proc/" + e.Name() + "/fd/" + strconv.Itoa(wire.FDRecord))
			return err == nil && strings.HasSuffix(path, name) && proc.Has(pid, wire.FDRecord, want), err
		})
		f.doubt(err)
		if err != nil || !has {
			continue
		}
		started, err := proc.StartTime(pid)
		f.doubt(err)
		if err == nil && proc.MayBeSame(pid, started) {
			return pid, started
		}
	}
	return 0, 0
}

// cgroups adds the containers that only a cgroup is left of, or also that. One
// with processes in it whose record is lost is found by them: they are children
// of its PID 1, or of each other.
func (f *finder) cgroups(s *Spawner) {
	if s.c.Cgroups == nil {
		return
	}
	groups, err := s.c.Cgroups.List()
	if err != nil {
		f.fail(err)
	}
	for _, group := range groups {
		name, ok := unscope(group)
		if !ok {
			f.strange("the cgroup " + group)
			continue
		}
		if !f.wanted(name) {
			continue
		}
		l := f.add(name)
		l.Cgroup = true
		pids, err := s.c.Cgroups.Group(group).PIDs()
		if err != nil {
			f.fail(err)
		}
		if l.PID == 0 && len(pids) > 0 {
			l.PID, l.StartTime, err = s.ancestor(pids[0])
			f.doubt(err)
		}
	}
}

// ancestor is the lithos_knot that pid, a process of a container, descends from.
func (s *Spawner) ancestor(pid int) (knot int, startTime uint64, err error) {
	for pid > 1 {
		status, err := proc.ReadStatus(pid) // which any process can be asked for
		if err != nil {
			return 0, 0, err
		}
		if status.Comm == comm(s.c.Knot) && status.Inner() == 1 {
			if startTime, err = proc.StartTime(pid); err != nil {
				return 0, 0, err
			}
			return pid, startTime, nil
		}
		pid = status.PPID
	}
	return 0, 0, nil
}

// comm is the name that the kernel gives a process after its program.
func comm(path string) string {
	const most = 15
	base := filepath.Base(path)
	return base[:min(len(base), most)]
}
