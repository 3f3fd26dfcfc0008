// Lithos_check tells what is wrong with the configs of a host, or with a
// container config alone, before anything runs. The checks are those of the
// daemon, by the same call; what the files can't tell of the host is in host.go.
package main

import (
	"fmt"
	"io"
	"os"

	"lithos/cmd/internal/cli"
	"lithos/cmd/internal/reader"
	"lithos/configs"
	"lithos/configs/inspect"
	"lithos/configs/report"
)

// version is set when the program is built.
var version = "dev"

// Exit codes (requirement R4); 2 is for a command line that can't be used.
const (
	exitOK     = 0
	exitErrors = 1
	exitUsage  = 2
)

func main() {
	reader.Main()
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is the whole program; it returns the exit code.
func run(args []string, stdout, stderr *os.File) int {
	o, code, done := parseOptions(args, stdout, stderr)
	if done {
		return code
	}
	if o.timeline != "" {
		return tellTimeline(o, stdout, stderr)
	}
	cli.EndsSoon()
	var r result
	if len(o.containers) > 0 {
		r.checkContainers(o.containers)
	} else {
		r.checkHost(o)
	}
	r.problems.Sort()
	r.problems = r.problems.Distinct()
	var err error
	if o.json {
		err = r.writeJSON(stdout)
	} else {
		err = r.print(o, stdout, stderr)
	}
	if err != nil {
		fmt.Fprintf(stderr, "lithos_check: cannot write the results: %v\n", err)
		return exitErrors
	}
	if r.problems.HasErrors() {
		return exitErrors
	}
	return exitOK
}

// result is the result of all checks.
type result struct {
	problems configs.Problems
	plan     *configs.Plan // nil with --check-container, or if there is none
	summary  string        // of objects without a problem
	host     []string      // lines of -v about the host
}

func (r *result) checkContainers(files []string) {
	for _, file := range files {
		r.problems = append(r.problems, configs.CheckContainer(file)...)
	}
	r.summary = report.Count(len(files), "container config")
}

func (r *result) checkHost(o *options) {
	name := make(chan nameResult, 1)
	go func() { name <- checkName() }()
	plan, problems := reader.Load(o.loading())
	r.plan, r.problems = plan, problems
	r.problems = append(r.problems, checkBinaries()...)
	if plan != nil {
		r.problems = append(r.problems, inspect.Plan(plan)...)
		r.problems = append(r.problems, checkDirectories(plan.Master)...)
		r.problems = append(r.problems, checkControlGroup(plan.Master)...)
		r.problems = append(r.problems, checkCopied(plan)...)
		r.problems = append(r.problems, checkKeys(plan)...)
		r.problems = append(r.problems, checkRotation(plan)...)
		r.summary = counts(plan)
	}
	n := <-name
	r.host, r.problems = n.told, append(r.problems, n.problems...)
}

// loading says which configs are read.
func (o *options) loading() configs.Options {
	opts := configs.Options{MasterFile: o.config, Excerpts: true}
	if o.alternate != "" {
		opts.AlternateProcess = map[string]string{o.sandbox: o.alternate}
	}
	return opts
}

// counts is such as "2 sandboxes, 3 processes, 7 containers".
func counts(plan *configs.Plan) string {
	processes, containers := 0, 0
	for _, s := range plan.Sandboxes {
		processes += len(s.Processes)
		for _, p := range s.Processes {
			if p.Kind == configs.KindDaemon {
				containers += len(p.Instances)
			}
		}
	}
	return report.Count(len(plan.Sandboxes), "sandbox") + ", " + report.Count(processes, "process") + ", " + report.Count(containers, "container")
}

// print shows the findings to people. It confirms success only on a terminal, so
// that scripts and cron are quiet.
func (r *result) print(o *options, stdout, stderr *os.File) error {
	if o.verbose {
		if err := r.tellAll(stdout); err != nil {
			return err
		}
	}
	printer := report.For(stderr)
	if err := printer.Print(r.problems); err != nil {
		return err
	}
	if summary := report.Summary(r.problems); summary != "" {
		_, err := fmt.Fprintf(stderr, "%s\n", summary)
		return err
	}
	if o.verbose || report.For(stdout).Width > 0 {
		_, err := fmt.Fprintf(stdout, "nothing wrong: %s\n", r.summary)
		return err
	}
	return nil
}

// tellAll lists the checked objects, for -v.
func (r *result) tellAll(out io.Writer) error {
	for _, line := range r.host {
		fmt.Fprintln(out, line)
	}
	if r.plan == nil {
		return nil
	}
	fmt.Fprintf(out, "master config %s\n", r.plan.Master.File)
	for _, s := range r.plan.Sandboxes {
		fmt.Fprintf(out, "sandbox %s: %s, processes of %s\n", s.Name, s.File, s.ProcessFile)
		for _, p := range s.Processes {
			if p.Config == nil {
				fmt.Fprintf(out, "  %s: has errors\n", p.Name)
				continue
			}
			fmt.Fprintf(out, "  %s: %s of %s, %s, %s\n", p.Name, p.Config.Config, p.Config.Image, p.Kind, report.Count(len(p.Instances), "instance"))
		}
	}
	return nil
}

// writeJSON writes it for programs.
func (r *result) writeJSON(out io.Writer) error {
	errors, warnings := report.Counts(r.problems)
	return report.WriteJSON(out, struct {
		OK       bool             `json:"ok"`
		Errors   int              `json:"errors"`
		Warnings int              `json:"warnings"`
		Problems []report.Problem `json:"problems"`
	}{errors == 0, errors, warnings, report.Problems(r.problems)})
}
