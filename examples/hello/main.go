// Command hello is the service that `make demo` runs in its containers: a
// static program that answers over HTTP on a listening socket it was given,
// so that several instances can share one port.
//
// It shows what a container has: its name, a count of visits on the
// persistent volume that all instances share, and a count of its own on the
// tmpfs, which is new with each container.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// listenFD is where the socket is expected: the first descriptor after
// stderr, which is also what systemd's activation protocol begins with.
const listenFD = 3

// stopTimeout bounds how long requests in flight are waited for. It is less
// than the kill-timeout in hello.yaml, so that KILL is never needed.
const stopTimeout = 3 * time.Second

func main() {
	log.SetFlags(0)
	s := service{name: os.Getenv("LITHOS_NAME")}
	log.SetPrefix(s.name + ": ")
	flag.StringVar(&s.greeting, "greeting", "hello", "first word of the answer")
	flag.StringVar(&s.visits, "visits", "/var/lib/hello/visits", "file that counts the visits of all instances")
	flag.StringVar(&s.scratch, "scratch", "/tmp/visits", "file that counts the visits of this container")
	flag.Parse()
	if err := run(s); err != nil {
		log.Fatal(err)
	}
}

// run serves until TERM or INT, then lets the requests in flight finish.
func run(s service) error {
	ln, err := inherited(os.Getenv("LISTEN_FDS"))
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	server := &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	log.Printf("listening on %s as user %d", ln.Addr(), os.Getuid())

	select {
	case err := <-served:
		return fmt.Errorf("cannot serve on %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	log.Print("asked to stop")
	graceful, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := server.Shutdown(graceful); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("cannot stop in order: %w", err)
	}
	return nil
}

// inherited returns the listening socket that was passed as descriptor 3.
// listenFDs is the variable LISTEN_FDS; who passes a socket without the
// activation protocol leaves it empty.
func inherited(listenFDs string) (net.Listener, error) {
	if listenFDs != "" && listenFDs != "1" {
		return nil, fmt.Errorf("expected one socket, LISTEN_FDS says %q", listenFDs)
	}
	f := os.NewFile(listenFD, "listening socket")
	defer f.Close() // FileListener has a copy of its own
	ln, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("descriptor %d is no listening socket, pass one with tcp-ports: %w", listenFD, err)
	}
	return ln, nil
}

// service answers each request with one line.
type service struct {
	name     string // LITHOS_NAME
	greeting string
	visits   string // path on the persistent volume
	scratch  string // path on the tmpfs
}

func (s service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/" { // a browser asks for /favicon.ico too
		http.NotFound(w, r)
		return
	}
	all, err := count(s.visits)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	here, err := count(s.scratch)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintf(w, "%s from %s: visit %d, %d in this container\n", s.greeting, s.name, all, here)
}

// count adds one to the number in a file and returns the sum. The file is
// locked meanwhile, because other instances count in it too.
func count(path string) (int, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return 0, fmt.Errorf("cannot count the visit: %w", err)
	}
	defer f.Close() // unlocks
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return 0, fmt.Errorf("cannot lock %s: %w", path, err)
	}
	buf := make([]byte, 32)
	size, err := f.ReadAt(buf, 0)
	if err != nil && err != io.EOF {
		return 0, fmt.Errorf("cannot count the visit: %w", err)
	}
	n := 0
	if size > 0 {
		if n, err = strconv.Atoi(strings.TrimSpace(string(buf[:size]))); err != nil {
			return 0, fmt.Errorf("%s holds no number: %w", path, err)
		}
	}
	n++
	if _, err := f.WriteAt([]byte(strconv.Itoa(n)+"\n"), 0); err != nil {
		return 0, fmt.Errorf("cannot count the visit: %w", err)
	}
	return n, nil
}
