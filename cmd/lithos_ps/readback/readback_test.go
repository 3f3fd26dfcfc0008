package readback

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"lithos/configs"
	"lithos/sysx/cgroup"
	"lithos/sysx/mountinfo"
)

const (
	status = `Name:	app
Uid:	101000	101000	101000	101000
Gid:	101000	101000	101000	101000
Groups:	
CapInh:	0000000000000000
CapPrm:	0000000000000000
CapEff:	0000000000000000
CapBnd:	00000000800005fb
CapAmb:	0000000000000000
NoNewPrivs:	1
Seccomp:	2
`
	table = `500 400 8:1 /images/app / ro,nosuid,nodev,relatime - ext4 /dev/vda rw
501 500 8:1 /dev /dev ro,nosuid,noexec,relatime - ext4 /dev/vda rw
502 501 0:50 / /dev/pts rw,nosuid,noexec,noatime - devpts devpts rw,gid=5,mode=620,ptmxmode=666
503 500 0:51 / /sys ro,nosuid,nodev,noexec,noatime - sysfs sysfs ro
504 500 0:52 / /proc rw,nosuid,nodev,noexec,noatime - proc proc rw
505 504 0:52 /sys /proc/sys ro,nosuid,nodev,noexec,noatime - proc proc rw
506 504 0:53 /file /proc/interrupts ro,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,size=4k
507 500 8:1 /data /with\040blank rw,nosuid,nodev,noexec,relatime - ext4 /dev/vda rw
508 500 8:1 /data /volume rw,nosuid,nodev,relatime - ext4 /dev/vda rw
509 500 8:1 /ro /ro ro,nosuid,nodev,noexec,relatime - ext4 /dev/vda rw
510 500 0:54 / /tmp rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,size=1004k
`
	limits = "Limit                     Soft Limit           Hard Limit           Units     \n" +
		"Max open files            1024                 2048                 files     \n"
)

// example is a container and what is seen of it when all is as it was asked for.
func example() (*configs.Container, *Seen, *Host) {
	c := &configs.Container{
		UserID: 1000, GroupID: 1000,
		UIDMap:      []configs.IDMap{{Inside: 0, Outside: 100000, Count: 2000}},
		GIDMap:      []configs.IDMap{{Inside: 0, Outside: 100000, Count: 2000}},
		MemoryLimit: 100_000_001, CPUShares: 512, PIDsLimit: 50, CPUQuota: 900, CPUSet: "0-3", FilenoLimit: 2048,
		Seccomp: configs.SeccompDefault,
		Volumes: []configs.Volume{
			{MountPoint: "/with blank", Kind: configs.VolumePersistent},
			{MountPoint: "/link", Kind: configs.VolumeStatedir, Exec: true},
			{MountPoint: "/ro", Kind: configs.VolumeReadonly},
			{MountPoint: "/tmp", Kind: configs.VolumeTmpfs, Size: 1_024_001},
		},
	}
	host := map[string]string{}
	own := map[string]string{}
	for _, kind := range kinds {
		host[kind], own[kind] = kind+":[1]", kind+":[2]"
	}
	own["net"] = host["net"]
	s := &Seen{
		status: parseStatus(status), files: parseFiles(limits),
		uids: parseMap("0 100000 2000\n"), gids: parseMap("         0     100000       2000\n"),
		spaces: own, mounts: mountinfo.Parse(table), at: map[string]string{"/link": "508"},
		limits: &cgroup.InForce{Limits: cgroup.Limits{Memory: 99999744, CPUShares: 512, PIDs: 50, CPUQuota: 900, CPUs: "0-1"}},
	}
	return c, s, &Host{host}
}

