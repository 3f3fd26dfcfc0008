package memfd

import (
	"bytes"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSealed(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	f, err := Sealed("name of it", data[:5], nil, data[5:])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := io.ReadAll(f)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
	if _, err := f.WriteAt([]byte("x"), 0); err == nil {
		t.Error("it can be written")
	}
	if f.Truncate(1) == nil || f.Truncate(1<<30) == nil {
		t.Error("its size can be changed")
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, 0); err == nil {
		t.Error("it is not sealed")
	}
	if w, err := os.OpenFile("/proc/self/fd/"+strconv.Itoa(int(f.Fd())), os.O_RDWR, 0); err == nil {
		if _, err := w.WriteString("x"); err == nil {
			t.Error("it can be opened and written")
		}
		w.Close()
	}
	if flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0); err != nil || flags != unix.FD_CLOEXEC {
		t.Errorf("its flags are %d, %v", flags, err)
	}
	if link, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(int(f.Fd()))); err != nil || !strings.Contains(link, "name of it") {
		t.Errorf("it is shown as %s, %v", link, err)
	}
}

func TestSealed_Empty(t *testing.T) {
	f, err := Sealed("empty")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
}

func TestSealed_BadName(t *testing.T) {
	if f, err := Sealed(strings.Repeat("x", 1000), nil); err == nil {
		f.Close()
		t.Error("a name of 1000 bytes was taken")
	}
}
