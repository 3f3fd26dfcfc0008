package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// replaceFile makes data the content of target. At every moment the old file
// or the new one is there, whole, also after a crash of the machine; the new
// one has the old one's mode and owner. temp lies in the same directory; one
// that a crash left is used again. Where target is a symbolic link, it is the
// link that is replaced: its file may be a version that is kept.
//
// Preconditions: nobody else works with temp.
func replaceFile(target, temp string, data []byte) (err error) {
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temp)
		}
	}()
	if err := errors.Join(fill(f, target, data), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, target); err != nil {
		return err
	}
	syncDir(filepath.Dir(target))
	return nil
}

// fill writes the file, with the mode and owner that target has, to the disk.
func fill(f *os.File, target string, data []byte) error {
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(target); err == nil {
		mode = info.Mode().Perm()
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			if err := f.Chown(int(st.Uid), int(st.Gid)); err != nil {
				return fmt.Errorf("cannot keep the owner: %w", err)
			}
		}
	}
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Sync()
}

// syncDir puts the names in a directory on the disk. The file is replaced by
// then: a file system that can't do it is no reason to call that failed.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}
