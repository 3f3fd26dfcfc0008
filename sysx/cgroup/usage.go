package cgroup

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Unknown is a number of a [Usage] that this kernel does not tell.
const Unknown = -1

// Usage is the usage of a group, now and since it was made.
type Usage struct {
	Memory      int64 // bytes, with the page cache
	MemoryPeak  int64 // bytes, the most of Memory; version 2 from Linux 5.19 on
	MemoryLimit int64 // bytes; 0 = none
	OOMKills    int64 // processes that the kernel killed for want of memory
	CPU         time.Duration
	Throttled   time.Duration // time spent over the quota
	// Processes is how many there are, by the controller pids its threads.
	Processes int64
	// Pressure is the share of time that tasks of the group waited for cpu,
	// memory and io. Version 2 only; nil where the kernel does not count it.
	Pressure map[string]Pressure
}

// Pressure is how long processes waited: Some of them, or all (Full).
type Pressure struct{ Some, Full time.Duration }

// NoUsage is a Usage of which nothing is known.
var NoUsage = Usage{Memory: Unknown, MemoryPeak: Unknown, MemoryLimit: Unknown, OOMKills: Unknown, CPU: Unknown, Throttled: Unknown, Processes: Unknown}

// Usage reads the usage of the group, but not its waits: see [Group.Waits].
// Unreadable values are [Unknown]. It opens no file without need, because a
// caller may ask for a thousand groups.
func (g Group) Usage() Usage {
	u := NoUsage
	for _, b := range g.t.now() {
		files := files{g.t.k, b.dir + "/" + g.name}
		switch {
		case b.v2:
			files.usageV2(&u)
		case slices.Contains(b.limits, "memory"):
			files.memoryV1(&u)
		}
		if !b.v2 && slices.Contains(b.controllers, "cpuacct") {
			if n := files.number("cpuacct.usage"); n != Unknown {
				u.CPU = time.Duration(n)
			}
		}
		if slices.Contains(b.limits, "pids") {
			u.Processes = files.number("pids.current")
		}
	}
	if u.Processes == Unknown {
		u.Processes = g.count()
	}
	return u
}

// count is how many processes are in the group: in each hierarchy the same.
func (g Group) count() int64 {
	for _, b := range g.t.now() {
		pids, err := g.t.k.read(b.dir + "/" + g.name + "/cgroup.procs")
		if err != nil {
			continue
		}
		if pids = strings.TrimSpace(pids); pids == "" {
			return 0
		}
		return int64(strings.Count(pids, "\n") + 1)
	}
	return Unknown
}

// Waits adds Throttled and Pressure to a Usage.
func (g Group) Waits(u *Usage) {
	for _, b := range g.t.now() {
		files := files{g.t.k, b.dir + "/" + g.name}
		switch {
		case b.v2:
			files.waitsV2(u)
		case slices.Contains(b.limits, "cpu"):
			if n := files.field("cpu.stat", "throttled_time"); n != Unknown {
				u.Throttled = time.Duration(n)
			}
		}
	}
}

// files are those of a group in one hierarchy.
type files struct {
	k   kernel
	dir string
}

func (f files) usageV2(u *Usage) {
	if limit, ok := f.limit("memory.max"); ok {
		u.Memory, u.MemoryPeak, u.MemoryLimit = f.number("memory.current"), f.number("memory.peak"), limit
		u.OOMKills = f.field("memory.events", "oom_kill")
	}
	if usec := f.field("cpu.stat", "usage_usec"); usec != Unknown && u.CPU == Unknown {
		u.CPU = time.Duration(usec) * time.Microsecond
	}
}

func (f files) waitsV2(u *Usage) {
	if usec := f.field("cpu.stat", "throttled_usec"); usec != Unknown && u.Throttled == Unknown {
		u.Throttled = time.Duration(usec) * time.Microsecond
	}
	for _, what := range []string{"cpu", "memory", "io"} {
		text, err := f.k.read(f.dir + "/" + what + ".pressure")
		if err != nil {
			continue
		}
		if u.Pressure == nil {
			u.Pressure = make(map[string]Pressure, 3)
		}
		u.Pressure[what] = Pressure{Some: stalled(text, "some"), Full: stalled(text, "full")}
	}
}

// stalled takes the total out of a pressure file, microseconds.
func stalled(text, who string) time.Duration {
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, who+" ")
		if _, total, found := strings.Cut(rest, "total="); ok && found {
			usec, err := strconv.ParseInt(strings.TrimSpace(total), 10, 64)
			if err == nil {
				return time.Duration(usec) * time.Microsecond
			}
		}
	}
	return 0
}

func (f files) memoryV1(u *Usage) {
	u.Memory, u.MemoryPeak = f.number("memory.usage_in_bytes"), f.number("memory.max_usage_in_bytes")
	if limit, ok := f.limit("memory.limit_in_bytes"); ok {
		u.MemoryLimit = limit
	}
	u.OOMKills = f.field("memory.oom_control", "oom_kill")
}

// limit is 0 for none.
func (f files) limit(name string) (int64, bool) {
	text, err := f.k.read(f.dir + "/" + name)
	if err != nil {
		return 0, false
	}
	if n := bytes(text); n < unlimited {
		return n, true
	}
	return 0, true
}

func (f files) number(name string) int64 {
	text, err := f.k.read(f.dir + "/" + name)
	if err != nil {
		return Unknown
	}
	return positive(text)
}

// field is the number behind a word in a file of "WORD NUMBER" lines.
func (f files) field(name, word string) int64 {
	text, err := f.k.read(f.dir + "/" + name)
	if err != nil {
		return Unknown
	}
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, word+" "); ok {
			return positive(rest)
		}
	}
	return Unknown
}

func positive(text string) int64 {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return Unknown
	}
	return int64(min(n, math.MaxInt64))
}

// Spent are the counters of a group since it was made.
type Spent struct {
	OOMKills int64 // processes that the kernel killed for want of memory
	// MemoryPeak is the most memory, bytes, since it was asked for last: on
	// version 2, where it can't be set back, since the group was made.
	MemoryPeak int64
	CPU        time.Duration
}

// NothingSpent is a Spent of which nothing is known.
var NothingSpent = Spent{OOMKills: Unknown, MemoryPeak: Unknown, CPU: Unknown}

// Spent reads the counters of the group in few steps: it is called at each death.
// Unreadable values are [Unknown].
func (g Group) Spent() Spent {
	s := NothingSpent
	for _, b := range g.t.now() {
		files := files{g.t.k, b.dir + "/" + g.name}
		memory := slices.Contains(b.limits, "memory")
		switch {
		case b.v2:
			if usec := files.field("cpu.stat", "usage_usec"); usec != Unknown && s.CPU == Unknown {
				s.CPU = time.Duration(usec) * time.Microsecond
			}
			if memory {
				s.OOMKills, s.MemoryPeak = files.field("memory.events", "oom_kill"), files.number("memory.peak")
			}
		case memory:
			s.OOMKills = files.field("memory.oom_control", "oom_kill")
			s.MemoryPeak = files.number("memory.max_usage_in_bytes")
			_ = files.k.write(files.dir+"/memory.max_usage_in_bytes", "0")
		}
		if !b.v2 && slices.Contains(b.controllers, "cpuacct") {
			if n := files.number("cpuacct.usage"); n != Unknown {
				s.CPU = time.Duration(n)
			}
		}
	}
	return s
}
