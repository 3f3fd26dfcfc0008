package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"lithos/sysx/inroot"
)

// source is where the files of an image in its transport format are.
type source interface {
	// open opens a regular file by its path; a missing one is fs.ErrNotExist.
	open(name string) (io.ReadCloser, int64, error)
	close() error
}

const (
	maxJSON    = 8 << 20   // of one manifest or config
	maxMembers = 1_000_000 // files in a tar of images
)

// openSource opens a directory, a tar, or a compressed tar; "-" is standard
// input. A tar that can't be read twice is copied below spool first.
func openSource(name string, stdin *os.File, spool string, limit int64) (source, error) {
	file := stdin
	if name != "-" {
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		if info.IsDir() {
			fd, err := unix.Open(name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			if err != nil {
				return nil, &fs.PathError{Op: "open", Path: name, Err: err}
			}
			return dirSource(fd), nil
		}
		if file, err = os.Open(name); err != nil {
			return nil, err
		}
	}
	file, err := seekable(file, spool, limit)
	if err != nil {
		return nil, err
	}
	s, err := indexTar(file)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

// dirSource is a directory. It may have come out of an archive, so no link in
// it leads out of it.
type dirSource int

func (d dirSource) open(name string) (io.ReadCloser, int64, error) {
	fd, err := inroot.Open(int(d), name, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	file := os.NewFile(uintptr(fd), name)
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", name)
	}
	if err != nil {
		file.Close()
		return nil, 0, err
	}
	return file, info.Size(), nil
}

func (d dirSource) close() error { return unix.Close(int(d)) }

// tarSource is a tar whose members are found by their offsets.
type tarSource struct {
	file    *os.File
	members map[string]member
}

type member struct {
	offset, size int64
	link         string // of a symbolic or hard link
}

// indexTar reads all headers.
func indexTar(file *os.File) (*tarSource, error) {
	s := &tarSource{file: file, members: map[string]member{}}
	archive := tar.NewReader(file)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("is not a tar that can be read: %w", err)
		}
		if len(s.members) >= maxMembers {
			return nil, fmt.Errorf("has more than %d files", maxMembers)
		}
		name := path.Clean("/" + h.Name)
		switch h.Typeflag {
		case tar.TypeReg:
			at, err := file.Seek(0, io.SeekCurrent)
			if err != nil {
				return nil, err
			}
			s.members[name] = member{offset: at, size: h.Size}
		case tar.TypeSymlink:
			s.members[name] = member{link: path.Clean("/" + path.Join(path.Dir(name), h.Linkname))}
		case tar.TypeLink:
			s.members[name] = member{link: path.Clean("/" + h.Linkname)}
		}
	}
	if len(s.members) == 0 {
		return nil, errors.New("is an empty tar")
	}
	return s, nil
}

func (s *tarSource) open(name string) (io.ReadCloser, int64, error) {
	at := path.Clean("/" + name)
	for range 10 {
		m, ok := s.members[at]
		if !ok {
			break
		}
		if m.link == "" {
			return io.NopCloser(io.NewSectionReader(s.file, m.offset, m.size)), m.size, nil
		}
		at = m.link
	}
	return nil, 0, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

func (s *tarSource) close() error { return s.file.Close() }

// seekable gives the file itself if it is a plain tar, else an unnamed copy
// that is one, of at most limit bytes.
func seekable(file *os.File, spool string, limit int64) (*os.File, error) {
	var head [4]byte
	if n, err := file.ReadAt(head[:], 0); (err == nil || errors.Is(err, io.EOF)) && compression(head[:n]) == "" {
		return file, nil
	}
	defer file.Close()
	plain, err := decompress(bufio.NewReaderSize(file, 1<<20))
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	to, err := os.CreateTemp(spool, workPrefix+"spool-")
	if err != nil {
		return nil, err
	}
	if err = os.Remove(to.Name()); err == nil {
		var n int64
		if n, err = io.Copy(to, io.LimitReader(plain, limit+1)); n > limit {
			err = fmt.Errorf("it has more than %d bytes, see --max-size", limit)
		}
	}
	if err == nil {
		_, err = to.Seek(0, io.SeekStart)
	}
	if err != nil {
		to.Close()
		return nil, fmt.Errorf("cannot copy the archive: %w", err)
	}
	return to, nil
}

// compression tells how something is compressed by how it begins.
func compression(head []byte) string {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return "gzip"
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return "zstd"
	}
	return ""
}

// maxWindow bounds the memory of a decompression.
const maxWindow = 256 << 20

// decompress looks at how the data begins, whatever somebody says it is.
func decompress(r *bufio.Reader) (io.ReadCloser, error) {
	head, err := r.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch compression(head) {
	case "gzip":
		return gzip.NewReader(r)
	case "zstd":
		z, err := zstd.NewReader(r, zstd.WithDecoderMaxMemory(maxWindow), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	}
	return io.NopCloser(r), nil
}

// readAll reads a small file.
func readAll(s source, name string) ([]byte, error) {
	r, size, err := s.open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if size > maxJSON {
		return nil, fmt.Errorf("%s has %d bytes, which is too much for its kind", name, size)
	}
	return io.ReadAll(io.LimitReader(r, maxJSON))
}

// printable is [visible] text of a bounded length.
func printable(s string) string {
	const most = 300
	if s = visible(s); len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// visible keeps the text of a hostile image from moving the cursor.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}
