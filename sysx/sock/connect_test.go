package sock

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestConnect(t *testing.T) {
	listener := mustListen(t, Options{Addr: loopback, Backlog: 1})
	to := bound(t, listener)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := Connect(ctx, nil, to)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fd, _, err := unix.Accept(int(listener.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(fd, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
	if text, err := io.ReadAll(conn); string(text) != "hello" {
		t.Errorf("read %q, %v", text, err)
	}
	listener.Close()
	if _, err := Connect(ctx, nil, to); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("to nobody: %v", err)
	}
	if _, err := Connect(ctx, nil, netip.MustParseAddrPort("[::1]:1")); !errors.Is(err, unix.ECONNREFUSED) && !errors.Is(err, unix.EADDRNOTAVAIL) && !errors.Is(err, unix.EAFNOSUPPORT) {
		t.Errorf("by IPv6: %v", err)
	}
	done, end := context.WithCancel(t.Context())
	end()
	if _, err := Connect(done, nil, to); err == nil {
		t.Error("a connection although nobody wants it any more")
	}
}

// A connection is made from the network that is asked for, and times out there.
func TestConnect_AnotherNetwork(t *testing.T) {
	listener := mustListen(t, Options{Addr: loopback, Backlog: 1})
	to := bound(t, listener)
	other := exec.Command("sleep", "60")
	other.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Process.Kill(); _ = other.Wait() }()
	network, err := os.Open("/proc/" + strconv.Itoa(other.Process.Pid) + "/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer network.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	// Its loopback is down.
	if _, err := Connect(ctx, network, to); !errors.Is(err, unix.ENETUNREACH) {
		t.Errorf("from a network without any interface: %v", err)
	}
	if conn, err := Connect(ctx, nil, to); err != nil {
		t.Errorf("this network afterwards: %v", err)
	} else {
		conn.Close()
	}
}

func TestConnect_Timeout(t *testing.T) {
	// A queue that is full answers nobody.
	listener := mustListen(t, Options{Addr: loopback, Backlog: 0})
	to := bound(t, listener)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var err error
	for range 20 {
		var conn io.Closer
		if conn, err = Connect(ctx, nil, to); err != nil {
			break
		}
		defer conn.Close()
	}
	if err == nil {
		t.Error("twenty connections to a queue of one")
	}
}
