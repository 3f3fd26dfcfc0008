package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// SocketName is the name of the control socket in the runtime-dir.
const SocketName = "control.sock"

// Client speaks to a daemon. It is safe for use from several goroutines.
type Client struct {
	path string
	http *http.Client
}

// ErrNotRunning is that no daemon listens.
var ErrNotRunning = errors.New("lithos_tree does not run")

// NewClient makes a client of the daemon with this control socket; nothing is
// opened yet.
func NewClient(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	return &Client{path: path, http: &http.Client{Transport: &http.Transport{
		DialContext: dial, DisableCompression: true, MaxIdleConns: 2, IdleConnTimeout: 10 * time.Second,
	}}}
}

// Close releases connections that are idle.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status asks for everything; usage has each instance's cgroup read as well.
func (c *Client) Status(ctx context.Context, usage bool) (*Status, error) {
	s := &Status{}
	return s, c.call(ctx, http.MethodGet, "/v1/status"+usageQuery(usage), nil, s)
}

// Instances asks for the instances of a sandbox, or of all if it is "".
func (c *Client) Instances(ctx context.Context, sandbox string, usage bool) (*Instances, error) {
	q := url.Values{}
	if sandbox != "" {
		q.Set("sandbox", sandbox)
	}
	if usage {
		q.Set("usage", "true")
	}
	list := &Instances{}
	return list, c.call(ctx, http.MethodGet, "/v1/instances?"+q.Encode(), nil, list)
}

// Instance asks for one, with its usage. The error is an [*Error] with status
// 404 if there is none of that name.
func (c *Client) Instance(ctx context.Context, name string) (*Instance, error) {
	in := &Instance{}
	return in, c.call(ctx, http.MethodGet, "/v1/instances/"+name, nil, in)
}

// Deaths asks how an instance died lately, the newest first. It may be gone by
// now.
func (c *Client) Deaths(ctx context.Context, instance string) ([]Death, error) {
	d := &Deaths{}
	err := c.call(ctx, http.MethodGet, "/v1/instances/"+instance+"/deaths", nil, d)
	return d.Deaths, err
}

// AllDeaths asks how containers of a sandbox, or of all if it is "", died
// lately: at most limit of them, the newest first.
func (c *Client) AllDeaths(ctx context.Context, sandbox string, limit int) ([]Death, error) {
	q := url.Values{"limit": {strconv.Itoa(limit)}}
	if sandbox != "" {
		q.Set("sandbox", sandbox)
	}
	d := &Deaths{}
	err := c.call(ctx, http.MethodGet, "/v1/deaths?"+q.Encode(), nil, d)
	return d.Deaths, err
}

// Reload has the daemon read its configs and returns the generation to wait
// for with [Wait].
func (c *Client) Reload(ctx context.Context) (uint64, error) {
	asked := &ReloadAsked{}
	err := c.call(ctx, http.MethodPost, "/v1/reload", nil, asked)
	return asked.Generation, err
}

// LogLevel asks for the level of the daemon's own log.
func (c *Client) LogLevel(ctx context.Context) (string, error) {
	l := &LogLevel{}
	err := c.call(ctx, http.MethodGet, "/v1/log-level", nil, l)
	return l.Level, err
}

// SetLogLevel changes the level of all logs until the next reload.
func (c *Client) SetLogLevel(ctx context.Context, level string) error {
	return c.call(ctx, http.MethodPut, "/v1/log-level", &LogLevel{level}, &LogLevel{})
}

// Wait is what to wait for: all that is set.
type Wait struct {
	// Reload is a generation that has to be done, see [Client.Reload] and
	// [Reload.Begun]; 0 = none.
	Reload uint64
	// Sandbox or Instance selects; both "" = all instances.
	Sandbox, Process, Instance string
	// State is "settled" (the default: each runs its wanted version, and what
	// is not wanted is gone), "running" or "gone".
	State string
	// Stable is how long each has to have run.
	Stable time.Duration
	// Timeout is how long to wait; 0 = look once. The daemon waits for at most
	// an hour.
	Timeout time.Duration
}

// Wait waits in the daemon. The error of a daemon that was replaced meanwhile
// is one of the network.
func (c *Client) Wait(ctx context.Context, w Wait) (*WaitResult, error) {
	q := url.Values{}
	for name, value := range map[string]string{
		"sandbox": w.Sandbox, "process": w.Process, "instance": w.Instance, "state": w.State,
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if w.Reload != 0 {
		q.Set("reload", strconv.FormatUint(w.Reload, 10))
	}
	q.Set("stable", seconds(w.Stable))
	q.Set("timeout", seconds(w.Timeout))
	r := &WaitResult{}
	return r, c.call(ctx, http.MethodGet, "/v1/wait?"+q.Encode(), nil, r)
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }

// Events calls each for every event after the number since, until the context
// ends or each returns an error, which is returned. daemon is the ID of the
// daemon that since is of, "" = none: then since counts for whichever answers.
// The first event is [EventHello].
func (c *Client) Events(ctx context.Context, daemon string, since uint64, each func(Event) error) error {
	q := url.Values{"since": {strconv.FormatUint(since, 10)}}
	if daemon != "" {
		q.Set("daemon", daemon)
	}
	body, err := c.open(ctx, http.MethodGet, "/v1/events?"+q.Encode(), nil)
	if err != nil {
		return err
	}
	defer body.Close()
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		var e Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("cannot understand an event of the daemon: %w", err)
		}
		if err := each(e); err != nil {
			return err
		}
	}
	return lines.Err()
}

// Metrics asks for the metrics in the text format of Prometheus.
func (c *Client) Metrics(ctx context.Context) (string, error) {
	body, err := c.open(ctx, http.MethodGet, "/metrics", nil)
	if err != nil {
		return "", err
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	return string(text), err
}

func usageQuery(usage bool) string {
	if usage {
		return "?usage=true"
	}
	return ""
}

// call sends a question and reads the answer.
func (c *Client) call(ctx context.Context, method, path string, question, answer any) error {
	var text []byte
	if question != nil {
		var err error
		if text, err = json.Marshal(question); err != nil {
			return err
		}
	}
	body, err := c.open(ctx, method, path, text)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(answer); err != nil {
		return fmt.Errorf("cannot understand the daemon's answer: %w", err)
	}
	return nil
}

func (c *Client) open(ctx context.Context, method, path string, question []byte) (io.ReadCloser, error) {
	ask := func() (*http.Response, error) {
		request, err := http.NewRequestWithContext(ctx, method, "http://lithos"+path, bytes.NewReader(question))
		if err != nil {
			return nil, err
		}
		return c.http.Do(request)
	}
	answer, err := ask()
	if method == http.MethodGet && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)) {
		// Another lithos_tree is just taking over, and the question was the
		// old one's to answer. It has the same socket.
		answer, err = ask()
	}
	if err != nil {
		return nil, c.explain(err)
	}
	if answer.StatusCode/100 == 2 {
		return answer.Body, nil
	}
	defer answer.Body.Close()
	refusal := &Error{}
	text, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	if err == nil && (json.Unmarshal(text, refusal) != nil || refusal.Text == "") {
		refusal.Text = strings.TrimSpace(string(text))
	}
	refusal.Status = answer.StatusCode
	return nil, refusal
}

// explain explains an error of the socket.
func (c *Client) explain(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: nobody listens on %s", ErrNotRunning, c.path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("cannot open %s: only root may, and the control-group of the master config: %w", c.path, err)
	}
	return err
}
