package process

import (
	"fmt"
	"strings"
)

// Diagram writes the table as docs/process-states.md.
func Diagram() string {
	var b strings.Builder
	b.WriteString(`# The states of a process

Generated from the table in ` + "`actors/process/transition.go`" + ` by
` + "`go test ./actors/process -run Diagram -update`" + `; a test fails when they differ.

One such machine runs for each instance of each process. An arrow's label is the
event, a slash and the effects in their order. An event that has no arrow from
a state is ignored there, and so is an answer or a timer of an older generation.

` + "```mermaid\nstateDiagram-v2\n    [*] --> Absent\n")
	for _, t := range Transitions {
		fmt.Fprintf(&b, "    %s --> %s: %s", t.From, t.To, t.On)
		for i, effect := range t.Effects {
			b.WriteString([]string{" / ", ", "}[min(i, 1)])
			b.WriteString(effect.String())
		}
		b.WriteByte('\n')
	}
	b.WriteString("```\n\n| state |")
	for k := range kindCount {
		fmt.Fprintf(&b, " %s |", k)
	}
	b.WriteString("\n|---|")
	b.WriteString(strings.Repeat("---|", int(kindCount)))
	b.WriteByte('\n')
	for p := range phaseCount {
		fmt.Fprintf(&b, "| %s |", p)
		for k := range kindCount {
			to := "·"
			if c := cells[p][k]; c != nil {
				to = c.To.String()
			}
			fmt.Fprintf(&b, " %s |", to)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
