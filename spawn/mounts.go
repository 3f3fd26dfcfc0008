package spawn

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lithos/spawn/wire"
	"lithos/sysx/proc"
)

// mounts keeps the mount namespaces of containers beyond their death. The last
// process of a mount namespace takes its mounts down before anyone is told of the
// death, and waits for all processors in that: a tenth of a millisecond on an idle
// host, several on a busy one. With one more holder the death is told at once, and
// the mounts go while the next container is made, see [mounts.drop].
type mounts struct {
	held sync.Map // of int, a descriptor, by the containers' names
}

// hold holds those of a container. The content of a tmpfs counts for the memory
// limit until it is gone, so a container with one is not held: its successor
// would begin with that much less.
func (s *mounts) hold(spec *wire.Spec, child *Child) {
	if slices.ContainsFunc(spec.Volumes, func(v wire.Volume) bool { return v.Kind == wire.Tmpfs }) {
		return
	}
	fd, err := unix.Open(fmt.Sprintf("/proc/%d/ns/mnt", child.PID), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return // the death takes longer, no more
	}
	// The pid is still the child's only if that was not reaped yet.
	if proc.Signal(child.PIDFD, 0) != nil {
		unix.Close(fd)
		return
	}
	if before, ok := s.held.Swap(spec.Name, fd); ok {
		unix.Close(before.(int))
	}
}

// linger is how long the mounts and the network of a dead container stay where
// another follows: their removal would be in the way of its start.
const linger = 20 * time.Millisecond

// drop takes the mounts of a dead container down. With wait it waits for that,
// since whoever hears that a container is gone may use what was mounted in it, but
// not for ever: a file system may hang.
func (s *mounts) drop(name string, wait bool) error {
	fd, ok := s.held.LoadAndDelete(name)
	if !ok {
		return nil
	}
	if !wait {
		time.AfterFunc(linger, func() { unix.Close(fd.(int)) })
		return nil
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		unix.Close(fd.(int))
	}()
	select {
	case <-done:
		return nil
	case <-time.After(removePatience):
		return fmt.Errorf("the mounts of %q are still there after %s: a file system of theirs does not answer, most likely: %w",
			name, removePatience, os.ErrDeadlineExceeded)
	}
}
