package cgroup

import (
	"io"
	"os"
	"reflect"
	"testing"
)

// The text that the kernel gives, by version.
//
// Covers: M3
func TestLimitsInForceOfBothVersions(t *testing.T) {
	io := []DeviceLimit{{Device: "8:0", ReadBytes: 1048576, WriteOps: 77}, {Device: "8:16", WriteBytes: 5}}
	for _, tt := range []struct {
		name, mounts, its string
		files             map[string]string // of the group
		want              InForce
	}{
		{
			"version 1",
			"33 31 0:30 / /cg rw - cgroup cgroup rw,cpu,memory,pids,cpuset,blkio\n",
			"4:memory,cpu,pids,cpuset,blkio:/s/g\n",
			map[string]string{
				"memory.limit_in_bytes": "67108864", "memory.memsw.limit_in_bytes": "67108864", "cpu.shares": "2048",
				"cpu.cfs_quota_us": "25000", "cpu.cfs_period_us": "50000", "pids.max": "12", "cpuset.effective_cpus": "0-1",
				"blkio.throttle.read_bps_device": "8:0 1048576", "blkio.throttle.write_bps_device": "8:16 5",
				"blkio.throttle.read_iops_device": "", "blkio.throttle.write_iops_device": "8:0 77",
			},
			InForce{Limits: Limits{Memory: 64 << 20, CPUShares: 2048, CPUQuota: 500, CPUs: "0-1", PIDs: 12, IO: io}},
		},
		{
			"version 1 without limits, on a kernel that does not count swap",
			"33 31 0:30 / /cg rw - cgroup cgroup rw,cpu,memory,pids\n",
			"4:memory,cpu,pids:/s/g\n",
			map[string]string{
				"memory.limit_in_bytes": "9223372036854771712", "cpu.shares": "1024", "cpu.cfs_quota_us": "-1",
				"cpu.cfs_period_us": "100000", "pids.max": "max",
			},
			InForce{Limits: Limits{CPUShares: 1024}},
		},
		{
			"version 2",
			"30 1 0:26 / /cg rw - cgroup2 cgroup2 rw\n",
			"0::/s/g\n",
			map[string]string{
				"cgroup.controllers": "cpuset cpu io memory pids", "memory.max": "67108864", "cpu.weight": "39",
				"cpu.max": "150000 100000", "pids.max": "max", "cpuset.cpus.effective": "1",
				"io.max": "8:0 rbps=1048576 wbps=max riops=max wiops=77\n8:16 rbps=max wbps=5 riops=max wiops=max",
			},
			InForce{Limits: Limits{Memory: 64 << 20, CPUQuota: 1500, CPUs: "1", IO: io}, CPUWeight: 39},
		},
		{
			"version 2 without controllers",
			"30 1 0:26 / /cg rw - cgroup2 cgroup2 rw\n",
			"0::/s/g\n",
			map[string]string{"cgroup.controllers": ""},
			InForce{},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake()
			f.files["/cg/s/g"] = tt.files
			got, err := f.kernel().inForce(parseMounts(tt.mounts), parseMembership(tt.its))
			if err != nil || !reflect.DeepEqual(*got, tt.want) {
				t.Errorf("%+v, %v\nwant %+v", got, err, tt.want)
			}
		})
	}
	mounts := parseMounts("33 31 0:30 /docker/1 /cg rw - cgroup cgroup rw,memory\n")
	if got, err := newFake().kernel().inForce(mounts, parseMembership("4:memory:/lithos/g\n")); err == nil {
		t.Errorf("of a group that is not mounted here: %+v", got)
	}
}

// Covers: M3
func TestLimitsInForceOfAProcess(t *testing.T) {
	tree := realTree(t)
	tree.o.c.OnDemand = []string{"pids", "cpuset"}
	tree.Need("pids", "cpuset")
	g := tree.Group("web:held.0.scope")
	if err := g.Create(); err != nil {
		t.Fatal(err)
	}
	in, stop, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	out, told, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	pid := start(t, g, in, told, "show")
	told.Close()
	t.Cleanup(func() {
		stop.Close()
		wait(t, pid)
		if _, err := OfPID(pid); err == nil {
			t.Error("no error of a process that has ended")
		}
	})
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil { // it is in the group by now
		t.Fatal(err)
	}
	for _, want := range []Limits{
		{Memory: 48 << 20, CPUShares: 1024, PIDs: 7, CPUQuota: 250, CPUs: "0"},
		{CPUShares: 2048, CPUQuota: 3000},
		{CPUShares: 512},
	} {
		if errs := g.SetLimits(want); errs != nil {
			t.Fatal(errs)
		}
		got, err := OfPID(pid)
		if err != nil {
			t.Fatal(err)
		}
		if !SameCPUs(want.CPUs, got.CPUs) || want.CPUs == "" && got.CPUs == "" {
			t.Errorf("the processors of %+v are %q", want, got.CPUs)
		}
		if got.CPUWeight != 0 {
			if got.CPUWeight != Weight(want.CPUShares) {
				t.Errorf("the weight of %d shares is %d", want.CPUShares, got.CPUWeight)
			}
			got.CPUShares = want.CPUShares
		}
		got.CPUs = want.CPUs
		if !reflect.DeepEqual(got.Limits, want) {
			t.Errorf("%+v, want %+v", got.Limits, want)
		}
	}
}
