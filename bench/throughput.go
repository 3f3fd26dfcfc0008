package main

import (
	"fmt"
	"os/exec"
	"time"
)

// throughput measures restarts a second of containers that end at once, on one
// processor and on two, and what one costs.
func (b *bench) throughput() error {
	if err := b.needGroups(); err != nil {
		return err
	}
	window := time.Duration(b.pick(3000, 500)) * time.Millisecond
	for range b.pick(4, 1) {
		for _, cores := range []int{1, 2} {
			if cores > b.result.Machine.CPUs {
				b.result.note("throughput on %d processors needs so many", cores)
				continue
			}
			for subject, bin := range b.bins() {
				h, err := b.newHost(bin, process{"once", "once", 4})
				if err == nil {
					err = h.start(onCores(cores)...)
				}
				if err == nil {
					err = b.countRestarts(h, subject, cores, window)
				}
				if h != nil && h.daemon != nil {
					err = firstError(err, h.stop())
				}
				if err := b.failed(subject, "throughput", err); err != nil {
					return err
				}
			}
			h, err := b.keepLimit(plain, 4, onCores(cores), "once")
			if err != nil {
				return err
			}
			if err := firstError(b.countRestarts(h, limitName, cores, window), h.stopLimit()); err != nil {
				return err
			}
		}
	}
	return nil
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// onCores is a command that runs others on the first processors only.
func onCores(n int) []string { return []string{"taskset", "-c", fmt.Sprintf("0-%d", n-1)} }

func (b *bench) countRestarts(h *host, subject string, cores int, window time.Duration) error {
	if _, err := h.started(20); err != nil {
		return err
	}
	name := fmt.Sprintf("throughput-%dcpu", cores)
	before, used, begin := count(h.file()), cpuWithChildren(h.daemon.Process.Pid), time.Now()
	time.Sleep(window)
	n := float64(count(h.file()) - before)
	took, cost := time.Since(begin), cpuWithChildren(h.daemon.Process.Pid)-used
	if n == 0 {
		return fmt.Errorf("nothing was restarted in %v", window)
	}
	b.result.add(name, subject, "restarts/s", n/took.Seconds())
	b.result.add(name+"-cost", subject, "cpu-µs/restart", float64(cost)/1000/n)
	return nil
}

// installed says whether a program is.
func (b *bench) installed(program string) bool {
	_, err := exec.LookPath(program)
	if err != nil {
		b.result.note("%s is not installed", program)
	}
	return err == nil
}
