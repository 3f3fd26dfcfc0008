package metrics

import (
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// maxConnections is how many may ask on metrics-listen at a time.
const maxConnections = 16

// Serve answers GET /metrics on a listener that anybody may reach, until it is
// closed. It says nothing but the metrics.
func (e *Exporter) Serve(l net.Listener) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", ContentType)
		_ = e.WriteText(w)
	})
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: log.New(io.Discard, "", 0),
	}
	go func() { _ = server.Serve(&bounded{l, make(chan struct{}, maxConnections)}) }()
	return server
}

// bounded keeps connections that are too many waiting in the kernel.
type bounded struct {
	net.Listener
	room chan struct{}
}

type boundedConn struct {
	net.Conn
	release func()
}

// Close implements net.Conn.
func (c *boundedConn) Close() error {
	c.release()
	return c.Conn.Close()
}

// Accept implements net.Listener.
func (b *bounded) Accept() (net.Conn, error) {
	b.room <- struct{}{}
	conn, err := b.Listener.Accept()
	if err != nil {
		<-b.room
		return nil, err
	}
	return &boundedConn{conn, sync.OnceFunc(func() { <-b.room })}, nil
}
