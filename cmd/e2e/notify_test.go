package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"lithos/actors/services/api"
)

// notifies says by NOTIFY_SOCKET that it begins, and when there is a file, that
// it is ready; there is a file that comes along. When there is FILE.flood it says
// much more.
func notifies(args []string) {
	socket, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_DGRAM, 0)
	check(err)
	say := func(text string) {
		check(syscall.Sendmsg(socket, []byte(text), syscall.UnixRights(0), &syscall.SockaddrUnix{Name: os.Getenv("NOTIFY_SOCKET")}, 0))
	}
	appears := func(file string) {
		for {
			if _, err := os.Stat(file); err == nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	say("STATUS=warming \x1b[31mup\nMAINPID=1\nFDSTORE=1")
	appears(args[0])
	say("RELOADING=1\nREADY=1\nSTATUS=serving\n")
	say("EXTEND_TIMEOUT_USEC=1")
	_ = os.WriteFile(args[0]+".told", nil, 0o644)
	appears(args[0] + ".flood")
	for n := range 3000 {
		say(fmt.Sprintf("STATUS=%d", n))
	}
	say(strings.Repeat("x", 5000) + "\nSTATUS=too long")
	say("STATUS=the end\nSTOPPING=1")
	check(os.WriteFile(args[0]+".flooded", nil, 0o644))
	wait()
}

// beats says by NOTIFY_SOCKET that it is ready, and then that it lives, until
// there is a file FILE.silent; if there is FILE.trigger it takes that away, and asks
// to be ended.
func beats(args []string) {
	socket, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_DGRAM, 0)
	check(err)
	say := func(text string) {
		check(syscall.Sendto(socket, []byte(text), 0, &syscall.SockaddrUnix{Name: os.Getenv("NOTIFY_SOCKET")}))
	}
	say("READY=1\nSTATUS=every " + os.Getenv("WATCHDOG_USEC"))
	for {
		if _, err := os.Stat(args[0] + ".silent"); err == nil {
			time.Sleep(200 * time.Millisecond)
			continue
		}
		if _, err := os.Stat(args[0] + ".trigger"); err == nil {
			check(os.Remove(args[0] + ".trigger"))
			say("WATCHDOG=trigger")
			wait()
		}
		say("WATCHDOG=1")
		time.Sleep(200 * time.Millisecond)
	}
}

// notifyFile makes what the socket is mounted on.
func (h *host) notifyFile(image string) {
	h.t.Helper()
	must(h.t, os.MkdirAll(h.path("images", image, "run"), 0o755))
	h.write("images/"+image+"/run/notify", "")
}

func itSays(text string) func(*api.Instance) bool {
	return func(in *api.Instance) bool { return in.Says == text }
}

