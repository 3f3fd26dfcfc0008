package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// dropProgram drops the read-only pages of the program's file, code and
// constants, from this process. Pages in use come back from the page cache, 16 at
// a time. The start of a program maps nearly all of them that way, which counts
// as the process's memory although most are not needed again.
func dropProgram() error {
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return err
	}
	for _, r := range readOnlyExtents(string(text), codeAddress()) {
		// Nothing is lost: nobody has written there (but a debugger, which
		// would have to set its breakpoints again).
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, r.begin, r.end-r.begin, unix.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("cannot give back the pages of the program: %w", errno)
		}
	}
	return nil
}

// codeAddress is one in the program's code.
func codeAddress() uintptr {
	pc, _, _, _ := runtime.Caller(0)
	return pc
}

type extent struct{ begin, end uintptr }

// readOnlyExtents lists the parts that can't be written to of the file that has a place in the
// code, in a text as /proc/PID/maps has it.
func readOnlyExtents(maps string, code uintptr) []extent {
	parts := map[string][]extent{} // by device and inode
	program := ""
	for line := range strings.Lines(maps) {
		// 00400000-00a90000 r-xp 00000000 08:01 1234   /usr/bin/lithos_tree
		f := strings.Fields(line)
		if len(f) < 6 || len(f[1]) != 4 || f[1][1] != '-' || f[1][3] != 'p' || f[4] == "0" {
			continue
		}
		begin, end, _ := strings.Cut(f[0], "-")
		from, err1 := strconv.ParseUint(begin, 16, 64)
		to, err2 := strconv.ParseUint(end, 16, 64)
		if err1 != nil || err2 != nil {
			continue
		}
		file := f[3] + " " + f[4]
		part := extent{uintptr(from), uintptr(to)}
		parts[file] = append(parts[file], part)
		if part.begin <= code && code < part.end {
			program = file
		}
	}
	return parts[program]
}
