package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lithos/actors/services/api"
	"lithos/spawn"
)

const silence = "does not answer"

// waitForLimits has a test wait for limits of a minute.
var waitForLimits = os.Getenv("LITHOS_E2E_LIMITS") != ""

// hangingHost is troubleHost with a container whose image is on a file system
// that can be told to hang.
func hangingHost(t *testing.T) (h *troubled, far *fuse) {
	t.Helper()
	h = &troubled{host: newHost(t)}
	h.client = h.control()
	h.image("app", map[string]string{
		"steady": simple("", "wait"),
		"flaky":  simple("restart-timeout: 0.2", "run", "100", "7"),
	})
	h.image("source", map[string]string{"far": simple("kill-timeout: 0.2", "wait")})
	must(t, os.Rename(h.path("images/source"), h.path("source")))
	far = mountFUSE(t, h.path("source"), h.path("images/far"))
	t.Cleanup(func() {
		far.answer()
		if h.daemon != nil && h.daemon.alive() {
			h.stop() // before it is unmounted
		}
	})
	h.sandbox("box", "", hangingProcesses)
	return h, far
}

const hangingProcesses = `
	steady: {image: app, config: /config/steady.yaml}
	flaky: {image: app, config: /config/flaky.yaml}
	far: {image: far, config: /config/far.yaml}
	`

// times is how often a text is in the daemon's log.
func (h *troubled) times(text string) int {
	h.t.Helper()
	return strings.Count(h.read("log/master.log"), text)
}

// reader is a process that has a file of the image "far" open, by the number that a
// PID 1 has its record by.
func (h *troubled) reader(far *fuse) {
	h.t.Helper()
	// The shell opens it, not this process, see mountFUSE.
	cmd := exec.Command("/bin/sh", "-c", fmt.Sprintf(`exec %d<"$0" && echo opened && read _`, spawn.FDRecord), h.path("images/far/config/far.yaml"))
	_, err := cmd.StdinPipe() // it reads for ever
	must(h.t, err)
	said, err := cmd.StdoutPipe()
	must(h.t, err)
	must(h.t, cmd.Start())
	h.t.Cleanup(func() {
		far.answer() // its end closes the file
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if word, err := bufio.NewReader(said).ReadString('\n'); word != "opened\n" {
		h.t.Fatalf("it opens nothing: %v", err)
	}
}

// forgetFork takes all from a record but its first line.
func (h *troubled) forgetFork(name string) {
	h.t.Helper()
	first, _, ok := strings.Cut(h.read("run/containers", name), "\n")
	if !ok {
		h.t.Fatalf("no record of %s", name)
	}
	must(h.t, os.Truncate(h.path("run/containers", name), int64(len(first)+1)))
}

// Covers: G9, N3
func TestHangingImageBlocksOnlyItsContainers(t *testing.T) {
	t.Parallel()
	h, far := hangingHost(t)
	h.reader(far) // before the containers are there: it is looked at before their PID 1s
	h.start()
	before := map[string]instance{"box/steady.0": h.runs("steady"), "box/far.0": h.runs("far")}

	far.hang()
	// Both have changed: only what can be read counts.
	h.write("source/config/far.yaml", simple("kill-timeout: 0.3", "wait", "another"))
	h.processes("box", hangingProcesses+"more: {image: app, config: /config/steady.yaml}\n")
	generation, err := h.client.Reload(t.Context())
	must(t, err)
	h.settled(api.Wait{Reload: generation, Instance: "box/more.0"})
	h.says(`error: far\.image: the file system of the image .*/images/far does not answer`)
	asked := far.asked()
	if asked == 0 {
		t.Error("the file system was not asked")
	}
	// It is not asked again, and nobody waits for it again.
	_, err = h.client.Reload(t.Context())
	must(t, err)
	eventually(t, "another reload", 10*time.Second, func() error {
		if n := h.times("far.image: the file system of the image"); n != 2 {
			return fmt.Errorf("%d errors", n)
		}
		return nil
	})
	if n := far.asked(); n != asked {
		t.Errorf("the file system was asked %d times more", n-asked)
	}
	var others sync.WaitGroup
	others.Go(func() { h.check().expect(t, "lithos_check", 1, silence) })
	others.Go(func() {
		tool(t, "lithos_switch", "-C", h.path("master.yaml"), "--dry-run", "box", h.path("processes/box.yaml")).expect(t, "lithos_switch", 1, silence)
	})

	// Not even the end of the daemon waits for it, nor its next start.
	// The daemon has died over the line about a fork, too: who it was is looked for
	// among all processes of the host, and one of them has a file of it open.
	h.killDaemon()
	h.forgetFork("box/steady.0")
	h.start()
	h.says(`Adopted container "box/far.0"`)
	h.says(`Adopted container "box/steady.0"`)
	others.Wait()
	h.well(before["box/steady.0"])
	if now := h.instances()["box/far.0"]; now.knot != before["box/far.0"].knot {
		t.Errorf("what ran on it was %+v and is %+v", before["box/far.0"], now)
	}

	// Its program may wait for the file system, and so may its PID 1's end.
	kill(t, before["box/far.0"].knot, unix.SIGKILL)
	h.well(before["box/steady.0"])

	far.answer()
	h.says("The file system answers again, reloading: .*/images/far")
	eventually(t, "the new config", 20*time.Second, func() error {
		if args := arguments(h.instances()["box/far.0"].program); !strings.Contains(fmt.Sprint(args), "another") {
			return fmt.Errorf("it runs %q", args)
		}
		return nil
	})
	h.check().expect(t, "lithos_check", 0)
	h.well(before["box/steady.0"])
}

// A container can't be made: its own file system hangs. Others are not held up
// by it, however often it is tried, and the daemon's own end does not wait.
//
// Covers: N3
func TestStartOnAHangingFileSystem(t *testing.T) {
	t.Parallel()
	h, far := hangingHost(t)
	far.hang("dev") // all that lithos reads of an image is answered
	h.start()
	steady := h.runs("steady")
	eventually(t, "a start that hangs", 20*time.Second, func() error {
		if now := h.instances()["box/far.0"]; now.knot == 0 || now.program != 0 || far.asked() == 0 {
			return fmt.Errorf("%+v", now)
		}
		return nil
	})
	h.well(steady)
	h.killDaemon()
	h.start()
	h.says(`Adopted container "box/far.0"`)
	h.well(steady)
	hanging := h.instances()["box/far.0"]

	if waitForLimits {
		h.sooner("unhealthy", 80*time.Second, `Ending container "box/far.0" .*: its program was not started within 1m0s`)
		h.sooner("stuck", 20*time.Second, `PID 1 of container "box/far.0" .* is still there 10s after SIGKILL`)
		if now := h.instances()["box/far.0"]; now.knot != hanging.knot {
			t.Errorf("it is started while the old one is there: %+v, then %+v", hanging, now)
		}
		h.well(steady)
	}
	far.answer()
	now := h.runs("far")
	if waitForLimits {
		h.says(`Container "box/far.0" .* cause: setup`)
	} else if now.knot != hanging.knot {
		t.Errorf("it did not go on: %+v, then %+v", hanging, now)
	}
	h.well(steady)
}

// sooner waits for a line of the log, that long and some more.
func (h *troubled) sooner(what string, limit time.Duration, pattern string) {
	h.t.Helper()
	wanted := regexp.MustCompile(pattern)
	eventually(h.t, what, limit, func() error {
		if !wanted.MatchString(h.read("log/master.log")) {
			return errors.New("not there")
		}
		return nil
	})
}
