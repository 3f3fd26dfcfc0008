package rotate

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Bounds of a [Read]: bytes; how many parts; how often it begins anew because the
// file is being rotated.
const (
	maxRead  = 1 << 20
	maxParts = 1000
	tries    = 10
)

// End is how much was ever written to a file: its length, and what was taken out
// of it. 0 if there is none.
func End(path string) int64 {
	// A file that was never rotated costs two calls.
	buf := make([]byte, maxAttribute)
	_, err := unix.Getxattr(path, attribute, buf)
	for n := 0; err == nil && n < tries; n++ {
		f, problem := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
		if problem != nil {
			return 0
		}
		before := look(f)
		info, problem := f.Stat()
		after := look(f)
		f.Close()
		if problem == nil && before == after {
			return before.base + info.Size()
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// Read gives the bytes of a file between two offsets as [End] counts them, also
// those that are in another part by now; what is nowhere any more is left out. It
// does not read what is no regular file, and not more than a mebibyte.
func Read(path string, from, to int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(ErrKind, err)
	}
	from = max(from, to-maxRead, 0)
	var text []byte
	for range tries {
		s := look(f)
		begin := max(from, s.base+s.start) // of what is in no other file
		var rotated []byte
		found := true
		if from < s.base+s.start {
			rotated, found = readParts(path, s.id, from, min(to, begin))
		}
		own, err := io.ReadAll(io.NewSectionReader(f, begin-s.base, max(0, to-begin)))
		if err != nil {
			return nil, err
		}
		text = append(rotated, own...)
		if found && look(f) == s {
			return text, nil
		}
	}
	return text, nil
}

// readParts reads from the parts what was between two offsets. found says that
// all was there; else the oldest is missing, or the parts were being renamed.
func readParts(path, id string, from, to int64) (text []byte, found bool) {
	for n := 1; n <= maxParts && to > from; n++ {
		f, err := os.OpenFile(path+"."+strconv.Itoa(n), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
		if errors.Is(err, fs.ErrNotExist) && n == 1 {
			continue // between two renames
		}
		if err != nil {
			return text, false
		}
		buf := make([]byte, maxAttribute)
		length, _ := unix.Fgetxattr(int(f.Fd()), attribute, buf)
		p := parseSpan(string(buf[:max(length, 0)]))
		if p.id == id && p.from < to && p.to >= to {
			begin := max(from, p.from)
			part, err := io.ReadAll(io.NewSectionReader(f, begin-p.from, to-begin))
			if err == nil && int64(len(part)) == to-begin {
				text, to = append(part, text...), begin
			}
		}
		f.Close()
	}
	return text, to <= from
}

// look tells the state of a file as if blocks that were being taken out were out,
// or not begun.
func look(file *os.File) state {
	f := &File{file: file}
	f.state, _ = readState(f.fd())
	s := f.state
	if s.phase == marked {
		if there, err := f.hasMark(); err == nil && !there {
			s.base += s.blocks
			s.start -= s.blocks
		}
	}
	s.phase, s.blocks, s.mark = whole, 0, ""
	return s
}
