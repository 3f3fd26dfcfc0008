package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Memory is in kilobytes. Private is Private_Clean + Private_Dirty of
// /proc/PID/smaps_rollup; a proportional share of the program's pages, which
// all instances have in common, is in PSS only.
type Memory struct {
	Containers   int     `json:"containers"`
	KnotPrivate  int     `json:"knot_private_kb"` // median
	KnotPSS      int     `json:"knot_pss_kb"`
	TreePrivate  int     `json:"tree_private_kb"`
	TreePSS      int     `json:"tree_pss_kb"`
	IdleGo       int     `json:"idle_go_private_kb"` // baseline: a Go program that waits
	IdleC        int     `json:"idle_c_private_kb"`  // baseline: a program without libc that waits
	KnotToIdleGo float64 `json:"knot_to_idle_go"`
	TreeToIdleGo float64 `json:"tree_to_idle_go"`
	TreeEmpty    int     `json:"tree_without_containers_private_kb"`
}

// Start is the time from the start of lithos_tree (of the baseline) to the
// first instruction of the first and of the last of its programs.
type Start struct {
	Containers int     `json:"containers"`
	FirstMS    float64 `json:"first_ms"`
	AllMS      float64 `json:"all_ms"`
	BaselineMS float64 `json:"c_namespaces_all_ms"`
	AllToC     float64 `json:"all_to_c_namespaces"`
	StopMS     float64 `json:"stop_ms"` // TERM to the end of lithos_tree
	// The same with a user namespace and a place on a bridge for each.
	IsolatedAllMS   float64 `json:"isolated_all_ms"`
	IsolatedToPlain float64 `json:"isolated_to_plain"`
	IsolatedStopMS  float64 `json:"isolated_stop_ms"`
}

// measureMany starts the containers, and reads memory and times.
func measureMany(o options, p programs, dir string, r *Result) error {
	empty, err := measureTree(o, p, filepath.Join(dir, "empty"), 0, nil)
	if err != nil {
		return err
	}
	r.Memory.Containers, r.Start.Containers = o.containers, o.containers
	full, err := measureTree(o, p, filepath.Join(dir, "many"), o.containers, r)
	if err != nil {
		return err
	}
	m := &r.Memory
	m.TreePrivate, m.TreePSS = full.private, full.pss
	m.TreeEmpty = empty.private
	if m.IdleGo, err = idleMemory(p.idle); err != nil {
		return err
	}
	if m.IdleC, err = idleMemory(p.first); err != nil {
		return err
	}
	m.KnotToIdleGo = ratio(m.KnotPrivate, m.IdleGo)
	m.TreeToIdleGo = ratio(m.TreePrivate, m.IdleGo)
	if err := measureIsolated(o, p, filepath.Join(dir, "isolated"), &r.Start); err != nil {
		return err
	}
	return measureStartBaseline(o, p, dir, &r.Start)
}

// measureTree runs lithos_tree with so many containers until it is quiet.
func measureTree(o options, p programs, dir string, n int, r *Result) (usage, error) {
	h, err := startHost(o, p, dir, n)
	if err != nil {
		return usage{}, err
	}
	defer func() {
		if h.daemon.ProcessState == nil {
			_ = h.stop()
		}
	}()
	if err := until("all containers", func() bool { return len(h.times()) >= n }); err != nil {
		return usage{}, err
	}
	// Idle is meant: give both the time to finish what a start leaves.
	time.Sleep(2 * time.Second)
	tree, err := memory(h.daemon.Process.Pid)
	if err != nil || r == nil {
		return tree, err
	}
	times := h.times()
	r.Start.FirstMS, r.Start.AllMS = ms(times[0]-h.begin), ms(times[n-1]-h.begin)
	var private, pss []int
	for _, pid := range h.knots() {
		u, err := memory(pid)
		if err != nil {
			return usage{}, err
		}
		private, pss = append(private, u.private), append(pss, u.pss)
	}
	if len(private) != n {
		return usage{}, fmt.Errorf("found %d lithos_knot instead of %d", len(private), n)
	}
	r.Memory.KnotPrivate, r.Memory.KnotPSS = median(private), median(pss)
	begin := time.Now()
	err = h.stop()
	r.Start.StopMS = ms(time.Since(begin).Nanoseconds())
	return tree, err
}

// measureStartBaseline lets c/restarter.c start as many programs.
func measureStartBaseline(o options, p programs, dir string, s *Start) error {
	file := filepath.Join(dir, "baseline-times")
	begin := monotonic()
	b, err := startBaseline(file, p.restarter, "namespaces", strconv.Itoa(o.containers), p.first, file)
	if err != nil {
		return err
	}
	defer b.stop()
	if err := until("the baseline", func() bool { return len(readTimes(file)) >= o.containers }); err != nil {
		return err
	}
	s.BaselineMS = ms(slices.Max(readTimes(file)) - begin)
	s.AllToC = round(s.AllMS / s.BaselineMS)
	return nil
}

// usage is the memory of one process in kilobytes.
type usage struct{ private, pss int }

func memory(pid int) (usage, error) {
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

// idleMemory is what a program has that only waits. Three of them run, so
// that the pages of the file are shared as those of lithos_knot are.
func idleMemory(program string) (int, error) {
	var all []int
	var started []*exec.Cmd
	defer func() {
		for _, cmd := range started {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}()
	for range 3 {
		cmd := exec.Command(program)
		if err := cmd.Start(); err != nil {
			return 0, err
		}
		started = append(started, cmd)
	}
	time.Sleep(time.Second)
	for _, cmd := range started {
		u, err := memory(cmd.Process.Pid)
		if err != nil {
			return 0, err
		}
		all = append(all, u.private)
	}
	return median(all), nil
}
