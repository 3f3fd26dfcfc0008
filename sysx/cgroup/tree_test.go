package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	mountV2      = "40 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	mountUnified = "41 31 0:38 / /cg/unified rw - cgroup2 cgroup2 rw\n"
	mountsV1     = `31 23 0:28 / /cg rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /cg/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpuacct,cpu
35 31 0:32 / /cg/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /cg/systemd rw,relatime - cgroup cgroup rw,xattr,release_agent=/lib/x,name=systemd
36 31 0:33 / /cg/cpuset rw,relatime - cgroup cgroup rw,cpuset
`
)

var self = fmt.Sprint(os.Getpid())

func TestParseMounts(t *testing.T) {
	text := mountsV1 + `50 31 0:32 /docker/a /cg/other rw - cgroup cgroup rw,memory
51 31 0:44 /docker/a /cg/pids rw - cgroup cgroup rw,pids
52 31 0:44 / /with\040space rw - cgroup cgroup rw,pids
53 31 0:45 / /proc rw - proc proc rw
54 31 nonsense
` + mountUnified
	want := []hierarchy{
		{controllers: []string{"cpu", "cpuacct"}, mount: "/cg/cpu,cpuacct", root: "/"},
		{controllers: []string{"memory"}, mount: "/cg/memory", root: "/"},
		{controllers: []string{"name=systemd"}, mount: "/cg/systemd", root: "/"},
		{controllers: []string{"cpuset"}, mount: "/cg/cpuset", root: "/"},
		{controllers: []string{"pids"}, mount: "/with space", root: "/"},
		{v2: true, mount: "/cg/unified", root: "/"},
	}
	if got := parseMounts(text); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestHierarchyDir(t *testing.T) {
	m := parseMembership("9:cpuacct,cpu:/a:b\n4:memory:/docker/x/y\n0::/user.slice\n\nnonsense\n")
	tests := []struct {
		h    hierarchy
		want string
	}{
		{hierarchy{controllers: []string{"cpu", "cpuacct"}, mount: "/cg/cpu", root: "/"}, "/cg/cpu/a:b"},
		{hierarchy{v2: true, mount: "/cg", root: "/"}, "/cg/user.slice"},
		{hierarchy{controllers: []string{"memory"}, mount: "/cg/m", root: "/docker/x"}, "/cg/m/y"},
		{hierarchy{controllers: []string{"memory"}, mount: "/cg/m", root: "/docker/x/y"}, "/cg/m"},
		{hierarchy{controllers: []string{"memory"}, mount: "/cg/m", root: "/docker/xx"}, "/cg/m"},
		{hierarchy{controllers: []string{"pids"}, mount: "/cg/p", root: "/"}, "/cg/p"},
	}
	for _, tt := range tests {
		if got := tt.h.path(m.group(tt.h)); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.h, got, tt.want)
		}
	}
	if got := (hierarchy{mount: "/cg", root: "/"}).path("/../../x"); got != "/cg" {
		t.Errorf("a group outside the cgroup namespace is %s", got)
	}
}

var defaults = []string{"name", "cpu", "cpuacct", "memory", "blkio"}

func missing(t *Tree) string {
	var names []string
	for _, u := range t.Unavailable() {
		names = append(names, u.Controller)
	}
	return strings.Join(names, " ")
}

