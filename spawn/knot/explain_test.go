package knot

import (
	"debug/elf"
	"os"
	"testing"
)

// Covers: E8
func TestInterpreterIsNamed(t *testing.T) {
	tests := []struct{ name, head, want string }{
		{"E8 script", "#!/bin/sh -e\necho\n", "/bin/sh"},
		{"E8 script with a blank", "#! \t/usr/bin/env python3\n", "/usr/bin/env"},
		{"E8 script without a newline", "#!/x", "/x"},
		{"E8 script with nothing", "#!\n", ""},
		{"E8 text", "hello", ""},
		{"E8 empty", "", ""},
		{"E8 cut off header", "\x7fELF\x02\x01\x01", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := interpreter([]byte(tt.head)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	t.Run("E8 dynamic program", func(t *testing.T) {
		const path = "/bin/ls"
		f, err := elf.Open(path)
		if err != nil {
			t.Fatalf("this test wants a dynamically linked %s: %v", path, err)
		}
		defer f.Close()
		data, err := f.Section(".interp").Data()
		if err != nil {
			t.Fatal(err)
		}
		want := string(data[:len(data)-1])
		if got := interpreter(readHead(path, maxHead)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// The file is the image's: whatever it says, it is read in its bounds.
func FuzzInterpreter(f *testing.F) {
	f.Add([]byte("#!/bin/sh\n"))
	for _, path := range []string{"/bin/ls", "/proc/self/exe"} {
		if head := readHead(path, maxHead); len(head) > 0 {
			f.Add(head)
		}
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		if got := interpreter(head); len(got) > len(head) {
			t.Errorf("%d bytes from %d", len(got), len(head))
		}
	})
}

// Covers: E8
func TestReadHeadOfWhatIsNoFile(t *testing.T) {
	for _, path := range []string{"/", "/dev/zero", "/none", os.TempDir()} {
		if got := readHead(path, 10); len(got) != 0 {
			t.Errorf("%s: %q", path, got)
		}
	}
}
