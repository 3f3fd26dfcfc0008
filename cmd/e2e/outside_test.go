package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// dials connects to each NETWORK ADDRESS and says so, and waits.
func dials(args []string) {
	for i := 0; i+1 < len(args); i += 2 {
		c, err := net.DialTimeout(args[i], args[i+1], 10*time.Second)
		check(err)
		fmt.Println("reached", args[i], args[i+1])
		_ = c.Close()
	}
	wait()
}

// Without a bridge a container shares the host's network: what listens on its
// localhost can be reached, and so can abstract sockets.
//
// Covers: T5
func TestLocalhostAndAbstractSocketsAreTheHosts(t *testing.T) {
	t.Parallel()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer tcp.Close()
	abstract, err := net.Listen("unix", fmt.Sprintf("@lithos-e2e-%d", os.Getpid()))
	must(t, err)
	defer abstract.Close()
	h := one(t, simple("", "dials", "tcp", tcp.Addr().String(), "unix", abstract.Addr().String()))
	h.start()
	h.running("box/app.0")
	for _, l := range []net.Listener{tcp, abstract} {
		want := fmt.Sprintf("reached %s %s\n", l.Addr().Network(), l.Addr())
		eventually(t, want, 10*time.Second, func() error { return h.outputIn("log/stderr/box.log", want) })
	}
}

// The ways into a container that the manual's FAQ tells of, besides a Command
// with a shell.
//
// Covers: R10
func TestWaysIntoAContainer(t *testing.T) {
	t.Parallel()
	h := one(t, simple("volumes: {/scratch: !Tmpfs {}}\n", "wait"))
	h.start()
	i := h.running("box/app.0")["box/app.0"]
	root := fmt.Sprintf("/proc/%d/root", i.program)
	if _, err := os.Stat(filepath.Join(root, "bin/e2e")); err != nil {
		t.Error(err)
	}
	if mounts := text(fmt.Sprintf("/proc/%d/mountinfo", i.program)); !strings.Contains(mounts, " /scratch ") {
		t.Errorf("the mounts are\n%s", mounts)
	}
	out, err := exec.Command("nsenter", "-m", "-p", "-t", fmt.Sprint(i.knot), "/bin/e2e", "e2e-program", "says", "inside", "0").CombinedOutput()
	if err != nil || string(out) != "inside\n" {
		t.Errorf("nsenter: %q, %v", out, err)
	}
}
