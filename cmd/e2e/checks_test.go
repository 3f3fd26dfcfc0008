package e2e

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"lithos/actors/services/api"
)

// healthy answers HTTP on an address: 200 if a file exists, else 503. If there
// is a file FILE.hang it does not answer.
func healthy(args []string) {
	check(http.ListenAndServe(args[0], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := os.Stat(args[1] + ".hang"); err == nil {
			<-r.Context().Done()
			return
		}
		if _, err := os.Stat(args[1]); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})))
}

// exists is a check: it ends with 0 if a file exists; if there is a file
// FILE.hang it does not end, nor does what it starts.
func exists(args []string) {
	if _, err := os.Stat(args[0] + ".hang"); err == nil {
		child := exec.Command("/bin/e2e", "e2e-program", "wait", "as", "a", "pile")
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		check(child.Start())
		check(os.WriteFile(args[0]+".started", nil, 0o644))
		wait()
	}
	if _, err := os.Stat(args[0]); err != nil {
		fmt.Println("a line before")
		fmt.Println("it is not there")
		os.Exit(3)
	}
}

// is waits until the status of an instance is as a test wants it.
func (h *host) is(name, what string, ok func(*api.Instance) bool) *api.Instance {
	h.t.Helper()
	var in *api.Instance
	client := h.control() // one: a client keeps its connection
	eventually(h.t, name+" "+what, 60*time.Second, func() (err error) {
		if in, err = client.Instance(h.t.Context(), name); err != nil {
			return err
		}
		if !ok(in) {
			return fmt.Errorf("%s, %v, ready %+v, health %+v", in.Words, in.Conditions, in.Ready, in.Health)
		}
		return nil
	})
	return in
}

func isReady(in *api.Instance) bool { return in.Ready != nil && in.Ready.Ready }
func isNotReady(in *api.Instance) bool {
	return in.Ready != nil && !in.Ready.Ready && in.Ready.Why != ""
}

// up makes a file that says that the program serves, or takes it away.
func (h *host) up(file string, exists bool) {
	h.t.Helper()
	if exists {
		h.write("data/"+file, "")
		return
	}
	must(h.t, os.Remove(h.path("data", file)))
}

// freePort is an address where nobody listens.
func freePort(t *testing.T) (address string, port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String(), l.Addr().(*net.TCPAddr).Port
}

