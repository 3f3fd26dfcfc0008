package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// quiet checks for a while that the containers are the very same ones.
func (h *host) quiet(what string, before map[string]instance) {
	h.t.Helper()
	for begin := time.Now(); time.Since(begin) < within(300*time.Millisecond); time.Sleep(20 * time.Millisecond) {
		now := h.instances()
		for name, i := range before {
			if now[name].knot != i.knot || now[name].program != i.program {
				h.t.Fatalf("%s: %s was %+v and is %+v", what, name, i, now[name])
			}
		}
		if len(now) != len(before) {
			h.t.Fatalf("%s: %d containers instead of %d", what, len(now), len(before))
		}
	}
}

// Covers: C23, O1
func TestReloadReplacesOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.image("app", map[string]string{
		"a": simple("", "wait"), "b": simple("", "wait"), "c": simple("", "wait"),
	})
	h.sandbox("one", "", `
		same: {image: app, config: /config/a.yaml, instances: 2}
		changed: {image: app, config: /config/b.yaml, instances: 2}
		removed: {image: app, config: /config/a.yaml}
		`)
	h.sandbox("two", "", `
		other: {image: app, config: /config/c.yaml}
		`)
	h.start()
	all := []string{"one/same.0", "one/same.1", "one/changed.0", "one/changed.1", "one/removed.0", "two/other.0"}
	before := h.running(all...)

	h.reload("one")
	h.quiet("a reload without a change", before)

	// A process more, one less, one container config changed, one sandbox
	// more, an instance more of the unchanged one; a wider allow-users and a
	// kill-timeout, which a container can't see, change nothing.
	h.config("app", "b", simple("environ: {A: b}", "wait"))
	h.config("app", "c", simple("kill-timeout: 7", "wait"))
	h.sandbox("one", "allow-users: [0-70000]", `
		same: {image: app, config: /config/a.yaml, instances: 3}
		changed: {image: app, config: /config/b.yaml, instances: 2}
		added: {image: app, config: /config/a.yaml}
		`)
	h.sandbox("three", "", `
		new: {image: app, config: /config/a.yaml}
		`)
	h.reload("one")
	all = []string{"one/same.0", "one/same.1", "one/same.2", "one/changed.0", "one/changed.1", "one/added.0", "two/other.0", "three/new.0"}
	var now map[string]instance
	eventually(t, "the new state", 10*time.Second, func() error {
		now = h.instances()
		for _, name := range all {
			if now[name].program == 0 {
				return errors.New(name + " does not run")
			}
		}
		for _, name := range []string{"one/changed.0", "one/changed.1"} {
			if now[name].knot == before[name].knot {
				return errors.New(name + " is the old one")
			}
		}
		if len(now) != len(all) {
			return fmt.Errorf("%d containers", len(now))
		}
		return nil
	})
	for _, name := range []string{"one/same.0", "one/same.1", "two/other.0"} {
		if now[name].knot != before[name].knot {
			t.Errorf("%s was replaced", name)
		}
	}

	// A sandbox that is gone takes its processes with it.
	must(t, os.Remove(h.path("sandboxes/two.yaml")))
	h.reload("one")
	h.running("one/same.0", "one/same.1", "one/same.2", "one/changed.0", "one/changed.1", "one/added.0", "three/new.0")
}

