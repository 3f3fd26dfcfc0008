package main

import (
	"regexp"
	"strings"
)

// The kinds of completions of an argument. The empty one means: unknown.
const (
	files     = "file"
	dirs      = "dir"
	sandboxes = "sandboxes"
	processes = "processes" // SANDBOX/PROCESS, and SANDBOX
	commands  = "commands"  // of the sandbox before it
	instances = "instances" // SANDBOX/PROCESS.INDEX
	words     = "words: "   // these, by blanks
)

var (
	choice = regexp.MustCompile(`^([a-z]+(?:, [a-z]+)+ or [a-z]+)(?:$|[;.])`)
	// Placeholders of files and directories in the pages, also in the usage of
	// lithos_crypt and lithos_import.
	byArgument = map[string]string{
		"FILE": files, "KEY": files, "KEY.PUB": files, "SOURCE": files, "DIR": dirs,
		"SANDBOX": sandboxes, "SANDBOX/PROCESS": processes, "SANDBOX/PROCESS.INDEX": instances, "INSTANCE": instances,
	}
	// NAME is many things.
	byName = map[string]string{"--sandbox": sandboxes, "--why": instances}
)

// completes is what an option's argument can be.
func (o *option) completes() string {
	if what, ok := byName["--"+o.long]; ok && o.arg == "NAME" {
		return what
	}
	if m := choice.FindStringSubmatch(o.summary()); m != nil {
		return words + strings.Join(strings.Fields(strings.NewReplacer(",", " ", " or ", " ").Replace(m[1])), " ")
	}
	return byArgument[o.arg]
}

// operandCompletes is what the operand at i can be; the last one may be many.
func (p *page) operandCompletes(i int) string {
	name := p.operands[i]
	switch {
	case name == "NAME" && i > 0 && p.operands[i-1] == "SANDBOX":
		return commands
	case name == "NAME":
		return processes
	}
	return byArgument[name]
}

// masters are the options that name the master config, which says where the
// sandboxes are.
func (p *page) masters() []string {
	var names []string
	for _, o := range p.options {
		if o.arg == "FILE" && strings.Contains(o.summary(), "the master config") {
			names = append(names, o.names()...)
		}
	}
	return names
}

// listing is a program for sh that prints names, a line each: its arguments are
// the kind, the master config, and the sandbox whose commands are wanted. One
// source for all shells. It has no single quote, as all of them put it into
// such. A config it cannot read is passed over: this only helps to type.
const listing = `master=${2:-/etc/lithos/master.yaml} base=${master%/*}
[ "$base" != "$master" ] || base=.
dir() {
  d=$(sed -n "s/^$1: *[\"]\{0,1\}\([^\"#]*[^\"# ]\).*/\1/p" "$master" 2>/dev/null | head -n 1)
  d=${d:-$1} d=${d%-dir}
  case $d in /*) echo "$d" ;; *) echo "$base/$d" ;; esac
}
sandboxes=$(dir sandboxes-dir) processes=$(dir processes-dir)
for f in "$sandboxes"/*.yaml; do
  [ -f "$f" ] || continue
  s=${f##*/} s=${s%.yaml}
  case $1 in sandboxes) echo "$s"; continue ;; processes) echo "$s" ;; commands) [ "$s" = "$3" ] || continue ;; esac
  c=$(sed -n "s/^config-file: *[\"]\{0,1\}\([^\"# ]*\).*/\1/p" "$f" 2>/dev/null | head -n 1)
  c=${c:-$s.yaml}
  case $c in /*) ;; *) c=$processes/$c ;; esac
  awk -v kind="$1" -v s="$s" "
    function done(i) {
      if (name == \"\") return
      if (kind == \"commands\") { if (command) print name }
      else if (!command && kind == \"processes\") print s \"/\" name
      else if (!command) for (i = 0; i < n && i < 1000; i++) print s \"/\" name \".\" i
    }
    /^[A-Za-z0-9_.-]+:/ { done(); name = \$1; sub(/:.*/, \"\", name); command = 0; n = 1 }
    /^ +kind: *\"?Command/ { command = 1 }
    /^ +instances: *[0-9]+/ { n = \$2 + 0 }
    END { done() }" "$c" 2>/dev/null
done`
