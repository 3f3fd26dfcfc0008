package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// options are the command line.
type options struct {
	bin        string // directory of the programs
	out        string // where the result goes; "" = standard output only
	commit     string // what the programs were built from
	containers int
	kills      int
}

func main() {
	var o options
	flag.StringVar(&o.bin, "bin", "bin", "directory of lithos_tree, lithos_knot and lithos_mkdev")
	flag.StringVar(&o.out, "o", "", "write the result to this file too")
	flag.StringVar(&o.commit, "commit", commit(), "what the programs were built from")
	flag.IntVar(&o.containers, "containers", 200, "how many containers lithos_tree has for the memory and start numbers")
	flag.IntVar(&o.kills, "kills", 300, "how many restarts are timed")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// Result is one run of the whole benchmark.
type Result struct {
	Date    string  `json:"date"`
	Commit  string  `json:"commit"`
	Machine Machine `json:"machine"`
	Memory  Memory  `json:"memory"`
	Start   Start   `json:"start"`
	Restart Restart `json:"restart"`
}

func run(o options) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("real containers need root; run it as root")
	}
	if o.bin, err = filepath.Abs(o.bin); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "lithos-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p, err := buildPrograms(dir)
	if err != nil {
		return err
	}
	r := Result{Date: time.Now().UTC().Format(time.RFC3339), Commit: o.commit, Machine: thisMachine()}
	if err := measureMany(o, p, dir, &r); err != nil {
		return err
	}
	if r.Restart, err = measureRestarts(o, p, dir); err != nil {
		return err
	}
	return r.write(o.out)
}

func (r Result) write(path string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	data = append(data, '\n')
	if _, err := os.Stdout.Write(data); err != nil {
		return err
	}
	if path == "" {
		return nil
	}
	return os.WriteFile(path, data, 0o644)
}

// programs are the baselines' and the timed program, built for this run.
type programs struct{ first, restarter, idle string }

func buildPrograms(dir string) (programs, error) {
	p := programs{filepath.Join(dir, "first"), filepath.Join(dir, "restarter"), filepath.Join(dir, "idle")}
	source := func(name string) string { return filepath.Join("bench", name) }
	if _, err := os.Stat(source("c/first.c")); err != nil {
		return p, fmt.Errorf("run it in the root of the repository: %w", err)
	}
	for _, c := range [][]string{
		{"cc", "-O2", "-static", "-nostdlib", "-fno-stack-protector", "-fno-pie", "-no-pie", "-o", p.first, source("c/first.c")},
		{"cc", "-O2", "-static", "-o", p.restarter, source("c/restarter.c")},
		{"go", "build", "-trimpath", "-o", p.idle, "./bench/idle"},
	} {
		cmd := exec.Command(c[0], c[1:]...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return p, fmt.Errorf("cannot build a baseline (a C compiler is needed: apt-get install gcc libc6-dev): %s: %w\n%s",
				strings.Join(c, " "), err, out)
		}
	}
	return p, nil
}

// Machine is where a result was measured; results of different ones can only
// be compared by their ratios.
type Machine struct {
	CPU    string `json:"cpu"`
	CPUs   int    `json:"cpus"`
	Kernel string `json:"kernel"`
	Memory string `json:"memory"`
	Load   string `json:"load"` // of the minutes before: 1, 5 and 15
}
