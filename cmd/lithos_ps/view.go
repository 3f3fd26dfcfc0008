package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"lithos/actors/services/api"
)

// view is how it looks.
type view struct {
	color bool
	width int // columns; 0 = no limit
}

// Colours, as the terminal's control sequences have them.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
)

func (v *view) paint(color, text string) string {
	if !v.color || color == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// line is a line of the tree: its name with branches, and cells of an instance.
type line struct {
	name  string
	cells []string
	color string // of the state
}

var titles = []string{"STATE", "PID", "UPTIME", "RESTARTS", "CPU", "MEMORY", "THREADS", ""}

// tree is the whole as text.
func (v *view) tree(s *snapshot) string {
	var b strings.Builder
	b.WriteString(v.clip(heading(s)) + "\n")
	for _, o := range s.Objects {
		name := o.Sandbox
		if o.Process != "" {
			name += "/" + o.Process
		}
		b.WriteString(v.paint(red, v.clip(clean(fmt.Sprintf("%s is %s: its config has errors, see lithos_check", name, o.State)))) + "\n")
	}
	lines := lines(s)
	if len(lines) == 0 {
		return b.String()
	}
	v.table(&b, append([]line{{name: "NAME", cells: titles}}, lines...))
	return b.String()
}

// heading is the first line: who tells it, and the sums.
func heading(s *snapshot) string {
	text := "lithos_tree does not run: this is the state by the runtime directory and /proc"
	if s.Daemon != nil {
		text = fmt.Sprintf("lithos_tree %s, pid %d, up %s", s.Daemon.Version, s.Daemon.PID, short(seconds(s.Daemon.Uptime)))
	}
	states := map[string]int{}
	for _, r := range s.Instances {
		states[r.State]++
		for _, c := range r.Conditions {
			states[c]++
		}
	}
	text += "; " + strconv.Itoa(len(s.Instances)) + " instances"
	if len(s.Instances) == 1 {
		text = strings.TrimSuffix(text, "s")
	}
	separator := ": "
	for _, word := range []string{
		api.StateRunning, api.StateStarting, api.StatePending, api.StateRestarting, api.StateReplacing, api.StateStopping, api.StateWaiting,
		stateStopped, api.ConditionNotReady, api.ConditionUnhealthy, api.ConditionFailing, api.ConditionDegraded, api.ConditionFrozen, api.ConditionOutdated,
		api.ConditionSuspended, api.ConditionSilent,
	} {
		if n := states[word]; n > 0 {
			text += separator + strconv.Itoa(n) + " " + word
			separator = ", "
		}
	}
	return clean(text)
}

// lines are those of the tree: sandbox, process, instance.
//
// Preconditions: the instances are sorted.
func lines(s *snapshot) (list []line) {
	sandboxes := together(s.Instances, func(r *row) string { return r.Sandbox })
	for _, sandbox := range sandboxes {
		list = append(list, line{name: clean(sandbox[0].Sandbox)})
		processes := together(sandbox, func(r *row) string { return r.Process })
		for i, process := range processes {
			branch, below := "├─ ", "│  "
			if i == len(processes)-1 {
				branch, below = "└─ ", "   "
			}
			list = append(list, line{name: branch + clean(process[0].Process)})
			for j, r := range process {
				branch := "├─ "
				if j == len(process)-1 {
					branch = "└─ "
				}
				list = append(list, instanceLine(s, below+branch, r))
			}
		}
	}
	return list
}

// together puts neighbours with the same key together.
func together(rows []*row, key func(*row) string) (groups [][]*row) {
	for _, r := range rows {
		if n := len(groups); n > 0 && key(groups[n-1][0]) == key(r) {
			groups[n-1] = append(groups[n-1], r)
		} else {
			groups = append(groups, []*row{r})
		}
	}
	return groups
}

func instanceLine(s *snapshot, branch string, r *row) line {
	l := line{name: branch + clean(strings.TrimPrefix(r.Name, r.Sandbox+"/")), color: stateColor(r)}
	l.cells = []string{strings.Join(append([]string{r.State}, r.Conditions...), ", "), "", "", strconv.Itoa(r.Restarts), "", memory(r), "", note(s, r)}
	if r.PID != 0 {
		l.cells[1], l.cells[2] = strconv.Itoa(r.PID), short(seconds(r.Uptime))
	}
	if r.Usage != nil && r.Usage.CPU != nil {
		l.cells[4] = short(seconds(*r.Usage.CPU))
	}
	if r.Threads > 0 {
		l.cells[6] = strconv.Itoa(r.Threads)
	}
	return l
}

func stateColor(r *row) string {
	switch {
	case slices.Contains(r.Conditions, api.ConditionFailing), slices.Contains(r.Conditions, api.ConditionUnhealthy):
		return red
	case len(r.Conditions) > 0:
		return yellow
	case r.State == api.StateRunning:
		return green
	case r.State == stateStopped:
		return red
	}
	return yellow
}

// note says in words what the columns don't: the next try, what is missing, and
// how the last one ended.
func note(s *snapshot, r *row) string {
	var parts []string
	if r.State == api.StateWaiting {
		parts = append(parts, nextTry(s, r))
	}
	parts = append(parts, checks(r)...)
	parts = append(parts, r.Degraded...)
	if r.LastExit != nil {
		last := "last " + r.LastExit.Words
		if !r.LastExit.At.IsZero() {
			last += ", " + short(s.At.Sub(r.LastExit.At)) + " ago"
		}
		parts = append(parts, last)
	}
	return clean(strings.Join(parts, "; "))
}

// checks describes the last failed probe.
func checks(r *row) []string {
	switch {
	case r.Ready != nil && !r.Ready.Ready && r.Ready.Why != "":
		return []string{r.Ready.Why}
	case r.Health != nil && r.Health.Why != "":
		return []string{fmt.Sprintf("healthcheck failed %d of %d times: %s", r.Health.Failures, r.Health.Allowed, r.Health.Why)}
	}
	return nil
}

func nextTry(s *snapshot, r *row) string {
	if !r.NextTry.After(s.At) {
		return "next try at once"
	}
	return "next try in " + short(r.NextTry.Sub(s.At))
}

// memory is such as "12.0M/64.0M".
func memory(r *row) string {
	switch u := r.Usage; {
	case u == nil || u.MemoryLimit == nil && (u.Memory == nil || r.PID == 0):
		return "" // a dead one's cgroup is no news
	case u.MemoryLimit == nil:
		return size(*u.Memory)
	case u.Memory == nil || r.PID == 0:
		return "-/" + size(*u.MemoryLimit)
	default:
		return size(*u.Memory) + "/" + size(*u.MemoryLimit)
	}
}

// size is a number of bytes in units of 1024.
func size(n int64) string {
	units := "KMGTPE"
	if n < 1024 {
		return strconv.FormatInt(n, 10)
	}
	f, i := float64(n)/1024, 0
	for f >= 1023.95 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	return strconv.FormatFloat(f, 'f', 1, 64) + units[i:i+1]
}

// table aligns the cells and writes the lines.
func (v *view) table(b *strings.Builder, lines []line) {
	name, widths := 0, make([]int, len(titles))
	for _, l := range lines {
		name = max(name, utf8.RuneCountInString(l.name))
		for i, c := range l.cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	for _, l := range lines {
		text := pad(l.name, name)
		from := len(text) + 2
		for i, c := range l.cells {
			switch {
			case i == len(l.cells)-1 && c == "":
			case i == 0 || i == len(l.cells)-1:
				text += "  " + pad(c, widths[i])
			default:
				text += "  " + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c)) + c
			}
		}
		text = v.clip(strings.TrimRight(text, " "))
		if to := from + len(cell(l)); l.color != "" && to <= len(text) {
			text = text[:from] + v.paint(l.color, text[from:to]) + text[to:]
		}
		b.WriteString(text + "\n")
	}
}

// cell is the coloured state.
func cell(l line) string {
	if len(l.cells) == 0 {
		return ""
	}
	return l.cells[0]
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}

// clip cuts a line to the terminal's width.
func (v *view) clip(s string) string {
	if v.width <= 0 || utf8.RuneCountInString(s) <= v.width {
		return s
	}
	return string([]rune(s)[:v.width-1]) + "…"
}

// clean makes a text one line that does nothing to a terminal.
func clean(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if strings.IndexFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if strconv.IsPrint(r) {
			b.WriteRune(r)
		} else {
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}
