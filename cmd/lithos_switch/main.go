// Lithos_switch puts a new process config of a sandbox to work: it checks it,
// replaces the old file in one step and tells the daemon.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"lithos/cmd/internal/cli"
	"lithos/cmd/internal/reader"
	"lithos/configs"
	"lithos/configs/files"
	"lithos/configs/inspect"
	"lithos/configs/report"
	"lithos/sysx/lockfile"
)

// version is set when the program is built.
var version = "dev"

// Exit codes (requirement R5); 2 is for a command line that can't be used.
const (
	exitOK     = 0
	exitFailed = 1
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
	cli.EndsSoon()
	s := &switcher{options: o, stdout: stdout, stderr: stderr}
	err := s.run()
	if o.json {
		err = errors.Join(err, s.writeJSON(err))
	}
	if err != nil {
		fmt.Fprintf(stderr, "Fatal error: %v\n", err)
		return exitFailed
	}
	return exitOK
}

// The status of the file, for --json.
const (
	statusRefused   = "refused"
	statusChecked   = "checked"   // with --dry-run
	statusUnchanged = "unchanged" // it was in its place already
	statusSwitched  = "switched"
)

// switcher is one run, with its findings and results.
type switcher struct {
	*options
	stdout, stderr *os.File

	status   string
	problems configs.Problems
	target   string // the file to replace
	steps    []configs.Step
	daemon   int // pid of the daemon that was told
	outcomes []outcome
}

func (s *switcher) run() error {
	s.status = statusRefused
	master, problems := configs.LoadMaster(s.master)
	if master == nil {
		s.problems = problems
		s.show()
		return errors.New("cannot use the master config; nothing was changed")
	}
	if !s.dryRun {
		lock, err := lockfile.LockDir(master.ProcessesDir, func() {
			fmt.Fprintf(s.stderr, "another lithos_switch is at work, waiting for it\n")
		})
		if err != nil {
			return fmt.Errorf("cannot lock the processes-dir: %w; nothing was changed", err)
		}
		defer lock.Close()
	}
	data, readErr := files.ReadHost(s.file)
	sandbox := s.check(data, readErr == nil)
	s.show()
	if sandbox == nil {
		return fmt.Errorf("%s can't be used for the sandbox %s; nothing was changed", s.file, s.sandbox)
	}
	s.target = sandbox.Config.ConfigFile
	if s.dryRun {
		s.status = statusChecked
		return s.compare(sandbox)
	}
	if err := s.replace(data); err != nil {
		return fmt.Errorf("cannot replace %s: %w; it is as it was", s.target, err)
	}
	if s.wait {
		return s.reloadAndWait(master)
	}
	return s.tellDaemon(master)
}

// check loads everything with the new file. It gives the sandbox, or nil if
// there is an error in what is its own.
func (s *switcher) check(data []byte, read bool) *configs.Sandbox {
	opts := configs.Options{
		MasterFile: s.master, Excerpts: true,
		AlternateProcess: map[string]string{s.sandbox: s.file},
	}
	if read {
		opts.AlternateText = map[string][]byte{s.sandbox: data}
	}
	plan, problems := reader.Load(opts)
	if plan != nil {
		problems = append(problems, inspect.Plan(plan)...)
	}
	problems.Sort()
	failed := plan == nil
	for _, p := range problems.Distinct() {
		own := p.Sandbox == s.sandbox || p.Sandbox == ""
		switch {
		case own:
			failed = failed || p.Severity == configs.SeverityError
		case p.Severity == configs.SeverityWarning && !s.verbose:
			continue // nobody asked
		default:
			// It does not get worse by this switch.
			p.Severity = configs.SeverityWarning
		}
		s.problems = append(s.problems, p)
	}
	if failed {
		return nil
	}
	return sandboxOf(plan, s.sandbox)
}

func sandboxOf(plan *configs.Plan, name string) *configs.Sandbox {
	if plan == nil {
		return nil
	}
	for _, s := range plan.Sandboxes {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// compare is --dry-run. It assumes that the files in place describe the running
// containers.
func (s *switcher) compare(wanted *configs.Sandbox) error {
	plan, _ := reader.Load(configs.Options{MasterFile: s.master})
	s.steps = configs.Compare(sandboxOf(plan, s.sandbox), wanted)
	if s.json {
		return nil
	}
	return printSteps(s.stdout, s.sandbox, s.steps)
}

// replace puts the new text in the old file's place.
func (s *switcher) replace(data []byte) error {
	old, err := os.ReadFile(s.target)
	if err == nil && (sameFile(s.file, s.target) || bytes.Equal(old, data)) {
		s.status = statusUnchanged
		s.say("%s is as it should be", s.target)
		return nil
	}
	if err := replaceFile(s.target, filepath.Join(filepath.Dir(s.target), ".tmp."+s.sandbox), data); err != nil {
		return err
	}
	s.status = statusSwitched
	s.say("%s replaced by %s", s.target, s.file)
	return nil
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// say prints a step, with -v and on a terminal.
func (s *switcher) say(format string, args ...any) {
	if !s.json && (s.verbose || report.For(s.stdout).Width > 0) {
		fmt.Fprintf(s.stdout, format+"\n", args...)
	}
}

// show prints the problems.
func (s *switcher) show() {
	if s.json {
		return
	}
	// A failed write to standard error cannot be reported.
	_ = report.For(s.stderr).Print(s.problems)
	if summary := report.Summary(s.problems); summary != "" {
		fmt.Fprintln(s.stderr, summary)
	}
}