// The whole life: not ready, ready (which lithos_switch waits for, and the next
// daemon remembers), unhealthy, ended and started again.
func TestChecks_ReadyByHTTPAndEndedAsUnhealthy(t *testing.T) {
	t.Parallel()
	listen, _ := freePort(t)
	h := newHost(t, "metrics-listen: "+listen)
	port := h.port()
	check := fmt.Sprintf("{http: %d, path: /up, interval: 0.2, timeout: 100", port)
	h.image("app", map[string]string{"app": simple(dataVolume+"ready: "+check+"}\n", "healthy", fmt.Sprintf("127.0.0.1:%d", port), "/out/up")})
	h.sandbox("box", "writable-paths: {/data: "+h.path("data")+"}\n", app)
	must(t, os.Chmod(h.path("data"), 0o777))
	h.start()
	before := h.running("box/app.0")["box/app.0"]
	h.is("box/app.0", "not ready", func(in *api.Instance) bool { return isNotReady(in) && in.Ready.Why == "status 503" })
	if r := h.switchTo("--wait", "--timeout", "2", "box", h.path("processes/box.yaml")); r.code != 1 || !strings.Contains(r.stderr, "it is not ready (GET http://127.0.0.1:") {
		t.Errorf("lithos_switch --wait of what is not ready: %s", r)
	}
	eventually(t, "lithos_ps", 10*time.Second, func() error {
		return errors.Join(h.psShows(nil, `1 running, 1 unready\n`, `app\.0 +running, unready .* status 503`),
			h.psShows([]string{"--why", "box/app.0"}, `(?m)^waits for it to be ready: GET http://127.0.0.1:`))
	})
	h.up("up", true)
	if r := h.switchTo("--wait", "box", h.path("processes/box.yaml")); r.code != 0 {
		t.Errorf("lithos_switch --wait: %s", r)
	}
	ready := h.is("box/app.0", "ready", isReady)

	// Another daemon does not ask again.
	h.killDaemon()
	h.up("up", false)
	h.start()
	h.adopted("box/app.0", 1)
	if in := h.is("box/app.0", "ready still", isReady); !in.Ready.At.Equal(ready.Ready.At) {
		t.Errorf("ready since %s, and after the adoption since %s", ready.Ready.At, in.Ready.At)
	}

	// A healthcheck that it fails comes without a restart, and brings one.
	h.config("app", "app", simple(dataVolume+"ready: "+check+"}\nhealthcheck: "+check+", failures: 3}\n", "healthy", fmt.Sprintf("127.0.0.1:%d", port), "/out/up"))
	h.reload("box")
	after := h.successor("box/app.0", before, 60*time.Second)
	h.is("box/app.0", "not ready again", isNotReady)
	h.up("up", true)
	h.is("box/app.0", "ready again", func(in *api.Instance) bool { return isReady(in) && in.PID == after.knot && in.Health != nil })
	deaths, err := h.control().Deaths(t.Context(), "box/app.0")
	must(t, err)
	const words = "was ended, since its healthcheck failed 3 times in a row (GET http://127.0.0.1:"
	if len(deaths) != 1 || deaths[0].Cause != api.CauseHealth || !deaths[0].Failure || !strings.HasPrefix(deaths[0].Words, words) {
		t.Errorf("deaths %+v", deaths)
	}
	if err := h.psShows([]string{"--why", "box/app.0"}, `was ended, since its healthcheck failed 3 times in a row .*\[healthcheck\]`, `(?m)^ready +since 2`); err != nil {
		t.Error(err)
	}
	text, err := get("http://" + listen + "/metrics")
	must(t, err)
	for _, want := range []string{
		`lithos_container_ready{sandbox="box",process="app",index="0"} 1`,
		`lithos_container_healthcheck_failures{sandbox="box",process="app",index="0"} 0`,
		`lithos_process_deaths_by_cause_total{sandbox="box",process="app",cause="healthcheck"} 1`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("the metrics have no %s", want)
		}
	}
	// One that hangs fails by its timeout. Shortened only now: it is time that
	// passes.
	h.config("app", "app", simple(dataVolume+"healthcheck: "+strings.Replace(check, "100", "0.5", 1)+", failures: 1}\n", "healthy", fmt.Sprintf("127.0.0.1:%d", port), "/out/up"))
	h.up("up.hang", true)
	h.reload("box")
	h.successor("box/app.0", after, 60*time.Second)
	h.up("up.hang", false)
	deaths, err = h.control().Deaths(t.Context(), "box/app.0")
	must(t, err)
	// Its successor may have been asked before it listened.
	if !slices.ContainsFunc(deaths, func(d api.Death) bool {
		return strings.Contains(d.Words, "failed once") && strings.Contains(d.Words, "no answer within 500ms")
	}) {
		t.Errorf("deaths %+v", deaths)
	}
}

