package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// memory measures idle daemons and PID 1s, at some sizes; "scale" continues with
// a thousand.
func (b *bench) memory() error {
	sizes := []int{10, b.pick(100, 30)}
	if !b.o.quick {
		sizes = append(sizes, 3000)
	}
	for _, n := range sizes {
		for subject, bin := range b.bins() {
			h, err := b.startHost(bin, process{"app", "app", n})
			if err == nil {
				if _, err = h.started(n); err == nil {
					err = b.readMemory(h, subject, n)
				}
				err = firstError(err, h.stop())
			}
			if err := b.failed(subject, "memory", err); err != nil {
				return err
			}
		}
	}
	return nil
}

// readMemory reads that of a host whose n containers run.
func (b *bench) readMemory(h *host, subject string, n int) error {
	// Idle is meant: give all the time to finish what a start leaves.
	time.Sleep(time.Duration(b.pick(3000, 300)) * time.Millisecond)
	at := "-" + strconv.Itoa(n)
	tree, err := memoryOf(h.daemon.Process.Pid)
	if err != nil {
		return err
	}
	b.result.add("tree-private"+at, subject, "kB", float64(tree.private))
	b.result.add("tree-pss"+at, subject, "kB", float64(tree.pss))
	knots := h.knots("")
	if len(knots) != n {
		return fmt.Errorf("found %d lithos_knot instead of %d", len(knots), n)
	}
	var private, pss []float64
	for _, pid := range knots {
		u, err := memoryOf(pid)
		if err != nil {
			return err
		}
		private, pss = append(private, float64(u.private)), append(pss, float64(u.pss))
	}
	b.result.add("knot-private"+at, subject, "kB", private...)
	b.result.add("knot-pss"+at, subject, "kB", pss...)
	return nil
}

// usage is the memory of one process in kilobytes. private is Private_Clean +
// Private_Dirty; of pages that several have, pss has a proportional share.
type usage struct{ private, pss int }

func memoryOf(pid int) (usage, error) {
	path := fmt.Sprintf("/proc/%d/smaps_rollup", pid)
	data, err := os.ReadFile(path)
	if err != nil {
		return usage{}, err
	}
	var u usage
	for _, line := range strings.Split(string(data), "\n") {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		n, _ := strconv.Atoi(f[1])
		switch f[0] {
		case "Private_Clean:", "Private_Dirty:":
			u.private += n
		case "Pss:":
			u.pss = n
		}
	}
	if u.pss == 0 {
		return u, fmt.Errorf("%s says nothing", path)
	}
	return u, nil
}
