package spawn

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The program of a container may tell that it is ready by a socket, as by
// sd_notify(3): it sends datagrams to the path that NOTIFY_SOCKET says.
//
//	<runtime-dir>/notify/NAME ── mounted on Request.NotifyPath, for the container alone
//	      the socket ── supervisor, which reads
//	                 └─ PID 1, which only has it open
//
// Who sends is known by that: nobody else has the path. What is sent while no
// supervisor is there waits in the socket, and the next one takes it from PID 1.
// It waits for as many datagrams as sysctl net.unix.max_dgram_qlen says (10, and
// 512 where systemd has started); then a sender waits, too.

const (
	// maxNotify is how long a datagram may be that is looked at, bytes, as for
	// systemd.
	maxNotify = 4096
	// maxStatus is how much of a STATUS is told, bytes.
	maxStatus = 200
)

// notifySocket is where the socket of a container lies on the host.
func notifySocket(record, name string) string {
	runtimeDir := filepath.Dir(filepath.Dir(filepath.Dir(record)))
	return filepath.Join(runtimeDir, "notify", strings.TrimSuffix(scope(name), ".scope"))
}

// makeNotify makes the socket, and the volume by which the container has it.
func (l *launch) makeNotify() error {
	if l.r.NotifyPath == "" {
		return nil
	}
	name := l.spec.Name
	if l.standby != nil {
		name = standbyOf(name)
	}
	path := notifySocket(l.r.Record, name)
	if l.standby != nil {
		l.standby.notify = path
	}
	socket, err := l.opens(listenNotify(path))
	var st unix.Stat_t
	if err == nil {
		err = unix.Fstat(rawFD(socket), &st)
	}
	if err != nil {
		return fmt.Errorf("cannot make the socket for its readiness: %w", err)
	}
	l.head.Notify, l.notice, l.noticeOfProgram = st.Ino, socket, socket
	l.spec.Volumes = append(slices.Clip(l.spec.Volumes), Volume{Kind: Readonly, MountPoint: l.r.NotifyPath, Source: path})
	return nil
}

// listenNotify makes a socket that is reached by a path. It is for everybody who
// gets to it: the directory is closed to all but those it is mounted for.
func listenNotify(path string) (*os.File, error) {
	dir := filepath.Dir(path)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	parent, err := os.OpenFile(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	socket := os.NewFile(uintptr(fd), "notify socket")
	// An address has at most 108 bytes, so the path is short first. No other
	// name has a space in it.
	short := "/proc/self/fd/" + strconv.Itoa(rawFD(parent)) + "/new " + strconv.Itoa(os.Getpid())
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
	if err != nil {
		socket.Close()
		return nil, err
	}
	return socket, nil
}

// Notice is what a program has sent. What is not in it is not heard: files that
// came along are closed.
type Notice struct {
	Ready    bool
	Stopping bool
	Alive    bool    // WATCHDOG=1
	Trigger  bool    // WATCHDOG=trigger
	Status   *string // in printable characters; nil = nothing about it
}

// PeekNotice waits until a program has sent something; it stays in the socket
// until [DropNotice]. The error is os.ErrDeadlineExceeded at that time (zero =
// never), or says why nothing more will be heard; closing the file is one.
func PeekNotice(f *os.File, until time.Time) (Notice, error) {
	if err := f.SetReadDeadline(until); err != nil {
		return Notice{}, fmt.Errorf("cannot read what its program sends: %w", err)
	}
	var buf [maxNotify]byte
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
		return Notice{}, err
	case err != nil:
		return Notice{}, fmt.Errorf("cannot read what its program sends: %w", err)
	case n > len(buf):
		return Notice{}, nil
	}
	return parseNotice(string(buf[:n])), nil
}

// DropNotice takes away what [PeekNotice] has told.
func DropNotice(f *os.File) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	// Not Read, which would fail if the time of PeekNotice is over.
	err = conn.Control(func(fd uintptr) {
		// Without room for them, files that were sent along are closed.
		_, failed = receive(fd, nil, unix.MSG_DONTWAIT)
	})
	return errors.Join(err, failed)
}

func receive(fd uintptr, buf []byte, flags int) (int, error) {
	for {
		n, _, err := unix.Recvfrom(int(fd), buf, flags)
		if err != unix.EINTR {
			return n, err
		}
	}
}

// parseNotice reads the lines of a datagram, see sd_notify(3).
func parseNotice(text string) Notice {
	var n Notice
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
