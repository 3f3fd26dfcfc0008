// Package eintr repeats system calls that a signal has interrupted, see signal(7).
// Package os does so by itself; calls of golang.org/x/sys/unix do not.
package eintr

import "syscall"

// Retry calls until the error is another one than EINTR.
func Retry(call func() error) error {
	for {
		if err := call(); err != syscall.EINTR {
			return err
		}
	}
}

// Get is [Retry] for a call with a result.
func Get[T any](call func() (T, error)) (v T, err error) {
	for {
		if v, err = call(); err != syscall.EINTR {
			return v, err
		}
	}
}
