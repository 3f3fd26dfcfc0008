//go:build !guest

package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lithos/actors/services/api"
	"lithos/cmd/internal/catalog"
)

// trial is one run of a row's program, perhaps with another config.
type trial struct {
	t    *testing.T
	h    *host
	row  *catalog.Row
	name string // also of its sandbox
	port int
	c    *api.Client
}

// observe runs a row's program a few times and says what was seen.
func observe(t *testing.T, row *catalog.Row, image string) catalog.Seen {
	t.Helper()
	h := programHost(t, image)
	h.start()
	h.listens()
	var seen catalog.Seen

	first := h.try(t, row, "main", row.Container, "seccomp: default\n")
	if err := first.serves(2 * time.Minute); err != nil {
		t.Fatalf("it does not serve with its own config: %v", err)
	}
	seen.Seccomp = "default"
	first.look(&seen)
	seen.Stop = map[string]catalog.Ending{"TERM": first.end("")}
	first.judge(&seen)

	for _, signal := range row.Signals {
		s := h.try(t, row, strings.ToLower(strings.ReplaceAll(signal, " ", "-")), row.Container, "seccomp: default\n")
		if err := s.serves(time.Minute); err != nil {
			t.Errorf("it does not serve a second time: %v", err)
			continue
		}
		seen.Stop[signal] = s.end(signal)
		s.remove()
	}
	h.mapped(t, row, &seen)
	h.activated(t, row, &seen)
	h.deprived(t, row, &seen)
	return seen
}

// mapped runs it in a user namespace, and with a socket for sd_notify.
func (h *host) mapped(t *testing.T, row *catalog.Row, seen *catalog.Seen) {
	t.Helper()
	m := h.try(t, row, "mapped", withNotify(row.Container), "seccomp: default\n"+
		"uid-map: [{inside: 0, outside: 100000, count: 65536}]\ngid-map: [{inside: 0, outside: 100000, count: 65536}]\n")
	defer m.remove()
	seen.UserNS, seen.Notify = "yes", "-"
	if err := m.serves(2 * time.Minute); err != nil {
		t.Logf("in a user namespace: %v", err)
		seen.UserNS = "no"
		m.remove()
		m = h.try(t, row, "notify", withNotify(row.Container), "")
		defer m.remove()
		if err := m.serves(2 * time.Minute); err != nil {
			t.Logf("with ready: {notify}: %v", err)
			return
		}
	}
	seen.Notify = "nothing"
	for deadline := time.Now().Add(within(3 * time.Second)); time.Now().Before(deadline); <-time.After(50 * time.Millisecond) {
		if i, err := m.c.Instance(t.Context(), m.name+"/app.0"); err == nil && i.Ready != nil && i.Ready.Ready {
			seen.Notify = "READY=1"
			return
		}
	}
}

// activated passes a socket as systemd does to a program whose own config has it
// open its port itself.
func (h *host) activated(t *testing.T, row *catalog.Row, seen *catalog.Seen) {
	t.Helper()
	// A connection alone is no sign: the kernel makes it.
	if seen.Socket.How != "" || row.Client.HTTP+row.Client.Expect == "" || !strings.Contains(row.Container, "port: !TcpPort\n") {
		return
	}
	a := h.try(t, row, "activated", strings.Replace(row.Container, "port: !TcpPort\n", "port: !TcpPort {activation: systemd}\n", 1), "")
	defer a.remove()
	if err := a.serves(90 * time.Second); err != nil {
		t.Logf("with activation: systemd: %v", err)
		seen.Socket.How = "not taken"
		return
	}
	seen.Socket = a.socket()
	seen.Socket.How = "activation"
}

// deprived takes one volume after the other away.
func (h *host) deprived(t *testing.T, row *catalog.Row, seen *catalog.Seen) {
	t.Helper()
	for i, volume := range volumesOf(row.Container) {
		d := h.try(t, row, fmt.Sprintf("without%d", i), withoutVolume(row.Container, volume), "")
		if err := d.serves(90 * time.Second); err != nil {
			t.Logf("without %s: %v", volume, err)
			seen.Needs = append(seen.Needs, volume)
		}
		d.remove()
	}
}

