package mmap

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "values")
	f, err := Create(path, 1000)
	if err != nil {
		t.Fatal(err)
	}
	f.Store(0, 7)
	f.Store(999, 1<<63)
	read := func() []byte {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	data := read()
	if len(data) != 8192 || binary.NativeEndian.Uint64(data) != 7 || binary.NativeEndian.Uint64(data[999*8:]) != 1<<63 {
		t.Errorf("%d bytes, %v", len(data), data[:16])
	}
	if _, err := Create(path, 1); err == nil {
		t.Error("it took a file that is there")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if data := read(); binary.NativeEndian.Uint64(data) != 7 {
		t.Error("the file does not stay")
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("a store behind the end is taken")
			}
		}()
		f.Store(0, 1)
	}()
}
