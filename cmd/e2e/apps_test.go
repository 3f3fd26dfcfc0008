package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Three nginx share the accept queue of one socket: while one of them is
// killed, not one connection is refused.
//
// Covers: G1, G7, G16
func TestNginxInstancesShareOneSocketUnderLoad(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	port := h.port()
	h.write("data/nginx.conf", fmt.Sprintf(`
		daemon off;
		pid /run/nginx.pid;
		error_log stderr warn;
		worker_processes 1;
		events { worker_connections 256; }
		http {
			access_log off;
			server {
				listen 0.0.0.0:%d;
				location / { return 200 "nginx\n"; }
			}
		}`, port))
	h.sandbox("web", fmt.Sprintf("image-dir: %s\nreadonly-paths: {/conf: %s}\n", imagesDir, h.path("data")), fmt.Sprintf(`
		nginx:
		  image: %s
		  config: /config/nginx.yaml
		  instances: 3
		  variables: {port: %d}
		`, debian, port))
	h.start()
	before := h.running(names("web/nginx", 3)...)

	for name := range before {
		eventually(t, name+" answers alone", 10*time.Second, func() error { return h.answersAlone(name, port) })
	}

	load := startLoad(port)
	victim := before["web/nginx.1"]
	eventually(t, "load", 5*time.Second, func() error { return load.atLeast(200) })
	kill(t, victim.program, killSignal)
	h.successor("web/nginx.1", victim, 10*time.Second)
	after := load.done.Load()
	eventually(t, "load after the kill", 5*time.Second, func() error { return load.atLeast(after + 200) })
	load.stop()

	if n := load.refused.Load(); n != 0 {
		t.Errorf("%d connections were refused, of %d that were answered", n, load.done.Load())
	}
	now := h.running(names("web/nginx", 3)...)
	for _, name := range []string{"web/nginx.0", "web/nginx.2"} {
		if now[name].knot != before[name].knot {
			t.Errorf("%s was restarted", name)
		}
	}
	t.Logf("%d answered, %d cut off by the kill, none refused", load.done.Load(), load.failed.Load())
}

// answersAlone holds the other instances of a sandbox and asks.
func (h *host) answersAlone(name string, port int) error {
	all := h.instances()
	for other, i := range all {
		if other == name {
			continue
		}
		for _, p := range processes() {
			if p.ppid == i.program { // nginx's worker
				kill(h.t, p.pid, syscall.SIGSTOP)
				defer kill(h.t, p.pid, syscall.SIGCONT)
			}
		}
	}
	for range 5 {
		if err := ask(port); err != nil {
			return err
		}
	}
	return nil
}

// load asks a server without a pause.
type load struct {
	done, refused, failed atomic.Int64
	quit                  chan struct{}
	workers               sync.WaitGroup
}

func startLoad(port int) *load {
	l := &load{quit: make(chan struct{})}
	for range 4 {
		l.workers.Go(func() {
			for {
				select {
				case <-l.quit:
					return
				default:
				}
				switch err := ask(port); {
				case err == nil:
					l.done.Add(1)
				case errors.Is(err, syscall.ECONNREFUSED):
					l.refused.Add(1)
				default:
					l.failed.Add(1)
				}
			}
		})
	}
	return l
}

func (l *load) atLeast(n int64) error {
	if now := l.done.Load(); now < n {
		return fmt.Errorf("%d of %d answers", now, n)
	}
	return nil
}

func (l *load) stop() {
	close(l.quit)
	l.workers.Wait()
}

// ask makes one connection with one request.
func ask(port int) error {
	c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), within(10*time.Second))
	if err != nil {
		return err
	}
	defer c.Close()
	// Without lingering the many connections leave no TIME_WAIT behind.
	_ = c.(*net.TCPConn).SetLinger(0)
	_ = c.SetDeadline(time.Now().Add(within(10 * time.Second)))
	if _, err := io.WriteString(c, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		return err
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.Contains(answer, "200") {
		return fmt.Errorf("answer %q", answer)
	}
	return nil
}

