package metrics

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"lithos/sysx/mmap"
)

// Value is one number of the cantal protocol.
type Value struct {
	Group, Metric string
	Level         bool // a current value; else a counter
	N             int64
}

// line is the value's line in the meta file; the keys of its name are sorted.
func (v Value) line() []byte {
	name, err := json.Marshal(map[string]string{"group": v.Group, "metric": v.Metric})
	if err != nil {
		return nil // strings can be written
	}
	kind := "counter 8: "
	if v.Level {
		kind = "level 8 signed: "
	}
	return append(append([]byte(kind), name...), '\n')
}

// cantal are the two files. They are recreated when the list of names changes,
// because a meta file is constant.
type cantal struct {
	path   string
	meta   []byte // content of the meta file
	values *mmap.File
}

// update brings the files up to date.
func (c *cantal) update(values []Value) error {
	var meta []byte
	for _, v := range values {
		meta = append(meta, v.line()...)
	}
	if c.values == nil || !bytes.Equal(meta, c.meta) {
		if err := c.replace(meta, values); err != nil {
			return fmt.Errorf("cannot write the metrics: %w", err)
		}
	}
	for i, v := range values {
		c.values.Store(i, uint64(v.N))
	}
	return nil
}

// replace makes both files again. There is no moment at which a meta file lies
// beside values that it is not of.
func (c *cantal) replace(meta []byte, values []Value) error {
	temporary := c.path + ".tmp"
	if err := removeAll(temporary, c.path+".meta"); err != nil {
		return err
	}
	file, err := mmap.Create(temporary, len(values))
	if err != nil {
		return err
	}
	for i, v := range values {
		file.Store(i, uint64(v.N))
	}
	err = os.Rename(temporary, c.path+".values")
	if err == nil {
		err = os.WriteFile(temporary, meta, 0o644)
	}
	if err == nil {
		err = os.Rename(temporary, c.path+".meta")
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	if c.values != nil {
		_ = c.values.Close()
	}
	c.meta, c.values = meta, file
	return nil
}

func removeAll(paths ...string) error {
	for _, path := range paths {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// maxFile is more than any of the files has, bytes.
const maxFile = 64 << 20

// ReadFiles reads the files of the cantal protocol at path, whoever wrote them;
// values of types that lithos does not write are left out.
func ReadFiles(path string) ([]Value, error) {
	meta, err := readFile(path + ".meta")
	if err != nil {
		return nil, err
	}
	data, err := readFile(path + ".values")
	if err != nil {
		return nil, err
	}
	var values []Value
	for line := range strings.Lines(string(meta)) {
		v, size, known, err := parseLine(strings.TrimSpace(line))
		if err != nil {
			return nil, err
		}
		if len(data) < size {
			return nil, errors.New("the values end before the list of their names does")
		}
		if known {
			v.N = int64(binary.NativeEndian.Uint64(data))
			values = append(values, v)
		}
		data = data[size:]
	}
	return values, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile))
}

// parseLine reads `TYPE BYTES[ PARAM]: JSON` or `pad BYTES`.
func parseLine(line string) (v Value, size int, known bool, err error) {
	kind, name, _ := strings.Cut(line, ":")
	words := strings.Fields(kind)
	if len(words) < 2 {
		return v, 0, false, fmt.Errorf("no type and size in %q", line)
	}
	size, err = strconv.Atoi(words[1])
	if err != nil || size < 1 || size > 65535 {
		return v, 0, false, fmt.Errorf("no size in %q", line)
	}
	counter, level := slices.Equal(words, []string{"counter", "8"}), slices.Equal(words, []string{"level", "8", "signed"})
	if !counter && !level {
		return v, size, false, nil
	}
	var pair struct{ Group, Metric string }
	if err := json.Unmarshal([]byte(name), &pair); err != nil {
		return v, 0, false, fmt.Errorf("no name in %q: %w", line, err)
	}
	return Value{Group: pair.Group, Metric: pair.Metric, Level: level}, size, true, nil
}
