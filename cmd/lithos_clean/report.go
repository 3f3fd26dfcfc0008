package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"lithos/configs/images"
)

// state is what became of an image or a log.
type state string

const (
	stateUsed     state = "used"
	stateUnused   state = "unused"
	stateRecent   state = "recent"
	stateWould    state = "would delete"
	stateDeleted  state = "deleted"
	stateRestored state = "restored"
	stateFailed   state = "failed"
)

// The document of --json.
type document struct {
	Action   action        `json:"action"`
	DryRun   bool          `json:"dry_run"`
	Dirs     []dirItem     `json:"image_dirs"`
	Images   []item        `json:"images"`
	Logs     []item        `json:"logs"`
	Problems []problemItem `json:"problems"`
}

type dirItem struct {
	Path      string   `json:"path"`
	Levels    int      `json:"levels"`
	Sandboxes []string `json:"sandboxes"`
	AutoClean bool     `json:"auto_clean"`
	Cleanable bool     `json:"cleanable"`
}

type item struct {
	Path  string   `json:"path"`
	State state    `json:"state"`
	Why   []string `json:"why,omitempty"`
}

type problemItem struct {
	ImageDir string `json:"image_dir,omitempty"`
	Text     string `json:"text"`
	Config   bool   `json:"config"`
}

// report writes findings and results, and keeps the exit code.
type report struct {
	o              *options
	stdout, stderr io.Writer
	doc            document
	told           map[problemItem]bool
	code           int
}

func newReport(o *options, stdout, stderr io.Writer) *report {
	return &report{
		o: o, stdout: stdout, stderr: stderr, told: map[problemItem]bool{},
		doc: document{
			Action: o.action, DryRun: o.dryRun,
			Dirs: []dirItem{}, Images: []item{}, Logs: []item{}, Problems: []problemItem{},
		},
	}
}

// reasons may have names in them that a container chose.
func reasons(why []string) string { return printable(strings.Join(why, ", ")) }

// problem tells one problem once; dir is "" if it is not about one image-dir.
func (r *report) problem(dir string, p images.Problem) {
	it := problemItem{ImageDir: dir, Text: printable(p.Text), Config: p.Config}
	if r.told[it] {
		return
	}
	r.told[it] = true
	// A config error has to be corrected first.
	if p.Config {
		r.code = exitConfig
	} else if r.code == exitOK {
		r.code = exitScan
	}
	r.doc.Problems = append(r.doc.Problems, it)
	switch {
	case dir != "" && r.o.action == actionUsed:
		fmt.Fprintf(r.stderr, "lithos_clean: cannot tell all that is used in %q: %s\n", dir, it.Text)
	case dir != "":
		fmt.Fprintf(r.stderr, "lithos_clean: %q is skipped, nothing is removed there: %s\n", dir, it.Text)
	default:
		fmt.Fprintf(r.stderr, "lithos_clean: %s\n", it.Text)
	}
}

// failure tells an error with one thing.
func (r *report) failure(err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range joined.Unwrap() {
			r.failure(err)
		}
		return
	}
	r.problem("", images.Problem{Text: err.Error()})
}

// printable makes one line of a text that may have any file name in it.
func printable(text string) string {
	quoted := strconv.Quote(text)
	if quoted == `"`+text+`"` {
		return text
	}
	return strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(quoted[1 : len(quoted)-1])
}

// note tells something that is no error.
func (r *report) note(format string, args ...any) {
	fmt.Fprintf(r.stderr, "lithos_clean: "+format+"\n", args...)
}

func (r *report) dir(d *images.Dir, cleanable bool) {
	r.doc.Dirs = append(r.doc.Dirs, dirItem{d.Path, d.Levels, d.Sandboxes, d.AutoClean, cleanable})
}

// line prints one line of text.
func (r *report) line(format string, args ...any) {
	if !r.o.json {
		fmt.Fprintf(r.stdout, format+"\n", args...)
	}
}

// list prints an image as the only thing on a line, quoted so that a name can
// have anything in it, and with -v why.
func (r *report) list(path string, s state, why []string) {
	r.doc.Images = append(r.doc.Images, item{path, s, why})
	if r.o.verbose && len(why) > 0 {
		r.line("%s\t%s", strconv.Quote(path), reasons(why))
		return
	}
	r.line("%s", strconv.Quote(path))
}

// keep tells with -v that something is not removed.
func (r *report) keep(path string, s state, why []string) {
	r.doc.Images = append(r.doc.Images, item{path, s, why})
	if !r.o.verbose && s != stateRestored || r.o.action == actionUsed {
		return
	}
	word := "Keeping"
	switch {
	case s == stateRestored:
		word = "Restoring"
	case r.o.dryRun:
		word = "Would keep"
	}
	if r.o.action == actionUnused {
		// Standard output is the list of unused images.
		r.note("keeping %q: %s", path, reasons(why))
		return
	}
	r.line("%s%s %q: %s", r.stamp(), word, path, reasons(why))
}

// stamp begins the lines that -v adds to a removal (requirement S7).
func (r *report) stamp() string {
	if r.o.dryRun {
		return ""
	}
	return time.Now().UTC().Format(time.RFC3339) + ": "
}

// would is a line of --dry-run; what is "" or "log ".
func (r *report) would(what, path string) { r.line("Would delete %s%q", what, path) }

// deleting announces a removal.
func (r *report) deleting(what, path string) {
	if r.o.verbose {
		r.line("%sDeleting %s%q", r.stamp(), what, path)
	}
}

// finish prints the document and gives the exit code.
func (r *report) finish() int {
	if r.o.json {
		e := json.NewEncoder(r.stdout)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(r.doc); err != nil {
			fmt.Fprintf(r.stderr, "lithos_clean: cannot write the result: %v\n", err)
			return exitScan
		}
	}
	return r.code
}
