package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// journal is standard error where systemd's journal reads it: a stream socket. A
// journal that does not read, in a storm of lines or while it hangs, must not
// make anything wait: what it does not take at once is lost, and counted.
type journal struct {
	fd int

	mu   sync.Mutex
	lost int  // lines since the last one that was taken
	torn bool // of the last line only a part was taken
}

// journalOf is w as the journal's, or nil if somebody else reads it. systemd says
// in JOURNAL_STREAM, as "DEVICE:INODE", which socket is the journal's; it may have
// been replaced since by whoever started us.
func journalOf(w io.Writer, stream string) *journal {
	f, ok := w.(*os.File)
	if !ok || stream == "" {
		return nil
	}
	var st unix.Stat_t
	fd := int(f.Fd())
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFSOCK || stream != fmt.Sprintf("%d:%d", st.Dev, st.Ino) {
		return nil
	}
	return &journal{fd: fd}
}

// Write implements io.Writer, for whole lines. It never fails and never waits.
func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	text := p
	if j.lost > 0 {
		head := fmt.Sprintf("<4>%d log lines are missing here: the journal did not take them; the log files may have them\n", j.lost)
		text = append([]byte(head), p...)
	}
	if j.torn {
		text = append([]byte("\n"), text...)
	}
	n, err := unix.SendmsgN(j.fd, text, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	switch {
	case err != nil:
		j.lost += strings.Count(string(p), "\n")
	case n < len(text):
		j.lost, j.torn = j.lost+1, true
	default:
		j.lost, j.torn = 0, false
	}
	return len(p), nil
}
