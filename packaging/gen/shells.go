package main

import (
	"fmt"
	"slices"
	"strings"
)

// single puts text between single quotes, for any of the shells.
func single(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// brief is the beginning of what an option does: there is one line for it.
func (o *option) brief() string {
	s := o.summary()
	for _, end := range []string{"; ", ". ", " ("} {
		s, _, _ = strings.Cut(s, end)
	}
	return strings.TrimRight(s, ".")
}

// function is a name for one page's function: check-key of lithos_crypt.
func function(names ...string) string {
	return "_" + strings.ReplaceAll(strings.Join(names, "_"), "-", "_")
}

// offered are the options to choose from: not the other names of old.
func (p *page) offered() []string {
	var names []string
	for _, o := range p.options {
		if o.long != "" {
			names = append(names, "--"+o.long)
		} else {
			names = append(names, "-"+o.short)
		}
	}
	return names
}

// long are the names that --name=ARG is written with.
func long(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(s string) bool { return !strings.HasPrefix(s, "--") })
}

// taking are all names of options with an argument.
func (p *page) taking() []string {
	var names []string
	for _, o := range p.options {
		if o.arg != "" {
			names = append(names, o.names()...)
		}
	}
	return names
}

// rest is how many operands stand before those of another program, or -1: after
// them no option is ours.
func (p *page) rest() int {
	return slices.IndexFunc(p.operands, func(s string) bool { return s == "ARGUMENTS" || s == "ARGS" || s == "COMMAND" })
}

// bash makes a file for bash-completion, which needs nothing of that package.
func bash(p *page) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Made of the --help of %s by packaging/gen.\n\n", p.name)
	fmt.Fprintf(&b, "_%s_reply() {\n\tlocal what=$1 cur=$2\n\tcase $what in\n", p.name)
	b.WriteString("\tfile) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- \"$cur\") ;;\n" +
		"\tdir) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- \"$cur\") ;;\n" +
		"\twords:*) mapfile -t COMPREPLY < <(compgen -W \"${what#words:}\" -- \"$cur\") ;;\n" +
		"\t?*) mapfile -t COMPREPLY < <(compgen -W \"$(sh -c " + single(listing) + " sh \"$what\" \"$3\" \"$4\" 2>/dev/null)\" -- \"$cur\") ;;\n" +
		"\tesac\n}\n\n")
	if len(p.commands) == 0 {
		bashPage(&b, p.name, function(p.name), p, 1)
	} else {
		bashCommands(&b, p)
	}
	fmt.Fprintf(&b, "complete -F %s %s\n", function(p.name), p.name)
	return b.String()
}

func bashCommands(b *strings.Builder, p *page) {
	names := p.commandNames()
	for _, c := range p.commands {
		bashPage(b, p.name, function(p.name, c.name), c, 2)
	}
	fmt.Fprintf(b, "%s() {\n\tCOMPREPLY=()\n\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n\t\t_%s_reply %s \"${COMP_WORDS[1]}\"\n\t\treturn\n\tfi\n\tcase ${COMP_WORDS[1]} in\n",
		function(p.name), p.name, single(words+strings.Join(append(names, "--help", "--version"), " ")))
	for _, name := range names {
		fmt.Fprintf(b, "\t%s) %s ;;\n", name, function(p.name, name))
	}
	b.WriteString("\tesac\n}\n\n")
}

// bashPage writes the function for one page; its words begin at first.
func bashPage(b *strings.Builder, program, name string, p *page, first int) {
	fmt.Fprintf(b, "%s() {\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} word what='' takes='' master='' operand='' n=0\n\tCOMPREPLY=()\n", name)
	fmt.Fprintf(b, "\tfor word in \"${COMP_WORDS[@]:%d:COMP_CWORD-%d}\"; do\n\t\t[ \"$word\" != = ] || continue\n", first, first)
	b.WriteString("\t\tif [ -n \"$takes\" ]; then\n")
	if masters := p.masters(); len(masters) > 0 {
		fmt.Fprintf(b, "\t\t\tcase $takes in %s) master=$word ;; esac\n", strings.Join(masters, " | "))
	}
	b.WriteString("\t\t\ttakes=''\n\t\t\tcontinue\n\t\tfi\n\t\tcase $word in\n")
	if taking := p.taking(); len(taking) > 0 {
		fmt.Fprintf(b, "\t\t%s) takes=$word ;;\n", strings.Join(taking, " | "))
	}
	b.WriteString("\t\t-?*) ;;\n\t\t*) operand=$word n=$((n + 1)) ;;\n\t\tesac\n\tdone\n\t[ \"$cur\" != = ] || cur=''\n\tcase $takes in\n")
	for _, o := range p.options {
		if what := o.completes(); o.arg != "" && what != "" {
			fmt.Fprintf(b, "\t%s) what=%s ;;\n", strings.Join(o.names(), " | "), single(what))
		}
	}
	b.WriteString("\t'')\n\t\tcase $n,$cur in\n")
	for i := range p.operands {
		if i == p.rest() {
			fmt.Fprintf(b, "\t\t%d,* | [!0]*,*) what=file ;;\n", i)
			break
		}
		fmt.Fprintf(b, "\t\t%d,-*) what=%s ;;\n\t\t%d,*) what=%s ;;\n", i, single(words+strings.Join(p.offered(), " ")), i, single(p.operandCompletes(i)))
	}
	fmt.Fprintf(b, "\t\t*,-*) what=%s ;;\n", single(words+strings.Join(p.offered(), " ")))
	if n := len(p.operands); n > 0 && p.repeats() {
		fmt.Fprintf(b, "\t\t*) what=%s ;;\n", single(p.operandCompletes(n-1)))
	}
	fmt.Fprintf(b, "\t\tesac\n\t\t;;\n\tesac\n\t_%s_reply \"$what\" \"$cur\" \"$master\" \"$operand\"\n}\n\n", program)
}

