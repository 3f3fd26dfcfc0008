package readback

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"lithos/configs"
	"lithos/spawn/rights"
	"lithos/sysx/cgroup"
	"lithos/sysx/mountinfo"
)

// Difference is one thing that is not as it was asked for, in words.
type Difference struct {
	What  string `json:"what"`
	Asked string `json:"asked"`
	Is    string `json:"is"`
}

// Host is what containers are compared with: the namespaces of their supervisor.
type Host struct{ spaces map[string]string }

// HostOf looks at the supervisor; without one, any process of the host does.
func HostOf(pid int) (*Host, error) {
	all, err := spaces(pid)
	if err != nil {
		return nil, fmt.Errorf("cannot look at the namespaces of process %d: %w", pid, err)
	}
	return &Host{all}, nil
}

// Paths are those for [Look].
func Paths(c *configs.Container) []string {
	var list []string
	for _, m := range ours(c) {
		list = append(list, m.path)
	}
	for i := range c.Volumes {
		list = append(list, c.Volumes[i].MountPoint)
	}
	return list
}

// Compare tells all that is not as the config asks.
func (h *Host) Compare(c *configs.Container, s *Seen) []Difference {
	d := &differences{}
	d.limits(c, s)
	d.spaces(h, c, s)
	d.ids(c, s)
	d.rights(c, s)
	d.mounts(c, s)
	return d.list
}

type differences struct{ list []Difference }

func (d *differences) add(what, asked, is string) {
	d.list = append(d.list, Difference{what, asked, is})
}

// want adds a difference if two words are not the same.
func (d *differences) want(what, asked, is string) {
	if asked != is {
		d.add(what, asked, is)
	}
}

// amount is a limit in words.
func amount(n int64, unit string) string {
	if n == 0 {
		return "none"
	}
	return strconv.FormatInt(n, 10) + " " + unit
}

// paged is a number of bytes as the kernel keeps it.
func paged(n int64) int64 { return n / int64(os.Getpagesize()) * int64(os.Getpagesize()) }

func (d *differences) limits(c *configs.Container, s *Seen) {
	l := s.limits
	if l.Memory != c.MemoryLimit && l.Memory != paged(c.MemoryLimit) {
		d.add("memory limit", amount(c.MemoryLimit, "bytes"), amount(l.Memory, "bytes"))
	}
	d.want("limit of processes", amount(c.PIDsLimit, "processes"), amount(l.PIDs, "processes"))
	if l.CPUWeight != 0 {
		d.want("CPU weight", strconv.FormatUint(cgroup.Weight(c.CPUShares), 10), strconv.FormatUint(l.CPUWeight, 10))
	} else if l.CPUShares != 0 || c.CPUShares != cgroup.DefaultCPUShares {
		d.want("CPU shares", strconv.FormatUint(c.CPUShares, 10), strconv.FormatUint(l.CPUShares, 10))
	}
	d.want("CPU quota", amount(c.CPUQuota, "thousandths of a processor"), amount(l.CPUQuota, "thousandths of a processor"))
	if !cgroup.SameCPUs(c.CPUSet, l.CPUs) {
		d.add("processors", c.CPUSet, "those of the host, "+l.CPUs)
	}
	d.devices(c, l)
	if s.files > c.FilenoLimit {
		d.add("limit of open files", strconv.FormatUint(c.FilenoLimit, 10), strconv.FormatUint(s.files, 10))
	}
}

func (d *differences) devices(c *configs.Container, l *cgroup.InForce) {
	for _, asked := range c.IOLimits {
		number, err := cgroup.Number(asked.Device)
		if err != nil {
			d.add("limits of the device "+asked.Device, "a block device", err.Error())
			continue
		}
		var is cgroup.DeviceLimit
		if at := slices.IndexFunc(l.IO, func(i cgroup.DeviceLimit) bool { return i.Device == number }); at >= 0 {
			is = l.IO[at]
		}
		words := func(readBytes, writeBytes, readOps, writeOps uint64) string {
			return fmt.Sprintf("%d bytes read, %d written, %d reads, %d writes a second (0 = no limit)", readBytes, writeBytes, readOps, writeOps)
		}
		d.want("limits of the device "+asked.Device,
			words(asked.ReadBytes, asked.WriteBytes, asked.ReadOps, asked.WriteOps), words(is.ReadBytes, is.WriteBytes, is.ReadOps, is.WriteOps))
	}
}

func (d *differences) spaces(h *Host, c *configs.Container, s *Seen) {
	own := map[string]bool{"mnt": true, "pid": true, "ipc": true, "uts": true, "user": len(c.UIDMap) > 0, "net": c.Network != nil}
	word := map[bool]string{true: "its own", false: "the host's"}
	for _, kind := range kinds {
		d.want(kind+" namespace", word[own[kind]], word[s.spaces[kind] != h.spaces[kind]])
	}
}

func (d *differences) ids(c *configs.Container, s *Seen) {
	if len(c.UIDMap) > 0 {
		d.want("uid-map", mapping(c.UIDMap), fmt.Sprint(s.uids))
		d.want("gid-map", mapping(c.GIDMap), fmt.Sprint(s.gids))
	}
	// Root may have become anybody that it can be.
	for _, kind := range []struct {
		what, line string
		id         uint32
		ids        []configs.IDMap
	}{{"user", "Uid", c.UserID, c.UIDMap}, {"group", "Gid", c.GroupID, c.GIDMap}} {
		for _, id := range words(s.status[kind.line]) {
			is, known := inside(kind.ids, id)
			if !known || is != kind.id && c.UserID != 0 {
				d.add(kind.what, fmt.Sprint(kind.id), fmt.Sprintf("%d on the host", id))
				break
			}
		}
	}
	if groups := s.status["Groups"]; groups != "" && c.UserID != 0 {
		d.add("supplementary groups", "none", groups)
	}
}

