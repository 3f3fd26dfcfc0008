package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"lithos/actors"
	"lithos/actors/root"
	"lithos/cmd/internal/reader"
	"lithos/configs"
	"lithos/spawn"
	"lithos/spawn/readiness"
	"lithos/spawn/records"
	"lithos/sysx/cgroup"
	"lithos/sysx/proc"
	"lithos/sysx/sock"
	"lithos/sysx/thread"
)

// kernel is the real one.
type kernel struct {
	master   *configs.Master
	spawner  *spawn.Spawner
	cgroups  *cgroup.Tree // nil = off
	log      zerolog.Logger
	watcher  func() (*proc.Watcher, error) // made when it is needed
	knot     string
	helpers  *helpers
	images   *reader.Reader
	memory   *memory
	reserve  *reserve // descriptors reserved for exit codes
	programs programs
}

// spareFiles and spareThreads are what the daemon holds back for the time when
// the host has none to give: as many as its work takes at a time, with some to
// spare (the clean-ups are eight at most).
const (
	spareFiles   = 4
	spareThreads = 20
)

// newKernel opens the cgroups, if there are to be any, and readies the forks.
func newKernel(knot string, m *configs.Master, images *images, log zerolog.Logger) (*kernel, error) {
	config := spawn.Config{Knot: knot}
	if m.CgroupName != "" {
		tree, err := cgroup.Open(cgroup.Config{Name: m.CgroupName, Controllers: m.CgroupControllers, OnDemand: m.CgroupOnDemand})
		if err != nil {
			return nil, fmt.Errorf("%w; mount the controllers, change cgroup-controllers in %s, or switch cgroups off with `cgroup-name: null`", err, m.File)
		}
		for _, u := range tree.Unavailable() {
			log.Error().Msgf("Cgroup controller %s can't be used, containers with such a limit will be degraded: %v", u.Controller, u.Err)
		}
		if tree.Inside() && os.Getenv("INVOCATION_ID") != "" {
			log.Warn().Msgf("The cgroups of the containers are below the unit's own: should lithos_tree be killed, systemd could not start it again while one of them is there. "+
				"Put the unit into the slice that cgroup-name (%s) says, by Slice=, as docs/operations.md tells", m.CgroupName)
		}
		config.Cgroups = tree
	}
	thread.Keep(spareThreads)
	return &kernel{
		master: m, spawner: spawn.NewSpawner(config), cgroups: config.Cgroups, log: log,
		watcher: sync.OnceValues(proc.NewWatcher), knot: knot, reserve: newReserve(spareFiles),
		helpers: &images.helpers, images: &images.Reader, memory: newMemory(),
	}, nil
}

// close removes the groups that hold the containers', if it made them, and
// releases the reserve.
func (k *kernel) close() {
	k.reserve.close()
	if k.cgroups != nil {
		k.cgroups.Close()
	}
}

// functions are the kernel as actors see it.
func (k *kernel) functions() *actors.Kernel {
	return &actors.Kernel{
		Start:  k.spawner.Start,
		Remove: k.remove,

		SurveyStandby:  (*spawn.Standby).Survey,
		Prepare:        k.spawner.Prepare,
		AwaitStandby:   (*spawn.Standby).Hear,
		InspectStandby: k.spawner.Inspect,
		Discard:        k.spawner.Discard,

		ReadRecord:  k.readRecord,
		SettingUp:   k.settingUp,
		OpenSecrets: (*configs.Container).OpenSecrets,
		Spent:       k.spawner.Spent,
		Check:       k.check,
		AwaitNotice: readiness.AwaitLine,
		PeekNotice:  readiness.Peek,
		DropNotice:  readiness.Drop,
		TakeNotice:  readiness.Take,
		AppendLine:  appendLine,
		NoteEnd:     k.noteEnd,
		Listen:      listen,
		Accepts:     sock.Accepts,
		Restore:     restore,
		Close:       (*os.File).Close,
		Signal:      signalProcess,
		Wait:        k.wait,
		OOMKilled:   proc.OOMKilled,
		Children:    k.children,
		SignalChild: k.signalChild,
		Load: func(before *configs.Plan) (*configs.Plan, configs.Problems) {
			return k.memory.load(k.images, configs.Options{MasterFile: k.master.File, Before: before})
		},
		Leftovers:   k.leftovers,
		OpenProcess: proc.OpenSame,
		AwaitEnd:    k.awaitEnd,
		Watch:       k.watch,
		TakeSockets: k.takeSockets,
		// Only an empty one can be removed, and only that is wanted.
		RemoveDir: func(path string) { _ = os.Remove(path) },
	}
}

// readRecord has the exit code of a program, which is not to be lost because
// others have all descriptors.
func (k *kernel) readRecord(path string) (record *records.Record, err error) {
	err = k.reserve.do(func() error {
		record, err = records.ReadEnd(path)
		return err
	})
	return record, err
}

