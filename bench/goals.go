package main

import (
	"errors"
	"fmt"
	"strings"
)

// The table of goals in docs/performance.md lies between these lines.
const (
	markBegin = "<!-- goals: written by make bench -->"
	markEnd   = "<!-- goals: end -->"
)

// goal is one that a run can show to be reached.
type goal struct {
	text string
	// most is what the value may be; least, if it is set, what it must be.
	most, least float64
	value       func(r *Result) (value float64, known bool)
	unit        string
}

// times is the ratio of two medians.
func times(bench, subject, otherBench, other string) func(*Result) (float64, bool) {
	return func(r *Result) (float64, bool) {
		a, b := r.find(bench, subject), r.find(otherBench, other)
		if a == nil || b == nil || b.Median == 0 {
			return 0, false
		}
		return a.Median / b.Median, true
	}
}

func measured(bench, subject string) func(*Result) (float64, bool) {
	return func(r *Result) (float64, bool) {
		s := r.find(bench, subject)
		if s == nil {
			return 0, false
		}
		return s.Median, true
	}
}

const many = "-1000"

var goals = []goal{
	{text: "start and end of a whole container, to the limit's", most: 1.5, value: times("start", ours, "start", limitName), unit: "×"},
	{text: "the same, in the end", most: 1.1, value: times("start", ours, "start", limitName), unit: "×"},
	{text: "KILL of the program to its successor's first instruction, to the limit's", most: 1.6,
		value: times("restart-latency", ours, "restart-latency", limitName), unit: "×"},
	{text: "the same with `standby`, to runit's with a bare process", most: 1, value: times("restart-latency", standbyName, "restart-latency", "runit"), unit: "×"},
	{text: "restarts a second on two processors, to those on one", least: 1.7, value: times("throughput-2cpu", ours, "throughput-1cpu", ours), unit: "×"},
	{text: "boot of 1,000 containers, to 1,000 bare processes of runit", most: 1, value: times("boot"+many, ours, "boot"+many, "runit"), unit: "×"},
	{text: "PSS of an idle PID 1, among 100", most: 421, value: measured("knot-pss-100", ours), unit: "kB"},
	{text: "the same, in the end", most: 16, value: measured("knot-pss-100", ours), unit: "kB"},
	{text: "private memory of `lithos_tree` with 1,000 containers (25 MB and 4 kB each)", most: 25*1024 + 4*1000,
		value: measured("tree-private"+many, ours), unit: "kB"},
	{text: "wake-ups of daemon and PID 1s in an idle minute, with 1,000 containers", most: 0, value: measured("idle-wakeups"+many, ours), unit: "wake-ups"},
	{text: "`lithos_switch` that changes 1 of 1,000: CPU time of it and the daemon", most: 50, value: measured("switch-one-cpu"+many, ours), unit: "ms"},
	{text: "`lithos_check` of 1,000", most: 100, value: measured("check"+many, ours), unit: "ms"},
	{text: "`lithos_ps` of 1,000", most: 100, value: measured("ps"+many, ours), unit: "ms"},
}

// goalTable is the table for the page.
func (r *Result) goalTable() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured %s at commit %s: %s, %d processors, Linux %s, load %s before.\n\n",
		r.Date[:10], r.Commit, r.Machine.CPU, r.Machine.CPUs, r.Machine.Kernel, r.Machine.Load)
	b.WriteString("| goal | wanted | measured | reached |\n|---|---|---|---|\n")
	for _, g := range goals {
		value, known := g.value(r)
		wanted := fmt.Sprintf("≤ %g %s", g.most, g.unit)
		if g.least != 0 {
			wanted = fmt.Sprintf("≥ %g %s", g.least, g.unit)
		}
		got, met := "not measured", ""
		if known {
			got = digits(value) + " " + g.unit
			met = "no"
			if g.least != 0 && value >= g.least || g.least == 0 && value <= g.most {
				met = "yes"
			}
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", g.text, wanted, got, met)
	}
	b.WriteString("\nMedians of all, and how often each is that of the limit (of ours, where there is no limit):\n\n")
	b.WriteString("| benchmark | subject | median | 99th percentile | unit | ratio |\n|---|---|---|---|---|---|\n")
	for _, name := range r.benches() {
		for _, s := range r.of(name) {
			ratio := r.ratio(s, limitName)
			if r.find(name, limitName) == nil {
				ratio = r.ratio(s, ours)
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", name, s.Subject, digits(s.Median), digits(s.P99), s.Unit, ratio)
		}
	}
	for _, n := range r.Notes {
		// The text of a program may contain any characters.
		fmt.Fprintf(&b, "\nNot measured: %s\n", strings.NewReplacer("\n", " ", "|", " ", "<", " ").Replace(n))
	}
	return b.String()
}

// between puts text between the markers of a page.
func between(page, text string) (string, error) {
	before, rest, found := strings.Cut(page, markBegin)
	_, after, closed := strings.Cut(rest, markEnd)
	if !found || !closed {
		return "", errors.New("it lacks the markers of the table: " + markBegin + " and " + markEnd)
	}
	return before + markBegin + "\n\n" + text + "\n" + markEnd + after, nil
}
