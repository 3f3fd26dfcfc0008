package main

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestDropsOnlyReadOnlyPagesOfTheProgram(t *testing.T) {
	const maps = `00400000-00a90000 r-xp 00000000 08:01 1234   /usr/bin/program
00a90000-011a2000 r--p 00690000 08:01 1234   /usr/bin/program
011a2000-0120f000 rw-p 00da2000 08:01 1234   /usr/bin/program
0120f000-03255000 rw-p 00000000 00:00 0
0f000000-0f001000 r-xp 00000000 00:00 0
7f0000000000-7f0000001000 r--p 00000000 08:02 1234   /usr/lib/other device
7f0000001000-7f0000002000 r-xp 00000000 08:01 1235   /usr/lib/other
7f0000002000-7f0000003000 r--s 00000000 08:01 1234   /usr/bin/program
7fea00000000-7fea00002000 r-xp 00000000 00:00 0      [vdso]
`
	for code, want := range map[uintptr][]extent{
		0x400000:       {{0x400000, 0xa90000}, {0xa90000, 0x11a2000}},
		0xa8ffff:       {{0x400000, 0xa90000}, {0xa90000, 0x11a2000}},
		0x7f0000001000: {{0x7f0000001000, 0x7f0000002000}},
		0xf000000:      nil,
		0x3000:         nil,
	} {
		if got := readOnlyExtents(maps, code); !reflect.DeepEqual(got, want) {
			t.Errorf("%#x: %#x, want %#x", code, got, want)
		}
	}
}

// The code around a test is hundreds of pages; a call needs next to none of them.
func TestTheProgramLeavesMemory(t *testing.T) {
	before := filePages(t)
	if err := dropProgram(); err != nil {
		t.Fatal(err)
	}
	if after := filePages(t); after > before*3/4 {
		t.Errorf("%d kB of files, %d before", after, before)
	}
}

// filePages are the kilobytes of files in this process's memory.
func filePages(t *testing.T) (kB int) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "RssFile:")
	for _, c := range strings.TrimSpace(rest) {
		if c < '0' || c > '9' {
			break
		}
		kB = kB*10 + int(c-'0')
	}
	if kB == 0 {
		t.Fatal("the kernel does not say how much of it there is")
	}
	return kB
}
