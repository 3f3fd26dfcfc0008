// Package setup is what the programs that start containers, lithos_tree and
// lithos_cmd, need of the machine before they do: lithos_knot beside them, the
// devices, the directories of the master config.
package setup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"lithos/configs"
)

// RecordsDir is where the containers' records lie, where containers can't
// write.
func RecordsDir(m *configs.Master) string { return filepath.Join(m.RuntimeDir, "containers") }

// FindKnot finds lithos_knot beside this program (N11).
func FindKnot() (string, error) {
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
		return "", fmt.Errorf("cannot find the program lithos_knot in %s: it must be installed beside %s", filepath.Dir(self), filepath.Base(self))
	}
	return knot, nil
}

// GroupID is the number of a group that is named, or given as a number.
func GroupID(name string) (int, error) {
	if id, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(id), nil
	}
	group, err := user.LookupGroup(name)
	if err != nil {
		return 0, fmt.Errorf("there is no group %q on this host", name)
	}
	return strconv.Atoi(group.Gid)
}

// CheckDevfs is B6.
func CheckDevfs(m *configs.Master) error {
	info, err := os.Stat(m.DevfsDir)
	if err == nil && info.IsDir() {
		return nil
	}
	if err == nil {
		err = errors.New("not a directory")
	}
	return fmt.Errorf("cannot use the devfs-dir %s: %w; it must exist and contain device nodes, make it with: lithos_mkdev %[1]s", m.DevfsDir, err)
}

// MakeDirs makes the directories of the master config that are missing, each
// one level deep only (B17): a mistyped path must not become a tree.
func MakeDirs(m *configs.Master) error {
	var errs []error
	for _, dir := range []struct {
		option, path string
		mode         fs.FileMode
	}{
		{"runtime-dir", m.RuntimeDir, 0o755},
		{"state-dir", m.StateDir, 0o755},
		{"mount-dir", m.MountDir, 0o755},
		{"runtime-dir", RecordsDir(m), 0o700},
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