// repeats tells whether the last operand may be given several times.
func (p *page) repeats() bool {
	for _, line := range p.usage {
		if strings.HasSuffix(line, "...") || strings.HasSuffix(line, "...]") {
			return true
		}
	}
	return false
}

// zsh makes a file for a directory of fpath.
func zsh(p *page) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#compdef %s\n# Made of the --help of %s by packaging/gen.\n\n", p.name, p.name)
	masters := append([]string{}, p.masters()...)
	for _, c := range p.commands {
		masters = append(masters, c.masters()...)
	}
	fmt.Fprintf(&b, "_%s_names() {\n\tlocal master='' word before=''\n\tlocal -a names\n\tfor word in \"${(@Q)words}\"; do\n", p.name)
	if len(masters) > 0 {
		fmt.Fprintf(&b, "\t\tcase $before in %s) master=$word ;; esac\n\t\tcase $word in --(%s)=*) master=${word#*=} ;; esac\n",
			strings.Join(masters, "|"), strings.ReplaceAll(strings.Join(long(masters), "|"), "--", ""))
	}
	fmt.Fprintf(&b, "\t\tbefore=$word\n\tdone\n\tnames=(${(f)\"$(sh -c %s sh \"$1\" \"$master\" \"${(Q)words[CURRENT-1]}\" 2>/dev/null)\"})\n\tcompadd -a names\n}\n\n", single(listing))
	if len(p.commands) == 0 {
		b.WriteString(zshPage(p.name, p) + "\n")
		return b.String()
	}
	fmt.Fprintf(&b, "local curcontext=$curcontext state line\n_arguments -C '(- *)--help[print this]' '(- *)--version[print the version]' '1:command:(%s)' '*::argument:->rest' && return\ncase $state in\nrest)\n\tcase $words[1] in\n", strings.Join(p.commandNames(), " "))
	for _, c := range p.commands {
		fmt.Fprintf(&b, "\t%s) %s ;;\n", c.name, zshPage(p.name, c))
	}
	b.WriteString("\tesac\n\t;;\nesac\n")
	return b.String()
}

