package knot

import (
	"runtime"
	_ "unsafe" // for go:linkname

	"golang.org/x/sys/unix"
)

// collectEvery is how many restarts of the program may leave their garbage, a
// few kB each, before it is collected.
const collectEvery = 64

// setGCPercent is debug.SetGCPercent, without the fmt that runtime/debug needs.
//
//go:linkname setGCPercent runtime/debug.setGCPercent
func setGCPercent(percent int32) int32

// saveMemory makes the Go runtime what one idle process in each container has
// to be. The collector is off but for tidy: it would wake PID 1 every two
// minutes, and cost more memory than there is to collect. Of a P more there
// would be no use either; a supervisor that says so in the environment
// (GOMAXPROCS=1) saves their memory, here it is too late for that.
func saveMemory() {
	setGCPercent(-1)
	runtime.GOMAXPROCS(1)
	noHugePages()
}

func tidy(starts int) {
	if starts%collectEvery == collectEvery-1 {
		runtime.GC()
	}
}

// noHugePages keeps the kernel from giving PID 1 two megabytes where it asked
// for a page (transparent_hugepage=always, Debian's default). It is inherited
// through fork and exec, so the program's steps take it back.
func noHugePages() { _ = unix.Prctl(unix.PR_SET_THP_DISABLE, 1, 0, 0, 0) }
