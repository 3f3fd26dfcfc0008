package root

import (
	"slices"
	"strings"

	"lithos/configs"
)

// Merge returns the plan to run after a reload: the new one, with the last good
// version of each broken object. A broken object without a good version is left
// out. Both arguments are unchanged; the old plan is the result of an earlier
// Merge, or nil.
func Merge(old, loaded *configs.Plan) *configs.Plan {
	merged := &configs.Plan{Master: loaded.Master}
	for _, sb := range loaded.Sandboxes {
		before := find(old, sb.Name)
		switch {
		case sb.Broken:
			if before != nil {
				merged.Sandboxes = append(merged.Sandboxes, before)
			}
		case sb.ProcessesBroken:
			merged.Sandboxes = append(merged.Sandboxes, withProcesses(sb, processesOf(before)))
		default:
			merged.Sandboxes = append(merged.Sandboxes, withProcesses(sb, mergeProcesses(processesOf(before), sb.Processes)))
		}
	}
	return merged
}

func mergeProcesses(old, loaded []*configs.Process) []*configs.Process {
	merged := make([]*configs.Process, 0, len(loaded))
	for _, p := range loaded {
		if p.Broken {
			i := slices.IndexFunc(old, func(o *configs.Process) bool { return o.Name == p.Name })
			if i < 0 {
				continue
			}
			p = old[i]
		}
		merged = append(merged, p)
	}
	return merged
}

func withProcesses(sb *configs.Sandbox, processes []*configs.Process) *configs.Sandbox {
	merged := *sb
	merged.ProcessesBroken = false
	merged.Processes = processes
	return &merged
}

func processesOf(sb *configs.Sandbox) []*configs.Process {
	if sb == nil {
		return nil
	}
	return sb.Processes
}

func find(plan *configs.Plan, name string) *configs.Sandbox {
	if plan == nil {
		return nil
	}
	i, ok := slices.BinarySearchFunc(plan.Sandboxes, name, func(sb *configs.Sandbox, name string) int {
		return strings.Compare(sb.Name, name)
	})
	if !ok {
		return nil
	}
	return plan.Sandboxes[i]
}
