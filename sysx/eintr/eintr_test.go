package eintr

import (
	"syscall"
	"testing"
)

func TestRepeatsInterruptedCallsOnly(t *testing.T) {
	for _, last := range []error{nil, syscall.ENOENT} {
		calls := 0
		call := func() (int, error) {
			calls++
			if calls < 3 {
				return -1, syscall.EINTR
			}
			return calls, last
		}
		if n, err := Get(call); n != 3 || err != last {
			t.Errorf("got %d, %v, want 3, %v", n, err, last)
		}
		calls = 0
		if err := Retry(func() error { _, err := call(); return err }); calls != 3 || err != last {
			t.Errorf("%d calls, %v, want %v", calls, err, last)
		}
	}
}
