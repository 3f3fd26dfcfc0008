package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// standbyName is ours with a container that waits.
const standbyName = ours + "-standby"

// subject is a restarter with a program that is killed.
type subject struct {
	name    string
	variant string       // suffix of the benchmark's name
	file    string       // where the program writes its times
	pids    func() []int // the program, when it runs
	stop    func() error
	// ready tells whether all is as it is when nothing happens for a while; nil = yes.
	ready func() bool
	// slow ones wait for a second if a program dies within its first second;
	// they are killed once a turn, after that.
	slow   bool
	failed bool
}

// latency measures from kill(2) of a program to the first instruction of its
// successor, on a host where nothing else runs.
func (b *bench) latency() error {
	if err := b.needGroups(); err != nil {
		return err
	}
	var subjects []*subject
	defer func() {
		for _, s := range subjects {
			if err := s.stop(); err != nil {
				b.result.note("%s: %v", s.name, err)
			}
		}
	}()
	for _, v := range variants {
		for _, start := range b.subjects(v) {
			s, err := start()
			if s != nil {
				s.variant = v.suffix
				subjects = append(subjects, s)
			}
			if err != nil {
				return err
			}
		}
		peers, err := b.restarted(v)
		subjects = append(subjects, peers...)
		if err != nil {
			return err
		}
	}
	supervisors, err := b.supervisors()
	subjects = append(subjects, supervisors...)
	if err != nil {
		return err
	}
	for turn := range b.pick(10, 2) {
		for _, s := range subjects {
			name := "restart-latency" + s.variant
			switch {
			case s.failed, b.o.quick && turn > 0 && (s.slow || s.variant != ""):
			case s.slow:
				b.kills(name, s, 1)
			default:
				b.kills(name, s, b.pick(30, 3))
			}
		}
	}
	for _, s := range subjects {
		if s.failed && s.name == ours {
			return errors.New("our own could not be measured")
		}
	}
	return nil
}

// subjects are the restarters of a variant's containers: the limit and lithos.
func (b *bench) subjects(v *variant) []func() (*subject, error) {
	list := []func() (*subject, error){func() (*subject, error) {
		h, err := b.keepLimit(v, 1, nil)
		if err != nil {
			return nil, err
		}
		return h.limitSubject(limitName), nil
	}}
	for name, bin := range b.bins() {
		if name != ours && v != plain {
			continue // of another one only plain containers are known to be
		}
		list = append(list, func() (*subject, error) {
			h, err := b.newHostOf(v, bin, process{"app", v.config, 1})
			if err != nil {
				return nil, err
			}
			return h.subject(name, 0), h.start()
		})
	}
	if v == plain {
		list = append(list, func() (*subject, error) {
			h, err := b.newHostOf(v, b.o.bin, process{"app", "standby", 1})
			if err != nil {
				return nil, err
			}
			s := h.subject(standbyName, 0)
			s.ready = func() bool { return len(h.flagged("--next", "app.0")) == 1 }
			return s, h.start()
		})
	}
	return list
}

// restarted are the other runtimes, whose command is run again when it has ended.
func (b *bench) restarted(v *variant) ([]*subject, error) {
	h, err := b.newHostOf(v, b.o.bin)
	if err != nil {
		return nil, err
	}
	names, err := b.peers(v, h, false)
	if err != nil {
		return nil, err
	}
	var list []*subject
	for i := range names {
		// Each has a host of its own, where it writes its times.
		h, err := b.newHostOf(v, b.o.bin)
		if err != nil {
			return list, err
		}
		peers, err := b.peers(v, h, false)
		if err != nil {
			return list, err
		}
		r := peers[i]
		h.daemon = exec.Command(b.limit, append([]string{"again"}, r.argv...)...)
		err = errors.New("it can't be run where it is to run")
		r.around(func() { err = b.spawn(h.daemon) })
		if err != nil {
			return list, err
		}
		programs := func() []int { return programsOf(h.daemon.Process.Pid) }
		list = append(list, &subject{name: r.name, variant: v.suffix, file: h.file(), pids: programs, stop: func() error {
			running := programs() // bwrap leaves its own at TERM
			if err := h.daemon.Process.Signal(syscall.SIGTERM); err != nil {
				return err
			}
			for _, pid := range running {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			return b.end(h.daemon, syscall.SIGTERM)
		}})
	}
	return list, nil
}

// programsOf are the first/first.c among the descendants of a process.
func programsOf(pid int) []int {
	var found []int
	for _, child := range children(pid) {
		if comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", child)); string(comm) == "first\n" {
			found = append(found, child)
		}
		found = append(found, programsOf(child)...)
	}
	return found
}

