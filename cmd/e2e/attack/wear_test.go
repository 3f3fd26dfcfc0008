package attack

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The tests in this file are of what wears out a host, or confuses its daemon:
// each has a daemon of its own, and a neighbour that has to continue.

// pulse says every twenty milliseconds that it lives.
func pulse([]string) int {
	for n := 1; ; n++ {
		if err := os.WriteFile("/out/pulse.tmp", []byte(strconv.Itoa(n)), 0o666); err == nil {
			_ = os.Rename("/out/pulse.tmp", "/out/pulse")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

var neighbour = box{name: "neighbour", user: 1000, args: []string{"pulse"}}

// beats is how often the neighbour has said that it lives, since its start.
func (a *arena) beats(s sandbox) int {
	n, _ := strconv.Atoi(a.read("volumes", s.name+"-neighbour", "pulse"))
	return n
}

// neighbourLives waits for some more beats of the one neighbour that there was.
func neighbourLives(t *testing.T, a *arena, s sandbox, knots []knot) {
	t.Helper()
	before := a.beats(s)
	eventually(t, "the neighbour's pulse", 20*time.Second, func() error {
		if now := a.beats(s); now < before+5 {
			return fmt.Errorf("%d beats, %d before", now, before)
		}
		return nil
	})
	if now := a.processes(s.name + "/neighbour.0"); len(now) != 1 || len(knots) != 1 || now[0].pid != knots[0].pid {
		t.Errorf("the neighbour was %v and is %v", knots, now)
	}
}

// beside starts a host with attackers and a neighbour, in each sandbox, and
// hands over when the neighbour is there.
func beside(t *testing.T, more string, attackers []box, do func(t *testing.T, a *arena, s sandbox, knots []knot)) {
	for _, s := range wholeSandboxes() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			a := ownArena(t)
			must(t, a.add(s.name, s.config+"\n"+more, append([]box{neighbour}, attackers...)...))
			must(t, a.start())
			eventually(t, "the neighbour", 20*time.Second, func() error {
				if a.beats(s) == 0 {
					return errors.New(a.log(s.name))
				}
				return nil
			})
			do(t, a, s, a.processes(s.name+"/neighbour.0"))
		})
	}
}

// bomb starts processes until it can't, says so, and keeps trying.
func bomb([]string) int {
	var o struct {
		Started int
		Error   string
	}
	spareThreads()
	start := func() error { return self("/bin/attack", "wait").Start() }
	for o.Started < 400 && o.Error == "" {
		if err := start(); err != nil {
			o.Error = err.Error()
		} else {
			o.Started++
		}
	}
	if code := write("/out/bombed", o); code != 0 {
		return code
	}
	for o.Error != "" { // else it would be the host's end, if it had no limit
		_ = start()
	}
	wait()
	return 0
}

// spareThreads has Go's runtime make threads, which it keeps: where there can be
// no more it would end the program when it needs one.
func spareThreads() {
	const n = 10
	var all, gone sync.WaitGroup
	all.Add(n)
	for range n {
		gone.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			all.Done()
			all.Wait()
		})
	}
	gone.Wait()
}

// Covers: M7
func TestForkBombIsLimited(t *testing.T) {
	t.Parallel()
	beside(t, "pids-limit: 60\ncpu-quota: 0.5", []box{{name: "bomb", args: []string{"bomb"}}}, func(t *testing.T, a *arena, s sandbox, knots []knot) {
		var o struct {
			Started int
			Error   string
		}
		reported(t, a, s.name+"-bomb", "bombed", &o)
		if o.Started >= 60 || !strings.Contains(o.Error, "temporarily unavailable") {
			t.Errorf("the attack succeeded: %+v", o)
		}
		neighbourLives(t, a, s, knots)
		// The host can still start processes.
		if out, err := exec.Command("/proc/self/exe", "attack", "whoami").Output(); err != nil {
			t.Errorf("the host: %s, %v", out, err)
		}
	})
}

const flooded = 48 << 20

// flood writes a lot to its log.
func flood([]string) int {
	line := []byte(strings.Repeat("x", 4095) + "\n")
	for n := 0; n < flooded; n += len(line) {
		if _, err := os.Stdout.Write(line); err != nil {
			return 1
		}
	}
	return report("/out/flooded", true)
}

