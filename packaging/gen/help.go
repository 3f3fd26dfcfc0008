package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// page is what the --help of a program, or of one of its commands, says.
type page struct {
	name     string   // lithos_crypt, or of a command: encrypt
	usage    []string // without "Usage: "
	blocks   []block
	options  []*option
	operands []string // SANDBOX, FILE
	commands []*page
}

// block is a piece of the page between its usage and its end.
type block struct {
	kind  kind
	lines []string // of heading, text and literal
	entry *option  // of entry
}

type kind int

const (
	heading kind = iota // of a section, without the colon
	text                // a paragraph
	literal             // indented lines, as they are
	entry               // an option
)

// option is one of a command line.
type option struct {
	short, long string // without dashes; one of them may be empty
	arg         string // FILE; empty if it takes none
	text        []string
	aliases     []string // with dashes, named in the text: "also -C, --config"
}

// names are all ways to write the option, with dashes.
func (o *option) names() []string {
	var names []string
	if o.short != "" {
		names = append(names, "-"+o.short)
	}
	if o.long != "" {
		names = append(names, "--"+o.long)
	}
	return append(names, o.aliases...)
}

func (o *option) summary() string { return strings.Join(o.text, " ") }

var (
	// Deeper than that continues with the one above.
	optionBegins = regexp.MustCompile(`^ {1,7}-[\w-]`)
	optionLine   = regexp.MustCompile(`^  (?:-(\w), |    )--([a-z][a-z-]*)(?:[ =]([A-Z][^ ]*))?(?: {2,}(\S.*))?$`)
	shortLine    = regexp.MustCompile(`^  -(\w)(?: ([A-Z][^ ]*))?(?: {2,}(\S.*))?$`)
	commandLine  = regexp.MustCompile(`^  ([a-z][a-z-]*) {2,}\S`)
	also         = regexp.MustCompile(`\balso ((?:--?[a-z][a-z-]*|-[A-Z])(?:(?:, | and )(?:--?[a-z][a-z-]*|-[A-Z]))*)\)`)
	usageOption  = regexp.MustCompile(`(?:^|[\s\[|(])(--?[A-Za-z][a-z-]*)`)
	operand      = regexp.MustCompile(`^\[?([A-Z][A-Z/.]*)\]?(?:\.\.\.)?\]?$`)
)

// parse reads a page strictly: a line it does not understand is an error, with
// the line's number. Both forms of a page, a program's and a command's, are the
// same: usage, and then paragraphs, sections with a heading, indented lines.
func parse(name, help string) (*page, error) {
	p := &page{name: name}
	lines := strings.Split(strings.TrimRight(help, "\n"), "\n")
	n := 0
	for ; n < len(lines) && lines[n] != ""; n++ {
		line, ok := strings.CutPrefix(lines[n], "Usage: ")
		if n > 0 {
			line, ok = strings.CutPrefix(lines[n], "       ")
		}
		if !ok {
			return nil, fmt.Errorf("%s --help: line %d: %q is no line of the usage", name, n+1, lines[n])
		}
		p.usage = append(p.usage, line)
	}
	for ; n < len(lines); n++ {
		next := ""
		if n+1 < len(lines) {
			next = lines[n+1]
		}
		if err := p.line(lines[n], lines[n-1], next); err != nil {
			return nil, fmt.Errorf("%s --help: line %d: %w", name, n+1, err)
		}
	}
	return p, p.complete()
}

// line adds one line; the one before tells where a paragraph begins, the next
// one whether it is a heading.
func (p *page) line(line, before, next string) error {
	switch {
	case line == "":
		return nil
	case strings.ContainsAny(line, "\t\r\x1b"), strings.TrimRight(line, " ") != line:
		return fmt.Errorf("%q has tabs, or blanks at its end", line)
	case !strings.HasPrefix(line, " "):
		p.paragraph(line, before, next)
		return nil
	case optionBegins.MatchString(line):
		return p.option(line)
	}
	last := p.last()
	// A remark on the options above stands as far left as they do.
	remark := strings.HasPrefix(line, "  ") && line[2] != ' '
	if last != nil && last.kind == entry && before != "" && !remark {
		if !strings.HasPrefix(line, "        ") {
			return fmt.Errorf("%q does not go on with the option above it", line)
		}
		last.entry.text = append(last.entry.text, strings.TrimLeft(line, " "))
		return nil
	}
	if !strings.HasPrefix(line, "  ") {
		return fmt.Errorf("%q is indented by one blank", line)
	}
	if last == nil || last.kind != literal {
		p.blocks = append(p.blocks, block{kind: literal})
	} else if before == "" {
		p.last().lines = append(p.last().lines, "")
	}
	p.last().lines = append(p.last().lines, line[2:])
	return nil
}