// try starts the program with a config, in a sandbox of its own.
func (h *host) try(t *testing.T, row *catalog.Row, name, config, sandbox string) *trial {
	t.Helper()
	r := &trial{t: t, h: h, row: row, name: name, port: h.port(), c: h.control()}
	image := h.path("images", "programs")
	for path, text := range row.Files {
		path = filepath.Join(image, path)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		_ = os.Remove(path) // a hard link
		mode := os.FileMode(0o644)
		if strings.HasPrefix(text, "#!") {
			mode = 0o755
		}
		must(t, os.WriteFile(path, []byte(r.ported(text)), mode))
	}
	for _, volume := range volumesOf(row.Container) {
		must(t, os.MkdirAll(filepath.Join(image, volume), 0o755))
	}
	must(t, os.WriteFile(filepath.Join(image, "config", name+".yaml"), []byte(r.ported(config)), 0o644))
	data := h.path("data", name)
	must(t, os.Mkdir(data, 0o777))
	must(t, os.Chmod(data, 0o777))
	processes := "app:\n  image: programs\n  config: /config/" + name + ".yaml\n"
	if strings.Contains(config, "port: !TcpPort") {
		processes += fmt.Sprintf("  variables: {port: %d}\n", r.port)
	}
	h.sandbox(name, "writable-paths: {/data: "+data+"}\n"+row.Sandbox+sandbox, processes)
	if name == "main" && !*updateSeen {
		if c := h.check(); c.code != 0 || c.stdout != "" || slices.ContainsFunc(strings.Split(c.stderr, "\n"), unexpected(row)) {
			t.Errorf("lithos_check: %s", c)
		}
	}
	h.reload(name)
	return r
}

// unexpected finds warnings. The one about memory is no mistake of a row that was
// seen to take the host's: what to set stands beside the config.
func unexpected(row *catalog.Row) func(line string) bool {
	return func(line string) bool {
		return strings.Contains(line, ": warning: ") &&
			(row.Seen.Memory != "the host's" || !strings.Contains(line, "takes its sizes from the host's memory"))
	}
}

// ported has the trial's port in the place of the row's.
func (r *trial) ported(text string) string {
	if r.row.Port == 0 {
		return text
	}
	return regexp.MustCompile(`\b`+strconv.Itoa(r.row.Port)+`\b`).ReplaceAllString(text, strconv.Itoa(r.port))
}

func (r *trial) instance() *api.Instance {
	i, err := r.c.Instance(r.t.Context(), r.name+"/app.0")
	if err != nil {
		return nil
	}
	return i
}

func (r *trial) output() string {
	return r.h.read("log", "stderr", r.name+".log")
}

// serves waits until a client is answered. A death ends the wait: it won't.
func (r *trial) serves(limit time.Duration) error {
	var err error
	for deadline := time.Now().Add(within(limit)); time.Now().Before(deadline); <-time.After(50 * time.Millisecond) {
		if deaths, e := r.c.Deaths(r.t.Context(), r.name+"/app.0"); e == nil && len(deaths) > 0 {
			return errors.New(deaths[0].Words + ": " + strings.Join(deaths[0].Output, " / "))
		}
		i := r.instance()
		if i == nil || i.ProgramPID == 0 {
			err = errors.New("it does not run")
			continue
		}
		if err = r.served(); err == nil {
			return nil
		}
	}
	return fmt.Errorf("not within %v: %w", limit, err)
}

// served asks the program once.
func (r *trial) served() error {
	c := r.row.Client
	if c.Says != "" {
		if !regexp.MustCompile(c.Says).MatchString(r.output()) {
			return errors.New("it has not said " + c.Says)
		}
		return nil
	}
	conn, err := r.connect()
	if err == nil {
		_ = conn.Close()
	}
	return err
}

// remove takes it out of the configs and waits for its end.
func (r *trial) remove() {
	r.t.Helper()
	r.h.processes(r.name, "{}")
	r.h.reload(r.name)
	eventually(r.t, "the end of "+r.name, time.Minute, func() error {
		for name := range r.h.instances() {
			if strings.HasPrefix(name, r.name+"/") {
				return errors.New("it is still there")
			}
		}
		return nil
	})
}

// runsOn is how long a program may take to act on a signal that is not TERM.
const runsOn = 25 * time.Second

