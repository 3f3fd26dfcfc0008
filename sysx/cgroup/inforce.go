package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
)

// InForce has the effective limits of a process, by its groups. A limit of a
// group above them is not looked at.
type InForce struct {
	// Limits has devices by number, "8:0". CPUs is the effective set, not the
	// configured one. On version 2 CPUShares is 0.
	Limits
	// CPUWeight is that of version 2, see [Weight]; 0 on version 1.
	CPUWeight uint64
}

// OfPID returns the limits of a process. Without a controller there is no limit.
//
// The pid may be reused meanwhile: a caller without a pidfd checks afterwards.
func OfPID(pid int) (*InForce, error) {
	var text [2]string
	for i, file := range []string{"/proc/self/mountinfo", "/proc/" + strconv.Itoa(pid) + "/cgroup"} {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("cannot find the control groups of process %d: %w", pid, err)
		}
		text[i] = string(b)
	}
	return realKernel.inForce(parseMounts(text[0]), parseMembership(text[1]))
}

func (k kernel) inForce(all []hierarchy, its membership) (*InForce, error) {
	l := &InForce{}
	for _, c := range []struct {
		name string
		read func(shown) error
	}{
		{"memory", l.readMemory}, {"cpu", l.readCPU}, {"cpuset", l.readCPUs}, {"pids", l.readPIDs}, {"blkio", l.readIO},
	} {
		var offered []string
		for _, h := range all {
			if h.v2 {
				offered, _ = k.words(path.Join(h.path(its.group(h)), "cgroup.controllers"))
			}
		}
		at := find(all, c.name, offered)
		if at < 0 {
			continue
		}
		h := all[at]
		f := shown{k: k, dir: h.path(its.group(h)), v2: h.v2}
		if f.dir == h.mount && its.group(h) != h.root {
			return nil, fmt.Errorf("cannot look at the control group %s: %w", its.group(h), errHidden)
		}
		if err := c.read(f); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// shown are the files of a group.
type shown struct {
	k   kernel
	dir string
	v2  bool
}

// read gives "" for a file that is not there: the root of a hierarchy lacks most.
func (f shown) read(v1, v2 string) (string, error) {
	name := v1
	if f.v2 {
		name = v2
	}
	text, err := f.k.read(path.Join(f.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return text, err
}

func (l *InForce) readMemory(f shown) error {
	// The sum with swap, where it is counted: memory alone is never more.
	text, err := f.read("memory.memsw.limit_in_bytes", "memory.max")
	if text == "" && err == nil && !f.v2 {
		text, err = f.read("memory.limit_in_bytes", "")
	}
	if n := bytes(text); n < unlimited {
		l.Memory = n
	}
	return err
}

func (l *InForce) readCPU(f shown) error {
	text, err := f.read("cpu.shares", "cpu.weight")
	if err != nil {
		return err
	}
	shares, _ := strconv.ParseUint(text, 10, 64)
	if f.v2 {
		l.CPUWeight = shares
	} else {
		l.CPUShares = shares
	}
	if text, err = f.read("cpu.cfs_quota_us", "cpu.max"); err != nil {
		return err
	}
	quota, every, _ := strings.Cut(text, " ")
	if !f.v2 {
		if every, err = f.read("cpu.cfs_period_us", ""); err != nil {
			return err
		}
	}
	q, _ := strconv.ParseInt(quota, 10, 64) // "max" is 0
	if p, _ := strconv.ParseInt(every, 10, 64); q > 0 && p > 0 {
		l.CPUQuota = q * 1000 / p
	}
	return nil
}

func (l *InForce) readCPUs(f shown) (err error) {
	l.CPUs, err = f.read("cpuset.effective_cpus", "cpuset.cpus.effective")
	return err
}

func (l *InForce) readPIDs(f shown) error {
	text, err := f.read("pids.max", "pids.max")
	l.PIDs, _ = strconv.ParseInt(text, 10, 64) // "max" is 0
	return err
}

func (l *InForce) readIO(f shown) error {
	devices := map[string]*DeviceLimit{}
	var order []string
	// take keeps one rate of the device at the beginning of a line.
	take := func(number string, into func(*DeviceLimit) *uint64, value string) {
		n, err := strconv.ParseUint(value, 10, 64)
		if err != nil {
			return // "max"
		}
		if devices[number] == nil {
			devices[number] = &DeviceLimit{Device: number}
			order = append(order, number)
		}
		*into(devices[number]) = n
	}
	rates := []func(*DeviceLimit) *uint64{
		func(d *DeviceLimit) *uint64 { return &d.ReadBytes }, func(d *DeviceLimit) *uint64 { return &d.WriteBytes },
		func(d *DeviceLimit) *uint64 { return &d.ReadOps }, func(d *DeviceLimit) *uint64 { return &d.WriteOps },
	}
	for i, r := range (&DeviceLimit{}).rates() {
		text, err := f.read(r.v1, "io.max")
		if err != nil {
			return err
		}
		for line := range strings.Lines(text) {
			number, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
			if !f.v2 {
				take(number, rates[i], rest)
				continue
			}
			for word := range strings.FieldsSeq(rest) {
				if value, ok := strings.CutPrefix(word, r.v2+"="); ok {
					take(number, rates[i], value)
				}
			}
		}
	}
	for _, number := range order {
		l.IO = append(l.IO, *devices[number])
	}
	return nil
}

// Number is what [InForce] calls a block device, or the disk that it is a part of.
func Number(device string) (string, error) { return realKernel.device(device) }

// SameCPUs tells whether a group that may use some processors is held to a list,
// "" = all. Of a list the kernel leaves out what the host has not.
func SameCPUs(list, used string) bool {
	return list == "" || used != "" && subset(cpus(used), cpus(list))
}
