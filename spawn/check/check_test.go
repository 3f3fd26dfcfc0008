package check

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"lithos/spawn/enter"
	"lithos/spawn/records"
	"lithos/spawn/wire"
)

// here is a container in the host's network.
var here = &records.Record{
	Created: records.Created{Identity: &records.Identity{}}, Forked: &records.Forked{PID: 1, StartTime: 1}, Started: &wire.ProgramStarted{},
}

// server answers each connection with a text, after it has read a request.
func server(t *testing.T, answer string, hang bool) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				buf := make([]byte, 4096)
				_, _ = conn.Read(buf)
				_, _ = io.WriteString(conn, answer)
				if hang {
					_, _ = io.Copy(io.Discard, conn)
				}
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func TestHTTP(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		hang         bool
		want         string // "" = good
	}{
		{"good", "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", true, ""},
		{"no content", "HTTP/1.0 204 x\r\n\r\n", false, ""},
		{"redirection", "HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\n\r\n", false, ""},
		{"after a hint", "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", false, ""},
		{"not found", "HTTP/1.1 404 \x1b[31mred\r\n\r\n", false, "status 404"},
		{"broken", "HTTP/1.1 500 Oops\r\n\r\n", false, "status 500"},
		{"only hints", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 100), false, "no final answer"},
		{"something else", "-ERR unknown command\r\n", false, "the answer is not HTTP"},
		{"nothing", "", false, "the connection was closed before there was an answer"},
		{"half", "HTTP/1.1 200 OK\r\nContent", false, "the answer is not HTTP"},
		{"endless", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: "+strings.Repeat("y", 1000)+"\r\n", 10000), false, "the connection was closed before there was an answer"},
		{"silent", "", true, "no answer in time"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			limit := time.Minute
			if c.name == "silent" {
				limit = 500 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			err := HTTP(ctx, here, server(t, c.answer, c.hang), "/up?a=b")
			if got := words(err); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func words(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestHTTP_TheRequest(t *testing.T) {
	asked := make(chan string, 1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		buf := make([]byte, 4096)
		n, _ := conn.Read(buf)
		asked <- string(buf[:n])
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
	}()
	if err := HTTP(t.Context(), here, l.Addr().(*net.TCPAddr).AddrPort(), "/up?a=b"); err != nil {
		t.Fatal(err)
	}
	want := "GET /up?a=b HTTP/1.1\r\nHost: " + l.Addr().String() + "\r\nUser-Agent: lithos-check\r\nAccept: */*\r\nConnection: close\r\n\r\n"
	if got := <-asked; got != want {
		t.Errorf("asked %q, want %q", got, want)
	}
}

func TestTCP(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := TCP(ctx, here, server(t, "", true)); err != nil {
		t.Error(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if got := words(TCP(ctx, here, l.Addr().(*net.TCPAddr).AddrPort())); got != "connection refused" {
		t.Errorf("nobody listens: %q", got)
	}
	for want, r := range map[error]*records.Record{
		enter.ErrNotRunning: {},
		enter.ErrOldRecord:  {Forked: here.Forked, Started: here.Started},
		enter.ErrNoProgram:  {Forked: here.Forked, Created: here.Created},
	} {
		if err := TCP(ctx, r, netip.MustParseAddrPort("127.0.0.1:1")); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
}
