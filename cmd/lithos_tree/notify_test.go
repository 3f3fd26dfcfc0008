package main

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

func TestSystemdIsToldWhenItIsUp(t *testing.T) {
	for name, path := range map[string]string{"a file": "", "an abstract name": fmt.Sprintf("@lithos-tree-test-%d", os.Getpid())} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			if path == "" {
				path = h.path("notify")
			}
			c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			t.Setenv("NOTIFY_SOCKET", path)
			p := h.daemon()
			buf := make([]byte, 1000)
			if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			n, err := c.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(buf[:n]); !strings.HasPrefix(got, "READY=1\n") || !strings.Contains(got, fmt.Sprintf("\nMAINPID=%d\n", p.Process.Pid)) {
				t.Errorf("systemd is told %q", got)
			}
			p.stop()
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		h := newHost(t)
		t.Setenv("NOTIFY_SOCKET", h.path("none"))
		p := h.daemon()
		h.await(p, "log/master.log", "cannot tell systemd that the daemon is up")
		p.stop()
	})
}
