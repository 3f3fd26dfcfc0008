//go:build !guest

package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lithos/cmd/internal/catalog"
)

// connect has a client be answered, and leaves its connection open.
func (r *trial) connect() (net.Conn, error) {
	c := r.row.Client
	conn, err := r.dial()
	if err != nil {
		return nil, err
	}
	if c.HTTP != "" {
		return conn, r.get(conn, c.HTTP)
	}
	question, err := c.Bytes()
	if err != nil {
		return conn, err
	}
	if _, err := conn.Write(question); err != nil {
		return conn, err
	}
	if c.Expect == "" {
		return conn, nil
	}
	var answer []byte
	pattern := regexp.MustCompile(c.Expect)
	for part := make([]byte, 4096); ; {
		n, err := conn.Read(part)
		answer = append(answer, part[:n]...)
		if pattern.Match(answer) {
			return conn, nil
		}
		if err != nil {
			return conn, fmt.Errorf("the answer is %q: %w", answer, err)
		}
	}
}

func (r *trial) head(path string) string {
	return fmt.Sprintf("GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n", path, r.port)
}

func (r *trial) get(conn net.Conn, path string) error {
	if _, err := io.WriteString(conn, r.head(path)+"\r\n"); err != nil {
		return err
	}
	return answered(conn)
}

// answered reads one answer, whole.
func answered(conn net.Conn) error {
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode >= 500 {
		return errors.New(answer.Status)
	}
	return nil
}

// idle is a connection that was served and is kept.
func (r *trial) idle() net.Conn {
	r.t.Helper()
	if r.row.Client.Says != "" {
		return nil
	}
	conn, err := r.connect()
	if err != nil {
		r.t.Errorf("the idle client: %v", err)
	}
	return conn
}

// stalled is a connection with the first half of a request over HTTP; nil for
// programs that speak something else.
func (r *trial) stalled() net.Conn {
	r.t.Helper()
	if r.row.Client.HTTP == "" {
		return nil
	}
	conn, err := r.dial()
	must(r.t, err)
	_, err = io.WriteString(conn, r.head(r.row.Client.HTTP))
	must(r.t, err)
	if r.row.Client.Slow == "" { // else it may be busy with the slow one
		eventually(r.t, "the program reads half a request", 10*time.Second, func() error { return unread(conn) })
	}
	return conn
}

// request begins a request over HTTP and gives a function that says, after the
// signal, whether it is answered.
func (r *trial) request() func() string {
	r.t.Helper()
	c := r.row.Client
	if c.HTTP == "" {
		return nil
	}
	var conn net.Conn
	if c.Slow == "" {
		conn = r.stalled()
	} else {
		var err error
		conn, err = r.dial()
		must(r.t, err)
		_, err = io.WriteString(conn, r.head(c.Slow)+"\r\n")
		must(r.t, err)
		eventually(r.t, "the program reads the request", 10*time.Second, func() error { return unread(conn) })
	}
	must(r.t, conn.SetDeadline(time.Now().Add(within(20*time.Second))))
	return func() string {
		defer conn.Close()
		if c.Slow == "" {
			<-time.After(500 * time.Millisecond) // it has acted on the signal
			if _, err := io.WriteString(conn, "\r\n"); err != nil {
				return "cut"
			}
		}
		if answered(conn) != nil {
			return "cut"
		}
		return "answered"
	}
}

// unread says that the server has not read all that was sent to it. In
// /proc/net/tcp its side has what is unread in its receive queue.
func unread(conn net.Conn) error {
	local, remote := conn.LocalAddr().(*net.TCPAddr), conn.RemoteAddr().(*net.TCPAddr)
	want := fmt.Sprintf(":%04X", remote.Port) + fmt.Sprintf(" .*:%04X 01 [0-9A-F]{8}:00000000 ", local.Port)
	pattern := regexp.MustCompile(want)
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		table, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if pattern.Match(table) {
			return nil
		}
	}
	return errors.New("some of it waits in the kernel")
}

// look sees what the program has done while it serves.
func (r *trial) look(seen *catalog.Seen) {
	r.t.Helper()
	i := r.instance()
	if i == nil || i.ProgramPID == 0 {
		r.t.Fatal("it does not run")
	}
	family := descendants(i.PID)
	seen.User = users(family)
	seen.Writes = r.written(i.ProgramPID)
	seen.Logs = r.logs(family)
	if strings.Contains(r.row.Container, "activation: systemd") || strings.Contains(r.row.Container, "\ntcp-ports:") {
		how := "activation"
		if strings.Contains(r.row.Container, "\ntcp-ports:") {
			how = "tcp-ports"
		}
		seen.Socket = r.socket()
		seen.Socket.How = how
	}
}

