package cgroup

import (
	"reflect"
	"testing"
	"time"
)

// group makes a group on a pretended host, with these files in it, by
// directory.
func (f *fake) group(t *testing.T, mounts, membership string, controllers []string, files map[string]map[string]string) Group {
	t.Helper()
	tree, err := open(f.kernel(), Config{Name: "l.slice", Controllers: controllers}, mounts, membership, membership)
	if err != nil {
		t.Fatal(err)
	}
	g := tree.Group("a:b.0.scope")
	if err := g.Create(); err != nil {
		t.Fatal(err)
	}
	for dir, list := range files {
		for name, value := range list {
			f.files[dir+"/l.slice/a:b.0.scope"][name] = value
		}
	}
	return g
}

func wantUsage(t *testing.T, g Group, usage, waits Usage) {
	t.Helper()
	u := g.Usage()
	if !reflect.DeepEqual(u, usage) {
		t.Errorf("usage %+v, want %+v", u, usage)
	}
	if g.Waits(&u); !reflect.DeepEqual(u, waits) {
		t.Errorf("with waits %+v, want %+v", u, waits)
	}
}

func TestUsageV1(t *testing.T) {
	f := newFake()
	f.v1("/cg/cpu,cpuacct", "cpu", "cpuacct")
	f.v1("/cg/memory", "memory")
	g := f.group(t, mountsV1, "1:memory:/\n2:cpu,cpuacct:/\n", []string{"cpu", "cpuacct", "memory"}, map[string]map[string]string{
		"/cg/memory": {
			"memory.usage_in_bytes": "100\n", "memory.max_usage_in_bytes": "200\n", "memory.limit_in_bytes": "409600",
			"memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n", "cgroup.procs": "7\n8\n",
		},
		"/cg/cpu,cpuacct": {"cpuacct.usage": "5000\n", "cpu.stat": "nr_periods 1\nthrottled_time 6000\n", "cgroup.procs": "7\n8\n"},
	})
	want := Usage{Memory: 100, MemoryPeak: 200, MemoryLimit: 409600, OOMKills: 4, CPU: 5000, Throttled: Unknown, Processes: 2}
	waits := want
	waits.Throttled = 6000
	wantUsage(t, g, want, waits)
	wantUsage(t, g.t.Group("gone"), NoUsage, NoUsage)
}

func TestUsageV2(t *testing.T) {
	f := newFake()
	f.v2("/sys/fs/cgroup", "cpu memory pids")
	g := f.group(t, mountV2, "0::/\n", []string{"cpu", "cpuacct", "memory", "pids"}, map[string]map[string]string{
		"/sys/fs/cgroup": {
			"memory.current": "100\n", "memory.peak": "200\n", "memory.max": "max\n", "memory.events": "low 0\noom 5\noom_kill 4\n",
			"cpu.stat": "usage_usec 5\nthrottled_usec 6\n", "pids.current": "3\n",
			"memory.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=7\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=8\n",
		},
	})
	want := Usage{Memory: 100, MemoryPeak: 200, OOMKills: 4, CPU: 5 * time.Microsecond, Throttled: Unknown, Processes: 3}
	waits := want
	waits.Throttled = 6 * time.Microsecond
	waits.Pressure = map[string]Pressure{"memory": {Some: 7 * time.Microsecond, Full: 8 * time.Microsecond}}
	wantUsage(t, g, want, waits)
}
