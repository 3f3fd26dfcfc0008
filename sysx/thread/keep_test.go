package thread

import (
	"os"
	"testing"
)

func TestThreadsAreKept(t *testing.T) {
	Keep(40)
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	if len(tasks) < 40 {
		t.Errorf("%d threads, want 40", len(tasks))
	}
}
