package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"lithos/sysx/inroot"
)

// metadataFile is ours in each imported image.
const metadataFile = ".lithos_import.json"

// metadata tells later runs which image a directory was made from.
type metadata struct {
	Digest    string   `json:"digest"`
	Reference string   `json:"reference,omitempty"`
	Layers    []string `json:"layers"`
	Config    string   `json:"config"`            // path of the container config
	Options   string   `json:"options,omitempty"` // other options that affect the result
}

// mountPoints are where lithos mounts something in every container.
var mountPoints = []string{"/dev", "/proc", "/sys", "/etc"}

// mountFiles are files that lithos may mount its own over.
var mountFiles = []string{"/etc/hosts", "/etc/resolv.conf"}

// makeMountPoints makes missing mount points; existing files stay.
func makeMountPoints(root int, more []string) (warnings []string) {
	for _, dir := range append(mountPoints, more...) {
		fd, _, err := inroot.MkdirAll(root, dir, inroot.Owner{Mode: 0o755})
		if err != nil {
			warnings = append(warnings, fmt.Sprintf("%s can't be a directory in this image: %v", printable(dir), err))
			continue
		}
		unix.Close(fd)
	}
	for _, file := range mountFiles {
		if err := makeMountFile(root, file); err != nil {
			warnings = append(warnings, fmt.Sprintf("lithos can't mount its own %s in this image: %v", file, err))
		}
	}
	return warnings
}

// makeMountFile makes an empty file where there is none. A symbolic link is
// replaced: nothing is mounted through one, and where the image's leads to does
// not exist in a container.
func makeMountFile(root int, file string) error {
	dir, err := inroot.Open(root, path.Dir(file), unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return fmt.Errorf("%s is no real directory", path.Dir(file))
	}
	defer unix.Close(dir)
	var st unix.Stat_t
	err = unix.Fstatat(dir, path.Base(file), &st, unix.AT_SYMLINK_NOFOLLOW)
	switch {
	case err == unix.ENOENT:
		return create(root, file, nil)
	case err != nil:
		return err
	case st.Mode&unix.S_IFMT == unix.S_IFREG:
		return nil
	case st.Mode&unix.S_IFMT != unix.S_IFLNK:
		return errors.New("it is no regular file")
	}
	if err := unix.Unlinkat(dir, path.Base(file), 0); err != nil {
		return err
	}
	return create(root, file, nil)
}

// create makes a file that is not there yet, in a directory that is: EEXIST if
// anything has the name.
func create(root int, name string, data []byte) error {
	dir, err := inroot.Open(root, path.Dir(name), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	fd, err := unix.Openat(dir, path.Base(name), unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for len(data) > 0 {
		n, err := unix.Write(fd, data)
		if err != nil {
			return err
		}
		data = data[n:]
	}
	return unix.Fchmod(fd, 0o644)
}

// writeConfig puts the container config into the image. One that the image
// brings is kept; kept says so.
func writeConfig(root int, name, text string) (kept bool, err error) {
	fd, _, err := inroot.MkdirAll(root, path.Dir(name), inroot.Owner{Mode: 0o755})
	if err != nil {
		return false, fmt.Errorf("cannot make %s: %w", path.Dir(name), err)
	}
	unix.Close(fd)
	err = create(root, name, []byte(text))
	if errors.Is(err, unix.EEXIST) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("cannot write %s: %w", name, err)
	}
	return false, nil
}

// writeMetadata replaces whatever the image has under that name.
func writeMetadata(root int, m metadata) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := inroot.RemoveAt(root, metadataFile); err != nil {
		return err
	}
	return create(root, metadataFile, append(data, '\n'))
}

// readMetadata of a finished image.
func readMetadata(dir string) (m metadata, err error) {
	root, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return m, err
	}
	defer unix.Close(root)
	data, err := readAll(dirSource(root), metadataFile)
	if err != nil {
		return m, err
	}
	return m, decode(metadataFile, data, &m)
}

// checkName refuses a name that `image` of a process config can't have.
func checkName(name string) error {
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "" || part == "." || part == "..":
			return fmt.Errorf("%q is not the name of an image: directories below the image-dir, such as web or web/v1", name)
		case part[0] == '.':
			return fmt.Errorf("%q is not the name of an image: hidden directories are none", name)
		}
	}
	return nil
}
