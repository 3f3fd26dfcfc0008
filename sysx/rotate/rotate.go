package rotate

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// ErrKind is a path that is no regular file: a link, a device.
var ErrKind = errors.New("it is not a regular file (links are not followed)")

// newSuffix is of the part that is not complete, or not in its place yet.
const newSuffix = ".1.new"

// File is an open file that may be rotated. It is for one goroutine of one
// process at a time.
type File struct {
	path  string
	file  *os.File
	keep  int
	block int64
	state state
	at    func(point string) // of tests, which stop there; else nil
}

// Open opens a file that is there already, and continues where a crash came between.
// keep is how many parts there may be beside it, 1 and more; the error is
// fs.ErrNotExist, [ErrKind], or that the file system can't do what is needed.
func Open(path string, keep int) (*File, error) {
	f, err := open(path, keep)
	if err != nil {
		return nil, err
	}
	if err := f.proceed(); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func open(path string, keep int) (*File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENXIO) {
		err = &fs.PathError{Op: "open", Path: path, Err: ErrKind}
	}
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: ErrKind}
	}
	f := &File{path: path, file: file, keep: max(keep, 1)}
	var st unix.Statfs_t
	if err == nil {
		err = unix.Fstatfs(f.fd(), &st)
		f.block = max(int64(st.Bsize), 512)
	}
	if err == nil {
		f.state, err = readState(f.fd())
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return f, nil
}

// Close closes it.
func (f *File) Close() error { return f.file.Close() }

func (f *File) fd() int { return int(f.file.Fd()) }

func (f *File) point(name string) {
	if f.at != nil {
		f.at(name)
	}
}

func (f *File) size() (int64, error) {
	info, err := f.file.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Waiting is how much of the file was not rotated yet, bytes.
func (f *File) Waiting() (int64, error) {
	size, err := f.size()
	if err != nil {
		return 0, err
	}
	return size - f.state.start, nil
}

// Rotate moves whole lines from the head of the file to parts of about most bytes,
// at most so many parts and until no more than most are left; they are synced
// together. It returns how many bytes went, in how many parts: 0 if there is no whole
// line yet. After an error nothing is lost; the next [Open] continues.
func (f *File) Rotate(most int64, parts int) (moved int64, n int, err error) {
	size, err := f.size()
	if err == nil {
		err = f.begin()
	}
	if err == nil {
		// A part has no bytes that a power failure could take from the file.
		err = f.sync()
	}
	if err != nil {
		return 0, 0, err
	}
	from := f.state.start
	for ; n < parts && (n == 0 || size-from > most); n++ {
		var to int64
		to, err = f.cut(from, most, size)
		if err != nil || to == from {
			break
		}
		if err = f.copy(from, to); err != nil {
			_ = os.Remove(f.path + newSuffix)
			break
		}
		if err = f.publish(); err != nil {
			break
		}
		moved, from = moved+to-from, to
	}
	if n > 0 {
		err = errors.Join(err, f.dropPublished())
	}
	return moved, n, err
}

// dropPublished removes published lines from the file.
func (f *File) dropPublished() error {
	dir, err := os.Open(filepath.Dir(f.path))
	if err != nil {
		return err
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return err
	}
	return f.proceed()
}

// Drop takes n bytes, or a line less, out of the file without keeping them.
func (f *File) Drop(n int64) (int64, error) {
	from := f.state.start
	to, err := f.lastLine(from, from+n)
	if err != nil {
		return 0, err
	}
	if to == from {
		to = from + n // it has no line's end
	}
	if err := f.begin(); err != nil {
		return 0, err
	}
	s := f.state
	s.phase, s.start = dead, to
	if err := f.note(s); err != nil {
		return 0, err
	}
	return to - from, f.proceed()
}

// begin makes sure that the file has an identity, and its file system what it
// takes, before anything depends on that.
func (f *File) begin() error {
	if err := f.removable(); err != nil {
		return err
	}
	if f.state.id != "" {
		return nil
	}
	return f.note(state{phase: whole, id: random()})
}

// cut finds where to cut: behind a newline if there is one.
func (f *File) cut(from, most, size int64) (int64, error) {
	for _, length := range []int64{most, 2 * most} {
		to, err := f.lastLine(from, min(from+length, size))
		if err != nil || to > from {
			return to, err
		}
	}
	if size-from >= 2*most {
		return from + 2*most, nil
	}
	return from, nil
}

// lastLine is the offset behind the last newline of a part, from if it has none.
func (f *File) lastLine(from, to int64) (int64, error) {
	buf := make([]byte, 64<<10)
	for to > from {
		n := min(int64(len(buf)), to-from)
		if _, err := f.file.ReadAt(buf[:n], to-n); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			return to - n + int64(i) + 1, nil
		}
		to -= n
	}
	return from, nil
}

// copy writes a part of the file to NAME.1.new, with the file's owner and mode.
func (f *File) copy(from, to int64) (err error) {
	if err := f.discard(); err != nil {
		return err
	}
	f.point("create")
	out, err := os.OpenFile(f.path+newSuffix, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	f.point("describe")
	what := span{id: f.state.id, from: f.state.base + from, to: f.state.base + to}
	if err := unix.Fsetxattr(int(out.Fd()), attribute, []byte(what.String()), 0); err != nil {
		return err
	}
	f.point("copy")
	// Not by the file's own offset: a program could share that.
	if n, err := io.Copy(out, io.NewSectionReader(f.file, from, to-from)); err != nil || n != to-from {
		return errors.Join(err, f.shorter(n, to-from))
	}
	f.point("dress")
	if err := f.like(out); err != nil {
		return err
	}
	return out.Sync()
}

func (f *File) shorter(n, want int64) error {
	if n == want {
		return nil
	}
	return &fs.PathError{Op: "copy", Path: f.path, Err: io.ErrUnexpectedEOF}
}

// publish puts NAME.1.new in its place. If it is stopped the next one finds a
// number that is free, and moves only what is below that.
func (f *File) publish() error {
	free := 1
	for free < f.keep && exists(f.part(free)) {
		free++
	}
	for i := free; i > 1; i-- {
		f.point("shift")
		if err := os.Rename(f.part(i-1), f.part(i)); err != nil {
			return err
		}
	}
	f.point("publish")
	if err := os.Rename(f.path+newSuffix, f.part(1)); err != nil {
		return err
	}
	// Where fewer are kept than before.
	for i := f.keep + 1; os.Remove(f.part(i)) == nil; i++ {
		f.point("removed")
	}
	return nil
}

// published is where in the file the lines begin that are in no part. The newest
// part is NAME.1, or NAME.2 while a newer one is on its way.
func (f *File) published() int64 {
	last := int64(0)
	for n := 1; n <= 2 && f.state.id != ""; n++ {
		if p := spanOf(f.part(n)); p.id == f.state.id {
			last = max(last, p.to-f.state.base)
		}
	}
	return last
}

// discard removes a part that is not complete, or not in its place.
func (f *File) discard() error {
	f.point("discard")
	err := os.Remove(f.path + newSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (f *File) sync() error {
	f.point("sync")
	return f.file.Sync()
}

func (f *File) part(n int) string { return f.path + "." + strconv.Itoa(n) }

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// markLength is that of a mark, and of an identity.
const markLength = 26

func random() string { return rand.Text()[:markLength] }
