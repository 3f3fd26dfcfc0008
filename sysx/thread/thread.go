// Package thread runs functions that leave their operating system thread unfit for
// others.
package thread

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// Spend runs do on a thread that ends with it, for what a thread can't be rid of
// again, such as a network namespace; it returns when do has returned.
//
// Never on the main thread: Go can't end that one, and it is the process to
// others (/proc/PID/ns/net, /proc/net).
func Spend(do func()) {
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			defer close(done)
			do()
			return // locked, so the thread ends
		}
		// While this goroutine has the main thread, another can't get it.
		Spend(do)
		runtime.UnlockOSThread()
		close(done)
	}()
	<-done
}
