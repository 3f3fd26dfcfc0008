package proc

import (
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"

	"lithos/sysx/eintr"
)

// pageSize is the least there is.
const pageSize = 4096

// ReadFile is os.ReadFile for a small file of /proc. Package os would have the
// Go runtime try to poll each file, in vain; where thousands are read that is a
// third of the system calls. Nor is the end of one that gives less than was asked
// for, of what fits into a page, looked for once more.
func ReadFile(path string) ([]byte, error) {
	fd, err := eintr.Get(func() (int, error) { return unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	var first [2048]byte
	text := first[:0]
	for {
		room := text[len(text):cap(text)]
		n, err := eintr.Get(func() (int, error) { return unix.Read(fd, room) })
		if err != nil {
			return nil, &fs.PathError{Op: "read", Path: path, Err: err}
		}
		text = text[:len(text)+n]
		if n == 0 || n < len(room) && len(text) < pageSize {
			return slices.Clone(text), nil
		}
		if len(text) == cap(text) {
			text = slices.Grow(text, len(text))
		}
	}
}
