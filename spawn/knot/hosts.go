package knot

import (
	"strconv"

	"golang.org/x/sys/unix"

	"lithos/spawn/wire"
)

// localhostLine is the line of the option localhost, requirement I6.
const localhostLine = "127.0.0.1 localhost.localdomain localhost\n"

// appendHosts appends the lines that are not copied.
func appendHosts(b []byte, h *wire.Hosts) []byte {
	if h.Localhost {
		b = append(b, localhostLine...)
	}
	if h.PublicHostname {
		if name := hostname(); name != "" {
			b = append(b, publicAddress(name)+" "+name+"\n"...)
		}
	}
	for _, line := range h.Additional {
		b = append(b, line...)
		b = append(b, '\n')
	}
	return b
}

// HostsLines is what is not copied of a hosts file, for who wants to know whether
// it would be the same.
func HostsLines(h *wire.Hosts) []byte { return appendHosts(nil, h) }

// hostname is the node's name, "" if it has none.
func hostname() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	name := unix.ByteSliceToString(u.Nodename[:])
	if name == "(none)" {
		return ""
	}
	return name
}

// publicAddress is the IPv4 address of the host, see the package comment.
func publicAddress(name string) string {
	if addr := lookupHosts(readHead("/etc/hosts", maxHosts), name); addr != "" {
		return addr
	}
	if addr := sourceAddress(); addr != "" {
		return addr
	}
	return "127.0.0.1"
}

// maxHosts is how much of /etc/hosts is searched, bytes.
const maxHosts = 256 << 10

// readHead reads the beginning of a file; an unreadable one is empty.
func readHead(path string, limit int) []byte {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil
	}
	buf := make([]byte, min(int64(limit), st.Size))
	n := 0
	for n < len(buf) {
		k, err := unix.Pread(fd, buf[n:], int64(n))
		if err == unix.EINTR {
			continue
		}
		if err != nil || k == 0 {
			break
		}
		n += k
	}
	return buf[:n]
}

// lookupHosts finds the first IPv4 address of a name in a hosts file (hosts(5)),
// "" if there is none. Upper and lower case are the same.
func lookupHosts(file []byte, name string) string {
	for len(file) > 0 {
		var line []byte
		line, file = cut(file, '\n')
		line, _ = cut(line, '#')
		addr, rest := word(line)
		if !isIPv4(addr) {
			continue
		}
		for {
			var host []byte
			if host, rest = word(rest); len(host) == 0 {
				break
			}
			if equalFold(host, name) {
				return string(addr)
			}
		}
	}
	return ""
}

// cut splits at the first sep, which is in neither part.
func cut(b []byte, sep byte) (before, after []byte) {
	for i, c := range b {
		if c == sep {
			return b[:i], b[i+1:]
		}
	}
	return b, nil
}

// word splits off the first word between blanks.
func word(b []byte) (first, rest []byte) {
	start := 0
	for start < len(b) && blank(b[start]) {
		start++
	}
	end := start
	for end < len(b) && !blank(b[end]) {
		end++
	}
	return b[start:end], b[end:]
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f' }

func equalFold(a []byte, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i, c := range a {
		if lower(c) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// isIPv4 tells a dotted quad; package net is too big for this program.
func isIPv4(b []byte) bool {
	parts := 0
	for len(b) > 0 || parts == 0 {
		part, rest := cut(b, '.')
		if len(part) == 0 || len(part) > 3 || len(part) < len(b) && len(rest) == 0 {
			return false
		}
		if n, err := strconv.ParseUint(string(part), 10, 8); err != nil || len(part) > 1 && part[0] == '0' || n > 255 {
			return false
		}
		parts++
		b = rest
	}
	return parts == 4
}

// sourceAddress is the address that the host would send from to some other
// network; "" if it has no route. No packet is sent: a datagram socket is only
// connected (to a documentation address, RFC 5737).
func sourceAddress() string {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	if unix.Connect(fd, &unix.SockaddrInet4{Addr: [4]byte{192, 0, 2, 1}, Port: 9}) != nil {
		return ""
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return ""
	}
	in, ok := sa.(*unix.SockaddrInet4)
	if !ok {
		return ""
	}
	text := ""
	for i, b := range in.Addr {
		if i > 0 {
			text += "."
		}
		text += strconv.Itoa(int(b))
	}
	return text
}
