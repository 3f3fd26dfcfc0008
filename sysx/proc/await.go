package proc

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// AwaitEnd waits until the process of a pidfd is dead (a zombie counts as
// dead), at most limit, and tells whether it is. It needs not be a child.
func AwaitEnd(pidfd *os.File, limit time.Duration) (dead bool, err error) {
	conn, err := pidfd.SyscallConn()
	if err != nil {
		return false, err
	}
	deadline := time.Now().Add(limit)
	var pollErr error
	err = conn.Control(func(fd uintptr) {
		for {
			// Rounded up, so that the last wait is not a busy one.
			left := max(0, time.Until(deadline)+time.Millisecond-1).Milliseconds()
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(min(left, 1<<30)))
			if errors.Is(err, unix.EINTR) {
				continue
			}
			dead, pollErr = n > 0, err
			return
		}
	})
	if err == nil {
		err = pollErr
	}
	if err != nil {
		return false, fmt.Errorf("cannot wait for a process: %w", err)
	}
	return dead, nil
}
