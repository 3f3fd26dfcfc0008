package control

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"lithos/actors/services/api"
	"lithos/actors/services/deaths"
	"lithos/actors/services/status"
	"lithos/sysx/cgroup"
	"lithos/sysx/sock"
)

// Bounds, so that clients cost no more than this.
const (
	rootConnections  = 64 // of root
	otherConnections = 32 // of all others together
	turnedAway       = 16 // more of either, that are told so
	headerTimeout    = 5 * time.Second
	answerTimeout    = 30 * time.Second // for one write of an answer
	idleTimeout      = time.Minute
	maxHeader        = 16 << 10 // bytes
	maxBody          = 4 << 10
)

// Config has the dependencies of the control socket.
type Config struct {
	Board *status.Board
	Log   zerolog.Logger
	// Version, PID and MasterFile are the daemon's.
	Version    string
	PID        int
	MasterFile string
	// Deaths are the records of them.
	Deaths *deaths.Store
	// Group is the gid that may read, -1 = none.
	Group int
	// Level and SetLevel are those of the logs.
	Level    func() string
	SetLevel func(string) error
	// Reload takes a request to read the configs again.
	Reload chan<- struct{}
	// Metrics writes them in the text format of Prometheus.
	Metrics func(io.Writer) error
	// Probe looks at containers, for those who ask.
	Probe func([]Probed) []Probe
}

// Probed is a container to look at.
type Probed struct {
	Name string
	PID  int // of its PID 1; 0 = it does not live
}

// Probe reads the fields that are read on demand.
type Probe struct {
	Usage          cgroup.Usage
	ProgramPID     int // on the host; 0 = none
	ProgramStarted time.Time
	ProgramAge     time.Duration // since then, also if the clock was set
	Stopped        bool          // PID 1 or the program is stopped by a signal
	Silent         bool          // the program can't be looked at
}

// Server answers on the control socket.
type Server struct {
	c        Config
	http     *http.Server
	listener net.Listener
	done     chan struct{}

	mu     sync.Mutex
	counts map[bool]int // connections, of root and of others
}

// Serve begins to answer on the listener, which it owns from now on.
func Serve(l net.Listener, c Config) *Server {
	s := &Server{c: c, listener: l, done: make(chan struct{}), counts: make(map[bool]int)}
	s.http = &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          log.New(io.Discard, "", 0), // clients' mistakes
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, peerKey{}, conn.(*peerConn))
		},
	}
	go func() {
		if err := s.http.Serve(&gate{l, s}); !errors.Is(err, http.ErrServerClosed) {
			c.Log.Error().Msgf("The control socket does not answer any more: %v", err)
		}
	}()
	return s
}

// Close ends all connections and removes the socket.
func (s *Server) Close() error {
	close(s.done)
	err := s.http.Close()
	// Package http does not know it yet if this comes right after [Serve].
	if closed := s.listener.Close(); !errors.Is(closed, net.ErrClosed) {
		err = errors.Join(err, closed)
	}
	return err
}

// Drain answers waiting requests, ends all connections, and keeps
// the socket for the next program in this process.
func (s *Server) Drain(limit time.Duration) {
	close(s.done)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	_ = s.http.Shutdown(ctx)
}

// gate lets connections in, as many as there is room for.
type gate struct {
	net.Listener
	s *Server
}

// peerConn is a connection with the one at its other end.
type peerConn struct {
	net.Conn
	peer    sock.Peer
	full    bool // there is no room for it
	release func()
}

type peerKey struct{}

// Accept implements net.Listener.
func (g *gate) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		peer, err := sock.PeerOf(conn.(syscall.Conn))
		if err != nil {
			_ = conn.Close()
			continue
		}
		release, full := g.s.enter(peer.UID == 0)
		if release == nil {
			_ = conn.Close()
			continue
		}
		return &peerConn{conn, peer, full, sync.OnceFunc(release)}, nil
	}
}

// Close implements net.Conn.
func (c *peerConn) Close() error {
	c.release()
	return c.Conn.Close()
}

// enter counts a connection in; release is nil if there is not even room to turn
// it away.
func (s *Server) enter(root bool) (release func(), full bool) {
	room := otherConnections
	if root {
		room = rootConnections
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts[root] >= room+turnedAway {
		return nil, true
	}
	s.counts[root]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.counts[root]--
	}, s.counts[root] > room
}

// handler is all that can be asked for.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, handle := range map[string]http.HandlerFunc{
		"GET /v1/status":                               s.status,
		"GET /v1/instances":                            s.instances,
		"GET /v1/instances/{sandbox}/{process}":        s.instance,
		"GET /v1/deaths":                               s.deaths,
		"GET /v1/instances/{sandbox}/{process}/deaths": s.instanceDeaths,
		"GET /v1/events":                               s.events,
		"GET /v1/wait":                                 s.wait,
		"GET /v1/log-level":                            s.logLevel,
		"PUT /v1/log-level":                            s.setLogLevel,
		"GET /metrics":                                 s.metrics,
		"POST /v1/reload":                              s.reload,
	} {
		mux.HandleFunc(pattern, handle)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut} {
			if _, pattern := mux.Handler(&http.Request{Method: method, URL: r.URL, Host: r.Host}); pattern != "/" {
				refuse(w, http.StatusMethodNotAllowed, r.Method+" is no method of "+r.URL.Path+"; see docs/control.md")
				return
			}
		}
		refuse(w, http.StatusNotFound, "there is nothing at "+r.URL.Path+": ask for /v1/status, or see docs/control.md")
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn := r.Context().Value(peerKey{}).(*peerConn)
		peer := conn.peer
		switch {
		case conn.full:
			w.Header().Set("Connection", "close")
			refuse(w, http.StatusServiceUnavailable, "too many connections to the control socket; try again later")
		case !s.mayRead(peer):
			refuse(w, http.StatusForbidden, "only root may ask, and the control-group of the master config")
		case peer.UID != 0 && r.Method != http.MethodGet && r.Method != http.MethodHead:
			refuse(w, http.StatusForbidden, "only root may change something")
		default:
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			control := http.NewResponseController(w)
			if r.Method != http.MethodGet {
				// Not for all: it would end the wait for events, too.
				_ = control.SetReadDeadline(time.Now().Add(headerTimeout))
			}
			_ = control.SetWriteDeadline(time.Now().Add(answerTimeout))
			mux.ServeHTTP(w, r)
		}
	})
}

func (s *Server) mayRead(p sock.Peer) bool {
	return p.UID == 0 || s.c.Group >= 0 && (int(p.GID) == s.c.Group || slices.Contains(p.Groups, uint32(s.c.Group)))
}

// answer writes the whole answer at once.
func answer(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n'))
}

func refuse(w http.ResponseWriter, status int, text string) {
	answer(w, status, &api.Error{Status: status, Text: text})
}