// Each kind of broken file, one after the other, in a running daemon: the
// containers stay, the position is in a log, and the good version applies
// when it comes.
//
// Covers: D12, O6
func TestBrokenFileFreezesOnlyItsObject(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.image("app", map[string]string{"a": simple("", "wait"), "b": simple("", "wait")})
	const good = `
		first: {image: app, config: /config/a.yaml}
		second: {image: app, config: /config/b.yaml}
		`
	h.sandbox("box", "", good)
	h.sandbox("other", "", "p: {image: app, config: /config/a.yaml}")
	h.start()
	before := h.running("box/first.0", "box/second.0", "other/p.0")
	master, sandbox := h.read("master.yaml"), h.read("sandboxes/box.yaml")

	broken := []struct{ name, file, text, good string }{
		{"the container config", "images/app/config/b.yaml", "executable: [\n", simple("", "wait")},
		{"the container config gone", "images/app/config/b.yaml", "", simple("", "wait")},
		{"the process config", "processes/box.yaml", "first: {image: app\nsecond", dedent(good)},
		{"the process config gone", "processes/box.yaml", "", dedent(good)},
		{"one entry of the process config", "processes/box.yaml", "first: {image: app, config: /config/a.yaml}\nsecond: {image: ../app, config: /config/b.yaml}\n", dedent(good)},
		{"the sandbox config", "sandboxes/box.yaml", "image-dir: [oops\n", sandbox},
		{"an unknown key in the sandbox config", "sandboxes/box.yaml", sandbox + "colour: red\n", sandbox},
		{"the master config", "master.yaml", "runtime-dir: {\n", master},
	}
	for _, b := range broken {
		logs := len(h.read("log/master.log")) + len(h.read("log/box.log"))
		if b.text == "" {
			must(t, os.Remove(h.path(b.file)))
		} else {
			h.write(b.file, b.text)
		}
		h.daemon.signal(syscall.SIGQUIT)
		eventually(t, b.name+": the file in a log", 5*time.Second, func() error {
			all := h.read("log/master.log") + h.read("log/box.log")
			if len(all) <= logs || !strings.Contains(all, b.file[strings.LastIndex(b.file, "/")+1:]) {
				return errors.New("no log names the file")
			}
			return nil
		})
		h.quiet(b.name, before)
		h.write(b.file, b.good)
		h.reload("box")
		h.quiet(b.name+", repaired", before)
	}

	// A broken object does not hold back another one.
	h.write("sandboxes/box.yaml", "image-dir: [oops\n")
	h.processes("other", "p: {image: app, config: /config/a.yaml, instances: 2}")
	h.reload("other")
	h.running("box/first.0", "box/second.0", "other/p.0", "other/p.1")
	// A frozen one is still supervised.
	kill(t, before["box/first.0"].program, killSignal)
	h.successor("box/first.0", before["box/first.0"], 5*time.Second)
}

// A host that starts with a broken file runs the rest.
//
// Covers: A5, D12
func TestDaemonStartsWithABrokenSandbox(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.image("app", map[string]string{"a": simple("", "wait")})
	h.sandbox("good", "", "p: {image: app, config: /config/a.yaml}")
	h.sandbox("bad", "allow-users: [x]", "p: {image: app, config: /config/a.yaml}")
	h.start()
	h.running("good/p.0")
}

// Covers: D1, D2, D3
func TestCommandsAreNotStartedAndZeroInstancesAreNone(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.image("app", map[string]string{
		"d": simple("", "wait"), "c": simple("kind: Command", "wait"), "both": simple("kind: CommandOrDaemon", "wait"),
	})
	h.sandbox("box", "", `
		d: {image: app, config: /config/d.yaml}
		c: {kind: Command, image: app, config: /config/c.yaml}
		c2: {kind: Command, image: app, config: /config/both.yaml}
		b: {image: app, config: /config/both.yaml}
		none: {image: app, config: /config/d.yaml, instances: 0}
		mismatch: {kind: Daemon, image: app, config: /config/c.yaml}
		`)
	h.start()
	h.quiet("only daemons run", h.running("box/d.0", "box/b.0"))
}

// socketOwner is the user of the listening socket, as the kernel has it.
func socketOwner(t *testing.T, port int) (uid string) {
	t.Helper()
	// The list is read in pieces, and sockets that come and go meanwhile move
	// others past the reader.
	eventually(t, "the listening socket in /proc/net/tcp", 5*time.Second, func() error {
		data, err := os.ReadFile("/proc/net/tcp")
		must(t, err)
		for _, l := range strings.Split(string(data), "\n") {
			const listening = "0A"
			if f := strings.Fields(l); len(f) > 7 && f[3] == listening && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
				uid = f[7]
				return nil
			}
		}
		return errors.New("it is not there")
	})
	return uid
}

func port3(more string, port int) string {
	return simple(fmt.Sprintf("%stcp-ports: {%d: {fd: 3, host: 127.0.0.1}}\n", more, port), "serve", "3")
}

// While nobody lives that uses it, a port refuses; it is back with the next
// start.
//
// Covers: G13, G15
func TestPortIsRefusedWhileNobodyLives(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	port := h.port()
	h.image("app", map[string]string{"app": port3("restart-timeout: 3\n", port)})
	h.sandbox("box", "", app)
	h.start()
	first := h.running("box/app.0")["box/app.0"]
	if _, err := line(port); err != nil {
		t.Fatal(err)
	}
	if uid := socketOwner(t, port); uid != "1000" {
		t.Errorf("G15 the socket belongs to user %s, want the program's 1000", uid)
	}
	kill(t, first.program, killSignal)
	eventually(t, "refusal", 2500*time.Millisecond, func() error { return refused(port) })
	if i := h.instances()["box/app.0"]; i.program != 0 {
		t.Error("it was back before restart-timeout")
	}
	h.successor("box/app.0", first, 8*time.Second)
	if _, err := line(port); err != nil {
		t.Errorf("after the restart: %v", err)
	}
}

