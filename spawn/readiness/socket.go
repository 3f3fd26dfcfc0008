package readiness

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lithos/sysx/eintr"
)

// The program sends datagrams to the path in NOTIFY_SOCKET, see sd_notify(3):
//
//	<runtime-dir>/notify/NAME ── mounted in the container, and in no other
//	      the socket ── supervisor, which reads
//	                 └─ PID 1, which only has it open
//
// The path identifies the sender: nothing else can reach it. The socket queues
// datagrams while no supervisor runs, at most as many as sysctl
// net.unix.max_dgram_qlen says (10, and 512 where systemd has started). Beyond
// that the sender blocks.

const (
	// maxMessage is the longest datagram that is parsed, bytes, as for systemd.
	maxMessage = 4096
	// maxStatus is the most that is kept of a STATUS, bytes.
	maxStatus = 200
)

// Socket makes a socket at a path of the host, in place of one that is there.
func Socket(path string) (*Channel, error) {
	socket, inode, err := listen(path)
	if err != nil {
		return nil, fmt.Errorf("cannot make the socket for its readiness: %w", err)
	}
	return &Channel{Heard: socket, Told: socket, Inode: inode}, nil
}

// listen binds a socket to a path. Any user may send to it: the directory is
// closed to all but the container that it is mounted for.
func listen(path string) (socket *os.File, ino uint64, err error) {
	dir := filepath.Dir(path)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, 0, err
	}
	parent, err := os.OpenFile(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, 0, err
	}
	defer parent.Close()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, 0, os.NewSyscallError("socket", err)
	}
	// An address has at most 108 bytes: a short name first. No other name has a
	// space in it.
	short := "/proc/self/fd/" + strconv.Itoa(int(parent.Fd())) + "/new " + strconv.Itoa(os.Getpid())
	if err = os.Remove(short); errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err == nil {
		err = os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrUnix{Name: short}))
	}
	if err == nil {
		err = os.Chmod(short, 0o666)
	}
	if err == nil {
		err = os.Rename(short, path)
	}
	if err == nil {
		ino, err = inode(fd)
	}
	if err != nil {
		unix.Close(fd)
		return nil, 0, err
	}
	return os.NewFile(uintptr(fd), "notify socket"), ino, nil
}

// Message is a datagram of a program. Other lines of it are ignored; files that
// came along are closed.
type Message struct {
	Ready    bool
	Stopping bool
	Alive    bool    // WATCHDOG=1
	Trigger  bool    // WATCHDOG=trigger
	Status   *string // in printable characters; nil = nothing about it
}

// Peek waits for a message, which stays in the socket until [Drop]. The error is
// os.ErrDeadlineExceeded at that time (zero = never), or says why no more can
// come, such as a closed file.
func Peek(f *os.File, until time.Time) (Message, error) {
	if err := f.SetReadDeadline(until); err != nil {
		return Message{}, fmt.Errorf("cannot read the messages of its program: %w", err)
	}
	var buf [maxMessage]byte
	n, failed := 0, error(nil)
	conn, err := f.SyscallConn()
	if err == nil {
		err = conn.Read(func(fd uintptr) bool {
			n, failed = receive(fd, buf[:], unix.MSG_PEEK|unix.MSG_TRUNC|unix.MSG_DONTWAIT)
			return failed != unix.EAGAIN
		})
	}
	if err == nil {
		err = failed
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return Message{}, err
	case err != nil:
		return Message{}, fmt.Errorf("cannot read the messages of its program: %w", err)
	case n > len(buf):
		return Message{}, nil
	}
	return parseMessage(string(buf[:n])), nil
}

// Drop removes the message that [Peek] returned.
func Drop(f *os.File) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	// Not Read, which would fail if the time of Peek is over.
	err = conn.Control(func(fd uintptr) {
		// Without room for them, files that were sent along are closed.
		_, failed = receive(fd, nil, unix.MSG_DONTWAIT)
	})
	return errors.Join(err, failed)
}

func receive(fd uintptr, buf []byte, flags int) (int, error) {
	return eintr.Get(func() (int, error) {
		n, _, err := unix.Recvfrom(int(fd), buf, flags)
		return n, err
	})
}

// parseMessage reads the lines of a datagram, see sd_notify(3).
func parseMessage(text string) Message {
	var n Message
	for line := range strings.SplitSeq(text, "\n") {
		key, value, _ := strings.Cut(line, "=")
		switch {
		case line == "READY=1":
			n.Ready = true
		case line == "STOPPING=1":
			n.Stopping = true
		case line == "WATCHDOG=1":
			n.Alive = true
		case line == "WATCHDOG=trigger":
			n.Trigger = true
		case key == "STATUS":
			status := printable(value)
			n.Status = &status
		}
	}
	return n
}

// printable cuts a text, and leaves out what terminals take for commands.
func printable(text string) string {
	text = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, text))
	if len(text) > maxStatus {
		text = strings.ToValidUTF8(text[:maxStatus], "") + "…"
	}
	return text
}
