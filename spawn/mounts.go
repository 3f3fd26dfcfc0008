package spawn

import (
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"lithos/sysx/proc"
)

// holdMounts keeps the mounts of a container for after its death. Who ends as
// the last in a mount namespace takes all its mounts down before anybody is told
// of the death, and has to wait for all processors in that: a tenth of a
// millisecond on an idle host, several on a busy one. With one more holder the
// death is told at once, and the mounts go while the next container is made,
// see [Spawner.dropMounts].
//
// What is in a tmpfs counts for the memory limit until it is gone: a container
// with one is not held, or its successor would begin with that much less.
func (s *Spawner) holdMounts(spec *Spec, child *Child) {
	if slices.ContainsFunc(spec.Volumes, func(v Volume) bool { return v.Kind == Tmpfs }) {
		return
	}
	fd, err := unix.Open(fmt.Sprintf("/proc/%d/ns/mnt", child.PID), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return // it takes longer then, no more
	}
	// Whoever has the pid now is the child only if that was not reaped yet.
	if proc.Signal(child.PIDFD, 0) != nil {
		unix.Close(fd)
		return
	}
	if before, ok := s.mounts.Swap(spec.Name, fd); ok {
		unix.Close(before.(int))
	}
}

// linger is how long the mounts and the network of a dead container stay where
// another follows: what takes them down would be in the way of its start.
const linger = 20 * time.Millisecond

// dropMounts has the mounts of a dead container taken down, and waits for it
// where nothing follows: who is told that a container is gone may use what was
// mounted in it. A file system that hangs is not waited for for ever.
func (s *Spawner) dropMounts(name string, wait bool) error {
	fd, ok := s.mounts.LoadAndDelete(name)
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
