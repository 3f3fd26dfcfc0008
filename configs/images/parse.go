package images

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// maxLine bounds a line of a config log or of a list, bytes: above the JSON of
// the largest process config there can be.
const maxLine = 64 << 20

// ParseLine reads one line of a config log, `<RFC3339> <JSON>` (requirement P7),
// and gives the images in it, sorted, each once.
func ParseLine(line []byte) (at time.Time, images []string, err error) {
	stamp, text, ok := bytes.Cut(line, []byte(" "))
	if !ok {
		return at, nil, errors.New("is not a time and a process config")
	}
	if at, err = time.Parse(time.RFC3339, string(stamp)); err != nil {
		return at, nil, errors.New("does not begin with a time")
	}
	// json would put a replacement in the place of a byte that is no UTF-8,
	// and so make another name of it.
	if !utf8.Valid(text) {
		return at, nil, errors.New("is not UTF-8")
	}
	var processes map[string]*struct {
		Image *string `json:"image"`
	}
	if err := json.Unmarshal(text, &processes); err != nil || processes == nil {
		return at, nil, errors.New("has no process config after the time")
	}
	set := make(map[string]bool)
	for name, p := range processes {
		if p == nil || p.Image == nil {
			return at, nil, fmt.Errorf("has no image for the process %q", name)
		}
		if err := checkName(*p.Image, 0); err != nil {
			return at, nil, fmt.Errorf("has the image %q, which %w", *p.Image, err)
		}
		set[*p.Image] = true
	}
	return at, slices.Sorted(maps.Keys(set)), nil
}

// ParseListLine reads one line of a used-images-list, whose images are levels
// directories deep (requirement C17). An empty line gives "".
func ParseListLine(line []byte, levels int) (string, error) {
	name := strings.TrimSpace(string(line))
	if name == "" {
		return "", nil
	}
	if err := checkName(name, levels); err != nil {
		return "", fmt.Errorf("%q %w", name, err)
	}
	return name, nil
}

// checkName says why a name can't be an image's; levels 0 is any number of
// them: image-dir-levels may have been another one day.
func checkName(name string, levels int) error {
	if !utf8.ValidString(name) {
		return errors.New("is not UTF-8")
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return errors.New("has control characters in it")
	}
	if name == "" || name == "." || name == ".." || path.IsAbs(name) || path.Clean(name) != name || strings.HasPrefix(name, "../") {
		return errors.New("is not a plain path below image-dir")
	}
	if n := strings.Count(name, "/") + 1; levels > 0 && n != levels {
		return fmt.Errorf("has %d path components, image-dir-levels is %d", n, levels)
	}
	return nil
}

// eachLine gives the lines of a file that are not blank, with their numbers.
func eachLine(r io.Reader, do func(number int, line []byte)) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	number := 0
	for lines.Scan() {
		number++
		if line := lines.Bytes(); len(bytes.TrimSpace(line)) > 0 {
			do(number, line)
		}
	}
	return lines.Err()
}

// openRegular opens a file, and refuses what is none: a FIFO would block.
func openRegular(file string) (*os.File, os.FileInfo, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", file)
	}
	if err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// ReadList reads a used-images-list. One line that can't be right makes it an
// error: what should stand there is not known.
func ReadList(file string, levels int) ([]string, error) {
	f, _, err := openRegular(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var names []string
	var broken error
	err = eachLine(f, func(number int, line []byte) {
		name, err := ParseListLine(line, levels)
		if err != nil {
			if broken == nil {
				broken = fmt.Errorf("%s:%d: %w", file, number, err)
			}
			return
		}
		names = append(names, name)
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", file, err)
	}
	if broken != nil {
		return nil, broken
	}
	return names, nil
}