// Covers: B7, B8, M1, M2
func TestTreeOnVersion2(t *testing.T) {
	const all = "cpuset cpu io memory pids"
	service, inSlice := "/system.slice/lithos.service", "/lithos.slice/lithos.service"
	tests := []struct {
		name, own, offered string
		groups             []string
		config             Config
		prepare            func(f *fake)
		dir                string // of the tree
		leaf               string // where the process is afterwards
		missing            string
		enabled            []string // which groups hand down memory
	}{
		{name: "in the root group", own: "/", offered: all, config: Config{Name: "lithos.slice"},
			dir: "/lithos.slice", leaf: "/lithos.slice/supervisor", enabled: []string{"", "/lithos.slice"}},
		{name: "own group delegated", own: service, offered: all, groups: []string{"system.slice", service}, config: Config{Name: "lithos.slice"},
			prepare: func(f *fake) { f.marked["/sys/fs/cgroup"+service] = true },
			dir:     service + "/lithos.slice", leaf: service + "/lithos.slice/supervisor",
			enabled: []string{service, service + "/lithos.slice"}},
		{name: "a service in the slice of that name", own: inSlice, offered: all, groups: []string{"lithos.slice", inSlice}, config: Config{Name: "lithos.slice"},
			prepare: func(f *fake) { f.marked["/sys/fs/cgroup"+inSlice] = true },
			dir:     "/lithos.slice", leaf: inSlice, enabled: []string{"", "/lithos.slice"}},
		{name: "a service in the slice of a name of two parts", own: "/a/b/lithos.service", offered: all, groups: []string{"a", "a/b", "a/b/lithos.service"},
			config: Config{Name: "a/b"}, prepare: func(f *fake) { f.marked["/sys/fs/cgroup/a/b/lithos.service"] = true },
			dir: "/a/b", leaf: "/a/b/lithos.service", enabled: []string{"", "/a", "/a/b"}},
		{name: "in the slice of that name, not delegated", own: inSlice, offered: all, groups: []string{"lithos.slice", inSlice}, config: Config{Name: "lithos.slice"},
			dir: "/lithos.slice", leaf: inSlice, enabled: []string{"", "/lithos.slice"}},
		{name: "own group not delegated", own: service, offered: all, groups: []string{"system.slice", service}, config: Config{Name: "lithos.slice"},
			dir: "/lithos.slice", leaf: service, enabled: []string{"", "/lithos.slice"}},
		{name: "already in the leaf", own: service + "/lithos.slice/supervisor", offered: all,
			groups: []string{"system.slice", service, service + "/lithos.slice", service + "/lithos.slice/supervisor"},
			config: Config{Name: "lithos.slice"},
			dir:    service + "/lithos.slice", leaf: service + "/lithos.slice/supervisor",
			enabled: []string{service, service + "/lithos.slice"}},
		{name: "a name of two parts", own: "/", offered: all, config: Config{Name: "a/b"},
			dir: "/a/b", leaf: "/a/b/supervisor", enabled: []string{"", "/a", "/a/b"}},
		{name: "told to stay", own: "/", offered: all, config: Config{Name: "lithos.slice", Stay: true},
			dir: "/lithos.slice", leaf: "/", enabled: []string{"", "/lithos.slice"}},
		{name: "no memory controller", own: "/", offered: "cpu", config: Config{Name: "lithos.slice"},
			dir: "/lithos.slice", leaf: "/lithos.slice/supervisor", missing: "memory blkio"},
		{name: "delegated, but told to stay", own: service, offered: all, groups: []string{"system.slice", service},
			config: Config{Name: "lithos.slice", Stay: true}, prepare: func(f *fake) { f.marked["/sys/fs/cgroup"+service] = true },
			dir: service + "/lithos.slice", leaf: service, missing: "cpu memory blkio"},
		{name: "only names", own: "/", offered: all, config: Config{Name: "lithos.slice", Controllers: []string{"name"}},
			dir: "/lithos.slice", leaf: "/lithos.slice/supervisor"},
		{name: "unknown and joined controllers", own: "/", offered: all,
			config: Config{Name: "lithos.slice", Controllers: []string{"cpu,cpuacct", "memory", "nonsense"}},
			dir:    "/lithos.slice", leaf: "/lithos.slice/supervisor", missing: "nonsense", enabled: []string{"", "/lithos.slice"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake()
			f.v2("/sys/fs/cgroup", tt.offered, tt.groups...)
			if tt.prepare != nil {
				tt.prepare(f)
			}
			f.files[path.Join("/sys/fs/cgroup", tt.own)]["cgroup.procs"] = self
			if tt.config.Controllers == nil {
				tt.config.Controllers = defaults
			}
			tree, err := open(f.kernel(), tt.config, mountV2, "0::/init.scope\n", "0::"+tt.own+"\n")
			if err != nil {
				t.Fatal(err)
			}
			if got := tree.Dirs(); !slices.Equal(got, []string{"/sys/fs/cgroup" + tt.dir}) {
				t.Errorf("the tree is in %q", got)
			}
			if got := missing(tree); got != tt.missing {
				t.Errorf("missing is %q, want %q", got, tt.missing)
			}
			if below := strings.HasPrefix(tt.dir, service); tree.Inside() != below {
				t.Errorf("Inside is %v", !below)
			}
			if got, err := tree.List(); err != nil || len(got) > 0 && f.marked["/sys/fs/cgroup"+tt.own] {
				t.Errorf("M6: taken for groups of containers: %q, %v", got, err)
			}
			var leaf string
			var enabled []string
			for dir, files := range f.files {
				if files["cgroup.procs"] == self {
					leaf = strings.TrimPrefix(dir, "/sys/fs/cgroup")
				}
				if strings.Contains(files["cgroup.subtree_control"], "memory") {
					enabled = append(enabled, strings.TrimPrefix(dir, "/sys/fs/cgroup"))
				}
			}
			slices.Sort(enabled)
			if path.Join("/", leaf) != tt.leaf || !slices.Equal(enabled, tt.enabled) {
				t.Errorf("the process is in %s, memory is handed down by %q", leaf, enabled)
			}
		})
	}
}

