package knot_test

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lithos/spawn/wire"
)

// Covers: E22, N6, N9
func TestExitCodes(t *testing.T) {
	tests := []struct {
		name    string
		verb    string
		command bool
		normal  []int
		want    int
		code    int // in the record
		signal  int
		words   string
	}{
		{"N6 daemon with 0", "exit:0", false, nil, wire.ExitAbnormal, 0, 0, "exited with code 0"},
		{"N6 daemon with 1", "exit:1", false, nil, wire.ExitAbnormal, 1, 0, "exited with code 1"},
		{"N6 command with 0", "exit:0", true, nil, wire.ExitNormal, 0, 0, "exited with code 0"},
		{"N6 command with 7", "exit:7", true, nil, wire.ExitAbnormal, 7, 0, "exited with code 7"},
		{"E22 N9 normal exit code", "exit:8", false, []int{8, 9}, wire.ExitNormal, 8, 0, "exited with code 8"},
		{"E22 N9 normal exit code 0", "exit:0", false, []int{0}, wire.ExitNormal, 0, 0, "exited with code 0"},
		{"E22 other code", "exit:7", false, []int{8, 9}, wire.ExitAbnormal, 7, 0, "exited with code 7"},
		{"E22 the list replaces a command's rule", "exit:0", true, []int{8}, wire.ExitAbnormal, 0, 0, "exited with code 0"},
		{"N9 died on TERM", "raise:15", false, nil, wire.ExitNormal, -1, 15, "killed by signal SIGTERM[15]"},
		{"N6 died on KILL", "raise:9", false, nil, wire.ExitAbnormal, -1, 9, "killed by signal SIGKILL[9]"},
		{"N6 command died on KILL", "raise:9", true, nil, wire.ExitAbnormal, -1, 9, "killed by signal SIGKILL[9]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBox(t, tt.verb)
			b.spec.Command, b.spec.NormalExitCodes = tt.command, tt.normal
			b.run(tt.want)
			events := b.events()
			if len(events) != 2 || events[0].Started == nil || events[1].Exited == nil {
				t.Fatalf("events %+v, want started and exited", events)
			}
			e := events[1].Exited
			if e.Code != tt.code || e.Signal != tt.signal || e.Asked || e.MaxRSS < 4096 || e.Uptime <= 0 || time.Since(e.At) > time.Minute {
				t.Errorf("exited %+v", e)
			}
			if log := b.read(b.log); !regexp.MustCompile(regexp.QuoteMeta(tt.words) + `, uptime \d+s -----\n$`).MatchString(log) {
				t.Errorf("log %q, want %q", log, tt.words)
			}
		})
	}
}

// Covers: N5, N6, N9
func TestTermIsForwarded(t *testing.T) {
	for sig, forwarded := range map[unix.Signal]unix.Signal{
		unix.SIGTERM: unix.SIGTERM, unix.SIGINT: unix.SIGINT, stopSignal: unix.SIGTERM,
	} {
		b := newBox(t, fmt.Sprintf("on:%d=exit:33", forwarded), "touch:/out/up", "forever")
		b.start()
		b.awaitFile("up")
		b.signal(sig)
		if code := b.exit(); code != wire.ExitNormal {
			t.Errorf("%v: exit code %d, want 0 for whatever the program makes of it", sig, code)
		}
		events := b.events()
		if e := events[len(events)-1].Exited; e == nil || !e.Asked || e.Code != 33 {
			t.Errorf("%v: last event %+v", sig, events[len(events)-1])
		}
	}
}

// Covers: N5
func TestStopSignalIsForwardedForTerm(t *testing.T) {
	const realtime = unix.Signal(37) // RTMIN+3
	for _, tt := range []struct{ stop, sig, forwarded unix.Signal }{
		{unix.SIGQUIT, unix.SIGTERM, unix.SIGQUIT},
		{unix.SIGQUIT, stopSignal, unix.SIGQUIT},
		{unix.SIGQUIT, unix.SIGINT, unix.SIGINT},
		{realtime, stopSignal, realtime},
	} {
		b := newBox(t, fmt.Sprintf("on:%d=exit:33", tt.forwarded), "touch:/out/up", "forever")
		b.spec.StopSignal = uint32(tt.stop)
		b.start()
		b.awaitFile("up")
		b.signal(tt.sig)
		if code := b.exit(); code != wire.ExitNormal {
			t.Errorf("%v for %v: exit code %d", tt.sig, tt.stop, code)
		}
		events := b.events()
		if e := events[len(events)-1].Exited; e == nil || !e.Asked || e.Code != 33 {
			t.Errorf("%v for %v: last event %+v", tt.sig, tt.stop, events[len(events)-1])
		}
	}
}