// A program in the container is asked, with the container's rights; no helper
// is left, and none is taken for a child that nobody knows.
func TestChecks_ReadyByCommand(t *testing.T) {
	t.Parallel()
	const check = "{command: [/bin/e2e, e2e-program, exists, /out/up], interval: 0.2, timeout: 100"
	h := one(t, simple(dataVolume+"ready: "+check+"}\n", "wait"))
	h.start()
	h.is("box/app.0", "not ready", func(in *api.Instance) bool {
		return isNotReady(in) && in.Ready.Why == "exit code 3: it is not there" && in.Ready.Check == "command /bin/e2e e2e-program exists /out/up"
	})
	h.up("up", true)
	first := h.is("box/app.0", "ready", isReady)
	// A reload looks for unknown children: the next check is none.
	h.up("up.hang", true)
	h.config("app", "app", simple(dataVolume+"healthcheck: "+strings.Replace(check, "100", "3", 1)+", failures: 1}\n", "wait"))
	h.reload("box")
	second := h.is("box/app.0", "another container", func(in *api.Instance) bool { return in.PID != 0 && in.PID != first.PID })
	h.up("up.hang", false)
	h.is("box/app.0", "healthy", func(in *api.Instance) bool {
		return in.Health != nil && in.Health.Failures == 0 && in.Health.Why == ""
	})
	if second.LastExit == nil || second.LastExit.Cause != api.CauseHealth || !strings.Contains(second.LastExit.Words, "it did not end within 3s") {
		t.Errorf("the death: %+v", second.LastExit)
	}
	if log := h.read("log/master.log"); strings.Contains(log, "Unidentified child") {
		t.Errorf("a helper was taken for an unknown child:\n%s", log)
	}
	h.stop()
	for _, p := range processes() {
		if p.ppid == h.daemon.cmd.Process.Pid {
			t.Errorf("process %+v is left", p)
		}
	}
}

// A command of a check ends with its children, at its timeout or when the check
// is cancelled: nothing piles up in the container.
func TestChecks_NothingOfACheckIsLeft(t *testing.T) {
	t.Parallel()
	with := func(file, timeout string) string {
		return simple(dataVolume+"ready: {command: [/bin/e2e, e2e-program, exists, /out/"+file+"], interval: 1, timeout: "+timeout+"}\n", "wait")
	}
	h := one(t, with("up", "3"))
	h.up("up.hang", true)
	h.start()
	before := h.running("box/app.0")["box/app.0"]
	h.is("box/app.0", "not ready", func(in *api.Instance) bool {
		return isNotReady(in) && strings.HasPrefix(in.Ready.Why, "it did not end within 3s")
	})
	// One that would last is given up, since other checks are wanted.
	h.up("other.hang", true)
	h.config("app", "app", with("other", "300"))
	h.reload("box")
	eventually(t, "the check", 60*time.Second, func() error {
		_, err := os.Stat(h.path("data/other.started"))
		return err
	})
	h.up("third", true)
	h.config("app", "app", with("third", "300"))
	h.reload("box")
	h.is("box/app.0", "ready", isReady)
	eventually(t, "the end of what they have started", 60*time.Second, func() error {
		for _, p := range processesOf(h.id) {
			if strings.Contains(p, `"as" "a" "pile"`) {
				return fmt.Errorf("process %s is left", p)
			}
		}
		return nil
	})
	if after := h.running("box/app.0")["box/app.0"]; after.knot != before.knot {
		t.Errorf("it was %+v and is %+v", before, after)
	}
}

// The port is asked in the container's own network, on its loopback, which
// nobody else reaches.
func TestChecks_InABridgedNetwork(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	n := newNetwork(h)
	h.image("app", map[string]string{
		"app":  simple("ready: {tcp: 80, interval: 0.2}\nhealthcheck: {tcp: 80, interval: 0.2, failures: 1000}\n", "net", "127.0.0.1:80"),
		"none": simple("ready: {tcp: 81, interval: 0.2}\n", "net", "127.0.0.1:80"),
		"told": simple("ready: {notify: /run/notify}\n", "notifies", "/bin/e2e"),
	})
	h.notifyFile("app")
	h.sandbox("box", mapsOfNet+bridgeOf("10.77.0.0/24", ""),
		"app: {image: app, config: /config/app.yaml, ip-addresses: [10.77.0.2]}\nnone: {image: app, config: /config/none.yaml, ip-addresses: [10.77.0.3]}\n"+
			"told: {image: app, config: /config/told.yaml, ip-addresses: [10.77.0.4]}")
	n.start(h)
	h.is("box/told.0", "ready", isReady)
	h.is("box/app.0", "ready", isReady)
	h.is("box/none.0", "not ready", func(in *api.Instance) bool { return isNotReady(in) && in.Ready.Why == "connection refused" })
}

