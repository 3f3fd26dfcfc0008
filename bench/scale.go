package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"lithos/actors/services/api"
)

// scale measures a host with a thousand containers: its boot and stop, changes,
// questions, restarts, its idling, and its recovery from a killed daemon.
func (b *bench) scale() error {
	if err := b.needGroups(); err != nil {
		return err
	}
	n, turns := b.pick(1000, 20), b.pick(3, 1)
	begin := time.Now()
	for turn := 0; turn < turns; turn++ {
		// On a slow machine two have to do.
		if turn > 0 && time.Since(begin) > 90*time.Second {
			turns = turn + 1
		}
		for subject, bin := range b.bins() {
			h, err := b.newHost(bin, process{"app", "app", n - 1}, process{"one", "app", 1}, process{"true", "true", 0})
			if err == nil {
				err = h.start()
			}
			if err == nil {
				err = b.scaleOf(h, subject, n, turn == turns-1)
				begin := time.Now()
				if stop := h.stop(); stop == nil && err == nil {
					b.result.add(fmt.Sprintf("stop-%d", n), subject, "ms", since(begin))
				} else {
					err = firstError(err, stop)
				}
			}
			if err := b.failed(subject, fmt.Sprintf("%d containers", n), err); err != nil {
				return err
			}
		}
		if err := b.scaleOfLimit(n); err != nil {
			return err
		}
		if err := b.scaleOfRunit(n); err != nil {
			return err
		}
	}
	return nil
}

func since(begin time.Time) float64 { return float64(time.Since(begin)) / 1e6 }

func (b *bench) scaleOf(h *host, subject string, n int, last bool) error {
	at := "-" + strconv.Itoa(n)
	all, err := h.started(n)
	if err != nil {
		return err
	}
	b.result.add("boot"+at, subject, "ms", float64(all-h.begin)/1e6)
	time.Sleep(time.Duration(b.pick(5000, 200)) * time.Millisecond)
	if err := b.switches(h, subject, n); err != nil {
		return err
	}
	b.questions(h, subject, at)
	b.kills("restart-latency"+at, h.subject(subject, 0), b.pick(40, 3))
	if !last {
		return nil
	}
	b.settle()
	if err := b.readMemory(h, subject, n); err != nil {
		return err
	}
	b.idle(h, subject, at)
	if h.bin != b.o.bin {
		return nil // the daemon's state is asked for on our control socket
	}
	return b.recover(h, subject, n)
}

// switches changes one of all, and then nothing.
func (b *bench) switches(h *host, subject string, n int) error {
	at := "-" + strconv.Itoa(n)
	for i, config := range []string{"other", "other", "app", "app"} {
		file := filepath.Join(h.dir, "new.yaml")
		text := h.processes(process{"app", "app", n - 1}, process{"one", config, 1}, process{"true", "true", 0})
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
		cmd := h.command("lithos_switch", "bench", file)
		before, used, begin := count(h.file()), cpu(h.daemon.Process.Pid), monotonic()
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("lithos_switch: %w: %s", err, out)
		}
		name := "switch-none"
		if i%2 == 0 {
			name = "switch-one"
			started, err := h.started(before + 1)
			if err != nil {
				return err
			}
			b.result.add(name+at, subject, "ms", float64(started-begin)/1e6)
		}
		// Until all it does has been done.
		time.Sleep(time.Duration(b.pick(3000, 300)) * time.Millisecond)
		both := cpu(h.daemon.Process.Pid) - used + int64(cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
		b.result.add(name+"-cpu"+at, subject, "cpu-ms", float64(both)/1e6)
		if i%2 == 1 && count(h.file()) != before {
			b.result.note("%s restarted %d containers though nothing had changed", subject, count(h.file())-before)
		}
	}
	return nil
}

// questions runs the commands that ask.
func (b *bench) questions(h *host, subject, at string) {
	for _, q := range []struct {
		name string
		argv []string
	}{
		{"check", []string{"lithos_check", "-C", h.master}},
		{"ps", []string{"lithos_ps", "-C", h.master}},
		{"cmd", []string{"lithos_cmd", "--master", h.master, "bench", "true"}},
	} {
		if q.name == "ps" && h.bin != b.o.bin {
			q.argv = q.argv[:1] // it looks for all masters
		}
		for range b.pick(5, 2) {
			begin := time.Now()
			if out, err := exec.Command(filepath.Join(h.bin, q.argv[0]), q.argv[1:]...).CombinedOutput(); err != nil {
				b.result.note("%s of %s: %v: %.200s", q.argv[0], subject, err, out)
				break
			}
			b.result.add(q.name+at, subject, "ms", since(begin))
		}
	}
}