// The program is told once, and the timeout counts from then.
//
// Covers: N5
func TestTermIsForwardedOnce(t *testing.T) {
	b := newBox(t, "on:15=append:/out/terms", "touch:/out/up", "forever")
	b.spec.KillTimeout = 700 * time.Millisecond
	b.start()
	b.awaitFile("up")
	ended := make(chan int, 1)
	b.signal(unix.SIGTERM)
	first := time.Now()
	go func() { ended <- b.wait().ExitStatus() }()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case code := <-ended:
			if code != wire.ExitKilled {
				t.Errorf("exit code %d, want 3", code)
			}
			if took := time.Since(first); took < b.spec.KillTimeout {
				t.Errorf("killed after %v, before its kill-timeout", took)
			}
			if n := strings.Count(b.read(b.out+"/terms"), "\n"); n != 1 {
				t.Errorf("the program got TERM %d times", n)
			}
			if log := b.read(b.log); !regexp.MustCompile(`----- Process "web/app.0" did not respond to SIGTERM in 700ms, uptime \d+s\. Killing\.\. -----\n$`).MatchString(log) {
				t.Errorf("log %q", log)
			}
			if events := b.events(); !events[len(events)-1].Killing {
				t.Errorf("events %+v", events)
			}
			if unix.Kill(b.pid, 0) != unix.ESRCH {
				t.Error("PID 1 is still there")
			}
			return
		case <-again.C:
			unix.Kill(b.pid, unix.SIGTERM)
		case <-time.After(time.Minute):
			t.Fatal("each TERM begins the kill-timeout anew")
		}
	}
}

// The end of PID 1 is the end of all that the program left.
//
// Covers: E18, X6
func TestProgramsExitEndsTheContainer(t *testing.T) {
	b := newBox(t, "daemon:touch:/out/daemon+forever", "await:/out/daemon", "exit:1")
	out := b.out
	b.run(wire.ExitAbnormal)
	for _, d := range globProc(t) {
		if cmdline, _ := os.ReadFile(d + "/cmdline"); strings.Contains(string(cmdline), "touch:/out/daemon") {
			if root, _ := os.Readlink(d + "/root"); root == "/" {
				t.Errorf("%s (%s) is still there, of %s", d, cmdline, out)
			}
		}
	}
	if hasMount(t, b.image) {
		t.Error("the image is still mounted")
	}
}

func globProc(t *testing.T) (dirs []string) {
	entries, err := os.ReadDir("/proc")
	must(t, err)
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err == nil {
			dirs = append(dirs, "/proc/"+e.Name())
		}
	}
	return dirs
}

func hasMount(t *testing.T, path string) bool {
	text, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	return strings.Contains(string(text), path)
}

// Covers: N10
func TestOrphansAreReaped(t *testing.T) {
	b := newBox(t)
	r := b.look("orphan:40", "alone")
	if len(r.Processes) != 2 {
		t.Errorf("processes %q, want PID 1 and the program", r.Processes)
	}
	if e := b.events(); len(e) != 2 {
		t.Errorf("events %+v: only the program's end counts", e)
	}
}

// Covers: N10
func TestOtherSignalsAreIgnored(t *testing.T) {
	b := newBox(t, "touch:/out/up", "await:/out/go", "exit:0")
	b.spec.Command = true
	b.start()
	b.awaitFile("up")
	for sig := unix.Signal(1); sig <= 64; sig++ {
		switch sig {
		case unix.SIGTERM, stopSignal, unix.SIGINT, unix.SIGKILL, unix.SIGSTOP:
		default:
			b.signal(sig)
		}
	}
	b.write(b.out+"/go", "")
	if code := b.exit(); code != wire.ExitNormal {
		t.Errorf("exit code %d", code)
	}
	if e := b.events(); len(e) != 2 || e[1].Exited == nil || e[1].Exited.Asked {
		t.Errorf("events %+v", e)
	}
}

