package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// period is the period of a quota, microseconds: the kernel's default.
const period = 100_000

// setQuota sets the most of CPU time.
func (g Group) setQuota(thousandths int64) error {
	b, err := g.t.branch("cpu")
	if err != nil {
		if thousandths == 0 {
			return nil
		}
		return err
	}
	dir := path.Join(b.dir, g.name)
	quota := strconv.FormatInt(thousandths*(period/1000), 10)
	if b.v2 {
		if thousandths == 0 {
			quota = "max"
		}
		return g.set(path.Join(dir, "cpu.max"), quota+" "+strconv.Itoa(period), thousandths == 0)
	}
	if thousandths == 0 {
		return g.set(path.Join(dir, "cpu.cfs_quota_us"), "-1", true)
	}
	// The quota first to none: one that is there may be too large for the
	// other period.
	for _, s := range [][2]string{{"cpu.cfs_quota_us", "-1"}, {"cpu.cfs_period_us", strconv.Itoa(period)}, {"cpu.cfs_quota_us", quota}} {
		if err := g.set(path.Join(dir, s[0]), s[1], false); err != nil {
			return err
		}
	}
	return nil
}

// set writes a value and reads it back. optional: a kernel that doesn't have
// the file has nothing to be taken back, either.
func (g Group) set(file, value string, optional bool) error {
	if optional {
		if got, err := g.t.k.read(file); err == nil && got == value || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	if err := g.t.k.write(file, value); err != nil {
		return err
	}
	if got, err := g.t.k.read(file); err != nil || got != value {
		return errors.Join(err, fmt.Errorf("%s is %s afterwards", file, got))
	}
	return nil
}

// setPIDs sets the most of processes and threads.
func (g Group) setPIDs(limit int64) error {
	b, err := g.t.branch("pids")
	if err != nil {
		if limit == 0 {
			return nil
		}
		return err
	}
	value := "max"
	if limit != 0 {
		value = strconv.FormatInt(limit, 10)
	}
	return g.set(path.Join(b.dir, g.name, "pids.max"), value, limit == 0)
}

// setCPUs sets the processors to use.
func (g Group) setCPUs(list string) error {
	b, err := g.t.branch("cpuset")
	if err != nil {
		if list == "" {
			return nil
		}
		return err
	}
	dir := path.Join(b.dir, g.name)
	if list == "" {
		return g.resetCPUs(b, dir)
	}
	if err := g.t.k.write(path.Join(dir, "cpuset.cpus"), list); err != nil {
		return fmt.Errorf("%w (does this host have them?)", err)
	}
	// Version 2 takes processors that it hasn't got, and uses others instead.
	file := path.Join(dir, "cpuset.effective_cpus")
	if b.v2 {
		file = path.Join(dir, "cpuset.cpus.effective")
	}
	got, err := g.t.k.read(file)
	if err != nil {
		return err
	}
	if wanted, used := cpus(list), cpus(got); len(used) == 0 || !subset(used, wanted) {
		return fmt.Errorf("%s is %q afterwards", file, got)
	}
	return nil
}

// resetCPUs takes a restriction back that the group had before.
func (g Group) resetCPUs(b branch, dir string) error {
	file, all := path.Join(dir, "cpuset.cpus"), ""
	if !b.v2 {
		var err error
		if all, err = g.t.k.read(path.Join(b.dir, "cpuset.cpus")); err != nil {
			return err
		}
	}
	if got, err := g.t.k.read(file); err == nil && got == all {
		return nil
	}
	err := g.t.k.write(file, all+"\n") // no bytes at all would be no write
	if b.v2 && errors.Is(err, unix.ENOSPC) {
		// A group with processes can't be without any list in some kernels.
		if all, err = g.t.k.read(path.Join(b.dir, "cpuset.cpus.effective")); err == nil {
			err = g.t.k.write(file, all)
		}
	}
	return err
}

// cpus is the set of a list of the kernel's: "0-3,5".
func cpus(list string) map[int]bool {
	set := map[int]bool{}
	for part := range strings.SplitSeq(list, ",") {
		first, last, two := strings.Cut(strings.TrimSpace(part), "-")
		if !two {
			last = first
		}
		a, errA := strconv.Atoi(first)
		z, errZ := strconv.Atoi(last)
		if errA != nil || errZ != nil {
			continue
		}
		for n := a; n <= z && n < 1<<16; n++ {
			set[n] = true
		}
	}
	return set
}

func subset(some, all map[int]bool) bool {
	for n := range some {
		if !all[n] {
			return false
		}
	}
	return true
}
