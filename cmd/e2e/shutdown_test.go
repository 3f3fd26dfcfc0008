package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// shuts serves as serve does. It calls shutdown(2) on the socket when it gets USR1,
// and when it gets TERM, as servers do that end properly; then it ends.
func shuts(args []string) {
	fd, err := strconv.Atoi(args[0])
	check(err)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGUSR1, unix.SIGTERM)
	go func() {
		for s := range signals {
			// It was shut down before, the second time: the kernel says so, and does more.
			if err := unix.Shutdown(fd, unix.SHUT_RDWR); !errors.Is(err, unix.ENOTCONN) {
				check(err)
			}
			if s == unix.SIGTERM {
				os.Exit(0)
			}
		}
	}()
	for {
		// Blocking, and without a look at errors: it is another that has to repair.
		c, _, err := unix.Accept(fd)
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		_, _ = unix.Write(c, []byte(os.Getenv("LITHOS_NAME")+"\n"))
		_ = unix.Close(c)
	}
}

// shutting is a host with two instances of shuts on one port.
func shutting(t *testing.T) (h *host, port int) {
	t.Helper()
	h = newHost(t)
	port = h.port()
	h.image("app", map[string]string{"app": simple(fmt.Sprintf("tcp-ports: {%d: {fd: 3, host: 127.0.0.1}}\n", port), "shuts", "3")})
	h.sandbox("box", "", "app: {image: app, config: /config/app.yaml, instances: 2}")
	h.start()
	return h, port
}

// bothServe wants an answer of each instance: the other one has not lost the socket.
func (h *host) bothServe(port int) {
	h.t.Helper()
	waiting := map[string]bool{"box/app.0\n": true, "box/app.1\n": true}
	eventually(h.t, "an answer of each instance", 10*time.Second, func() error {
		answer, err := line(port)
		if delete(waiting, answer); err == nil && len(waiting) > 0 {
			err = fmt.Errorf("none of %v", waiting)
		}
		return err
	})
}

// A socket that a program has shut down, for all who share it, serves again with
// its successor; where it was is told in all places.
func TestASocketThatWasShutDownServesAgain(t *testing.T) {
	t.Parallel()
	h, port := shutting(t)
	before := h.running(names("box/app", 2)...)
	h.bothServe(port)

	// While the program lives that did it nobody repairs it, and it can be seen.
	kill(t, before["box/app.0"].program, unix.SIGUSR1)
	eventually(t, "the socket shut down", 10*time.Second, func() error {
		if _, err := line(port); !errors.Is(err, syscall.ECONNREFUSED) {
			return fmt.Errorf("not refused: %w", err)
		}
		return nil
	})
	h.tells(1, nil, fmt.Sprintf(`the listening socket of 127\.0\.0\.1:%d: asked for is accepts connections, it is shut down`, port))

	kill(t, before["box/app.0"].program, unix.SIGTERM)
	h.successor("box/app.0", before["box/app.0"], 10*time.Second)
	h.bothServe(port)
	if now := h.instances()["box/app.1"]; now.program != before["box/app.1"].program {
		t.Error("the other instance was replaced")
	}
	h.tells(0, nil, `2 as asked for, 0 different`)
	must(t, h.psShows([]string{"--why", "box/app.0"}, fmt.Sprintf(`the listening socket of 127\.0\.0\.1:%d was shut down`, port)))
	if text := h.read("log/master.log"); !strings.Contains(text, "accepts connections again") {
		t.Errorf("the log is %s", text)
	}
}

// A daemon that comes later repairs what happened when there was none.
func TestASocketThatWasShutDownWithoutADaemonServesAgain(t *testing.T) {
	t.Parallel()
	h, port := shutting(t)
	before := h.running(names("box/app", 2)...)
	h.bothServe(port)
	h.killDaemon()
	kill(t, before["box/app.0"].program, unix.SIGTERM)
	eventually(t, "the socket shut down", 10*time.Second, func() error {
		if _, err := line(port); !errors.Is(err, syscall.ECONNREFUSED) {
			return fmt.Errorf("not refused: %w", err)
		}
		return nil
	})
	h.start()
	h.successor("box/app.0", before["box/app.0"], 10*time.Second)
	h.bothServe(port)
}