// end ends it, with three clients: one is idle, one in the middle of a request
// that it goes on with, one stops in the middle. Without a signal it is taken out
// of the configs; "NAME SIGNAL" is for the oldest process of that name, "SIGNAL"
// for the program.
func (r *trial) end(signal string) catalog.Ending {
	r.t.Helper()
	before := r.instance()
	if before == nil || before.ProgramPID == 0 {
		r.t.Fatal("it does not run")
	}
	idle := r.idle()
	request := r.request()
	stalled := r.stalled()
	begin, limit := time.Now(), runsOn // a slow machine makes nothing end that does not
	if signal == "" {
		r.h.processes(r.name, "{}")
		r.h.reload(r.name)
		limit = within(3 * time.Minute) // it has a kill-timeout
	} else {
		pid := before.ProgramPID
		name, rest, found := strings.Cut(signal, " ")
		if found {
			signal, pid = rest, oldest(r.t, before.PID, name)
		}
		kill(r.t, pid, unix.SignalNum("SIG"+signal))
	}
	var e catalog.Ending
	if request != nil {
		e.Request = request()
	}
	var exit *api.Death
	for deadline := begin.Add(limit); exit == nil && time.Now().Before(deadline); <-time.After(20 * time.Millisecond) {
		if deaths, err := r.c.Deaths(r.t.Context(), r.name+"/app.0"); err == nil && len(deaths) > 0 {
			exit = &deaths[0]
		}
	}
	for _, c := range []net.Conn{idle, stalled} {
		if c != nil {
			_ = c.Close()
		}
	}
	if exit == nil {
		e.Ends, e.Seconds = "runs on", 0
		return e
	}
	e.Seconds = int(exit.At.Sub(begin).Seconds() + 0.4)
	switch {
	case exit.Cause == api.CauseKillTimeout:
		e.Ends = "killed"
	case exit.Signal != 0:
		e.Ends = fmt.Sprintf("signal %d", exit.Signal)
	default:
		e.Ends = fmt.Sprintf("exit %d", exit.Code)
	}
	return e
}

// oldest is the first process of a name below a container's PID 1.
func oldest(t *testing.T, knot int, name string) int {
	t.Helper()
	for _, pid := range descendants(knot) {
		if p, ok := readProcess(pid); ok && p.comm == name {
			return pid
		}
	}
	t.Fatalf("no process %s", name)
	return 0
}

// heap says in MiB how much that is; no row has a limit of a GiB.
func heap(text string) string {
	if text == "" {
		return ""
	}
	unit := map[byte]int64{'M': 1 << 20, 'G': 1 << 30}[text[len(text)-1]]
	n, err := strconv.ParseInt(strings.TrimRight(text, "MG"), 10, 64)
	switch n *= max(unit, 1); {
	case err != nil:
		return text
	case n >= 1<<30:
		return "the host's"
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

// judge tells what the output says of the limits.
func (r *trial) judge(seen *catalog.Seen) {
	if r.row.Limits == nil {
		return
	}
	text := r.output()
	first := func(pattern string) string {
		if m := regexp.MustCompile(pattern).FindStringSubmatch(text); pattern != "" && len(m) == 2 {
			return m[1]
		}
		return ""
	}
	seen.Memory = heap(first(r.row.Limits.Memory))
	if seen.CPUs = first(r.row.Limits.CPUs); seen.CPUs != "" && seen.CPUs != "1" {
		seen.CPUs = "the host's"
	}
}

var volumeLine = regexp.MustCompile(`(?m)^  (/\S*): !`)

// volumesOf are the mount points of a container config that may be written to,
// which stand in a line each.
func volumesOf(config string) []string {
	var all []string
	for _, m := range volumeLine.FindAllStringSubmatch(config, -1) {
		all = append(all, m[1])
	}
	slices.Sort(all)
	return all
}

func withoutVolume(config, volume string) string {
	config = regexp.MustCompile(`(?m)^  `+regexp.QuoteMeta(volume)+`: !.*\n`).ReplaceAllString(config, "")
	if len(volumesOf(config)) == 0 {
		config = strings.Replace(config, "\nvolumes:\n", "\n", 1)
	}
	return config
}

var checksLine = regexp.MustCompile(`(?m)^(ready|healthcheck): .*\n`)

func withNotify(config string) string {
	return checksLine.ReplaceAllString(config, "") + "\nready: {notify: /notify}\n"
}

// dial connects to the trial's port.
func (r *trial) dial() (*net.TCPConn, error) {
	c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", r.port), 2*time.Second)
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), c.SetDeadline(time.Now().Add(within(5 * time.Second)))
}
