package main

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// manual is the page for man: roff, with the macros of man(7).
func manual(p *page, others []string, version string, date time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".\\\" Made of the --help of %s by packaging/gen.\n", p.name)
	fmt.Fprintf(&b, ".TH %s 8 %s \"lithos %s\" \"System Administration\"\n",
		strings.ToUpper(p.name), date.UTC().Format("2006-01-02"), escape(version))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", p.name, escape(purpose(p)))
	b.WriteString(".SH SYNOPSIS\n")
	verbatim(&b, p.usage)
	b.WriteString(".SH DESCRIPTION\n")
	body(&b, p, ".SH")
	for _, c := range p.commands {
		fmt.Fprintf(&b, ".SH %s\n", escape(strings.ToUpper("command "+c.name)))
		verbatim(&b, c.usage)
		b.WriteString(".PP\n")
		body(&b, c, ".SS")
	}
	b.WriteString(".SH SEE ALSO\n")
	for _, other := range others {
		if other != p.name {
			fmt.Fprintf(&b, ".BR %s (8),\n", other)
		}
	}
	fmt.Fprintf(&b, "and docs/%s.md of the documentation, in a package below\n.IR /usr/share/doc/lithos .\n", p.name)
	return b.String()
}

// purpose is what whatis and apropos tell: the first sentence, or what of it
// stands before a colon.
func purpose(p *page) string {
	sentence := strings.Join(p.blocks[0].lines, " ")
	for _, end := range []string{". ", ": "} {
		sentence, _, _ = strings.Cut(sentence, end)
	}
	r := []rune(strings.TrimSuffix(sentence, "."))
	r[0] = unicode.ToLower(r[0])
	return string(r)
}

func body(b *strings.Builder, p *page, section string) {
	after := heading // the kind of the last line written
	for _, block := range p.blocks {
		switch block.kind {
		case heading:
			title := block.lines[0]
			if section == ".SH" {
				title = strings.ToUpper(title)
			}
			fmt.Fprintf(b, "%s %s\n", section, quote(title))
		case text:
			if codes, ok := strings.CutPrefix(block.lines[0], "Exit codes: "); ok {
				fmt.Fprintf(b, "%s EXIT STATUS\n", section)
				block.lines = append([]string{codes}, block.lines[1:]...)
			} else if after != heading {
				b.WriteString(".PP\n")
			}
			for _, line := range block.lines {
				b.WriteString(escape(line) + "\n")
			}
		case literal:
			if after != heading {
				b.WriteString(".PP\n")
			}
			b.WriteString(".RS 2\n")
			verbatim(b, block.lines)
			b.WriteString(".RE\n")
		case entry:
			item(b, block.entry)
		}
		after = block.kind
	}
}

func item(b *strings.Builder, o *option) {
	var names []string
	if o.short != "" {
		names = append(names, `\fB\-`+o.short+`\fR`)
	}
	if o.long != "" {
		names = append(names, `\fB`+escape("--"+o.long)+`\fR`)
	}
	tag := strings.Join(names, ", ")
	if o.arg != "" {
		tag += ` \fI` + escape(o.arg) + `\fR`
	}
	fmt.Fprintf(b, ".TP\n%s\n", tag)
	for _, line := range o.text {
		b.WriteString(escape(line) + "\n")
	}
	if len(o.text) == 0 {
		b.WriteString("The same as the next.\n")
	}
}

// verbatim writes lines that are not filled.
func verbatim(b *strings.Builder, lines []string) {
	b.WriteString(".nf\n")
	for _, line := range lines {
		if line == "" {
			b.WriteString(".sp\n")
			continue
		}
		b.WriteString(escape(line) + "\n")
	}
	b.WriteString(".fi\n")
}

// escape makes any text one line of roff: nothing in it is a request, and what
// can be copied to a shell stays what it is.
func escape(line string) string {
	line = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`, "…", "...", "→", "->").Replace(line)
	if strings.HasPrefix(line, ".") {
		line = `\&` + line
	}
	return line
}

// quote makes text one argument of a request.
func quote(s string) string {
	return `"` + strings.ReplaceAll(escape(s), `"`, `\(dq`) + `"`
}