// descendants are the processes of a container without its PID 1.
func descendants(knot int) []int {
	family := []int{knot}
	all := processes()
	for n := 0; n < len(family); n++ {
		for _, p := range all {
			if p.ppid == family[n] {
				family = append(family, p.pid)
			}
		}
	}
	return family[1:]
}

var uidLine = regexp.MustCompile(`(?m)^Uid:\t\d+\t(\d+)`)

func users(family []int) string {
	ids := map[string]bool{}
	for _, pid := range family {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if m := uidLine.FindSubmatch(status); m != nil {
			ids[string(m[1])] = true
		}
	}
	var list []string
	for id := range ids {
		list = append(list, id)
	}
	slices.Sort(list)
	return strings.Join(list, " and ")
}

// written are the volumes with something in them.
func (r *trial) written(pid int) []string {
	var all []string
	for _, volume := range volumesOf(r.row.Container) {
		dir, err := os.Open(fmt.Sprintf("/proc/%d/root%s", pid, volume))
		must(r.t, err)
		if names, _ := dir.Readdirnames(1); len(names) > 0 {
			all = append(all, volume)
		}
		_ = dir.Close()
	}
	return all
}

// logs are where the program writes what is for people: its output, and files
// with "log" in their path that it has open.
func (r *trial) logs(family []int) []string {
	var all []string
	if output := regexp.MustCompile(`(?m)^-----.*\n`).ReplaceAllString(r.output(), ""); strings.TrimSpace(output) != "" {
		all = append(all, "output")
	}
	for _, pid := range family {
		fds := fmt.Sprintf("/proc/%d/fd", pid)
		_ = filepath.WalkDir(fds, func(path string, _ fs.DirEntry, err error) error {
			target, e := os.Readlink(path)
			info, e2 := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%s", pid, filepath.Base(path)))
			if err != nil || e != nil || e2 != nil || !strings.HasPrefix(target, "/") || !strings.Contains(target, "log") ||
				strings.HasPrefix(target, "/dev/") || strings.Contains(target, r.h.dir) || !appending(string(info)) {
				return nil
			}
			if !slices.Contains(all, target) {
				all = append(all, target)
			}
			return nil
		})
	}
	return all
}

// appending tells of a descriptor by its fdinfo whether it was opened to append.
func appending(info string) bool {
	_, flags, _ := strings.Cut(info, "flags:\t")
	flags, _, _ = strings.Cut(flags, "\n")
	n, err := strconv.ParseUint(flags, 8, 64)
	return err == nil && n&unix.O_APPEND != 0
}

// socket is what became of the passed socket, as seen in PID 1, which has it too.
func (r *trial) socket() catalog.Socket {
	r.t.Helper()
	i := r.instance()
	if i == nil {
		r.t.Fatal("it does not run")
	}
	pidfd, err := unix.PidfdOpen(i.ProgramPID, 0)
	must(r.t, err)
	defer unix.Close(pidfd)
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", i.ProgramPID))
	must(r.t, err)
	for _, e := range entries {
		n, _ := strconv.Atoi(e.Name())
		fd, err := unix.PidfdGetfd(pidfd, n, 0)
		if err != nil {
			continue
		}
		s, found := r.listener(fd)
		_ = unix.Close(fd)
		if found {
			return s
		}
	}
	r.t.Fatal("the program has no listening socket of its port")
	return catalog.Socket{}
}

// listener reads the options of a socket that listens at the trial's port.
func (r *trial) listener(fd int) (catalog.Socket, bool) {
	listening, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil || listening == 0 {
		return catalog.Socket{}, false
	}
	address, err := unix.Getsockname(fd)
	if inet, ok := address.(*unix.SockaddrInet4); err != nil || !ok || inet.Port != r.port {
		return catalog.Socket{}, false
	}
	var s catalog.Socket
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	must(r.t, err)
	s.Backlog = "kept"
	if info.Sacked != 128 { // the default of listen-backlog
		s.Backlog = strconv.Itoa(int(info.Sacked))
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	must(r.t, err)
	if flags&unix.O_NONBLOCK != 0 && !strings.Contains(r.row.Container, "set-non-block: true") {
		s.Left = append(s.Left, "O_NONBLOCK")
	}
	for _, option := range []struct {
		name        string
		level, what int
	}{
		{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE},
		{"SO_REUSEPORT", unix.SOL_SOCKET, unix.SO_REUSEPORT},
		{"TCP_DEFER_ACCEPT", unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT},
		{"TCP_FASTOPEN", unix.IPPROTO_TCP, unix.TCP_FASTOPEN},
		{"TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY},
	} {
		if v, err := unix.GetsockoptInt(fd, option.level, option.what); err == nil && v != 0 {
			s.Left = append(s.Left, option.name)
		}
	}
	return s, true
}
