package thread

import (
	"runtime"
	"sync"
)

// Keep makes the runtime start n threads now, and keep them for later: it never
// ends one that has nothing to do. Without them the process dies where the host
// has no more threads to give (EAGAIN, pids.max) in the moment in which some
// call into the kernel takes its time: the runtime needs another thread then,
// and takes "no" for a fatal error.
func Keep(n int) {
	var started, ended sync.WaitGroup
	started.Add(n)
	leave := make(chan struct{})
	for range n {
		ended.Go(func() {
			// A locked goroutine that waits keeps its thread from the others.
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			started.Done()
			<-leave
		})
	}
	started.Wait()
	close(leave)
	ended.Wait()
}
