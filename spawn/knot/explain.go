package knot

import (
	"errors"

	"golang.org/x/sys/unix"
)

// explainExec says more than execve's error number does. It reads the image's
// files, which may be anything.
func explainExec(path string, errno unix.Errno) error {
	switch errno {
	case unix.ENOENT, unix.ENOTDIR, unix.ELOOP:
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil {
			return &wrapped{"no such file in the container", err}
		}
		if loader := interpreter(readHead(path, maxHead)); loader != "" {
			return &wrapped{"the file is there, but its interpreter or loader " + loader +
				" is missing in the container", errno}
		}
		return &wrapped{"the file is there, but its interpreter or loader is missing in the container", errno}
	case unix.EACCES:
		return explainAccess(path)
	case unix.ENOEXEC:
		return &wrapped{"it is no program for this machine, nor a script with #! in its first line", errno}
	case unix.E2BIG:
		return &wrapped{"its arguments and environment are too long", errno}
	}
	return errno
}

func explainAccess(path string) error {
	var st unix.Stat_t
	var fs unix.Statfs_t
	if err := unix.Stat(path, &st); err == nil {
		switch {
		case st.Mode&unix.S_IFMT != unix.S_IFREG:
			return errors.New("it is no regular file")
		case unix.Statfs(path, &fs) == nil && fs.Flags&unix.ST_NOEXEC != 0:
			return errors.New("it lies on a volume that is mounted noexec, see the volume option exec")
		case st.Mode&0o111 == 0:
			return errors.New("it is not executable (chmod +x)")
		}
	}
	return &wrapped{"the user of the container may not execute it", unix.EACCES}
}

// maxHead is how much of a program is looked at, bytes.
const maxHead = 4096

// Offsets in a 64 bit little-endian ELF file.
const (
	elfHeader      = 64
	elfPhoff       = 32
	elfPhentsize   = 54
	elfPhnum       = 56
	progHeader     = 56
	progOffset     = 8
	progFilesz     = 32
	progTypeInterp = 3
)

// interpreter finds the interpreter or loader of a script or dynamic program,
// in its first bytes; "" if it can't be told.
func interpreter(head []byte) string {
	if len(head) > 2 && head[0] == '#' && head[1] == '!' {
		line, _ := cut(head[2:], '\n')
		first, _ := word(line)
		return string(first)
	}
	if len(head) < elfHeader || string(head[:6]) != "\x7fELF\x02\x01" {
		return ""
	}
	size := uint64(len(head))
	off, entry, n := number(head[elfPhoff:], 8), number(head[elfPhentsize:], 2), number(head[elfPhnum:], 2)
	for i := range n {
		at := off + i*entry
		if at > size || size-at < progHeader {
			return ""
		}
		if number(head[at:], 4) != progTypeInterp {
			continue
		}
		from, length := number(head[at+progOffset:], 8), number(head[at+progFilesz:], 8)
		if from > size || length > size-from {
			return ""
		}
		name, _ := cut(head[from:from+length], 0)
		return string(name)
	}
	return ""
}

// number reads n bytes, little-endian.
func number(b []byte, n int) (v uint64) {
	for i := range n {
		v |= uint64(b[i]) << (8 * i)
	}
	return v
}
