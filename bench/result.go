package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Result is one run of the whole benchmark.
type Result struct {
	Date     string            `json:"date"`
	Commit   string            `json:"commit"`
	Quick    bool              `json:"quick,omitempty"` // its numbers say little
	Machine  Machine           `json:"machine"`
	Versions map[string]string `json:"versions"`
	Series   []*Series         `json:"series"`
	Notes    []string          `json:"notes,omitempty"` // missing measurements, and why

	names map[string]string // paths of this machine: what notes have in their place
}

// Series is what was measured of one subject in one benchmark.
type Series struct {
	Bench   string    `json:"bench"`
	Subject string    `json:"subject"`
	Unit    string    `json:"unit"`
	Median  float64   `json:"median"`
	P99     float64   `json:"p99"`
	Low     float64   `json:"low_quartile"`
	High    float64   `json:"high_quartile"`
	Samples []float64 `json:"samples"`
}

// Machine is where it was measured; results of different ones can only be
// compared by their ratios.
type Machine struct {
	CPU    string `json:"cpu"`
	CPUs   int    `json:"cpus"`
	Kernel string `json:"kernel"`
	Memory string `json:"memory"`
	Load   string `json:"load"` // of the minutes before: 1, 5 and 15
}

const (
	ours      = "lithos"
	limitName = "limit"
	reference = "reference"
)

func newResult(o options) *Result {
	r := &Result{
		Date: time.Now().UTC().Format(time.RFC3339), Commit: commit(), Quick: o.quick,
		Machine: thisMachine(), Versions: map[string]string{},
	}
	for name, argv := range map[string][]string{
		ours: {filepath.Join(o.bin, "lithos_tree"), "--version"}, "crun": {"crun", "--version"}, "runc": {"runc", "--version"},
		"bwrap": {"bwrap", "--version"}, "systemd-nspawn": {"systemd-nspawn", "--version"}, "supervisord": {"supervisord", "--version"},
		"s6": {"dpkg-query", "-Wf", "${Version}", "s6"}, "runit": {"dpkg-query", "-Wf", "${Version}", "runit"},
		"cc": {"cc", "-dumpfullversion"}, "go": {"go", "version"},
	} {
		if out, err := exec.Command(argv[0], argv[1:]...).Output(); err == nil {
			r.Versions[name], _, _ = strings.Cut(strings.TrimSpace(string(out)), "\n")
		}
	}
	if o.reference != "" {
		out, _ := exec.Command(filepath.Join(o.reference, "lithos_tree"), "--version").CombinedOutput()
		r.Versions[reference], _, _ = strings.Cut(strings.TrimSpace(string(out)), "\n")
	}
	return r
}

// add takes samples of a subject.
func (r *Result) add(bench, subject, unit string, samples ...float64) {
	if len(samples) == 0 {
		return
	}
	s := r.find(bench, subject)
	if s == nil {
		s = &Series{Bench: bench, Subject: subject, Unit: unit}
		r.Series = append(r.Series, s)
	}
	for _, x := range samples {
		s.Samples = append(s.Samples, round(x))
	}
	s.Median, s.P99 = quantile(s.Samples, 0.5), quantile(s.Samples, 0.99)
	s.Low, s.High = quantile(s.Samples, 0.25), quantile(s.Samples, 0.75)
}

func (r *Result) find(bench, subject string) *Series {
	for _, s := range r.Series {
		if s.Bench == bench && s.Subject == subject {
			return s
		}
	}
	return nil
}

// note says that something could not be measured.
func (r *Result) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	for path, name := range r.names {
		text = strings.ReplaceAll(text, path, name)
	}
	if !slices.Contains(r.Notes, text) {
		r.Notes = append(r.Notes, text)
		fmt.Fprintln(os.Stderr, "bench: "+text)
	}
}

// quantile is the sample below which a part q of them lies.
func quantile(samples []float64, q float64) float64 {
	s := slices.Sorted(slices.Values(samples))
	return s[min(len(s)-1, int(float64(len(s))*q))]
}

// round keeps three digits after the point; more would be noise.
func round(f float64) float64 { return math.Round(f*1000) / 1000 }

// benches are the names in the order of their first series.
func (r *Result) benches() []string {
	var names []string
	for _, s := range r.Series {
		if !slices.Contains(names, s.Bench) {
			names = append(names, s.Bench)
		}
	}
	return names
}

func (r *Result) of(bench string) []*Series {
	var list []*Series
	for _, s := range r.Series {
		if s.Bench == bench {
			list = append(list, s)
		}
	}
	return list
}

// publish prints and writes everything.
func (r *Result) publish(o options) error {
	fmt.Print(r.lines())
	fmt.Print("\n", r.table())
	if o.out != "" {
		data, err := json.MarshalIndent(r, "", " ")
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(o.out), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(o.out+".json", append(compact(data), '\n'), 0o644); err != nil {
			return err
		}
		if err := os.WriteFile(o.out+".svg", []byte(r.plot()), 0o644); err != nil {
			return err
		}
	}
	if o.page == "" {
		return nil
	}
	page, err := os.ReadFile(o.page)
	if err != nil {
		return err
	}
	text, err := between(string(page), r.goalTable())
	if err != nil {
		return fmt.Errorf("%s: %w", o.page, err)
	}
	return os.WriteFile(o.page, []byte(text), 0o644)
}

// compact puts lists of numbers on one line.
func compact(data []byte) []byte {
	return regexp.MustCompile(`\[[-\d.,e\s]+\]`).ReplaceAllFunc(data, func(list []byte) []byte {
		return []byte(strings.Join(strings.Fields(string(list)), ""))
	})
}

// lines are what benchstat reads: a line a sample.
func (r *Result) lines() string {
	var b strings.Builder
	fmt.Fprintf(&b, "goos: linux\npkg: lithos/bench\ncpu: %s\n", r.Machine.CPU)
	for _, s := range r.Series {
		for _, x := range s.Samples {
			fmt.Fprintf(&b, "Benchmark%s/subject=%s 1 %v %s\n", strings.ToUpper(s.Bench[:1])+s.Bench[1:], s.Subject, x, s.Unit)
		}
	}
	return b.String()
}

// table is for people.
func (r *Result) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d CPUs, Linux %s, load %s, commit %s\n", r.Machine.CPU, r.Machine.CPUs, r.Machine.Kernel, r.Machine.Load, r.Commit)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "benchmark\tsubject\tmedian\tunit\tquartiles\tp99\tsamples\tof limit\tof ours\n")
	for _, name := range r.benches() {
		for _, s := range r.of(name) {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s..%s\t%s\t%d\t%s\t%s\n", name, s.Subject, digits(s.Median), s.Unit, digits(s.Low), digits(s.High), digits(s.P99),
				len(s.Samples), r.ratio(s, limitName), r.ratio(s, ours))
		}
	}
	w.Flush()
	return b.String()
}

// digits writes a number with four digits, or with all before the point.
func digits(v float64) string {
	if math.Abs(v) >= 1000 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

func (r *Result) ratio(s *Series, to string) string {
	other := r.find(s.Bench, to)
	if other == nil || other == s || other.Median == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", s.Median/other.Median)
}