// settle lets a host come to rest: what was asked of it before has garbage to
// collect, and a minute after its start each container is looked at once more,
// whether its program runs.
func (b *bench) settle() { time.Sleep(time.Duration(b.pick(75, 0)) * time.Second) }

// idle counts what a host does that has nothing to do.
func (b *bench) idle(h *host, subject, at string) {
	window := time.Duration(b.pick(60, 2)) * time.Second
	if subject != ours {
		window = min(window, 20*time.Second)
	}
	pids := append(h.knots(""), h.daemon.Process.Pid)
	read := func() (used, wakeups int64) {
		for _, pid := range pids {
			used += cpu(pid)
			wakeups += switchesOf(pid)
		}
		return used, wakeups
	}
	used, wakeups := read()
	time.Sleep(window)
	used2, wakeups2 := read()
	minute := float64(time.Minute) / float64(window)
	b.result.add("idle-cpu"+at, subject, "cpu-ms/min", float64(used2-used)/1e6*minute)
	b.result.add("idle-wakeups"+at, subject, "wakeups/min", float64(wakeups2-wakeups)*minute)
}

// switchesOf is how often the threads of a process have gone to sleep.
func switchesOf(pid int) int64 {
	var n int64
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	for _, t := range tasks {
		v, _ := strconv.ParseInt(field(t, "voluntary_ctxt_switches"), 10, 64)
		n += v
	}
	return n
}

// recover kills the daemon and waits until its successor has all in hand.
func (b *bench) recover(h *host, subject string, n int) error {
	before := count(h.file())
	if err := h.daemon.Process.Kill(); err != nil {
		return err
	}
	_ = h.daemon.Wait()
	delete(b.running, h.daemon.Process.Pid)
	if err := h.start(); err != nil {
		return err
	}
	c := api.NewClient(filepath.Join(h.run, api.SocketName))
	defer c.Close()
	if err := until("all containers after the daemon was killed", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		list, err := c.Instances(ctx, "bench", false)
		if err != nil {
			return false
		}
		running := 0
		for _, i := range list.Instances {
			if i.State == api.StateRunning {
				running++
			}
		}
		return running == n
	}); err != nil {
		return err
	}
	at := "-" + strconv.Itoa(n)
	b.result.add("recovery"+at, subject, "ms", float64(monotonic()-h.begin)/1e6)
	time.Sleep(time.Second)
	b.result.add("recovery-restarted"+at, subject, "containers", float64(count(h.file())-before))
	return nil
}

// scaleOfLimit is the limit's boot and stop, and its restarts meanwhile.
func (b *bench) scaleOfLimit(n int) error {
	at := "-" + strconv.Itoa(n)
	h, err := b.keepLimit(plain, n, nil)
	if err != nil {
		return err
	}
	all, err := h.started(n)
	if err != nil {
		return firstError(err, h.stopLimit())
	}
	b.result.add("boot"+at, limitName, "ms", float64(all-h.begin)/1e6)
	time.Sleep(time.Duration(b.pick(1000, 100)) * time.Millisecond)
	b.kills("restart-latency"+at, h.limitSubject(limitName), b.pick(40, 3))
	begin := time.Now()
	err = h.stopLimit()
	b.result.add("stop"+at, limitName, "ms", since(begin))
	return err
}

// scaleOfRunit boots as many bare processes. runsvdir has room for a thousand.
func (b *bench) scaleOfRunit(n int) error {
	if !b.installed("runsvdir") {
		return nil
	}
	dir, err := os.MkdirTemp(b.dir, "runit-")
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "times")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		return err
	}
	for i := range n {
		if err := writeService(filepath.Join(dir, "services", strconv.Itoa(i)), b.first, file); err != nil {
			return err
		}
	}
	cmd := exec.Command("runsvdir", filepath.Join(dir, "services"))
	begin := monotonic()
	if err := b.spawn(cmd); err != nil {
		return err
	}
	all, err := startedIn(file, n)
	if err == nil {
		b.result.add(fmt.Sprintf("boot-%d", n), "runit", "ms", float64(all-begin)/1e6)
	}
	// HUP ends it and all runsv, which end their programs.
	stop := time.Now()
	supervisors := children(cmd.Process.Pid)
	_ = b.end(cmd, syscall.SIGHUP)
	err = firstError(err, until("the end of runsv", func() bool {
		for _, pid := range supervisors {
			if strings.Contains(firstLine(fmt.Sprintf("/proc/%d/cmdline", pid)), "runsv\x00") {
				return false
			}
		}
		return true
	}))
	b.result.add(fmt.Sprintf("stop-%d", n), "runit", "ms", since(stop))
	return err
}
