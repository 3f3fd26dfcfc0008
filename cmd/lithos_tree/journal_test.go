package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func journalPair(t *testing.T) (ours, theirs *os.File, stream string) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs = os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
	t.Cleanup(func() { _, _ = ours.Close(), theirs.Close() })
	var st unix.Stat_t
	if err := unix.Fstat(fds[0], &st); err != nil {
		t.Fatal(err)
	}
	return ours, theirs, fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}

func TestJournalIsKnownByItsSocket(t *testing.T) {
	ours, theirs, stream := journalPair(t)
	file, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	if journalOf(ours, stream) == nil {
		t.Error("the journal's socket is not taken for it")
	}
	for name, j := range map[string]*journal{
		"another socket":     journalOf(theirs, stream),
		"no variable":        journalOf(ours, ""),
		"not a file":         journalOf(&bytes.Buffer{}, stream),
		"no socket":          journalOf(file, fmt.Sprintf("%d:%d", st.Dev, st.Ino)),
		"a strange variable": journalOf(ours, "x"),
	} {
		if j != nil {
			t.Errorf("%s is taken for the journal", name)
		}
	}
}

// A journal that does not read holds nothing up, and hears later how much it has missed.
//
// Covers: P3
func TestStuckJournalBlocksNothing(t *testing.T) {
	ours, theirs, stream := journalPair(t)
	j := journalOf(ours, stream)
	line := []byte("<3>" + strings.Repeat("x", 1000) + "\n")
	wrote := 0
	for ; j.lost < 10; wrote++ {
		if n, err := j.Write(line); n != len(line) || err != nil {
			t.Fatalf("a write gives %d, %v", n, err)
		}
		if wrote > 1<<20 {
			t.Fatal("the socket takes all there is")
		}
	}
	var got []byte
	read := func() {
		buf := make([]byte, 1<<20)
		for {
			n, _, err := unix.Recvfrom(int(theirs.Fd()), buf, unix.MSG_DONTWAIT)
			if err != nil {
				return
			}
			got = append(got, buf[:n]...)
		}
	}
	read()
	lost := j.lost
	_, _ = j.Write([]byte("<6>again\n"))
	_, _ = j.Write([]byte("<6>more\n"))
	read()
	want := fmt.Sprintf("\n<4>%d log lines are missing here: the journal did not take them; the log files may have them\n<6>again\n<6>more\n", lost)
	if !strings.HasSuffix(string(got), want) {
		t.Errorf("the journal gets at its end %q, want %q", got[max(0, len(got)-300):], want)
	}
	if whole := strings.Count(string(got), string(line)); whole+lost != wrote {
		t.Errorf("%d lines were taken and %d counted as lost, of %d", whole, lost, wrote)
	}
}
