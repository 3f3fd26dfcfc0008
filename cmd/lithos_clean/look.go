package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"lithos/cmd/lithos_clean/imagedir"
	"lithos/configs/images"
	"lithos/sysx/deadline"
	"lithos/sysx/proc"
)

// looker looks at what may be on a file system that does not answer: for a limited
// time, and once if it hangs.
type looker struct {
	paths    deadline.Calls[string]
	dirs     deadline.Calls[string] // image-dirs
	removals deadline.Calls[string] // in them
}

func newLooker() *looker {
	return &looker{
		paths: deadline.Calls[string]{Limit: 5 * time.Second, Next: 100 * time.Millisecond},
		// Each entry that is looked at or removed.
		dirs:     deadline.Calls[string]{Limit: 10 * time.Second},
		removals: deadline.Calls[string]{Limit: 2 * time.Minute}, // a large file takes long
	}
}

// find is [images.Find].
func (l *looker) find(path string) images.Place {
	place, err := deadline.Call(&l.paths, path, func() (images.Place, error) { return images.Find(path), nil })
	if err != nil {
		return images.Place{Real: filepath.Clean(path), Err: silent(path, l.paths.Limit)}
	}
	return place
}

// real is [images.Real].
func (l *looker) real(path string) string { return l.find(path).Real }

// silentError: a file system does not answer.
type silentError struct {
	path  string
	limit time.Duration
}

func silent(path string, limit time.Duration) error { return &silentError{path, limit} }

// Error explains the problem, and the remedy.
func (e *silentError) Error() string {
	return fmt.Sprintf("the file system of %q does not answer (not within %s); is its server gone?", e.path, e.limit)
}

// inDir works in an image-dir, or returns a silentError. An abandoned call may
// still be carried out as long as this process lives: code that removes or
// renames compares the directory's identity first.
func inDir[V any](calls *deadline.Calls[string], s *imagedir.Dir, dir string, f func() (V, error)) (V, error) {
	v, err := deadline.Walk(calls, dir, func(step func()) (V, error) {
		if s != nil {
			s.Step = step
		}
		return f()
	})
	if errors.Is(err, deadline.ErrExceeded) {
		err = silent(dir, calls.Limit)
	}
	return v, err
}

// rootOf is the root directory of a process.
func rootOf(pid int) (imagedir.ID, error) {
	return proc.WithDeadline(pid, func() (imagedir.ID, error) { return imagedir.Identify("/proc/" + strconv.Itoa(pid) + "/root") })
}

// harmless reports whether a process that cannot be inspected has the root
// directory of this one, or descends from a PID 1 that was inspected. It reads
// only files that never block on an exec.
func harmless(pid int, ours string, seen map[int]bool) bool {
	if theirs, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/mountinfo"); err == nil && ours != "" && string(theirs) == ours {
		return true
	}
	for pid > 1 {
		status, err := proc.ReadStatus(pid)
		if err != nil {
			return false
		}
		if pid = status.PPID; seen[pid] {
			return true
		}
	}
	return false
}