// settingUp reports whether the container's program has not been executed yet.
// The record has a line of the start. That line is missing after a full disk, so
// the processes are inspected too; in doubt the answer is no.
func (k *kernel) settingUp(path string) (bool, error) {
	r, err := k.readRecord(path)
	switch {
	case err != nil:
		return false, err
	case r.Started != nil || r.Exited != nil || r.Failed != "" || r.Crash != "":
		return false, nil
	case r.Forked == nil:
		return false, errors.New("its record has no pid")
	}
	own, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", r.Forked.PID))
	if err != nil {
		return false, err
	}
	children, err := proc.Children(r.Forked.PID)
	if err != nil {
		return false, err
	}
	for _, pid := range children {
		// A fork of PID 1 that could not execute the program yet is one still.
		program, err := proc.WithDeadline(pid, func() (string, error) { return os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)) })
		if err != nil || program != own {
			return false, nil
		}
	}
	return true, nil
}

// noteEnd has to be known to the next daemon, likewise.
func (k *kernel) noteEnd(record string, counts records.Tally) error {
	return k.reserve.do(func() error { return records.NoteEnd(record, counts) })
}

// remove needs one for each directory inside of another.
func (k *kernel) remove(name, stateDir, record string, all bool) error {
	return k.reserve.do(func() error { return k.spawner.Remove(name, stateDir, record, all) })
}

// appendLine writes at once, so that the line stays whole between others.
func appendLine(path, line string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line)
	return errors.Join(err, f.Close())
}

func listen(s actors.Socket) (*os.File, error) {
	return s.Listen(nil)
}

func restore(made *os.File, as actors.Socket, shared bool) (sock.Restored, error) {
	return as.Restore(made, shared)
}

func signalProcess(pidfd *os.File, sig syscall.Signal) error {
	if err := proc.Signal(pidfd, sig); !errors.Is(err, proc.ErrGone) {
		return err
	}
	return nil
}

func (k *kernel) wait() (actors.Exit, bool) {
	exit, ok, err := proc.WaitChange()
	for ok && !exit.Alive() && k.helpers.ended(exit.PID, exit.Status) {
		exit, ok, err = proc.WaitChange()
	}
	if err != nil {
		k.log.Error().Msgf("%v", err)
	}
	return exit, ok
}

func (k *kernel) awaitEnd(pidfd *os.File, limit time.Duration) bool {
	dead, err := proc.AwaitEnd(pidfd, limit)
	if err != nil {
		k.log.Error().Msgf("%v", err)
	}
	return dead
}

// children reads a file for each that it tells of, not for a thousand that are known.
func (k *kernel) children(without []int) ([]actors.Child, error) {
	pids, err := proc.Children(os.Getpid())
	if err != nil {
		return nil, err
	}
	var list []actors.Child
	for _, pid := range pids {
		if _, known := slices.BinarySearch(without, pid); known || k.helpers.has(pid) || k.spawner.IsStandby(pid) {
			continue
		}
		// One that is gone or a zombie by now is reaped like any other.
		if stat, err := proc.ReadStat(pid); err == nil && stat.Alive() {
			list = append(list, actors.Child{PID: pid, StartTime: stat.StartTime, Command: stat.Comm})
		}
	}
	return list, nil
}

func (k *kernel) signalChild(c actors.Child, sig syscall.Signal) error {
	if k.spawner.IsStandby(c.PID) {
		return os.ErrProcessDone // it was forked when the list was made
	}
	pidfd, err := proc.OpenSame(c.PID, c.StartTime)
	if err != nil {
		return err
	}
	defer pidfd.Close()
	return proc.Signal(pidfd, sig)
}

// leftovers leaves the containers of another daemon that lives alone: with the
// same cgroup-name but another runtime-dir their cgroups are found here, too.
func (k *kernel) leftovers() (actors.Leftovers, error) {
	found, err := k.spawner.Leftovers(root.RecordsDir(k.master), k.master.StateDir)
	left := actors.Leftovers{Unknown: found.Unknown, Unsure: found.Unsure}
	for _, l := range found.Containers {
		c := actors.Leftover{Name: l.Name, StateDir: l.StateDir, Record: l.Record, PID: l.PID, StartTime: l.StartTime, Info: l.Info}
		if l.Info != nil {
			c.Noted = l.PID == 0 && l.Info.Noted
			if stat, err := proc.ReadStat(l.PID); l.PID != 0 && err == nil {
				c.Stopped = stat.Stopped() && stat.StartTime == l.StartTime
			}
			c.KillTimeout = time.Duration(l.Info.Created.KillTimeout * float64(time.Second))
		} else if other, doubt := daemonOf(l.PID); doubt != nil {
			left.Unsure = errors.Join(left.Unsure, doubt)
			continue
		} else if other != 0 {
			left.Unknown = append(left.Unknown, fmt.Sprintf("Leaving container %q (pid %d) alone: it belongs to another lithos_tree (pid %d); give each of them a cgroup-name of its own", l.Name, l.PID, other))
			continue
		}
		left.Containers = append(left.Containers, c)
	}
	return left, err
}

// daemonOf is the lithos_tree that a process is a child of, 0 if it is none's
// or this one's. With an error it could not be found out.
func daemonOf(pid int) (int, error) {
	if pid == 0 {
		return 0, nil
	}
	child, err := proc.ReadStat(pid)
	if err == nil && child.PPID == os.Getpid() {
		return 0, nil
	}
	var parent *proc.Stat
	if err == nil {
		parent, err = proc.ReadStat(child.PPID)
	}
	switch {
	case errors.Is(err, proc.ErrGone):
		return 0, nil
	case err != nil || parent.Comm != "lithos_tree":
		return 0, err
	}
	return parent.PID, nil
}