// get is the body of an URL, by a connection of its own.
func get(url string) (string, error) {
	client := http.Client{Timeout: within(10 * time.Second), Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = errors.New(r.Status)
	}
	return strings.TrimSpace(string(body)), err
}

// redis keeps its data on a Persistent volume while its container is killed,
// and while the daemon is stopped and started.
//
// Covers: H3, N1
func TestRedisDataSurvivesItsContainer(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	port := h.port()
	h.sandbox("db", fmt.Sprintf("image-dir: %s\nwritable-paths: {/data: %s}\n", imagesDir, h.path("data")), fmt.Sprintf(`
		redis:
		  image: %s
		  config: /config/redis.yaml
		  variables: {port: %d}
		`, debian, port))
	h.start()
	first := h.running("db/redis.0")["db/redis.0"]
	redis(t, port, "SET motto survives", "+OK")

	kill(t, first.program, killSignal)
	h.successor("db/redis.0", first, 10*time.Second)
	redis(t, port, "GET motto", "survives")

	redis(t, port, "SET again yes", "+OK")
	h.stop()
	if err := h.leftovers(); err != nil {
		t.Errorf("left between the daemons: %v", err)
	}
	h.start()
	h.running("db/redis.0")
	redis(t, port, "GET again", "yes")
}

// redis sends one command, and wants this text in the answer. The server may
// still be starting.
func redis(t *testing.T, port int, command, want string) {
	t.Helper()
	eventually(t, "redis: "+command, 10*time.Second, func() error {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return err
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(within(5 * time.Second)))
		if _, err := io.WriteString(c, command+"\r\nQUIT\r\n"); err != nil {
			return err
		}
		answer, err := io.ReadAll(c)
		if err != nil {
			return err
		}
		if !strings.Contains(string(answer), want) {
			return fmt.Errorf("answer %q, want %q", answer, want)
		}
		return nil
	})
}

// The activation protocol as asyncio and node take it; LISTEN_PID is compared
// with the program's pid by the program itself, as libsystemd does it.
//
// Covers: F9, G16
func TestPythonAsyncioBySystemdActivation(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	port := h.port()
	h.sandbox("py", "image-dir: "+imagesDir+"\n", fmt.Sprintf(`
		server:
		  image: %s
		  config: /config/python.yaml
		  variables: {port: %d}
		`, debian, port))
	h.start()
	var answer string
	eventually(t, "an answer", 15*time.Second, func() (err error) {
		answer, err = line(port)
		return err
	})
	f := strings.Fields(answer)
	if len(f) != 4 {
		t.Fatalf("answer %q", answer)
	}
	if f[0] != f[2] {
		t.Errorf("pid %s and LISTEN_PID %s", f[0], f[2])
	}
	if f[1] != "py/server.0" || f[3] != "port" {
		t.Errorf("LITHOS_NAME %s, LISTEN_FDNAMES %s", f[1], f[3])
	}
}

// Covers: F9, G16
func TestNodeBySystemdActivation(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	port := h.port()
	h.sandbox("js", "image-dir: "+imagesDir+"\n", fmt.Sprintf(`
		server:
		  image: %s
		  config: /config/node.yaml
		  instances: 2
		  variables: {port: %d}
		`, debian, port))
	h.start()
	h.running(names("js/server", 2)...)
	seen := make(map[string]bool)
	eventually(t, "answers of both", 30*time.Second, func() error {
		body, err := get(fmt.Sprintf("http://127.0.0.1:%d/", port))
		if err != nil {
			return err
		}
		_, name, _ := strings.Cut(body, " ")
		seen[name] = true
		if !seen["js/server.0"] || !seen["js/server.1"] {
			return fmt.Errorf("only %v", seen)
		}
		return nil
	})
}

// line connects and reads one line.
func line(port int) (string, error) {
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(within(5 * time.Second)))
	return bufio.NewReader(c).ReadString('\n')
}