func zshPage(program string, p *page) string {
	specs := []string{"_arguments", "-s", ":"}
	clean := strings.NewReplacer("[", "(", "]", ")", ":", "", `\`, "", "`", "")
	for _, o := range p.options {
		names := slices.DeleteFunc(o.names(), func(s string) bool { return slices.Contains(o.aliases, s) })
		// The names of old are understood and not offered.
		for _, name := range o.aliases {
			spec := "!" + zshName(name, o)
			if o.arg != "" {
				spec += ":" + o.arg + ":" + zshAction(program, o.completes())
			}
			specs = append(specs, single(spec))
		}
		for _, name := range names {
			spec := zshName(name, o) + "[" + clean.Replace(o.brief()) + "]"
			if o.arg != "" {
				spec += ":" + o.arg + ":" + zshAction(program, o.completes())
			}
			exclude := strings.Join(names, " ")
			if name == "--help" || name == "--version" {
				exclude = "- *"
			}
			if strings.Contains(o.summary(), "several times") {
				specs = append(specs, single("*"+spec))
			} else {
				specs = append(specs, single("("+exclude+")"+spec))
			}
		}
	}
	for i := range p.operands {
		place := fmt.Sprintf("%d", i+1)
		if i == len(p.operands)-1 && p.repeats() {
			place = "*"
		}
		what := p.operandCompletes(i)
		if i == p.rest() {
			place, what = "*:", files
		}
		specs = append(specs, single(place+":"+p.operands[i]+":"+zshAction(program, what)))
		if i == p.rest() {
			break
		}
	}
	return strings.Join(specs, " \\\n\t")
}

// zshName has the sign that lets --name=ARG be as good as --name ARG.
func zshName(name string, o *option) string {
	if o.arg != "" && strings.HasPrefix(name, "--") {
		return name + "="
	}
	return name
}

func zshAction(program, what string) string {
	switch {
	case what == files:
		return "_files"
	case what == dirs:
		return "_files -/"
	case what == "":
		return " "
	case strings.HasPrefix(what, words):
		return "(" + strings.TrimPrefix(what, words) + ")"
	}
	// The blank keeps _arguments from putting words of its own before ours.
	return " _" + program + "_names " + what
}

// fish makes a file for one of fish's directories of completions.
func fish(p *page) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Made of the --help of %s by packaging/gen.\n\n", p.name)
	pages := append([]*page{p}, p.commands...)
	var taking, masters []string
	for _, page := range pages {
		taking, masters = append(taking, page.taking()...), append(masters, page.masters()...)
	}
	// The operands so far: the first is the program.
	fmt.Fprintf(&b, "function __%s_operands\n    set -l takes 0\n    for word in (commandline -opc)[2..-1]\n        if test $takes = 1\n            set takes 0\n            continue\n        end\n        switch $word\n", p.name)
	if len(taking) > 0 {
		fmt.Fprintf(&b, "            case %s\n                set takes 1\n", strings.Join(taking, " "))
	}
	fmt.Fprintf(&b, "            case '-*'\n            case '*'\n                echo $word\n        end\n    end\nend\n\nfunction __%s_at\n    test (count (__%s_operands)) -eq $argv[1]\nend\n\n", p.name, p.name)
	fmt.Fprintf(&b, "function __%s_names\n    set -l master ''\n    set -l before ''\n    for word in (commandline -opc)\n", p.name)
	if len(masters) > 0 {
		fmt.Fprintf(&b, "        contains -- \"$before\" %s; and set master $word\n        string match -qr -- '^(%s)=' $word; and set master (string replace -r -- '^[^=]*=' '' $word)\n",
			strings.Join(masters, " "), strings.Join(long(masters), "|"))
	}
	fmt.Fprintf(&b, "        set before $word\n    end\n    set -l operands (__%s_operands)\n    sh -c %s sh $argv[1] \"$master\" \"$operands[-1]\" 2>/dev/null\nend\n\ncomplete -c %s -f\n", p.name, fishQuote(listing), p.name)
	if len(p.commands) == 0 {
		fishPage(&b, p.name, p, "")
		return b.String()
	}
	fmt.Fprintf(&b, "complete -c %s -n '__%s_at 0' -a %s\ncomplete -c %s -n '__%s_at 0' -l help -d 'print this'\ncomplete -c %s -n '__%s_at 0' -l version -d 'print the version'\n",
		p.name, p.name, single(strings.Join(p.commandNames(), " ")), p.name, p.name, p.name, p.name)
	for _, c := range p.commands {
		fishPage(&b, p.name, c, fmt.Sprintf(" -n '__fish_seen_subcommand_from %s'", c.name))
	}
	return b.String()
}

func fishPage(b *strings.Builder, program string, p *page, when string) {
	for _, o := range p.options {
		fmt.Fprintf(b, "complete -c %s%s", program, when)
		if o.short != "" {
			b.WriteString(" -s " + o.short)
		}
		if o.long != "" {
			b.WriteString(" -l " + o.long)
		}
		if o.arg != "" {
			b.WriteString(" " + fishAction(program, "-x", o.completes()))
		}
		fmt.Fprintf(b, " -d %s\n", fishQuote(o.brief()))
	}
	if when != "" {
		return
	}
	for i := range p.operands {
		if i == p.rest() {
			fmt.Fprintf(b, "complete -c %s -n 'not __%s_at 0; and not __%s_at 1' -F\n", program, program, program)
			return
		}
		if action := fishAction(program, "", p.operandCompletes(i)); action != "" {
			fmt.Fprintf(b, "complete -c %s -n '__%s_at %d' %s\n", program, program, i, strings.TrimSpace(action))
		}
	}
}

// fishAction is with -x for an argument, without for an operand.
func fishAction(program, exclusive, what string) string {
	switch {
	case what == files && exclusive != "":
		return "-r -F"
	case what == files:
		return "-F"
	case what == dirs:
		return exclusive + " -a '(__fish_complete_directories)'"
	case what == "":
		return exclusive
	case strings.HasPrefix(what, words):
		return exclusive + " -a " + single(strings.TrimPrefix(what, words))
	}
	return exclusive + " -a '(__" + program + "_names " + what + ")'"
}

// fishQuote quotes for fish, where a backslash counts between single quotes.
func fishQuote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}
