package proc

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lithos/sysx/eintr"
)

// Written is how many bytes a process has handed to write(2) and its kin in all
// its life, for whatever file, pipe or socket (wchar of /proc/PID/io); the error
// is [ErrGone] if there is no such process.
func Written(pid int) (int64, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/io")
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) {
		return 0, ErrGone
	}
	if err != nil {
		return 0, fmt.Errorf("cannot look at what process %d writes: %w", pid, err)
	}
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte("wchar:")); ok {
			return strconv.ParseInt(string(bytes.TrimSpace(rest)), 10, 64)
		}
	}
	return 0, fmt.Errorf("the kernel does not tell what process %d writes", pid)
}

// Prints tells whether standard output or error of a process are this file.
func Prints(pid int, file fs.FileInfo) bool { return Has(pid, 1, file) || Has(pid, 2, file) }

// Has tells whether a descriptor of a process is this file. It does not ask the
// file system that the descriptor's file is on, which may not answer: stat(2) would
// wait for it, for ever.
func Has(pid, fd int, file fs.FileInfo) bool {
	want, ok := file.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	var st unix.Statx_t
	path := "/proc/" + strconv.Itoa(pid) + "/fd/" + strconv.Itoa(fd)
	_, err := eintr.Get(func() (int, error) {
		return 0, unix.Statx(unix.AT_FDCWD, path, unix.AT_STATX_DONT_SYNC, unix.STATX_INO, &st)
	})
	return err == nil && st.Ino == want.Ino && unix.Mkdev(st.Dev_major, st.Dev_minor) == want.Dev
}

// ticks a second are what the kernel counts start times in, for whoever asks
// (USER_HZ, which is 100 on all that Go knows).
const ticks = 100

// Now is the present as [Stat] has start times: in ticks since the boot.
func Now() uint64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return 0
	}
	return uint64(ts.Nano()) / (1e9 / ticks)
}

// Since is how long ago a start time of [Stat] was, whatever has become of the
// clock.
func Since(start uint64) time.Duration {
	return time.Duration(int64(Now())-int64(start)) * (time.Second / ticks)
}