// subject is the instance of that number of a host's process app.
func (h *host) subject(name string, instance int) *subject {
	return &subject{name: name, file: h.file(), stop: h.stop, pids: func() []int {
		var pids []int
		for _, knot := range h.knots(fmt.Sprintf("app.%d", instance)) {
			pids = append(pids, children(knot)...)
		}
		return pids
	}}
}

// limitSubject is one program of limit/limit.c; the others only neighbours.
func (h *host) limitSubject(name string) *subject {
	return &subject{name: name, file: h.file(), stop: h.stopLimit, pids: func() []int {
		knots := children(h.daemon.Process.Pid)
		if len(knots) == 0 {
			return nil
		}
		return children(knots[len(knots)-1])
	}}
}

// kills measures that many restarts, or as many as fit into some seconds; it
// notes errors.
func (b *bench) kills(name string, s *subject, times int) {
	begin := time.Now()
	for i, most := 0, times; i < most; i++ {
		if time.Since(begin) > time.Duration(b.pick(15, 5))*time.Second {
			return
		}
		took, err := s.kill()
		if err != nil {
			b.result.note("%s of %s: %v", name, s.name, err)
			s.failed = true
			return
		}
		b.result.add(name, s.name, "ms", float64(took)/1e6)
		if time.Duration(took) > slow {
			most = max(1, times/5)
		}
	}
}

func (s *subject) kill() (int64, error) {
	var pid, before int
	if err := until("a program of "+s.name, func() bool {
		before = count(s.file)
		if pids := s.pids(); before > 0 && len(pids) == 1 {
			pid = pids[0]
		}
		return pid != 0
	}); err != nil {
		return 0, err
	}
	if s.ready != nil {
		if err := until("what "+s.name+" has ready", s.ready); err != nil {
			return 0, err
		}
	}
	// It is to be idle, and older than any restart-timeout.
	time.Sleep(10 * time.Millisecond)
	if times := readTimes(s.file); s.slow {
		time.Sleep(1100*time.Millisecond - time.Duration(monotonic()-times[len(times)-1]))
	}
	before = count(s.file)
	killed := monotonic()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return 0, err
	}
	started, err := startedIn(s.file, before+1)
	if err == nil && started < killed {
		err = errors.New("a program started before the kill")
	}
	return started - killed, err
}

// supervisors are those that restart a bare process, where installed.
func (b *bench) supervisors() ([]*subject, error) {
	dir := filepath.Join(b.dir, "supervisors")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	conf := filepath.Join(dir, "supervisord.conf")
	var list []*subject
	for _, s := range []struct{ name, program, run string }{
		{"runit", "runsv", filepath.Join(dir, "runit")},
		{"s6", "s6-supervise", filepath.Join(dir, "s6")},
		{"supervisord", "supervisord", conf},
	} {
		if !b.installed(s.program) {
			continue
		}
		file := filepath.Join(dir, s.name+"-times")
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			return list, err
		}
		argv := []string{s.program, s.run}
		if s.name == "supervisord" {
			argv = []string{s.program, "-n", "-c", conf}
			text := fmt.Sprintf("[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile=%[1]s/pid\nchildlogdir=%[1]s\n"+
				"[program:app]\ncommand=%[2]s %[3]s\nstdout_logfile=NONE\nstderr_logfile=NONE\n", dir, b.first, file)
			if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
				return list, err
			}
		} else if err := writeService(s.run, b.first, file); err != nil {
			return list, err
		}
		cmd := exec.Command(argv[0], argv[1:]...)
		if err := b.spawn(cmd); err != nil {
			return list, err
		}
		list = append(list, &subject{name: s.name, file: file, slow: true,
			pids: func() []int { return children(cmd.Process.Pid) },
			stop: func() error {
				programs := children(cmd.Process.Pid)
				_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
				for _, pid := range programs { // they have process groups of their own
					_ = syscall.Kill(pid, syscall.SIGKILL)
				}
				_ = cmd.Wait() // it was ended by a signal
				delete(b.running, cmd.Process.Pid)
				return nil
			}})
	}
	return list, nil
}

// writeService makes a service directory of runit's and s6's kind.
func writeService(dir, program, file string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "run"), []byte("#!/bin/sh\nexec "+program+" "+strconv.Quote(file)+"\n"), 0o755)
}
