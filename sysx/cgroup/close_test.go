package cgroup

import (
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

func dirsOf(f *fake) []string { return slices.Sorted(maps.Keys(f.files)) }

func TestClose_RemovesWhatOpenMade(t *testing.T) {
	self := strconv.Itoa(os.Getpid())
	tests := []struct {
		name   string
		before []string // groups that are there already
		own    string
		marked bool
		stay   []string // groups that are there afterwards, besides before
	}{
		{"from the root group", nil, "", false, nil},
		{"the group was there", []string{"lithos.slice"}, "", false, nil},
		{"a delegated group", []string{"unit"}, "unit", true, []string{"unit/lithos.slice", "unit/lithos.slice/supervisor"}},
		{"a group of somebody else", []string{"other"}, "other", false, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake()
			f.v2("/cg", "cpu io memory", tt.before...)
			own := path.Join("/cg", tt.own)
			f.marked[own] = tt.marked
			f.files[own]["cgroup.procs"] = self
			want := dirsOf(f)
			for _, dir := range tt.stay {
				want = append(want, path.Join("/cg", dir))
			}
			slices.Sort(want)
			tree, err := open(f.kernel(), Config{Name: "lithos.slice", Controllers: []string{"memory"}},
				"30 23 0:26 / /cg rw - cgroup2 cgroup2 rw\n", "0::/\n", "0::/"+tt.own+"\n")
			if err != nil {
				t.Fatal(err)
			}
			tree.Close()
			if got := dirsOf(f); !slices.Equal(got, want) {
				t.Errorf("there are %q, want %q", got, want)
			}
		})
	}
}

func TestClose_Version1(t *testing.T) {
	f := hybridFake()
	want := dirsOf(f)
	tree, err := open(f.kernel(), Config{Name: "lithos.slice", Controllers: []string{"name", "memory"}}, mountsV1, "3:memory:/init\n1:name=systemd:/\n", "0::/\n")
	if err != nil {
		t.Fatal(err)
	}
	if err := tree.Group("a:b.0.scope").Create(); err != nil {
		t.Fatal(err)
	}
	tree.Close()
	if got := dirsOf(f); slices.Equal(got, want) {
		t.Error("a group that has groups in it was removed")
	}
	if err := tree.Group("a:b.0.scope").Remove(0); err != nil {
		t.Fatal(err)
	}
	tree.Close()
	if got := dirsOf(f); !slices.Equal(got, want) {
		t.Errorf("there are %q, want %q", got, want)
	}
}

// A process that was killed could not remove its groups; its successor does.
func TestClose_RemovesWhatAnEarlierLifeMade(t *testing.T) {
	f := hybridFake()
	want := dirsOf(f)
	config := Config{Name: "lithos.slice", Controllers: []string{"name", "memory"}}
	killed, err := open(f.kernel(), config, mountsV1, "3:memory:/init\n1:name=systemd:/\n", "0::/\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range killed.made {
		f.own[dir] = true
	}
	tree, err := open(f.kernel(), config, mountsV1, "3:memory:/init\n1:name=systemd:/\n", "0::/\n")
	if err != nil {
		t.Fatal(err)
	}
	tree.Close()
	if got := dirsOf(f); !slices.Equal(got, want) {
		t.Errorf("there are %q, want %q", got, want)
	}
}

// A process that has executed another program is in its leaf when it opens the
// tree again.
func TestClose_RemovesWhatThisProcessMadeBeforeAnExec(t *testing.T) {
	f := newFake()
	f.v2("/cg", "cpu io memory")
	f.files["/cg"]["cgroup.procs"] = strconv.Itoa(os.Getpid())
	want := dirsOf(f)
	config := Config{Name: "lithos.slice", Controllers: []string{"memory"}}
	const mounts = "30 23 0:26 / /cg rw - cgroup2 cgroup2 rw\n"
	before, err := open(f.kernel(), config, mounts, "0::/\n", "0::/\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range before.made {
		f.own[dir] = true
	}
	after, err := open(f.kernel(), config, mounts, "0::/\n", "0::/lithos.slice/supervisor\n")
	if err != nil {
		t.Fatal(err)
	}
	after.Close()
	if got := dirsOf(f); !slices.Equal(got, want) {
		t.Errorf("there are %q, want %q", got, want)
	}
}

// The kernel does not move a thread that is ending: for a moment the leaf is
// still busy.
func TestClose_WaitsForTheLastThread(t *testing.T) {
	f := newFake()
	f.v2("/cg", "cpu io memory")
	f.files["/cg"]["cgroup.procs"] = strconv.Itoa(os.Getpid())
	want := dirsOf(f)
	k, busy := f.kernel(), 3
	k.rmdir = func(dir string) error {
		if path.Base(dir) == Leaf && busy > 0 {
			busy--
			return unix.EBUSY
		}
		return f.rmdir(dir)
	}
	tree, err := open(k, Config{Name: "lithos.slice", Controllers: []string{"memory"}},
		"30 23 0:26 / /cg rw - cgroup2 cgroup2 rw\n", "0::/\n", "0::/\n")
	if err != nil {
		t.Fatal(err)
	}
	tree.Close()
	if got := dirsOf(f); !slices.Equal(got, want) {
		t.Errorf("there are %q, want %q", got, want)
	}
}
