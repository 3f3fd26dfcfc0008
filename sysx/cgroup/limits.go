package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
)

// Limits are the limits of a group.
type Limits struct {
	// Memory with swap, bytes; 0 = no limit. The kernel counts pages.
	Memory int64
	// CPUShares is the share of CPU time under contention as version 1 counts
	// it, 2..262144; 0 = leave it. On version 2 it becomes a weight of
	// 1..10000, 1+((shares-2)*9999)/262142, as container runtimes have it:
	// 1024 is 39.
	CPUShares uint64
	// CPUQuota is the most of CPU time, in thousandths of a processor; 0 = no
	// limit. The kernel takes 10 and more.
	CPUQuota int64
	// CPUs are the processors to use, as the kernel lists them: "0-3,5"; "" =
	// all of the parent's.
	CPUs string
	// PIDs is the most of processes and threads; 0 = no limit.
	PIDs int64
	// IO are the limits of block devices.
	IO []DeviceLimit
}

// Equal tells whether both are the same limits.
func (l *Limits) Equal(o *Limits) bool {
	return l.Memory == o.Memory && l.CPUShares == o.CPUShares && l.CPUQuota == o.CPUQuota &&
		l.CPUs == o.CPUs && l.PIDs == o.PIDs && slices.Equal(l.IO, o.IO)
}

// DefaultCPUShares are the shares of a new group of version 1.
const DefaultCPUShares = 1024

// SetLimits sets the limits of the group, which must exist, and reads them
// back. It returns an error for each that is not in force now.
func (g Group) SetLimits(l Limits) []error {
	var errs []error
	// A group that is there already may have the limit of a container before.
	note := func(err error, set bool, limit, kind string) {
		switch {
		case err == nil:
		case set:
			errs = append(errs, fmt.Errorf("%s is not enforced: %w", limit, err))
		default:
			errs = append(errs, fmt.Errorf("it is not known that there is no %s: %w", kind, err))
		}
	}
	note(g.setMemory(l.Memory), l.Memory != 0, fmt.Sprintf("the memory limit of %d bytes", l.Memory), "memory limit")
	note(g.setCPU(l.CPUShares), true, fmt.Sprintf("the CPU share of %d", l.CPUShares), "")
	note(g.setQuota(l.CPUQuota), l.CPUQuota != 0, fmt.Sprintf("the CPU quota of %g processors", float64(l.CPUQuota)/1000), "CPU quota")
	note(g.setCPUs(l.CPUs), l.CPUs != "", "the restriction to the processors "+l.CPUs, "restriction to some processors")
	note(g.setPIDs(l.PIDs), l.PIDs != 0, fmt.Sprintf("the limit of %d processes", l.PIDs), "limit of processes")
	errs = append(errs, g.setIO(l.IO)...)
	return errs
}

// branch is the one that has a controller; the error says why there is none.
func (t *Tree) branch(controller string) (branch, error) {
	for _, b := range t.now() {
		if slices.Contains(b.limits, controller) {
			return b, nil
		}
	}
	for _, u := range t.Unavailable() {
		if u.Controller == controller {
			return branch{}, fmt.Errorf("no controller %s: %w", controller, u.Err)
		}
	}
	return branch{}, fmt.Errorf("the controller %s is switched off", controller)
}

func (g Group) setMemory(limit int64) error {
	b, err := g.t.branch("memory")
	if err != nil {
		if limit == 0 {
			return nil
		}
		return err
	}
	dir := path.Join(b.dir, g.name)
	if b.v2 {
		return g.setMemoryV2(dir, limit)
	}
	return g.setMemoryV1(dir, limit)
}

// setMemoryV1 keeps to the order that the kernel wants: memory with swap is
// never less than memory alone.
func (g Group) setMemoryV1(dir string, limit int64) error {
	memory, both := path.Join(dir, "memory.limit_in_bytes"), path.Join(dir, "memory.memsw.limit_in_bytes")
	order := []string{memory, both}
	now, err := g.t.k.read(both)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		order = order[:1] // the kernel doesn't count swap
	case err != nil:
		return err
	case limit == 0 || limit > bytes(now):
		order = []string{both, memory}
	}
	value := "-1"
	if limit != 0 {
		value = strconv.FormatInt(limit, 10)
	}
	for _, file := range order {
		if err := g.t.k.write(file, value); err != nil {
			return err
		}
		if err := g.checkBytes(file, limit); err != nil {
			return err
		}
	}
	return nil
}

// setMemoryV2 allows no swap: version 2 can't limit the sum.
func (g Group) setMemoryV2(dir string, limit int64) error {
	value, swap := "max", "max"
	if limit != 0 {
		value, swap = strconv.FormatInt(limit, 10), "0"
	}
	file := path.Join(dir, "memory.swap.max")
	if err := g.t.k.write(file, swap); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file = path.Join(dir, "memory.max")
	if err := g.t.k.write(file, value); err != nil {
		return err
	}
	return g.checkBytes(file, limit)
}

// unlimited is less than what version 1 shows for "no limit", and more than
// any memory.
const unlimited = 1 << 62

// bytes reads a value that the kernel shows.
func bytes(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return unlimited // "max"
	}
	return n
}

func (g Group) checkBytes(file string, limit int64) error {
	text, err := g.t.k.read(file)
	if err != nil {
		return err
	}
	got := bytes(text)
	page := int64(os.Getpagesize())
	if limit == 0 && got >= unlimited || limit != 0 && got == min(limit, unlimited)/page*page ||
		limit >= unlimited && got >= unlimited {
		return nil
	}
	return fmt.Errorf("%s is %s afterwards", file, text)
}

// Weight is the cpu.weight of version 2 for a number of shares.
func Weight(shares uint64) uint64 {
	shares = min(max(shares, 2), 262144)
	return 1 + (shares-2)*9999/262142
}

func (g Group) setCPU(shares uint64) error {
	if shares == 0 {
		return nil
	}
	b, err := g.t.branch("cpu")
	if err != nil {
		if shares == DefaultCPUShares {
			return nil
		}
		return err
	}
	file, value := path.Join(b.dir, g.name, "cpu.shares"), strconv.FormatUint(shares, 10)
	if b.v2 {
		file, value = path.Join(b.dir, g.name, "cpu.weight"), strconv.FormatUint(Weight(shares), 10)
	}
	if err := g.t.k.write(file, value); err != nil {
		return err
	}
	if got, err := g.t.k.read(file); err != nil || got != value {
		return errors.Join(err, fmt.Errorf("%s is %s afterwards", file, got))
	}
	return nil
}
