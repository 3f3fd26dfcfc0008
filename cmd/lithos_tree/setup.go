package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"lithos/actors/root"
	"lithos/configs"
	"lithos/sysx/lockfile"
)

// findKnot finds lithos_knot beside this program (N11).
func findKnot() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("cannot find this program's own file: %w", err)
	}
	// Through a symlink: the programs lie where the real file lies.
	if real, err := filepath.EvalSymlinks(self); err == nil {
		self = real
	}
	knot := filepath.Join(filepath.Dir(self), "lithos_knot")
	info, err := os.Stat(knot)
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
		return "", fmt.Errorf("cannot find the program lithos_knot in %s: it must be installed beside lithos_tree", filepath.Dir(self))
	}
	return knot, nil
}

// checkDevfs is B6.
func checkDevfs(m *configs.Master) error {
	info, err := os.Stat(m.DevfsDir)
	if err == nil && info.IsDir() {
		return nil
	}
	if err == nil {
		err = errors.New("not a directory")
	}
	return fmt.Errorf("cannot use the devfs-dir %s: %w; it must exist and contain device nodes, make it with: lithos_mkdev %[1]s", m.DevfsDir, err)
}

// makeDirs makes the directories of the master config that are missing, each
// one level deep only (B17): a mistyped path must not become a tree.
func makeDirs(m *configs.Master) error {
	var errs []error
	for _, dir := range []struct {
		option, path string
		mode         fs.FileMode
	}{
		{"runtime-dir", m.RuntimeDir, 0o755},
		{"state-dir", m.StateDir, 0o755},
		{"mount-dir", m.MountDir, 0o755},
		{"runtime-dir", root.RecordsDir(m), 0o700},
		{"default-log-dir", m.DefaultLogDir, 0o755},
		{"config-log-dir", m.ConfigLogDir, 0o755},
		{"stdio-log-dir", m.StdioLogDir, 0o755},
	} {
		if dir.path == "" { // config-log-dir: null
			continue
		}
		if err := makeDir(dir.path, dir.mode); err != nil {
			errs = append(errs, fmt.Errorf("cannot make the %s %s: %w", dir.option, dir.path, err))
		}
	}
	return errors.Join(errs...)
}

func makeDir(path string, mode fs.FileMode) error {
	err := os.Mkdir(path, mode)
	switch {
	case errors.Is(err, fs.ErrExist):
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return errors.New("something else than a directory is there; move it away or choose another path")
		}
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("its parent does not exist; make it with: mkdir -p %s", filepath.Dir(path))
	}
	return err
}

// takePIDFile makes sure that no other daemon uses this runtime-dir (N12).
func takePIDFile(m *configs.Master) (*lockfile.File, error) {
	path := filepath.Join(m.RuntimeDir, "master.pid")
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
