package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"lithos/configs"
	"lithos/configs/report"
)

// actionWords are an action in a line and in the sum.
var actionWords = []struct {
	action    configs.Action
	line, sum string
}{
	{configs.ActionReplace, "replace", "replaced"},
	{configs.ActionStart, "start", "started"},
	{configs.ActionStop, "stop", "stopped"},
	{configs.ActionKeep, "stay", "staying"},
	{configs.ActionUnknown, "unknown", "unknown (the config in place has errors)"},
}

// printSteps is the answer of --dry-run.
func printSteps(w io.Writer, sandbox string, steps []configs.Step) error {
	var b strings.Builder
	var sums []string
	for _, word := range actionWords {
		n := 0
		for _, group := range groups(steps, word.action) {
			n += len(group)
			printGroup(&b, word.line, group)
		}
		if n > 0 {
			sums = append(sums, fmt.Sprintf("%d %s", n, word.sum))
		}
	}
	if len(sums) == 0 {
		sums = []string{"nothing runs, before and after"}
	}
	fmt.Fprintf(&b, "%s: %s\n", sandbox, strings.Join(sums, ", "))
	_, err := io.WriteString(w, b.String())
	return err
}

// groups puts neighbours of one process together to which the same happens.
func groups(steps []configs.Step, action configs.Action) [][]configs.Step {
	var all [][]configs.Step
	for _, s := range steps {
		if s.Action != action {
			continue
		}
		if n := len(all); n > 0 && alike(all[n-1][0], s) {
			all[n-1] = append(all[n-1], s)
		} else {
			all = append(all, []configs.Step{s})
		}
	}
	return all
}

func alike(a, b configs.Step) bool {
	return configs.ParseInstanceName(a.Name).Group() == configs.ParseInstanceName(b.Name).Group() && slices.Equal(a.Changes, b.Changes)
}

func printGroup(b *strings.Builder, word string, group []configs.Step) {
	fmt.Fprintf(b, "%-8s %s", word, group[0].Name)
	if n := len(group); n > 1 {
		fmt.Fprintf(b, " … %s (%d)", group[n-1].Name, n)
		if most := group[0].MaxUnavailable; most > 0 && most < n {
			fmt.Fprintf(b, ", %d at a time", most)
		}
	}
	b.WriteByte('\n')
	for _, c := range group[0].Changes {
		fmt.Fprintf(b, "           %s: %s -> %s", show(c.Option), value(c.Old), value(c.New))
		if c.Later && word != "replace" {
			b.WriteString(" (from the next start or stop on)")
		}
		b.WriteByte('\n')
	}
}

// value is the value of an option; it may come from an image.
func value(s string) string {
	if s == "" {
		return "(none)"
	}
	return show(s)
}

// show clips a text and keeps it from doing anything to a terminal.
func show(s string) string {
	const most = 100
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most]) + "…"
	}
	quoted := strconv.Quote(s)
	if inner := quoted[1 : len(quoted)-1]; strings.ReplaceAll(inner, `\"`, `"`) == s {
		return s
	}
	return quoted
}

// stepJSON is a step of --dry-run.
type stepJSON struct {
	Name    string       `json:"name"`
	Action  string       `json:"action"` // start, stop, replace, keep, unknown
	Changes []changeJSON `json:"changes,omitempty"`
	// MaxUnavailable is how many of its process are replaced at a time; 0 = all.
	MaxUnavailable int `json:"max_unavailable,omitempty"`
}

type changeJSON struct {
	Option string `json:"option"`
	Old    string `json:"old"`
	New    string `json:"new"`
	Later  bool   `json:"later,omitempty"`
}

// writeJSON writes the result of the run, which failed if err is not nil.
func (s *switcher) writeJSON(err error) error {
	out := struct {
		Sandbox   string           `json:"sandbox"`
		File      string           `json:"file"`
		Target    string           `json:"target,omitempty"`
		Status    string           `json:"status"` // refused, checked, unchanged, switched
		Error     string           `json:"error,omitempty"`
		Daemon    int              `json:"daemon_pid,omitempty"`
		Problems  []report.Problem `json:"problems"`
		Instances []stepJSON       `json:"instances,omitempty"`
		Outcomes  []outcome        `json:"outcomes,omitempty"` // of --wait
	}{
		Sandbox: s.sandbox, File: s.file, Target: s.target, Status: s.status, Daemon: s.daemon,
		Problems: report.Problems(s.problems), Outcomes: s.outcomes,
	}
	if err != nil {
		out.Error = err.Error()
	}
	for _, step := range s.steps {
		j := stepJSON{Name: step.Name, Action: string(step.Action), MaxUnavailable: step.MaxUnavailable}
		for _, c := range step.Changes {
			j.Changes = append(j.Changes, changeJSON(c))
		}
		out.Instances = append(out.Instances, j)
	}
	return report.WriteJSON(s.stdout, out)
}