// Children of the process, such as one that reads the configs in images, are in
// its group when it starts. None of them keeps it from setting limits.
//
// Covers: M1, M2
func TestChildrenInTheDelegatedGroup(t *testing.T) {
	const service = "/sys/fs/cgroup/system.slice/lithos.service"
	f := newFake()
	f.v2("/sys/fs/cgroup", "cpu memory io pids", "system.slice", "system.slice/lithos.service")
	f.marked[service] = true
	f.files[service]["cgroup.procs"] = self + " 4000000 4000001"
	f.ending = "4000001"
	tree, err := open(f.kernel(), Config{Name: "lithos.slice", Controllers: defaults}, mountV2, "0::/init.scope\n", "0::/system.slice/lithos.service\n")
	if err != nil {
		t.Fatal(err)
	}
	if got := missing(tree); got != "" {
		t.Errorf("missing is %q", got)
	}
	leaf := f.files[service+"/lithos.slice/supervisor"]
	if got := leaf["cgroup.procs"]; got != self+" 4000000 4000001" {
		t.Errorf("in the leaf are %q", got)
	}
	// The containers' groups are beside it, and may be a thousand.
	if got := leaf["cpu.weight"]; got != "10000" {
		t.Errorf("the weight of the leaf is %q", got)
	}
}

func hybridFake() *fake {
	f := newFake()
	f.v1("/cg/cpu,cpuacct", "cpu", "cpuacct")
	f.v1("/cg/memory", "memory")
	f.v1("/cg/memory/init", "memory")
	f.v1("/cg/systemd")
	f.v1("/cg/cpuset", "cpuset")
	f.files["/cg/cpuset"]["cpuset.cpus"], f.files["/cg/cpuset"]["cpuset.mems"] = "0-3", "0"
	return f
}

// Covers: B8, M1, M2
func TestTreeOnVersion1AndHybrid(t *testing.T) {
	const groups = "5:cpu,cpuacct:/\n4:memory:/init\n1:name=systemd:/\n3:cpuset:/\n0::/\n"
	f := hybridFake()
	tree, err := open(f.kernel(), Config{Name: "lithos.slice", Controllers: append(defaults, "cpuset")}, mountsV1, groups, groups)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"/cg/cpu,cpuacct/lithos.slice", "/cg/memory/init/lithos.slice", "/cg/systemd/lithos.slice", "/cg/cpuset/lithos.slice"}
	if got := tree.Dirs(); !slices.Equal(got, want) {
		t.Errorf("M1: the tree is in %q, want %q", got, want)
	}
	if got := missing(tree); got != "blkio" {
		t.Errorf("missing is %q", got)
	}
	if err := tree.Group("web:a.0.scope").Create(); err != nil {
		t.Fatal(err)
	}
	if got := f.files["/cg/cpuset/lithos.slice/web:a.0.scope"]["cpuset.cpus"]; got != "0-3" {
		t.Errorf("a cpuset group would take no process: its cpus are %q", got)
	}

	// The rest of the controllers is in version 2.
	f = hybridFake()
	f.v2("/cg/unified", "io pids")
	tree, err = open(f.kernel(), Config{Name: "lithos.slice", Controllers: defaults}, mountsV1+mountUnified, groups, groups)
	if err != nil {
		t.Fatal(err)
	}
	if got := tree.Dirs(); !slices.Contains(got, "/cg/unified/lithos.slice") || !slices.Contains(got, "/cg/memory/init/lithos.slice") || missing(tree) != "" {
		t.Errorf("M2: the tree is in %q, missing is %q", got, missing(tree))
	}
	if got := f.files["/cg/unified/lithos.slice"]["cgroup.subtree_control"]; got != "io" {
		t.Errorf("M2: version 2 hands down %q", got)
	}
}

