package rotate

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"lithos/sysx/eintr"
)

// proceed does the remaining steps, by the state on the disk.
func (f *File) proceed() error {
	for {
		size, err := f.size()
		if err != nil {
			return err
		}
		s, published := f.state, int64(0)
		if s.phase == whole {
			published = f.published()
		}
		switch {
		case f.emptied(size) || published > size:
			// The parts belong to the removed content.
			err = f.note(state{phase: whole, id: random(), base: s.base})
		case published > s.start:
			s.phase, s.start = dead, published
			err = f.note(s)
		case s.phase == dead:
			err = f.fromDead(size)
		case s.phase == marked:
			err = f.fromMarked()
		case s.phase == hole:
			err = f.fromHole()
		default:
			return f.discard() // there is nothing else to do
		}
		if err != nil {
			return err
		}
	}
}

// emptied tells that somebody else has emptied the file: it is too short, or what
// was left at its head is not there.
func (f *File) emptied(size int64) bool {
	s := f.state
	if size < s.start-s.blocks {
		return true
	}
	if s.phase != whole || s.start == 0 {
		return false
	}
	head := make([]byte, min(s.start, maxFiller))
	if _, err := f.file.ReadAt(head, 0); err != nil {
		return false // for others to say
	}
	return !bytes.Equal(head, f.filler(s.start)) && len(bytes.Trim(head, "\x00")) > 0
}

// fromDead marks the head, if blocks of it can be taken out.
func (f *File) fromDead(size int64) error {
	s := f.state
	// A collapse must end before the end of the file.
	s.blocks = min(s.start, size-1) / f.block * f.block
	if s.blocks <= 0 || !f.collapses(size) {
		s.phase, s.blocks = hole, 0
		return f.note(s)
	}
	s.phase, s.mark = marked, random()
	f.point("mark")
	if _, err := f.file.WriteAt([]byte(s.mark), 0); err != nil {
		return err
	}
	if err := f.sync(); err != nil {
		return err
	}
	return f.note(s)
}

// fromMarked takes the blocks out, if that was not done.
func (f *File) fromMarked() error {
	s := f.state
	there, err := f.hasMark()
	if err != nil {
		return err
	}
	if there {
		f.point("collapse")
		err = fallocate(f.fd(), unix.FALLOC_FL_COLLAPSE_RANGE, 0, s.blocks)
	}
	switch {
	case err == nil:
		s.base += s.blocks
		s.start -= s.blocks
	case !unsupported(err):
		return fmt.Errorf("cannot take the head out of the file: %w", err)
	}
	s.phase, s.blocks, s.mark = hole, 0, ""
	return f.note(s)
}

func (f *File) hasMark() (bool, error) {
	size, err := f.size()
	if err != nil || size < markLength {
		return false, err
	}
	head := make([]byte, markLength)
	_, err = f.file.ReadAt(head, 0)
	return string(head) == f.state.mark, err
}

// fromHole overwrites the rest before START with filler.
func (f *File) fromHole() error {
	s := f.state
	var err error
	f.point("fill")
	switch {
	case s.start == 0:
	case s.start <= maxFiller:
		_, err = f.file.WriteAt(f.filler(s.start), 0)
	default:
		err = fallocate(f.fd(), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, s.start)
	}
	if err != nil {
		return fmt.Errorf("cannot empty the head of the file: %w", err)
	}
	if err := f.sync(); err != nil {
		return err
	}
	s.phase = whole
	return f.note(s)
}

// collapses tells whether the file system can take blocks out of a file: where
// there are none it refuses, and how tells.
func (f *File) collapses(size int64) bool {
	err := fallocate(f.fd(), unix.FALLOC_FL_COLLAPSE_RANGE, f.beyond(size), f.block)
	return err == nil || errors.Is(err, unix.EINVAL)
}

// removable tells whether the file system can make a hole: behind the end it
// changes nothing.
func (f *File) removable() error {
	size, err := f.size()
	if err != nil {
		return err
	}
	err = fallocate(f.fd(), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, f.beyond(size), f.block)
	if err != nil {
		return fmt.Errorf("the file system can't remove a part of a file: %w", err)
	}
	return nil
}

// beyond is so far behind the end that programs don't write there meanwhile.
func (f *File) beyond(size int64) int64 { return (size/f.block + 1<<20) * f.block }

func unsupported(err error) bool {
	return errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL)
}

func fallocate(fd int, mode uint32, offset, length int64) error {
	return eintr.Retry(func() error { return unix.Fallocate(fd, mode, offset, length) })
}

// maxFiller is how much may become a line of ours: more than any block, bytes.
const maxFiller = 64 << 10

// filler is a line of n bytes that says where the lines before it are; nil if it
// would be too long.
func (f *File) filler(n int64) []byte {
	if n <= 0 || n > maxFiller {
		return nil
	}
	line := "----- what was before is in " + filepath.Base(f.path) + ".1 -----"
	line += strings.Repeat(" ", max(0, int(n)-len(line)))
	return []byte(line[:n-1] + "\n")
}