// One that is not ready in time is ended, and killed where it does not end.
//
// Covers: X16
func TestChecks_NotReadyInTime(t *testing.T) {
	t.Parallel()
	_, port := freePort(t)
	// Long enough for the program to begin to ignore TERM.
	limit := within(1500 * time.Millisecond)
	h := one(t, simple(fmt.Sprintf("kill-timeout: 0.5\nready: {tcp: %d, within: %v}\n", port, limit.Seconds()), "stubborn"))
	h.start()
	in := h.is("box/app.0", "ended", func(in *api.Instance) bool { return in.LastExit != nil })
	deaths, err := h.control().Deaths(t.Context(), "box/app.0")
	must(t, err)
	if in.LastExit.Cause != api.CauseKillTimeout || !in.LastExit.Failure || len(deaths) == 0 || deaths[0].Asked != api.CauseHealth ||
		!strings.HasPrefix(in.LastExit.Words, "was ended, since it was not ready within "+limit.String()+" (TCP connection to 127.0.0.1:") {
		t.Errorf("it ended by %+v, asked by %+v", in.LastExit, deaths)
	}
}

// tells writes a text to a descriptor when there is a file, and waits. Then it
// writes again: that somebody has heard the first is nothing to it.
func tells(args []string) {
	for {
		if _, err := os.Stat(args[1]); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	fd, err := strconv.Atoi(args[0])
	check(err)
	f := os.NewFile(uintptr(fd), "notice")
	for range 2 {
		_, err = f.WriteString(strings.ReplaceAll(args[2], "LINE", "ready\n"))
		check(err)
		time.Sleep(100 * time.Millisecond)
	}
	check(os.WriteFile(args[1]+".told", nil, 0o644))
	wait()
}

// A program tells that it is ready by a pipe: what it tells while no daemon is
// there is heard by the next one.
func TestChecks_ProgramTellsThatItIsReady(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.image("app", map[string]string{
		"app":    simple(dataVolume+"ready: {fd: 5}\n", "tells", "5", "/out/go", "LINE"),
		"silent": simple(dataVolume+"ready: {fd: 3}\n", "tells", "3", "/out/go", strings.Repeat("no line ", 1000)),
		"opens":  simple(dataVolume+"ready: {fd: 9}\n"+"tcp-ports: {"+strconv.Itoa(h.port())+": {fd: 3}}\n", "tells", "9", "/out/go", "LINE"),
	})
	h.sandbox("box", "writable-paths: {/data: "+h.path("data")+"}\n",
		"app: {image: app, config: /config/app.yaml}\nsilent: {image: app, config: /config/silent.yaml}\nopens: {image: app, config: /config/opens.yaml}\n")
	must(t, os.Chmod(h.path("data"), 0o777))
	h.start()
	before := h.running("box/app.0", "box/silent.0", "box/opens.0")
	h.is("box/app.0", "not ready", func(in *api.Instance) bool {
		return in.Ready != nil && !in.Ready.Ready && strings.Contains(in.Words, "it is not ready yet (a line written to descriptor 5)")
	})
	h.killDaemon()
	h.up("go", true)
	eventually(t, "what is told to nobody", 60*time.Second, func() error {
		_, err := os.Stat(h.path("data/go.told"))
		return err
	})
	h.start()
	h.is("box/app.0", "ready", isReady)
	h.is("box/opens.0", "ready", isReady)
	h.is("box/silent.0", "not ready", func(in *api.Instance) bool {
		return isNotReady(in) && in.Ready.Why == "its program wrote 4096 bytes without a newline"
	})
	for name, i := range h.running("box/app.0", "box/silent.0", "box/opens.0") {
		if i.knot != before[name].knot || i.program != before[name].program {
			t.Errorf("%s was restarted", name)
		}
	}
	// One that is restarted tells again, to the daemon that started it.
	kill(t, before["box/app.0"].program, killSignal)
	after := h.successor("box/app.0", before["box/app.0"], 60*time.Second)
	h.is("box/app.0", "ready again", func(in *api.Instance) bool { return isReady(in) && in.PID == after.knot })
}
