package check

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"syscall"

	"lithos/spawn/enter"
	"lithos/spawn/records"
	"lithos/sysx/sock"
)

// maxAnswer is how much of an answer is read, bytes: its first line and headers.
const maxAnswer = 64 << 10

// maxInformational is how many answers before the final one are passed over.
const maxInformational = 8

// ErrNoAnswer is that the context was over before there was an answer.
var ErrNoAnswer = errors.New("no answer in time")

// TCP makes a connection to a container and closes it; nil = it was accepted.
// [enter.ErrNotRunning], [enter.ErrNoProgram] and [enter.ErrOldRecord] say that
// there was nobody to ask, [ErrNoAnswer] that it takes too long.
func TCP(ctx context.Context, r *records.Record, to netip.AddrPort) error {
	conn, err := connect(ctx, r, to)
	if err != nil {
		return explain(ctx, err)
	}
	return conn.Close()
}

// HTTP sends a GET to a container; nil = the status is 200 to 399. The errors
// are those of [TCP].
func HTTP(ctx context.Context, r *records.Record, to netip.AddrPort, path string) error {
	conn, err := connect(ctx, r, to)
	if err != nil {
		return explain(ctx, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: lithos-check\r\nAccept: */*\r\nConnection: close\r\n\r\n", path, to)
	if err != nil {
		return explain(ctx, err)
	}
	status, err := readStatus(conn)
	switch {
	case err != nil:
		return explain(ctx, err)
	case status < 200 || status > 399:
		return fmt.Errorf("status %d", status)
	}
	return nil
}

// readStatus is the status of the final answer.
func readStatus(conn io.Reader) (int, error) {
	reader := bufio.NewReader(io.LimitReader(conn, maxAnswer))
	for range maxInformational {
		answer, err := http.ReadResponse(reader, nil)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, net.ErrClosed):
			return 0, err
		case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
			return 0, errors.New("the connection was closed before there was an answer")
		case err != nil:
			// Its text would quote the container.
			return 0, errors.New("the answer is not HTTP")
		case answer.StatusCode >= 200:
			return answer.StatusCode, nil
		}
	}
	return 0, errors.New("no final answer")
}

func connect(ctx context.Context, r *records.Record, to netip.AddrPort) (net.Conn, error) {
	network, err := enter.Network(r)
	if err != nil {
		return nil, err
	}
	if network != nil {
		defer network.Close()
	}
	return sock.Connect(ctx, network, to)
}

// explain puts what went wrong into words that are the same each time.
func explain(ctx context.Context, err error) error {
	var errno syscall.Errno
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), ctx.Err() != nil:
		return ErrNoAnswer
	case errors.As(err, &errno):
		return errno
	}
	return err
}
