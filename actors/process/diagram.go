package process

import (
	"fmt"
	"strings"
)

// places are those that a process can be in, in the order of its life.
func places() (list []Place) {
	for step := range stepCount {
		for goal := range goalCount {
			for _, cell := range cells[step][goal] {
				if cell != nil {
					list = append(list, Place{step, goal})
					break
				}
			}
		}
	}
	return list
}

// Diagram writes the table as docs/process-states.md.
func Diagram() string {
	var b strings.Builder
	b.WriteString(`# The states of a process

Generated from the table in ` + "`actors/process/transition.go`" + ` by
` + "`go test ./actors/process -run Diagram -update`" + `; a test fails when they differ.

One such machine runs for each instance of each process. A state is a step with the
goal that follows it: the container or its restart, a replacement (ToReplace) or
nothing (ToRetire). An arrow's label is the event, a slash and the effects in their
order. An event that has no arrow from a state is ignored there, and so is an answer
or a timer of an older generation.

` + "```mermaid\nstateDiagram-v2\n    [*] --> Absent\n")
	for _, from := range places() {
		for k := range kindCount {
			c := cells[from.Step][from.Goal][k]
			if c == nil {
				continue
			}
			fmt.Fprintf(&b, "    %s --> %s: %s", from, c.to, k)
			for i, effect := range c.effects {
				b.WriteString([]string{" / ", ", "}[min(i, 1)])
				b.WriteString(effect.String())
			}
			b.WriteByte('\n')
		}
	}
	b.WriteString("```\n\n| event |")
	for _, at := range places() {
		fmt.Fprintf(&b, " %s |", at)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(places())) + "\n")
	for k := range kindCount {
		fmt.Fprintf(&b, "| %s |", k)
		for _, from := range places() {
			to := "·"
			if c := cells[from.Step][from.Goal][k]; c != nil {
				to = c.to.String()
			}
			fmt.Fprintf(&b, " %s |", to)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
