package sock

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestPeerOf(t *testing.T) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := l.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p, err := PeerOf(s)
	if err != nil {
		t.Fatal(err)
	}
	if p.PID != os.Getpid() || int(p.UID) != os.Getuid() || int(p.GID) != os.Getgid() {
		t.Errorf("got %+v", p)
	}
	own, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	for _, g := range p.Groups {
		got = append(got, int(g))
	}
	slices.Sort(own)
	slices.Sort(got)
	if !slices.Equal(own, got) {
		t.Errorf("groups %v, want %v", got, own)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	if p, err := PeerOf(tcp.(*net.TCPListener)); err == nil && p.PID != 0 {
		t.Errorf("a TCP socket has a peer: %+v", p)
	}
}
