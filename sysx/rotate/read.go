package rotate

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of a [Read]: bytes; how many parts; how often it starts over because the
// file is being rotated, with pauses that together are as long as a slow sync.
const (
	maxRead  = 1 << 20
	maxParts = 1000
	tries    = 12
)

// pause is how long to leave the file alone before the nth try: nothing at first,
// then from a millisecond on, up to half a second.
func pause(n int) {
	if n > 2 {
		time.Sleep(time.Millisecond << (n - 3))
	}
}

// End is how much was ever written to a file: its length, and what was taken out
// of it. 0 if there is none.
func End(path string) int64 {
	// A file that was never rotated costs two calls.
	buf := make([]byte, maxAttribute)
	_, err := unix.Getxattr(path, attribute, buf)
	var end int64
	for n := 0; err == nil && n < tries; n++ {
		pause(n)
		f, problem := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
		if problem != nil {
			return 0
		}
		before := look(f)
		info, problem := f.Stat()
		after := look(f)
		f.Close()
		if problem != nil {
			continue
		}
		end = after.base + info.Size()
		if before == after {
			return end
		}
	}
	if err == nil {
		return end // rotated without a pause: it may be off by what was taken out meanwhile
	}
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// Read returns the bytes between two offsets as [End] counts them, also those of
// a rotated part; removed ones are left out. It reads regular files only, a
// mebibyte at most.
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
	for n := range tries {
		pause(n)
		s := look(f)
		begin := max(from, s.base+s.start) // of what is in no other file
		var rotated []byte
		if from < s.base+s.start {
			rotated = readParts(path, s.id, from, min(to, begin))
		}
		own, err := io.ReadAll(io.NewSectionReader(f, begin-s.base, max(0, to-begin)))
		if err != nil {
			return nil, err
		}
		text = append(rotated, own...)
		if look(f) == s {
			break // else it is of a moment in between
		}
	}
	return text, nil
}

// readParts reads from the parts what was between two offsets, as far as it is there.
// The parts may be on their way to the next number, maybe a second time by then: a
// number or two are free meanwhile. None is missed, as they go the same way.
func readParts(path, id string, from, to int64) (text []byte) {
	missing := 0
	for n := 1; n <= maxParts && to > from; n++ {
		f, err := os.OpenFile(path+"."+strconv.Itoa(n), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
		if errors.Is(err, fs.ErrNotExist) && missing < 2 {
			missing++
			continue
		}
		if err != nil {
			return text
		}
		missing = 0
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
	return text
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
