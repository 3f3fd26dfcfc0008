package mountinfo

import (
	"os"
	"reflect"
	"testing"
)

func TestParse(t *testing.T) {
	got := Parse(`33 31 0:30 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
no mount at all
40 33 8:1 /a\134040b /with\040blank\011tab\012line ro - ext4 /dev/disk\040one rw
41 33 0:50 / /empty rw,nosuid master:1 propagate_from:2 - tmpfs  rw,size=4k
42 33 0:50 / /short rw - tmpfs
`)
	want := []Mount{
		{"33", "/", "/sys/fs/cgroup/cpu", []string{"rw", "relatime"}, "cgroup", "cgroup", []string{"rw", "cpu", "cpuacct"}},
		{"40", `/a\040b`, "/with blank\ttab\nline", []string{"ro"}, "ext4", "/dev/disk one", []string{"rw"}},
		{"41", "/", "/empty", []string{"rw", "nosuid"}, "tmpfs", "", []string{"rw", "size=4k"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}

func TestParse_ThisMachine(t *testing.T) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range Parse(string(text)) {
		if m.Point == "/proc" && m.FSType == "proc" {
			return
		}
	}
	t.Errorf("no proc in\n%s", text)
}

func FuzzParse(f *testing.F) {
	f.Add("33 31 0:30 / /a rw - cgroup cgroup rw\n")
	f.Fuzz(func(_ *testing.T, text string) { Parse(text) })
}