// Covers: E17, N5
func TestInteractiveGetsINTLikeAnyOther(t *testing.T) {
	b := newBox(t, "on:2=touch:/out/int", "touch:/out/up", "forever")
	b.spec.Interactive, b.spec.KillTimeout = true, 50*time.Millisecond
	b.start()
	b.awaitFile("up")
	b.signal(unix.SIGINT)
	b.awaitFile("int")
	if code := b.exit(); code != wire.ExitKilled {
		t.Errorf("exit code %d, want that of a kill-timeout", code)
	}
}

// stopSignal is what the supervisor sends.
const stopSignal = unix.Signal(wire.StopSignal)

// The request to stop at any moment ends the container, also one that comes
// before PID 1 has got anywhere.
//
// Covers: N5
func TestStopBeforeTheProgramStarts(t *testing.T) {
	for i := range 40 {
		b := newBox(t, "forever")
		b.start()
		for began := time.Now(); time.Since(began) < time.Duration(i)*100*time.Microsecond; {
		}
		b.signal(stopSignal)
		if code := b.exit(); code != wire.ExitNormal {
			t.Errorf("after %d·100 µs: exit code %d", i, code)
		}
	}
}

// Covers: E18
func TestRestartProcessOnlyKeepsTheContainer(t *testing.T) {
	b := newBox(t, "append:/out/starts", "append:/tmp/starts", "read:/tmp/starts", "report:/out/report", "exit:1")
	b.spec.RestartProcessOnly = true
	b.spec.RestartTimeout = 150 * time.Millisecond
	b.withVolume(wire.Volume{Kind: wire.Tmpfs, MountPoint: "/tmp", Size: 1 << 20, Mode: 0o1777})
	b.start()
	b.await("the fourth start", func() bool { return strings.Count(b.read(b.out+"/starts"), "\n") >= 4 })
	b.signal(unix.SIGTERM)
	if code := b.exit(); code != wire.ExitNormal {
		t.Errorf("exit code %d", code)
	}
	lines := strings.Split(strings.TrimSpace(b.read(b.out+"/starts")), "\n")
	var at []int64
	for _, line := range lines {
		pid, ns, _ := strings.Cut(line, " ")
		if pid != "2" {
			t.Errorf("the program has pid %s", pid)
		}
		n, err := strconv.ParseInt(ns, 10, 64)
		must(t, err)
		at = append(at, n)
	}
	// From start to start, as PID 1 wrote it down: what the program says is
	// later by however long its own start took.
	var starts []time.Time
	for _, e := range b.events() {
		if e.Started != nil {
			starts = append(starts, e.Started.At)
		}
	}
	for i := 1; i < len(starts); i++ {
		if gap := starts[i].Sub(starts[i-1]); gap < b.spec.RestartTimeout {
			t.Errorf("start %d came %v after the one before", i, gap)
		}
	}
	// The fourth may not have got to its report.
	if r := b.report("report"); strings.Count(r.Tried["text /tmp/starts"], "\n") < 3 {
		t.Errorf("the tmpfs was made anew: %q (starts at %v)", r.Tried["text /tmp/starts"], at)
	}
}

// The original's defect: a program that lived longer than restart-timeout.
//
// Covers: E18
func TestLongLivedProgramIsRestartedAtOnce(t *testing.T) {
	b := newBox(t, "append:/out/starts", "sleep:2100ms", "exit:1")
	b.spec.RestartProcessOnly = true
	b.spec.RestartTimeout = 2 * time.Second
	b.start()
	b.await("the second start", func() bool { return strings.Count(b.read(b.out+"/starts"), "\n") >= 2 })
	b.signal(unix.SIGTERM)
	if code := b.exit(); code != wire.ExitNormal {
		t.Errorf("exit code %d", code)
	}
	events := b.events()
	if gap := events[2].Started.At.Sub(events[1].Exited.At); gap >= b.spec.RestartTimeout {
		t.Errorf("restarted %v after its end", gap)
	}
}

