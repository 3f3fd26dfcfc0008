package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"lithos/configs"
	"lithos/sysx/lockfile"
	"lithos/sysx/proc"
)

// takePIDFile makes sure that no other daemon uses this runtime-dir (N12). After
// an exec this process has it already: there is no moment without the lock.
func takePIDFile(m *configs.Master, left *handover) (*lockfile.File, error) {
	path := filepath.Join(m.RuntimeDir, "master.pid")
	if handle := left.take(filePID); handle != nil {
		return lockfile.Inherit(path, handle)
	}
	file, err := acquire(path, orphanedLock)
	if held := (*lockfile.HeldError)(nil); errors.As(err, &held) {
		return nil, fmt.Errorf("another lithos_tree runs with the runtime-dir %s (pid %s, see %s); stop it first, or give this one a runtime-dir of its own",
			m.RuntimeDir, strings.TrimSpace(held.Content), path)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot take the pid file: %w", err)
	}
	return file, nil
}

// orphanedLock is how long a lock may outlive its daemon. One that is killed while
// it forks leaves a child that has all its descriptors until it executes
// lithos_knot, which is a moment, and longer only on a host that hardly gets on.
const orphanedLock = 10 * time.Second

// acquire takes the lock, and waits for it if whoever wrote his pid into the file
// is dead.
func acquire(path string, limit time.Duration) (*lockfile.File, error) {
	for end := time.Now().Add(limit); ; time.Sleep(5 * time.Millisecond) {
		file, err := lockfile.Acquire(path, fmt.Sprintf("%d\n", os.Getpid()))
		held := (*lockfile.HeldError)(nil)
		if !errors.As(err, &held) || time.Now().After(end) || !orphaned(held) {
			return file, err
		}
	}
}

// orphaned says that the holder is none that the file names.
func orphaned(held *lockfile.HeldError) bool {
	pid, err := strconv.Atoi(strings.TrimSpace(held.Content))
	if err != nil {
		return false
	}
	stat, err := proc.ReadStat(pid)
	return err != nil || !stat.Alive()
}