// The first instances of a port that others use keep it open all the time:
// growing and shrinking never refuses a connection.
//
// Covers: G1, G13
func TestInstancesGrowAndShrinkOnOnePort(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	port := h.port()
	h.image("app", map[string]string{"app": port3("", port)})
	entry := func(n int) string {
		return fmt.Sprintf("app: {image: app, config: /config/app.yaml, instances: %d}", n)
	}
	h.sandbox("box", "", entry(1))
	h.start()
	h.running(names("box/app", 1)...)
	stop, failure := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(failure)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := line(port); errors.Is(err, syscall.ECONNREFUSED) {
				failure <- err
				return
			}
		}
	}()
	for _, n := range []int{4, 2, 1, 3} {
		h.processes("box", entry(n))
		h.reload("box")
		h.running(names("box/app", n)...)
		answerAll(t, port, names("box/app", n)...)
	}
	close(stop)
	if err := <-failure; err != nil {
		t.Error(err)
	}
	h.processes("box", "{}")
	h.reload("box")
	h.running()
	eventually(t, "refusal with no instance left", 5*time.Second, func() error { return refused(port) })
}

// answerAll asks until each of these instances has answered.
func answerAll(t *testing.T, port int, names ...string) {
	t.Helper()
	answered := make(map[string]bool)
	for _, name := range names {
		eventually(t, "an answer of "+name, 20*time.Second, func() error {
			who, err := line(port)
			if err != nil {
				return err
			}
			answered[strings.Fields(who)[0]] = true
			if !answered[name] {
				return fmt.Errorf("only of %v", answered)
			}
			return nil
		})
	}
}

// refused wants a port that nobody listens on. A connection that comes while
// the socket is being closed is reset instead.
func refused(port int) error {
	if _, err := line(port); !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("the answer is %v", err)
	}
	return nil
}

// A port that another program holds: the start is tried again, and succeeds
// when the port is free.
//
// Covers: G14
func TestPortThatCannotBeOpenedIsRetried(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	port := h.port()
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	must(t, err)
	h.image("app", map[string]string{"app": port3("restart-timeout: 0.3\n", port)})
	h.sandbox("box", "", app)
	h.start()
	eventually(t, "the reason in a log", 10*time.Second, func() error {
		if !strings.Contains(h.read("log/box.log")+h.read("log/master.log"), "address already in use") {
			return errors.New("no log says that the address is in use")
		}
		return nil
	})
	must(t, l.Close())
	h.running("box/app.0")
	if _, err := line(port); err != nil {
		t.Error(err)
	}
}

// Each start with reuse-port has a socket of its own, in the host's network.
//
// Covers: G6
func TestReusePortGivesEachInstanceItsOwnSocket(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	port := h.port()
	config := simple(fmt.Sprintf("tcp-ports: {%d: {fd: 3, host: 127.0.0.1, reuse-port: true}}\n", port), "serve", "3")
	h.image("app", map[string]string{"app": config})
	h.sandbox("box", "", "app: {image: app, config: /config/app.yaml, instances: 2}")
	h.start()
	now := h.running(names("box/app", 2)...)
	inode := func(name string) string {
		link, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/3", now[name].program))
		must(t, err)
		return link
	}
	if a, b := inode("box/app.0"), inode("box/app.1"); a == b || !strings.HasPrefix(a, "socket:") {
		t.Errorf("the sockets are %s and %s", a, b)
	}
	answerAll(t, port, names("box/app", 2)...)
}

// Descriptor 0 is a socket when asked for; 1 and 2 are refused, and the rest
// of the sandbox runs.
//
// Covers: G11
func TestSocketAsDescriptorZeroButNotOne(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	zero, bad := h.port(), h.port()
	h.image("app", map[string]string{
		"zero": simple(fmt.Sprintf("tcp-ports: {%d: {fd: 0}}\n", zero), "serve", "0"),
		"bad":  simple(fmt.Sprintf("tcp-ports: {%d: {fd: 1}}\n", bad), "serve", "1"),
	})
	h.sandbox("box", "", `
		zero: {image: app, config: /config/zero.yaml}
		bad: {image: app, config: /config/bad.yaml}
		`)
	h.start()
	before := h.running("box/zero.0")
	if who, err := line(zero); err != nil || !strings.HasPrefix(who, "box/zero.0") {
		t.Errorf("%q, %v", who, err)
	}
	h.quiet("only zero runs", before)
}