func TestOpen_Errors(t *testing.T) {
	fails := newFake()
	fails.v2("/sys/fs/cgroup", "memory")
	k := fails.kernel()
	k.mkdir = func(string) error { return unix.EROFS }
	tests := []struct {
		name, mounts string
		k            kernel
		config       Config
		want         string
	}{
		{"nothing mounted", "", fails.kernel(), Config{Name: "x", Controllers: defaults}, "not mounted"},
		{"read-only", mountV2, k, Config{Name: "x", Controllers: defaults}, "read-only file system"},
		{"no controllers", mountV2, fails.kernel(), Config{Name: "x"}, "no controllers were asked for"},
		{"empty name", mountV2, fails.kernel(), Config{Controllers: defaults}, "name"},
		{"absolute name", mountV2, fails.kernel(), Config{Name: "/x", Controllers: defaults}, "name"},
		{"name upwards", mountV2, fails.kernel(), Config{Name: "a/../../x", Controllers: defaults}, "name"},
		{"name of a dot", mountV2, fails.kernel(), Config{Name: ".", Controllers: defaults}, "name"},
	}
	for _, tt := range tests {
		if _, err := open(tt.k, tt.config, tt.mounts, "0::/\n", "0::/\n"); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error is %v", tt.name, err)
		}
	}
}

