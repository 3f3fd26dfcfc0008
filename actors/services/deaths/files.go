package deaths

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"lithos/actors/services/api"
)

// survey reads the existing files.
func (s *Store) survey() {
	_ = filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		name, err := filepath.Rel(s.dir, path)
		info, infoErr := d.Info()
		if err != nil || infoErr != nil || strings.HasSuffix(name, temporary) {
			return nil
		}
		// How many lines are in it is not worth to read it: it is cut
		// down at the next death.
		s.files[name] = &file{lines: compactAt, bytes: info.Size(), last: info.ModTime()}
		s.bytes += info.Size()
		return nil
	})
}

const temporary = ".new"

// write appends a line to the file of an instance.
//
// Preconditions: mu is held.
func (s *Store) write(r record) error {
	name, line := r.name, r.line
	f := s.files[name]
	if f == nil {
		f = &file{}
		s.files[name] = f
	}
	err := s.add(name, f, line)
	if errors.Is(err, fs.ErrNotExist) {
		// The first one of the sandbox, or somebody has cleared up.
		if err := os.MkdirAll(filepath.Dir(filepath.Join(s.dir, name)), 0o700); err != nil {
			return err
		}
		err = s.add(name, f, line)
	}
	if err != nil {
		return err
	}
	f.lines++
	f.bytes += int64(len(line))
	f.last = r.at
	s.bytes += int64(len(line))
	s.bound(name)
	return nil
}

// add writes the line, if there is a directory for it.
func (s *Store) add(name string, f *file, line []byte) error {
	if f.lines >= compactAt {
		if err := s.compact(name, f); err != nil {
			return err
		}
	}
	err := appendTo(filepath.Join(s.dir, name), line)
	if err != nil {
		f.lines = compactAt // half of it may be there
	}
	return err
}

func appendTo(path string, line []byte) error {
	out, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = out.Write(line)
	return errors.Join(err, out.Close())
}

// compact leaves room for one line more among the last ones.
func (s *Store) compact(name string, f *file) error {
	path := filepath.Join(s.dir, name)
	lines, err := readLines(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if n := len(lines); n > 0 && !bytes.HasSuffix(lines[n-1], []byte("\n")) {
		lines = lines[:n-1] // a daemon died over it, or the disk was full
	}
	lines = lines[max(0, len(lines)-(Keep-1)):]
	text := bytes.Join(lines, nil)
	if err := os.WriteFile(path+temporary, text, 0o600); err != nil {
		return err
	}
	if err := os.Rename(path+temporary, path); err != nil {
		return err
	}
	s.bytes += int64(len(text)) - f.bytes
	f.lines, f.bytes = len(lines), int64(len(text))
	return nil
}

// bound removes the files that have been quiet for longest, but not that one.
func (s *Store) bound(but string) {
	for s.bytes > maxBytes {
		oldest := ""
		for name, f := range s.files {
			if name != but && (oldest == "" || f.last.Before(s.files[oldest].last)) {
				oldest = name
			}
		}
		if oldest == "" {
			return
		}
		_ = os.Remove(filepath.Join(s.dir, oldest))
		_ = os.Remove(filepath.Dir(filepath.Join(s.dir, oldest))) // if it is empty
		s.bytes -= s.files[oldest].bytes
		delete(s.files, oldest)
	}
}

// Read gives the deaths of an instance, the newest first.
func (s *Store) Read(name string) ([]api.Death, error) {
	if s == nil {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list, err := Read(s.dir, name)
	for _, r := range s.waiting {
		var d api.Death
		if r.name == name && json.Unmarshal(r.line, &d) == nil {
			list, err = append([]api.Death{d}, list...), nil
		}
	}
	return list[:min(len(list), Keep)], err
}

// All gives at most limit deaths of those in the scope, the newest first.
func (s *Store) All(limit int, scope func(name string) bool) []api.Death {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	names := make([]string, 0, len(s.files))
	for name := range s.files {
		if scope(name) {
			names = append(names, name)
		}
	}
	// Only the files that were written to last can have the newest.
	slices.SortFunc(names, func(a, b string) int { return s.files[b].last.Compare(s.files[a].last) })
	for _, r := range s.waiting {
		if i := slices.Index(names, r.name); i >= 0 {
			names = slices.Delete(names, i, i+1)
		}
		names = slices.Insert(names, 0, r.name)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !scope(name) })
	s.mu.Unlock()
	var all []api.Death
	for _, name := range names[:min(len(names), limit)] {
		if list, err := s.Read(name); err == nil {
			all = append(all, list...)
		}
	}
	slices.SortStableFunc(all, func(a, b api.Death) int { return b.At.Compare(a.At) })
	return all[:min(len(all), limit)]
}

// Read gives the deaths of an instance that are kept below dir ([Dir]), the
// newest first. It needs no daemon.
func Read(dir, name string) ([]api.Death, error) {
	if !filepath.IsLocal(name) {
		return nil, fmt.Errorf("%q is not the name of an instance", name)
	}
	lines, err := readLines(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read how %s died: %w", name, err)
	}
	var list []api.Death
	for _, line := range slices.Backward(lines) {
		var d api.Death
		// Half a line was written by a daemon that died over it.
		if json.Unmarshal(line, &d) == nil && len(list) < Keep {
			list = append(list, d)
		}
	}
	return list, nil
}

// maxFile is more than a file gets, bytes.
const maxFile = 1 << 20

func readLines(path string) ([][]byte, error) {
	in, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	text, err := io.ReadAll(io.LimitReader(in, maxFile))
	if err != nil {
		return nil, err
	}
	return slices.Collect(bytes.Lines(text)), nil
}
