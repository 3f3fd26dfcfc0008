package proc

import (
	"errors"
	"os"
	"testing"
	"time"
)

func TestWithDeadline(t *testing.T) {
	answer := make(chan int)
	look := func(pid int) (int, error) { return WithDeadline(pid, func() (int, error) { return <-answer, nil }) }
	began := time.Now()
	if n, err := look(-1); n != 0 || !errors.Is(err, ErrSilent) {
		t.Errorf("a process that can't be looked at: %d, %v", n, err)
	}
	if took := time.Since(began); took < looks.Limit {
		t.Errorf("given up after %s", took)
	}
	if s, err := Look(os.Getpid()); err != nil || s.PID != os.Getpid() {
		t.Errorf("another: %+v, %v", s, err)
	}
	if _, err := Look(-2); !errors.Is(err, ErrGone) {
		t.Errorf("one that is not there: %v", err)
	}
	answer <- 7
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		go func() {
			select {
			case answer <- 8:
			case <-time.After(time.Second):
			}
		}()
		if n, err := look(-1); err == nil && n == 8 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it can be looked at, and is not")
		}
	}
}
