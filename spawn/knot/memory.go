package knot

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// collectEvery is how many restarts of the program may leave their garbage, a
// few kB each, before it is collected. The collector is off otherwise (the
// supervisor starts PID 1 with GOGC=off): it would wake an idle PID 1 every two
// minutes and cost more memory than there is to collect.
const collectEvery = 64

func tidy(starts int) {
	if starts%collectEvery == collectEvery-1 {
		runtime.GC()
	}
}

// noHugePages keeps the kernel from giving PID 1 two megabytes where it asked
// for a page (transparent_hugepage=always, Debian's default). It is inherited
// through fork and exec, so the program's steps take it back.
func noHugePages() { _ = unix.Prctl(unix.PR_SET_THP_DISABLE, 1, 0, 0, 0) }