// A program tells by sd_notify that it is ready: what it sends while no daemon
// is there is heard by the next one. That is so for both ways to make containers.
func TestChecks_ProgramNotifies(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	const ready = dataVolume + "ready: {notify: /run/notify}\n"
	h.image("app", map[string]string{
		"app":     simple(ready, "notifies", "/out/go"),
		"general": simple(ready+"restart-process-only: true\n", "notifies", "/out/go"),
	})
	h.notifyFile("app")
	h.sandbox("box", "writable-paths: {/data: "+h.path("data")+"}\n",
		"app: {image: app, config: /config/app.yaml}\ngeneral: {image: app, config: /config/general.yaml}\n")
	must(t, os.Chmod(h.path("data"), 0o777))
	h.start()
	before := h.running("box/app.0", "box/general.0")
	for name := range before {
		in := h.is(name, "begins", itSays("warming ?[31mup"))
		if in.Ready == nil || in.Ready.Ready || !strings.Contains(in.Words, "it is not ready yet (READY=1 sent to /run/notify); it says: warming ?[31mup") {
			t.Errorf("%s: %+v, %q", name, in.Ready, in.Words)
		}
	}
	if info, err := os.Stat(h.path("run/notify")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("others may send: %v, %v", info, err)
	}
	h.killDaemon()
	h.up("go", true)
	eventually(t, "what is told to nobody", 60*time.Second, func() error {
		_, err := os.Stat(h.path("data/go.told"))
		return err
	})
	h.start()
	for name, i := range h.running("box/app.0", "box/general.0") {
		h.is(name, "ready", isReady)
		h.is(name, "serves", itSays("serving"))
		if i.knot != before[name].knot || i.program != before[name].program {
			t.Errorf("%s was restarted", name)
		}
	}
	// The next daemon need not hear it again, and hears on.
	h.killDaemon()
	h.start()
	h.is("box/app.0", "ready still", isReady)
	h.up("go.flood", true)
	h.is("box/app.0", "has said much", itSays("the end"))
	eventually(t, "that it goes on", 60*time.Second, func() error {
		_, err := os.Stat(h.path("data/go.flooded"))
		return err
	})
	// One that is restarted tells again.
	kill(t, before["box/app.0"].program, killSignal)
	after := h.successor("box/app.0", before["box/app.0"], 60*time.Second)
	h.is("box/app.0", "ready again", func(in *api.Instance) bool { return isReady(in) && in.PID == after.knot })
	h.stop()
	left, err := os.ReadDir(h.path("run/notify"))
	if err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// A program with a watchdog lives as long as it says so, over a daemon that is not
// there for longer than that, and is ended and started again when it is silent, or
// asks for it.
func TestChecks_Watchdog(t *testing.T) {
	t.Parallel()
	seconds := int(within(4*time.Second) / time.Second)
	h := one(t, simple(dataVolume+fmt.Sprintf("ready: {notify: /run/notify, watchdog: %d}\n", seconds), "beats", "/out/app"))
	h.notifyFile("app")
	h.start()
	before := h.running("box/app.0")["box/app.0"]
	h.is("box/app.0", "ready", func(in *api.Instance) bool { return isReady(in) && in.Says == fmt.Sprintf("every %d000000", seconds) })
	h.killDaemon()
	silence := time.Duration(seconds+2) * time.Second
	time.Sleep(silence)
	h.start()
	h.adopted("box/app.0", 1)
	time.Sleep(silence)
	if now := h.running("box/app.0")["box/app.0"]; now.knot != before.knot {
		t.Fatal("it was ended though it beats")
	}
	for _, c := range []struct{ file, words string }{
		{"app.silent", "it sent no WATCHDOG=1 for " + (time.Duration(seconds) * time.Second).String()}, {"app.trigger", "it asked for that by WATCHDOG=trigger"},
	} {
		h.up(c.file, true)
		h.successor("box/app.0", before, 60*time.Second)
		if c.file == "app.silent" {
			h.up(c.file, false)
		}
		deaths, err := h.control().Deaths(t.Context(), "box/app.0")
		must(t, err)
		if len(deaths) == 0 || deaths[0].Cause != api.CauseHealth || !deaths[0].Failure || !strings.Contains(deaths[0].Words, c.words) {
			t.Errorf("%s: deaths %+v", c.file, deaths)
		}
		if err := h.psShows([]string{"--why", "box/app.0"}, regexp.QuoteMeta(c.words)+`.*\[healthcheck\]`); err != nil {
			t.Error(err)
		}
		h.is("box/app.0", "ready again", func(in *api.Instance) bool { return isReady(in) && in.PID != before.knot })
		before = h.running("box/app.0")["box/app.0"]
	}
}

// python sends with what it has itself.
const pythonNotifies = `
import os, socket, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.sendto(b"READY=1\nSTATUS=a snake", os.environ["NOTIFY_SOCKET"])
time.sleep(1000000)`

// Programs of Debian: redis by libsystemd, python by itself.
func TestChecks_ProgramsOfDebianNotify(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	const debianFiles = "volumes:\n  /usr: !Readonly {path: /debian/usr, exec: true}\n  /lib64: !Readonly {path: /debian/usr/lib64, exec: true}\n" +
		"  /lib: !Readonly {path: /debian/usr/lib, exec: true}\n"
	common := debianFiles + "user-id: 1000\ngroup-id: 1000\nready: {notify: /run/notify}\n"
	h.image("app", map[string]string{
		"redis":  common + fmt.Sprintf("executable: /usr/bin/redis-server\narguments: [--port, '%d', --bind, 127.0.0.1, --save, '', --dir, /, --supervised, systemd]\n", h.port()),
		"python": common + fmt.Sprintf("executable: /usr/bin/python3\narguments: [-c, %q]\n", pythonNotifies),
	})
	h.notifyFile("app")
	for _, dir := range []string{"usr", "lib", "lib64"} {
		must(t, os.MkdirAll(h.path("images/app", dir), 0o755))
	}
	h.sandbox("box", "readonly-paths: {/debian: "+imagesDir+"/"+debian+"}\n",
		"redis: {image: app, config: /config/redis.yaml}\npython: {image: app, config: /config/python.yaml}\n")
	h.start()
	h.is("box/redis.0", "ready", func(in *api.Instance) bool { return isReady(in) && in.Says == "Ready to accept connections" })
	h.is("box/python.0", "ready", func(in *api.Instance) bool { return isReady(in) && in.Says == "a snake" })
}
