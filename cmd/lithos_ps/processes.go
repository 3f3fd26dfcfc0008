package main

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"lithos/actors/services/api"
	"lithos/sysx/proc"
)

// ticks of the kernel's user interface in a second: the same on every platform
// that Go has.
const ticksPerSecond = 100

// process is one process of the host.
type process struct {
	pid, ppid              int
	comm                   string
	threads                int
	user, system           uint64 // ticks
	childUser, childSystem uint64
	start                  uint64 // ticks after boot
	rss                    int64  // bytes
	children               []int
	silent                 bool // ticks and start are not known
}

// processes is /proc at one moment, by pid.
type processes map[int]*process

// scan reads all processes below dir. One that ends meanwhile is left out.
func scan(dir string) processes {
	names, err := readNames(dir)
	if err != nil {
		return processes{}
	}
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	path := func(pid int) string { return dir + "/" + strconv.Itoa(pid) + "/stat" }
	all := make(processes, len(pids))
	found, errs := proc.EachWithDeadline(pids, func(pid int) (*process, error) {
		text, err := proc.ReadFile(path(pid))
		if err != nil {
			return nil, err
		}
		return parseStat(pid, text), nil
	})
	for i, pid := range pids {
		if errors.Is(errs[i], proc.ErrSilent) {
			if text, err := proc.ReadFile(path(pid) + "us"); err == nil {
				all[pid] = silent(pid, proc.ParseStatus(text))
			}
		} else if found[i] != nil {
			all[pid] = found[i]
		}
	}
	for pid, p := range all {
		if parent := all[p.ppid]; parent != nil {
			parent.children = append(parent.children, pid)
		}
	}
	for _, p := range all {
		slices.Sort(p.children)
	}
	return all
}

// readNames lists a directory, in no order.
func readNames(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

// silent is a process that can't be looked at; the kernel tells some of it all the
// same.
func silent(pid int, s *proc.Status) *process {
	return &process{pid: pid, ppid: s.PPID, comm: s.Comm, threads: s.Threads, rss: s.Memory, silent: true}
}

// parseStat reads a line of /proc/PID/stat (proc(5)); nil if it is none.
func parseStat(pid int, text []byte) *process {
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return nil
	}
	// Field 3 of the manual page is the first here.
	f := strings.Fields(string(text[end+1:]))
	if len(f) < 22 {
		return nil
	}
	number := func(field int) uint64 {
		n, _ := strconv.ParseUint(f[field-3], 10, 64)
		return n
	}
	return &process{
		pid: pid, comm: string(text[open+1 : end]), ppid: int(number(4)), threads: int(number(20)),
		user: number(14), system: number(15), childUser: number(16), childSystem: number(17),
		start: number(22), rss: int64(number(24)) * int64(os.Getpagesize()),
	}
}

// below is a process with all that descend from it. Pids that were used again
// while /proc was read may have made a circle.
func (all processes) below(pid int) (list []*process) {
	seen := map[int]bool{}
	var add func(pid int)
	add = func(pid int) {
		p := all[pid]
		if p == nil || seen[pid] {
			return
		}
		seen[pid] = true
		list = append(list, p)
		for _, child := range p.children {
			add(child)
		}
	}
	add(pid)
	return list
}

// count adds to an instance what /proc tells, where the daemon did not.
func (all processes) count(r *row) {
	if r.PID == 0 {
		return
	}
	var memory int64
	var ticks uint64
	known := true // the ticks of all
	list := all.below(r.PID)
	for i, p := range list {
		r.Threads += p.threads
		memory += p.rss
		ticks += p.user + p.system
		if p.silent {
			known = false
			if !slices.Contains(r.Conditions, api.ConditionSilent) {
				r.Conditions = append(r.Conditions, api.ConditionSilent)
			}
		}
		if i == 0 {
			ticks += p.childUser + p.childSystem // of programs that PID 1 restarted
		}
	}
	if len(list) == 0 {
		return
	}
	if r.Usage == nil {
		r.Usage = &api.Usage{}
	}
	if r.Usage.Memory == nil {
		r.Usage.Memory = &memory
	}
	if r.Usage.CPU == nil && known {
		seconds := float64(ticks) / ticksPerSecond
		r.Usage.CPU = &seconds
	}
	if r.Usage.Processes == nil {
		n := int64(len(list))
		r.Usage.Processes = &n
	}
	if r.ProgramPID == 0 && len(list) > 1 {
		r.ProgramPID = list[1].pid
	}
}

// swap is the memory of a process that is swapped out, bytes.
func swap(pid int) int64 {
	text, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	_, rest, _ := strings.Cut(string(text), "\nVmSwap:")
	n, _ := strconv.ParseInt(strings.TrimSpace(strings.SplitN(rest, "kB", 2)[0]), 10, 64)
	return n << 10
}

// short is a duration in one or two units.
func short(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	case d < 24*time.Hour:
		return strconv.Itoa(int(d.Hours())) + "h" + strconv.Itoa(int(d.Minutes())%60) + "m"
	}
	return strconv.Itoa(int(d.Hours())/24) + "d" + strconv.Itoa(int(d.Hours())%24) + "h"
}

func seconds(f float64) time.Duration { return time.Duration(f * float64(time.Second)) }
