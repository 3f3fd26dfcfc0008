// Command walk executes a page of documentation and fails if the output differs
// from the page.
//
// A page has fenced blocks:
//
//	```sh      commands, which one bash runs as they stand
//	```text    what the commands before it print; … stands for anything, a line
//	           with nothing else for any number of lines. Commands are repeated
//	           for half a minute until the output fits.
//	```yaml    a file, whose path is the comment in its first line
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

const patience = 30 * time.Second

func main() {
	quiet := flag.Bool("q", false, "print the marks only")
	flag.Parse()
	w := walk{start: time.Now(), out: os.Stdout}
	if *quiet {
		w.out = io.Discard
	}
	blocks, err := read(os.Stdin)
	if err == nil {
		err = w.page(blocks)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "walk:", err)
		os.Exit(1)
	}
}

// block is one of a page.
type block struct {
	line int
	kind string // sh, text, yaml or mark
	text string
}

var mark = regexp.MustCompile(`^<!-- mark: (.*) -->$`)

// read finds the blocks. One of an unknown kind is an error: nothing on the
// page goes untried.
func read(r io.Reader) (list []block, err error) {
	lines := bufio.NewScanner(r)
	var open *block
	for n := 1; lines.Scan(); n++ {
		text := lines.Text()
		fence, fenced := strings.CutPrefix(text, "```")
		switch {
		case fenced && open != nil:
			list, open = append(list, *open), nil
		case fenced && (fence == "sh" || fence == "text" || fence == "yaml"):
			open = &block{line: n + 1, kind: fence}
		case fenced:
			return nil, fmt.Errorf("line %d: a block of the kind %q, not sh, text or yaml", n, fence)
		case open != nil:
			open.text += text + "\n"
		case mark.MatchString(text):
			list = append(list, block{n, "mark", mark.FindStringSubmatch(text)[1]})
		}
	}
	if open != nil {
		return nil, fmt.Errorf("line %d: the block does not end", open.line)
	}
	return list, lines.Err()
}

// walk is one way through a page.
type walk struct {
	start           time.Time
	out             io.Writer
	commands, files int
}

func (w *walk) page(list []block) error {
	if len(list) == 0 {
		return errors.New("there is nothing to do on this page")
	}
	for i, b := range list {
		var err error
		switch b.kind {
		case "yaml":
			err = w.file(b)
		case "sh":
			var want *block
			if i+1 < len(list) && list[i+1].kind == "text" {
				want = &list[i+1]
			}
			err = w.run(b, want)
		case "text":
			if i == 0 || list[i-1].kind != "sh" {
				err = errors.New("no commands before it")
			}
		case "mark":
			fmt.Printf("%s: %d commands and %d files, %.1f s\n", b.text, w.commands, w.files, time.Since(w.start).Seconds())
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", b.line, err)
		}
	}
	return nil
}

// file writes what a block has, comment and all.
func (w *walk) file(b block) error {
	first, _, _ := strings.Cut(b.text, "\n")
	name, ok := strings.CutPrefix(first, "# /")
	if !ok || strings.ContainsAny(name, " \t") {
		return errors.New("a yaml block begins with the path of its file: # /etc/…")
	}
	w.files++
	fmt.Fprintf(w.out, "+ /%s\n", name)
	if err := os.MkdirAll(filepath.Dir("/"+name), 0o755); err != nil {
		return err
	}
	return os.WriteFile("/"+name, []byte(b.text), 0o644)
}

// run runs commands, again and again until what they print is as it should be.
func (w *walk) run(b block, want *block) error {
	for line := range strings.Lines(b.text) {
		fmt.Fprintf(w.out, "$ %s", line)
		if !strings.HasPrefix(line, " ") {
			w.commands++
		}
	}
	for begin := time.Now(); ; time.Sleep(200 * time.Millisecond) {
		got, err := shell(b.text)
		switch {
		case want == nil:
			if err != nil {
				err = fmt.Errorf("%w\n%s", err, got)
			}
			return err
		case err == nil && pattern(want.text).MatchString(got):
			fmt.Fprint(w.out, got)
			return nil
		case time.Since(begin) > patience:
			return fmt.Errorf("the page shows (line %d)\n%sbut it is (%v)\n%s", want.line, want.text, err, got)
		}
	}
}

// shell runs commands; what goes into the background has no part of the pipe.
func shell(text string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-e", "-o", "pipefail", "-c", text)
	// A background process that holds the pipe is a mistake of the page.
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// pattern is a text with … for anything.
func pattern(text string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`^`)
	for line := range strings.Lines(text) {
		if line == "…\n" {
			b.WriteString(`(?:.*\n)*`)
			continue
		}
		for i, part := range strings.Split(strings.TrimSuffix(line, "\n"), "…") {
			if i > 0 {
				b.WriteString(`.*`)
			}
			b.WriteString(regexp.QuoteMeta(part))
		}
		b.WriteString(`[ \t]*\n`)
	}
	b.WriteString(`$`)
	return regexp.MustCompile(b.String())
}
