package proc

import (
	"os"
	"testing"
	"time"
)

func TestKillsForMemory(t *testing.T) {
	const second = time.Second
	for _, test := range []struct {
		message string
		want    bool
	}{
		{"3,1,20000000,-;Out of memory: Killed process 42 (lithos_knot) total-vm:1kB", true},
		{"3,1,20000000,-;Memory cgroup out of memory: Killed process 42 (e2e) total-vm:1630928kB\n SUBSYSTEM=x", true},
		{"3,1,9000000,-;Out of memory: Killed process 42 (lithos_knot)", false}, // before its time
		{"3,1,20000000,-;Out of memory: Killed process 421 (lithos_knot)", false},
		{"3,1,20000000,-;Out of memory: Killed process 4 (x)", false},
		{"6,1,20000000,-;oom_reaper: reaped process 42 (lithos_knot)", false},
		{"6,1,x,-;Out of memory: Killed process 42 (y)", false},
		{"Out of memory: Killed process 42 (y)", false},
		{"3,1,20000000,-;Out of memory: Killed process 7 ( process 42 ()", false},
		{"12,1,20000000,-;Out of memory: Killed process 42 (lithos_knot)", false}, // a user says so
		{"", false},
	} {
		if got := killsForMemory([]byte(test.message), 42, 10*second); got != test.want {
			t.Errorf("%q: %v", test.message, got)
		}
	}
}

// The log of this machine can be read to its end, and says nothing of us.
func TestOOMKilledOfWhoLives(t *testing.T) {
	if OOMKilled(os.Getpid(), time.Now()) {
		t.Error("this process is dead")
	}
}