func openFake(t *testing.T, f *fake, mounts string, controllers ...string) *Tree {
	t.Helper()
	tree, err := open(f.kernel(), Config{Name: "s", Controllers: controllers}, mounts, "0::/\n", "0::/\n")
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// Covers: M5, M6
func TestGroupsAreReusedListedAndRemoved(t *testing.T) {
	f := hybridFake()
	f.v2("/cg/unified", "io")
	tree := openFake(t, f, mountsV1+mountUnified, "name", "memory", "io")
	for _, name := range []string{"b:x.0.scope", "a:x.0.scope", "b:x.0.scope"} {
		if err := tree.Group(name).Create(); err != nil {
			t.Fatalf("M5: %v", err)
		}
	}
	delete(f.files, "/cg/memory/s/a:x.0.scope") // half removed
	if got, err := tree.List(); err != nil || !slices.Equal(got, []string{"a:x.0.scope", "b:x.0.scope"}) {
		t.Errorf("M6: the groups are %q, %v", got, err)
	}
	f.files["/cg/unified/s/b:x.0.scope"]["cgroup.procs"] = "17\n4"
	f.files["/cg/systemd/s/b:x.0.scope"]["cgroup.procs"] = "17"
	if pids, err := tree.Group("b:x.0.scope").PIDs(); err != nil || !slices.Equal(pids, []int{4, 17}) {
		t.Errorf("the processes are %d, %v", pids, err)
	}
	if err := tree.Group("b:x.0.scope").TryRemove(); !errors.Is(err, ErrBusy) {
		t.Errorf("removing a group with processes: %v", err)
	}
	f.files["/cg/unified/s/b:x.0.scope"]["cgroup.procs"] = ""
	f.files["/cg/systemd/s/b:x.0.scope"]["cgroup.procs"] = ""
	if err := f.mkdir("/cg/unified/s/b:x.0.scope/below"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a:x.0.scope", "b:x.0.scope", "never:made.0.scope"} {
		if err := tree.Group(name).Remove(0); err != nil {
			t.Errorf("M5: %v", err)
		}
	}
	if got, err := tree.List(); err != nil || len(got) != 0 {
		t.Errorf("left is %q, %v", got, err)
	}
}

func TestCreate_BadNames(t *testing.T) {
	f := newFake()
	f.v2("/sys/fs/cgroup", "memory")
	tree := openFake(t, f, mountV2, "name")
	for _, name := range []string{"", ".", "..", "a/b", Leaf} {
		if err := tree.Group(name).Create(); err == nil {
			t.Errorf("a group was made by the name of %q", name)
		}
	}
}

// Covers: M3
func TestLimitsOfVersion1(t *testing.T) {
	f := hybridFake()
	tree := openFake(t, f, mountsV1, "memory", "cpu")
	g := tree.Group("g")
	if err := g.Create(); err != nil {
		t.Fatal(err)
	}
	files := f.files["/cg/memory/s/g"]
	// Each from the one before: set, lower, raise, raise above memsw, none.
	for _, limit := range []int64{64 << 20, 32 << 20, 48<<20 + 1, 1 << 33, 0, 4096, 0} {
		if errs := g.SetLimits(Limits{Memory: limit}); errs != nil {
			t.Fatalf("%d: %v", limit, errs)
		}
		want := fmt.Sprint(limit / 4096 * 4096)
		if limit == 0 {
			want = "9223372036854771712"
		}
		if files["memory.limit_in_bytes"] != want || files["memory.memsw.limit_in_bytes"] != want {
			t.Errorf("%d: the limits are %v", limit, files)
		}
	}
	for _, shares := range []uint64{2, 1024, 262144} {
		if errs := g.SetLimits(Limits{CPUShares: shares}); errs != nil || f.files["/cg/cpu,cpuacct/s/g"]["cpu.shares"] != fmt.Sprint(shares) {
			t.Errorf("shares %d: %v", shares, errs)
		}
	}
	// The kernel takes 1 and 300000 without a word and makes other numbers of them.
	for _, shares := range []uint64{1, 300000} {
		if errs := g.SetLimits(Limits{CPUShares: shares}); len(errs) != 1 || !strings.Contains(errs[0].Error(), "cpu.shares is ") {
			t.Errorf("shares %d: %v", shares, errs)
		}
	}
	f.swapless = true
	g = tree.Group("swapless")
	if err := g.Create(); err != nil {
		t.Fatal(err)
	}
	if errs := g.SetLimits(Limits{Memory: 4096}); errs != nil || f.files["/cg/memory/s/swapless"]["memory.limit_in_bytes"] != "4096" {
		t.Errorf("without swap accounting: %v", errs)
	}
}

// Covers: M3
func TestLimitsOfVersion2(t *testing.T) {
	f := newFake()
	f.v2("/sys/fs/cgroup", "memory cpu")
	tree := openFake(t, f, mountV2, "memory", "cpu")
	g := tree.Group("g")
	if err := g.Create(); err != nil {
		t.Fatal(err)
	}
	files := f.files["/sys/fs/cgroup/s/g"]
	for _, tt := range []struct {
		limits            Limits
		max, swap, weight string
	}{
		{Limits{Memory: 64<<20 + 5, CPUShares: 1024}, "67108864", "0", "39"},
		{Limits{Memory: 0, CPUShares: 2}, "max", "max", "1"},
		{Limits{Memory: 4096, CPUShares: 262144}, "4096", "0", "10000"},
		{Limits{Memory: 4096, CPUShares: 0}, "4096", "0", "10000"},
	} {
		if errs := g.SetLimits(tt.limits); errs != nil {
			t.Errorf("%v: %v", tt.limits, errs)
		}
		if files["memory.max"] != tt.max || files["memory.swap.max"] != tt.swap || files["cpu.weight"] != tt.weight {
			t.Errorf("%v: the files are %v", tt.limits, files)
		}
	}
	f.swapless = true
	g = tree.Group("swapless")
	if err := g.Create(); err != nil {
		t.Fatal(err)
	}
	if errs := g.SetLimits(Limits{Memory: 4096}); errs != nil {
		t.Errorf("without swap accounting: %v", errs)
	}
}

// Covers: M3
func TestLimitsThatCannotBeAppliedAreReported(t *testing.T) {
	f := newFake()
	f.v2("/sys/fs/cgroup", "cpu")
	named := openFake(t, f, mountV2, "name")
	lacking := openFake(t, f, mountV2, "memory", "cpu", "name")
	lying := openFake(t, f, mountV2, "cpu")
	lying.k.write = func(string, string) error { return nil }
	failing := openFake(t, f, mountV2, "cpu")
	failing.k.write = func(string, string) error { return unix.EBUSY }
	if err := named.Group("g").Create(); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		tree   *Tree
		limits Limits
		want   []string
	}{
		{"only names, nothing asked", named, Limits{CPUShares: DefaultCPUShares}, nil},
		{"only names", named, Limits{Memory: 4096, CPUShares: 512}, []string{
			"the memory limit of 4096 bytes is not enforced: the controller memory is switched off",
			"the CPU share of 512 is not enforced: the controller cpu is switched off"}},
		{"no memory controller", lacking, Limits{Memory: 4096, CPUShares: 512}, []string{
			"the memory limit of 4096 bytes is not enforced: no controller memory: the kernel has no such controller, or it is not mounted"}},
		{"a value that did not stick", lying, Limits{Memory: 0, CPUShares: 77}, []string{"the CPU share of 77 is not enforced: /sys/fs/cgroup/s/g/cpu.weight is 20 afterwards"}},
		{"an error", failing, Limits{Memory: 0, CPUShares: 77}, []string{"the CPU share of 77 is not enforced: device or resource busy"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, err := range tt.tree.Group("g").SetLimits(tt.limits) {
				got = append(got, err.Error())
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// The kernel says only that it is to be tried again.
//
// Covers: M3, N3
func TestGroupLimitReached(t *testing.T) {
	for want, err := range map[string]error{"cgroup.max.descendants": unix.EAGAIN, "": fs.ErrExist} {
		k := kernel{mkdir: func(string) error { return &fs.PathError{Op: "mkdir", Path: "/g", Err: err} }}
		if got := k.ensure("/g"); (got != nil) != (want != "") || got != nil && !strings.Contains(got.Error(), want) {
			t.Errorf("%v: %v", err, got)
		}
	}
}
