package files

import (
	"bytes"
	"os"
	"testing"
)

// A file may grow or shrink between the look at its size and the reading.
func TestReadAtMost(t *testing.T) {
	file := t.TempDir() + "/f"
	if err := os.WriteFile(file, bytes.Repeat([]byte("x"), 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		expected, most int
		ok             bool
	}{{5000, 5000, true}, {0, 5000, true}, {9999, 9999, true}, {10, 4999, false}, {4999, 4999, false}} {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		data, err := readAtMost(int(f.Fd()), c.expected, c.most)
		if (err == nil) != c.ok || c.ok && len(data) != 5000 {
			t.Errorf("expected %d, at most %d: %d bytes, %v", c.expected, c.most, len(data), err)
		}
		f.Close()
	}
}
