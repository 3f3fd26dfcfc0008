package cgroup

import (
	"path"
	"slices"
	"strings"
	"testing"
)

const mountPIDs = "37 31 0:34 / /cg/pids rw,relatime - cgroup cgroup rw,pids\n"

func openOnDemand(t *testing.T, f *fake, mounts string, controllers ...string) *Tree {
	t.Helper()
	tree, err := open(f.kernel(), Config{Name: "s", Controllers: controllers, OnDemand: []string{"pids", "cpuset"}}, mounts, "0::/\n", "0::/\n")
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// Covers: B8
func TestNeedEnablesControllers(t *testing.T) {
	f := hybridFake()
	f.v1("/cg/pids", "pids")
	tree := openOnDemand(t, f, mountsV1+mountPIDs, "memory")
	if got := tree.Dirs(); !slices.Equal(got, []string{"/cg/memory/s"}) {
		t.Errorf("before anything is needed the tree is in %q", got)
	}
	tree.Need("pids", "memory", "freezer")
	tree.Need("pids")
	if got := tree.Dirs(); !slices.Equal(got, []string{"/cg/memory/s", "/cg/pids/s"}) {
		t.Errorf("the tree is in %q", got)
	}
	g := tree.Group("g")
	if err := g.Create(); err != nil {
		t.Fatal(err)
	}
	if errs := g.SetLimits(Limits{PIDs: 7}); errs != nil || f.files["/cg/pids/s/g"]["pids.max"] != "7" {
		t.Errorf("the limit is %q: %v", f.files["/cg/pids/s/g"]["pids.max"], errs)
	}
	if errs := g.SetLimits(Limits{}); errs != nil || f.files["/cg/pids/s/g"]["pids.max"] != "max" {
		t.Errorf("taken back it is %q: %v", f.files["/cg/pids/s/g"]["pids.max"], errs)
	}

	// The next life finds the groups, whether or not it needs them.
	again := openOnDemand(t, f, mountsV1+mountPIDs, "memory")
	if got := again.Dirs(); !slices.Equal(got, []string{"/cg/memory/s", "/cg/pids/s"}) {
		t.Errorf("opened again the tree is in %q", got)
	}
}

// Covers: B8, M2
func TestNeedOnVersion2(t *testing.T) {
	f := newFake()
	f.v2("/sys/fs/cgroup", "memory cpu pids cpuset")
	tree := openOnDemand(t, f, mountV2, "memory")
	if got := f.files["/sys/fs/cgroup/s"]["cgroup.subtree_control"]; got != "memory" {
		t.Errorf("handed down is %q", got)
	}
	tree.Need("cpuset", "pids")
	if got := f.files["/sys/fs/cgroup/s"]["cgroup.subtree_control"]; got != "memory cpuset pids" || len(tree.Dirs()) != 1 {
		t.Errorf("handed down is %q, the tree is in %q", got, tree.Dirs())
	}
	g := tree.Group("g")
	if err := g.Create(); err != nil {
		t.Fatal(err)
	}
	if errs := g.SetLimits(Limits{PIDs: 9, CPUs: "1-2"}); errs != nil {
		t.Error(errs)
	}
	if files := f.files["/sys/fs/cgroup/s/g"]; files["pids.max"] != "9" || files["cpuset.cpus"] != "1-2" {
		t.Errorf("the files are %v", files)
	}
}

// Covers: M3
func TestLimitsWithoutTheirController(t *testing.T) {
	f := hybridFake()
	tree := openOnDemand(t, f, mountsV1, "memory")
	tree.Need("pids", "cpu") // the second is not one of those
	g := tree.Group("g")
	if err := g.Create(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, err := range g.SetLimits(Limits{PIDs: 5, CPUQuota: 1500, CPUs: "0", IO: []DeviceLimit{{Device: "/dev/sda", ReadBytes: 1}}}) {
		got = append(got, err.Error())
	}
	want := []string{
		"the CPU quota of 1.5 processors is not enforced: the controller cpu is switched off",
		"the restriction to the processors 0 is not enforced: the controller cpuset is switched off",
		"the limit of 5 processes is not enforced: no controller pids: the kernel has no such controller, or it is not mounted",
		"the limits of devices are not enforced: the controller blkio is switched off",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if errs := g.SetLimits(Limits{}); errs != nil {
		t.Errorf("without limits: %v", errs)
	}
}

func TestQuotaOfBothVersions(t *testing.T) {
	f := hybridFake()
	v1 := openFake(t, f, mountsV1, "cpu").Group("g")
	f2 := newFake()
	f2.v2("/sys/fs/cgroup", "cpu")
	v2 := openFake(t, f2, mountV2, "cpu").Group("g")
	for _, g := range []Group{v1, v2} {
		if err := g.Create(); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		thousandths int64
		v1, v2      string
	}{{1500, "150000", "150000 100000"}, {10, "1000", "1000 100000"}, {0, "-1", "max 100000"}} {
		for _, g := range []Group{v1, v2} {
			if errs := g.SetLimits(Limits{CPUQuota: tt.thousandths}); errs != nil {
				t.Errorf("%d: %v", tt.thousandths, errs)
			}
		}
		if got := f.files["/cg/cpu,cpuacct/s/g"]["cpu.cfs_quota_us"]; got != tt.v1 {
			t.Errorf("%d: the quota of version 1 is %s", tt.thousandths, got)
		}
		if got := f2.files["/sys/fs/cgroup/s/g"]["cpu.max"]; got != tt.v2 {
			t.Errorf("%d: the quota of version 2 is %s", tt.thousandths, got)
		}
	}
}

func TestCPUs(t *testing.T) {
	for _, tt := range []struct {
		some, all string
		want      bool
	}{
		{"0", "0-3", true}, {"0-3", "0,1,2,3", true}, {"0,4", "0-3", false}, {"", "0", true}, {"2-1", "0", true}, {"x,1", "1", true},
	} {
		if got := subset(cpus(tt.some), cpus(tt.all)); got != tt.want {
			t.Errorf("%q in %q: %v", tt.some, tt.all, got)
		}
	}
}

// The kernel's own files, of whichever versions are mounted here.
//
// Covers: M3
func TestLimitsOfTheKernelOnDemand(t *testing.T) {
	tree := realTree(t)
	tree.o.c.OnDemand = []string{"pids", "cpuset", "blkio"}
	tree.Need("pids", "cpuset", "blkio")
	if u := tree.Unavailable(); len(u) != 0 {
		t.Fatalf("this kernel lacks controllers: %v", u)
	}
	g := tree.Group("web:limits.0.scope")
	if err := g.Create(); err != nil {
		t.Fatal(err)
	}
	shown := func(names ...string) string {
		for _, b := range tree.now() {
			for _, name := range names {
				if text, err := realKernel.read(path.Join(b.dir, "web:limits.0.scope", name)); err == nil {
					return text
				}
			}
		}
		return "no such file"
	}
	for _, tt := range []struct {
		limits      Limits
		pids, quota string // versions 1 and 2
	}{
		{Limits{PIDs: 12, CPUQuota: 250, CPUs: "0"}, "12", "25000"},
		{Limits{PIDs: 4, CPUQuota: 2000}, "4", "200000"},
		{Limits{}, "max", ""},
	} {
		if errs := g.SetLimits(tt.limits); errs != nil {
			t.Fatalf("M3: %+v: %v", tt.limits, errs)
		}
		if got := shown("pids.max"); got != tt.pids {
			t.Errorf("%+v: pids.max is %s", tt.limits, got)
		}
		quota := shown("cpu.cfs_quota_us", "cpu.max")
		if got, _, _ := strings.Cut(quota, " "); tt.quota != "" && got != tt.quota || tt.quota == "" && got != "-1" && got != "max" {
			t.Errorf("%+v: the quota is %s", tt.limits, quota)
		}
		all := cpus(shown("cpuset.effective_cpus", "cpuset.cpus.effective"))
		if tt.limits.CPUs == "0" && len(all) != 1 {
			t.Errorf("%+v: the processors are %v", tt.limits, all)
		}
	}
	// A processor that no host has.
	errs := g.SetLimits(Limits{CPUs: "4000"})
	if len(errs) != 1 || !strings.HasPrefix(errs[0].Error(), "the restriction to the processors 4000 is not enforced") {
		t.Errorf("M3: %v", errs)
	}
	_ = g.SetLimits(Limits{})
	testDevice(t, g, shown)
}

func testDevice(t *testing.T, g Group, shown func(...string) string) {
	const disk = "/dev/vda" // there in the virtual machine and on most hosts of tests
	number, err := device(disk)
	if err != nil {
		number = ""
	}
	errs := g.SetLimits(Limits{IO: []DeviceLimit{{Device: disk, ReadBytes: 1 << 20, WriteOps: 77}}})
	if number == "" {
		if len(errs) != 1 {
			t.Errorf("M3: a device that is not there: %v", errs)
		}
		return
	}
	if errs != nil {
		t.Fatalf("M3: %v", errs)
	}
	if got := shown("blkio.throttle.read_bps_device", "io.max"); !strings.Contains(got, number+" 1048576") && !strings.Contains(got, "rbps=1048576") {
		t.Errorf("the rate is %q", got)
	}
	if errs := g.SetLimits(Limits{}); errs != nil {
		t.Error(errs)
	}
	if got := shown("blkio.throttle.read_bps_device", "io.max"); strings.Contains(got, number) {
		t.Errorf("taken back the rate is %q", got)
	}
	if errs := g.SetLimits(Limits{IO: []DeviceLimit{{Device: "/dev/null", ReadBytes: 1}}}); len(errs) != 1 || !strings.Contains(errs[0].Error(), "no block device") {
		t.Errorf("M3: a device of characters: %v", errs)
	}
}