// Covers: K10, M3
func TestDifferencesFromTheConfigAreListed(t *testing.T) {
	line := func(s *Seen, key, value string) { s.status[key] = value }
	// mounted replaces a text in the table.
	mounted := func(s *Seen, from, to string) {
		text := strings.Replace(table, from, to, 1)
		if text == table {
			panic("no " + from)
		}
		s.mounts = mountinfo.Parse(text)
	}
	for _, tt := range []struct {
		name   string
		change func(*configs.Container, *Seen)
		want   string // "" = none
	}{
		{"nothing", func(*configs.Container, *Seen) {}, ""},
		{"no memory limit", func(_ *configs.Container, s *Seen) { s.limits.Memory = 0 }, "memory limit: 100000001 bytes, none"},
		{"another memory limit", func(_ *configs.Container, s *Seen) { s.limits.Memory = 1 << 30 }, "memory limit: 100000001 bytes, 1073741824 bytes"},
		{"a limit not asked for", func(c *configs.Container, _ *Seen) { c.PIDsLimit = 0 }, "limit of processes: none, 50 processes"},
		{"shares", func(_ *configs.Container, s *Seen) { s.limits.CPUShares = 1024 }, "CPU shares: 512, 1024"},
		{"no controller, shares asked for", func(_ *configs.Container, s *Seen) { s.limits.CPUShares = 0 }, "CPU shares: 512, 0"},
		{"no controller", func(c *configs.Container, s *Seen) { s.limits.CPUShares, c.CPUShares = 0, 1024 }, ""},
		{"weight", func(_ *configs.Container, s *Seen) { s.limits.CPUShares, s.limits.CPUWeight = 0, 20 }, ""},
		{"another weight", func(_ *configs.Container, s *Seen) { s.limits.CPUShares, s.limits.CPUWeight = 0, 100 }, "CPU weight: 20, 100"},
		{"quota", func(_ *configs.Container, s *Seen) { s.limits.CPUQuota = 0 }, "CPU quota: 900 thousandths of a processor, none"},
		{"processors", func(_ *configs.Container, s *Seen) { s.limits.CPUs = "0-7" }, "processors: 0-3, those of the host, 0-7"},
		{"no such device", func(c *configs.Container, _ *Seen) { c.IOLimits = []configs.IOLimit{{Device: "/dev/null"}} },
			"limits of the device /dev/null: a block device, it is no block device"},
		{"more open files", func(_ *configs.Container, s *Seen) { s.files = ^uint64(0) }, "limit of open files: 2048, 18446744073709551615"},
		{"it took files from itself", func(_ *configs.Container, s *Seen) { s.files = 64 }, ""},
		{"the host's pids", func(_ *configs.Container, s *Seen) { s.spaces["pid"] = "pid:[1]" }, "pid namespace: its own, the host's"},
		{"the host's users", func(_ *configs.Container, s *Seen) { s.spaces["user"] = "user:[1]" }, "user namespace: its own, the host's"},
		{"a network", func(_ *configs.Container, s *Seen) { s.spaces["net"] = "net:[2]" }, "net namespace: the host's, its own"},
		{"no network", func(c *configs.Container, _ *Seen) { c.Network = &configs.Network{} }, "net namespace: its own, the host's"},
		{"another map", func(_ *configs.Container, s *Seen) { s.uids = parseMap("0 0 4294967295\n") },
			"uid-map: [0-1999 to 100000], [0-4294967294 to 0]"},
		{"another user", func(_ *configs.Container, s *Seen) { line(s, "Uid", "101000\t100000\t101000\t101000") }, "user: 1000, 100000 on the host"},
		{"another group", func(_ *configs.Container, s *Seen) { line(s, "Gid", "0\t0\t0\t0") }, "group: 1000, 0 on the host"},
		{"root that became somebody", func(c *configs.Container, _ *Seen) { c.UserID, c.GroupID = 0, 0 }, ""},
		{"root outside of its map", func(c *configs.Container, s *Seen) { c.UserID, c.GroupID = 0, 0; line(s, "Uid", "0 0 0 0") }, "user: 0, 0 on the host"},
		{"groups", func(_ *configs.Container, s *Seen) { line(s, "Groups", "4 27") }, "supplementary groups: none, 4 27"},
		{"capabilities", func(_ *configs.Container, s *Seen) { line(s, "CapBnd", "00000000802005fb") },
			"capabilities (CapBnd): no more than CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, SETFCAP, also SYS_ADMIN"},
		{"capabilities that were added", func(c *configs.Container, s *Seen) {
			c.AddCapabilities = []string{"SYS_ADMIN"}
			line(s, "CapBnd", "00000000802005fb")
		}, ""},
		{"capabilities of a user", func(_ *configs.Container, s *Seen) { line(s, "CapEff", "0000000000000001") }, "capabilities of user 1000: none, also CHOWN"},
		{"new privileges", func(_ *configs.Container, s *Seen) { line(s, "NoNewPrivs", "0") }, "no_new_privs: set, not set"},
		{"no filter", func(_ *configs.Container, s *Seen) { line(s, "Seccomp", "0") }, "seccomp: the profile default, no filter"},
		{"no filter asked for", func(c *configs.Container, s *Seen) { c.Seccomp = ""; line(s, "Seccomp", "0") }, ""},
		{"a writable image", func(_ *configs.Container, s *Seen) { mounted(s, "/ ro,nosuid", "/ rw,nosuid") }, "the image: ro,nosuid,nodev, rw,nosuid,nodev,relatime"},
		{"setuid files", func(c *configs.Container, s *Seen) { mounted(s, "/ ro,nosuid", "/ ro") }, "the image: ro,nosuid,nodev, ro,nodev,relatime"},
		{"setuid files that were asked for", func(c *configs.Container, s *Seen) { c.AllowNewPrivileges = true; mounted(s, "/ ro,nosuid", "/ ro") }, ""},
		{"writable /proc/sys", func(_ *configs.Container, s *Seen) { mounted(s, " /proc/sys ", " /proc/other ") }, "/proc/sys: mounted on /proc/sys, not mounted"},
		{"writable /proc/sys that was asked for", func(c *configs.Container, s *Seen) {
			c.WritableProcSys = true
			mounted(s, " /proc/sys ", " /proc/other ")
		}, ""},
		{"interrupts", func(_ *configs.Container, s *Seen) { mounted(s, " /proc/interrupts ", " /proc/other ") }, "the mask of /proc/interrupts: mounted on /proc/interrupts, not mounted"},
		{"something on top", func(_ *configs.Container, s *Seen) {
			s.mounts = append(s.mounts, mountinfo.Parse("600 509 8:1 / /ro rw,nosuid,nodev,noexec - ext4 /dev/vda rw\n")...)
		}, "the volume /ro: nosuid,nodev,noexec,ro, rw,nosuid,nodev,noexec"},
		{"a link that leads nowhere", func(_ *configs.Container, s *Seen) { delete(s.at, "/link") }, "the volume /link: mounted on /link, not mounted"},
		{"another kind of volume", func(_ *configs.Container, s *Seen) { mounted(s, "- tmpfs tmpfs rw,size=1004k", "- ext4 /dev/vda rw") },
			"the volume /tmp: of the kind tmpfs, of the kind ext4"},
		{"another size", func(_ *configs.Container, s *Seen) { mounted(s, "size=1004k", "size=2000k") },
			"size of the volume /tmp: 1028096 bytes, 2048000 bytes"},
		{"no size", func(_ *configs.Container, s *Seen) { mounted(s, ",size=1004k", "") }, "size of the volume /tmp: 1028096 bytes, not limited"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, s, h := example()
			s.spaces = maps.Clone(s.spaces)
			tt.change(c, s)
			var got []string
			for _, d := range h.Compare(c, s) {
				got = append(got, d.What+": "+d.Asked+", "+d.Is)
			}
			var want []string
			if tt.want != "" {
				want = []string{tt.want}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%q\nwant %q", got, want)
			}
		})
	}
}

// This process, whose files are read as those of a container are.
func TestLookAtAProcess(t *testing.T) {
	s, err := Look(os.Getpid(), []string{"/", "/proc", "/gone"})
	if err != nil {
		t.Fatal(err)
	}
	if s.status["Name"] == "" || s.files == 0 || len(s.uids) == 0 || s.spaces["net"] == "" || s.mountOn("/proc") == nil || s.mountOn("/") == nil || s.limits == nil {
		t.Errorf("%+v", s)
	}
	if s.mountOn("/gone") != nil {
		t.Error("what is not there is mounted")
	}
	if fmt.Sprint(s.uids) != fmt.Sprint(parseMap(read(t, "/proc/self/uid_map"))) {
		t.Errorf("%v", s.uids)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