// Covers: P1
func TestLogFloodIsBounded(t *testing.T) {
	t.Parallel()
	beside(t, "", []box{{name: "flood", args: []string{"flood"}}}, func(t *testing.T, a *arena, s sandbox, knots []knot) {
		var done bool
		reported(t, a, s.name+"-flood", "flooded", &done)
		info, err := os.Stat(a.path("log/stderr", s.name+".log"))
		if err != nil || info.Size() < flooded {
			t.Errorf("the log: %v, %v", info, err)
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.cmd.Process.Pid))
		must(t, err)
		for line := range strings.Lines(string(status)) {
			var kB int
			if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kB); n == 1 && kB > 200<<10 {
				t.Errorf("the daemon took %d kB: it is not to have a part in the logs", kB)
			}
		}
		neighbourLives(t, a, s, knots)
		reloads(t, a)
	})
}

// reloads wants the daemon to read its configs again.
func reloads(t *testing.T, a *arena) {
	t.Helper()
	count := func() int { return strings.Count(a.read("log/master.log"), "Reloaded") }
	before := count()
	must(t, a.cmd.Process.Signal(syscall.SIGQUIT))
	eventually(t, "the reload", 20*time.Second, func() error {
		if count() <= before {
			return errors.New(a.read("log/master.log"))
		}
		return nil
	})
}

// sockets takes ports and descriptors until it gets no more.
func sockets([]string) int {
	var o struct {
		Opened int
		Error  string
	}
	for o.Error == "" && o.Opened < 100000 {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err == nil {
			err = errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 77, 0, 1}}), unix.Listen(fd, 1))
		}
		if err != nil {
			o.Error = err.Error()
			break
		}
		o.Opened++
	}
	_ = unix.CloseRange(10, 20, 0) // to have some to report by
	return report("/out/sockets", o)
}

// Covers: E5
func TestDescriptorsAndPortsAreLimited(t *testing.T) {
	t.Parallel()
	attacker := box{name: "sockets", args: []string{"sockets"}, config: "fileno-limit: 300"}
	beside(t, "", []box{attacker}, func(t *testing.T, a *arena, s sandbox, knots []knot) {
		var o struct {
			Opened int
			Error  string
		}
		reported(t, a, s.name+"-sockets", "sockets", &o)
		if o.Opened > 300 || !strings.Contains(o.Error, "too many open files") {
			t.Errorf("the attack succeeded: %+v", o)
		}
		neighbourLives(t, a, s, knots)
	})
}

// pretend becomes a process that looks like the PID 1 of its neighbour.
func pretend(args []string) int {
	err := unix.Exec("/bin/attack", append([]string{"lithos_knot"}, args...), os.Environ())
	fmt.Fprintln(os.Stderr, err)
	return 70
}

// Covers: N7, O3
func TestImpostorOfPID1(t *testing.T) {
	t.Parallel()
	for _, s := range wholeSandboxes() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			a := ownArena(t)
			attacker := box{name: "pretend", args: []string{"pretend", "--name", s.name + "/neighbour.0", "--master", a.path("master.yaml"), "--config", "'{}'"}}
			must(t, a.add(s.name, s.config, neighbour, attacker))
			must(t, a.start())
			var fake int
			eventually(t, "the neighbour and who looks like it", 20*time.Second, func() error {
				fake = pretender(a, s)
				if a.beats(s) == 0 || fake == 0 {
					return errors.New(a.log(s.name))
				}
				return nil
			})
			knots := a.processes(s.name + "/neighbour.0")
			reloads(t, a)
			neighbourLives(t, a, s, knots)
			if pretender(a, s) != fake {
				t.Error("who looks like the neighbour was ended: the daemon took it for a container")
			}
		})
	}
}

// pretender is the pid of the program that has the command line of PID 1.
func pretender(a *arena, s sandbox) int {
	for pid := range allProcesses() {
		cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		if err == nil && strings.HasSuffix(exe, "/attack") && strings.HasPrefix(string(cmdline), "lithos_knot\x00--name\x00"+s.name+"/neighbour.0\x00--master\x00"+a.path("master.yaml")) {
			return pid
		}
	}
	return 0
}

func allProcesses() map[int]bool {
	pids := map[int]bool{}
	list, _ := os.ReadDir("/proc")
	for _, e := range list {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids[pid] = true
		}
	}
	return pids
}
