package thread

import (
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestTheMainThreadIsNeverSpent(t *testing.T) {
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			for range 20 {
				Spend(func() {
					if unix.Gettid() == unix.Getpid() {
						t.Error("on the main thread")
					}
				})
			}
		})
	}
	all.Wait()
}

func TestTheThreadEnds(t *testing.T) {
	var tid int
	Spend(func() { tid = unix.Gettid() })
	for deadline := time.Now().Add(time.Minute); unix.Tgkill(unix.Getpid(), tid, 0) == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it lives on")
		}
	}
}