// mapping is a list of maps as those of [Seen] are written.
func mapping(ids []configs.IDMap) string {
	var list []idMap
	for _, m := range ids {
		list = append(list, idMap{m.Inside, m.Outside, m.Count})
	}
	return fmt.Sprint(list)
}

// words are the ids in a line of status: real, effective, saved, of files.
func words(line string) (ids []uint32) {
	for word := range strings.FieldsSeq(line) {
		id, _ := strconv.ParseUint(word, 10, 32)
		ids = append(ids, uint32(id))
	}
	return ids
}

// inside maps an id of the host to that of the container.
func inside(ids []configs.IDMap, host uint32) (id uint32, ok bool) {
	if len(ids) == 0 {
		return host, true
	}
	for _, m := range ids {
		if host >= m.Outside && host-m.Outside < m.Count {
			return m.Inside + (host - m.Outside), true
		}
	}
	return 0, false
}

func (d *differences) rights(c *configs.Container, s *Seen) {
	most := uint64(rights.Bounding) | configs.CapabilityBits(c.AddCapabilities)
	for _, set := range []string{"CapBnd", "CapPrm", "CapEff", "CapInh", "CapAmb"} {
		has, _ := strconv.ParseUint(s.status[set], 16, 64)
		if more := has &^ most; more != 0 {
			d.add("capabilities ("+set+")", "no more than "+names(most), "also "+names(more))
		}
	}
	if c.UserID != 0 {
		has, _ := strconv.ParseUint(s.status["CapEff"], 16, 64)
		if more := has &^ uint64(rights.Ambient(c.Network != nil)); more != 0 && !c.AllowNewPrivileges {
			d.add("capabilities of user "+fmt.Sprint(c.UserID), names(uint64(rights.Ambient(c.Network != nil))), "also "+names(more))
		}
	}
	if s.status["NoNewPrivs"] != "1" && !c.AllowNewPrivileges {
		d.add("no_new_privs", "set", "not set")
	}
	if s.status["Seccomp"] != "2" && c.Seccomp != "" {
		d.add("seccomp", "the profile "+c.Seccomp, "no filter")
	}
}

func names(bits uint64) string {
	if bits == 0 {
		return "none"
	}
	return strings.Join(configs.CapabilityNames(bits), ", ")
}

// ours are mounts that every container has, and the flags of each.
func ours(c *configs.Container) []expected {
	image := []string{"ro", "nosuid", "nodev"}
	if c.AllowNewPrivileges {
		image = []string{"ro", "nodev"}
	}
	list := []expected{
		{"the image", "/", "", image},
		{"/dev", "/dev", "", []string{"ro", "nosuid", "noexec"}},
		{"/dev/pts", "/dev/pts", "devpts", []string{"nosuid", "noexec"}},
		{"/proc", "/proc", "proc", []string{"nosuid", "nodev", "noexec"}},
		{"/sys", "/sys", "sysfs", []string{"ro", "nosuid", "nodev", "noexec"}},
	}
	if !c.WritableProcSys {
		list = append(list, expected{"/proc/sys", "/proc/sys", "proc", []string{"ro", "nosuid", "nodev", "noexec"}})
	}
	if !c.UnmaskKernelFiles { // one of them that every kernel has
		list = append(list, expected{"the mask of /proc/interrupts", "/proc/interrupts", "tmpfs", []string{"ro"}})
	}
	return list
}

// expected is a mount as it should be.
type expected struct {
	what, path string
	fstype     string // "" = any
	flags      []string
}

func (d *differences) mounts(c *configs.Container, s *Seen) {
	for _, want := range ours(c) {
		d.mount(s, want)
	}
	for i := range c.Volumes {
		v := &c.Volumes[i]
		want := expected{what: "the volume " + v.MountPoint, path: v.MountPoint, flags: []string{"nosuid", "nodev"}}
		if !v.Exec {
			want.flags = append(want.flags, "noexec")
		}
		switch v.Kind {
		case configs.VolumeReadonly:
			want.flags = append(want.flags, "ro")
		case configs.VolumeTmpfs:
			want.fstype = "tmpfs"
			want.flags = append(want.flags, "rw")
		default:
			want.flags = append(want.flags, "rw")
		}
		m := d.mount(s, want)
		if m != nil && v.Kind == configs.VolumeTmpfs {
			d.want("size of "+want.what, size(v.Size), sizeOf(m))
		}
	}
}

// mount compares one, and returns it if it is there.
func (d *differences) mount(s *Seen, want expected) *mountinfo.Mount {
	m := s.mountOn(want.path)
	switch {
	case m == nil:
		d.add(want.what, "mounted on "+want.path, "not mounted")
		return nil
	case want.fstype != "" && m.FSType != want.fstype:
		d.add(want.what, "of the kind "+want.fstype, "of the kind "+m.FSType)
		return nil
	}
	for _, flag := range want.flags {
		if !slices.Contains(m.Flags, flag) {
			d.add(want.what, strings.Join(want.flags, ","), strings.Join(m.Flags, ","))
			break
		}
	}
	return m
}

// size is that of a tmpfs as the kernel keeps it: in whole pages.
func size(n int64) string {
	page := int64(os.Getpagesize())
	return strconv.FormatInt((n+page-1)/page*page, 10) + " bytes"
}

func sizeOf(m *mountinfo.Mount) string {
	for _, option := range m.Options {
		if text, ok := strings.CutPrefix(option, "size="); ok {
			if n, err := strconv.ParseInt(strings.TrimSuffix(text, "k"), 10, 64); err == nil {
				return strconv.FormatInt(n<<10, 10) + " bytes"
			}
		}
	}
	return "not limited"
}