func (p *page) last() *block {
	if len(p.blocks) == 0 {
		return nil
	}
	return &p.blocks[len(p.blocks)-1]
}

func (p *page) paragraph(line, before, next string) {
	switch title, colon := strings.CutSuffix(line, ":"); {
	case colon && before == "" && strings.HasPrefix(next, "  "):
		p.blocks = append(p.blocks, block{kind: heading, lines: []string{title}})
	case before != "" && p.last() != nil && p.last().kind == text:
		p.last().lines = append(p.last().lines, line)
	default:
		p.blocks = append(p.blocks, block{kind: text, lines: []string{line}})
	}
}

func (p *page) option(line string) error {
	o := &option{}
	description := ""
	if m := optionLine.FindStringSubmatch(line); m != nil {
		o.short, o.long, o.arg, description = m[1], m[2], m[3], m[4]
	} else if m := shortLine.FindStringSubmatch(line); m != nil {
		o.short, o.arg, description = m[1], m[2], m[3]
	} else {
		return fmt.Errorf("%q is no option: it has to be like %q", line, "  -x, --long ARG  text")
	}
	if description != "" {
		o.text = []string{description}
	}
	p.options = append(p.options, o)
	p.blocks = append(p.blocks, block{kind: entry, entry: o})
	return nil
}

// complete looks at the page as a whole: each option of the usage is explained,
// and none twice.
func (p *page) complete() error {
	if len(p.usage) == 0 || len(p.blocks) == 0 || p.blocks[0].kind != text {
		return fmt.Errorf("%s --help: a usage and a description are needed", p.name)
	}
	var known []string
	for _, o := range p.options {
		if m := also.FindStringSubmatch(o.summary()); m != nil {
			o.aliases = strings.FieldsFunc(strings.ReplaceAll(m[1], " and ", " "), func(r rune) bool { return r == ',' || r == ' ' })
		}
		for _, name := range o.names() {
			if slices.Contains(known, name) {
				return fmt.Errorf("%s --help: %s is there twice", p.name, name)
			}
			known = append(known, name)
		}
	}
	// A program with commands explains their options on pages of their own.
	if len(p.commandNames()) > 0 {
		return nil
	}
	for _, m := range usageOption.FindAllStringSubmatch(strings.Join(p.usage, "\n"), -1) {
		if !slices.Contains(known, m[1]) && len(p.options) > 0 {
			return fmt.Errorf("%s --help: %s of the usage is not explained", p.name, m[1])
		}
	}
	p.operands = p.findOperands()
	return nil
}

// commandNames are those of the section Commands.
func (p *page) commandNames() []string {
	var names []string
	for i, b := range p.blocks {
		if b.kind != literal || i == 0 || p.blocks[i-1].kind != heading || p.blocks[i-1].lines[0] != "Commands" {
			continue
		}
		for _, line := range b.lines {
			if m := commandLine.FindStringSubmatch("  " + line); m != nil && m[1] != p.name {
				names = append(names, m[1])
			}
		}
	}
	return names
}

// findOperands takes the words in capitals of the usage's first form that are
// no argument of an option.
func (p *page) findOperands() []string {
	var found []string
	takes := false
	for i, line := range p.usage {
		if i > 0 && !strings.HasPrefix(line, " ") {
			break // another form
		}
		for _, word := range strings.Fields(line) {
			bare := strings.Trim(word, "[]")
			switch m := operand.FindStringSubmatch(word); {
			case strings.HasPrefix(bare, "-"):
				takes = !strings.HasSuffix(word, "]")
				continue
			case m != nil && !takes && strings.Trim(m[1], ".") != "OPTIONS":
				found = append(found, strings.TrimSuffix(m[1], "..."))
			}
			takes = word == "|"
		}
	}
	return found
}
