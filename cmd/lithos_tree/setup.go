package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"lithos/configs"
	"lithos/sysx/lockfile"
)

// takePIDFile makes sure that no other daemon uses this runtime-dir (N12). After
// an exec this process has it already: there is no moment without the lock.
func takePIDFile(m *configs.Master, left *handover) (*lockfile.File, error) {
	path := filepath.Join(m.RuntimeDir, "master.pid")
	if handle := left.take(filePID); handle != nil {
		return lockfile.Inherit(path, handle)
	}
	file, err := lockfile.Acquire(path, fmt.Sprintf("%d\n", os.Getpid()))
	if held := (*lockfile.HeldError)(nil); errors.As(err, &held) {
		return nil, fmt.Errorf("another lithos_tree runs with the runtime-dir %s (pid %s, see %s); stop it first, or give this one a runtime-dir of its own",
			m.RuntimeDir, strings.TrimSpace(held.Content), path)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot take the pid file: %w", err)
	}
	return file, nil
}
