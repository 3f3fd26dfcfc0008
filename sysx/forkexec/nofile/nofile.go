// Package nofile knows the limit of open files that the process was started
// with, which Go's package syscall raises when it is initialised.
//
// It must stay without imports: packages are initialised in the order of their
// import paths as soon as all they import is (Go specification, "Program
// initialization"), so that this one, which imports nothing and sorts before
// "syscall", comes first.
package nofile

// Soft and Hard are the limits at the start of the process; both are 0 if
// they could not be read.
var Soft, Hard uint64

// prlimit asks for RLIMIT_NOFILE of the calling process.
func prlimit(old *[2]uint64) (errno uintptr)

func init() {
	old := new([2]uint64)
	if prlimit(old) == 0 {
		Soft, Hard = old[0], old[1]
	}
}