// Covers: E18
func TestStrayDaemonsSurviveAndAreReaped(t *testing.T) {
	b := newBox(t, "append:/out/starts", "daemon:touch:/out/daemon+await:/out/go+touch:/out/gone+exit:0", "await:/out/daemon", "exit:1")
	b.spec.RestartProcessOnly = true
	b.spec.RestartTimeout = time.Hour
	b.start()
	b.await("the end of the program", func() bool { return strings.Contains(b.read(b.record), `"exited"`) })
	b.write(b.out+"/go", "")
	b.awaitFile("gone")
	b.await("the daemon's reaping", func() bool { return len(b.children()) == 0 })
	if e := b.events(); len(e) != 2 {
		t.Errorf("events %+v", e)
	}
	// TERM during the wait ends it.
	b.signal(unix.SIGTERM)
	if code := b.exit(); code != wire.ExitNormal {
		t.Errorf("exit code %d", code)
	}
}

// Covers: E18
func TestCommandsAreNotRestarted(t *testing.T) {
	b := newBox(t, "exit:5")
	b.spec.RestartProcessOnly, b.spec.Command = true, true
	b.run(wire.ExitAbnormal)
}

// Covers: E16, E18
func TestOutputIsReopenedAtEachStart(t *testing.T) {
	b := newBox(t, "print:hello", "append:/out/starts", "await:/out/go", "exit:1")
	b.spec.RestartProcessOnly = true
	b.spec.RestartTimeout = time.Millisecond
	b.spec.StdoutStderrFile = "/out/app.log"
	b.start()
	b.awaitFile("starts")
	must(t, os.Rename(b.out+"/app.log", b.out+"/app.log.1"))
	b.write(b.out+"/go", "")
	b.awaitFile("app.log")
	b.signal(unix.SIGTERM)
	b.exit()
	if got := b.read(b.out + "/app.log.1"); got != "hello\n" {
		t.Errorf("the first file has %q", got)
	}
}

// If it can't be started again the container is over, and can be made again.
//
// Covers: E18
func TestFailedRestartEndsTheContainer(t *testing.T) {
	b := newBox(t, "append:/out/starts", "sleep:10ms", "exit:1")
	copyProbe(t, b.dir+"/probe")
	b.write(b.image+"/prog/probe", "")
	b.mkdir(b.dir + "/prog")
	must(t, os.Rename(b.dir+"/probe", b.dir+"/prog/probe"))
	b.spec.Volumes = append(b.spec.Volumes, wire.Volume{Kind: wire.Persistent, MountPoint: "/prog", Source: b.dir + "/prog", Exec: true})
	b.spec.Executable = "/prog/probe"
	b.spec.RestartProcessOnly = true
	b.spec.RestartTimeout = 10 * time.Millisecond
	b.start()
	b.awaitFile("starts")
	must(t, os.Remove(b.dir+"/prog/probe"))
	if code := b.exit(); code != wire.ExitSetup {
		t.Errorf("exit code %d", code)
	}
	events := b.events()
	if got := events[len(events)-1].Failed; !strings.Contains(got, "cannot run /prog/probe: no such file in the container") {
		t.Errorf("%q", got)
	}
}

// Months of restarts don't fill the runtime directory, and the supervisor's
// lines stay.
//
// Covers: E18
func TestRecordIsBounded(t *testing.T) {
	b := newBox(t, "exit:1")
	head := `{"created":{"name":"web/app.0"}}` + "\n"
	b.write(b.record, head)
	b.spec.RestartProcessOnly = true
	b.spec.RestartTimeout = 0
	b.start()
	largest := 0
	lastSize, cuts := 0, 0
	b.await("the record to be cut", func() bool {
		text := b.read(b.record)
		if !strings.HasPrefix(text, head) {
			t.Fatalf("the first line is gone: %q", text[:min(len(text), 200)])
		}
		if len(text) < lastSize {
			cuts++
		}
		lastSize = len(text)
		largest = max(largest, lastSize)
		return cuts > 0
	})
	b.signal(unix.SIGTERM)
	b.exit()
	if largest > wire.MaxRecord+1024 {
		t.Errorf("the record grew to %d bytes", largest)
	}
}
