package root

import (
	"lithos/actors/services/api"
	"lithos/actors/services/status"
	"lithos/configs"
)

// configStatus is what to show of the configs after a reading: what is wanted
// by the merged plan, and what is broken in the one that was read (nil = it
// was refused as a whole).
func (r *Root) configStatus(loaded *configs.Plan, problems configs.Problems) *status.Config {
	c := &status.Config{Wanted: make(map[string]*configs.Instance), Sandboxes: len(r.plan.Sandboxes), Problems: problems}
	for _, sb := range r.plan.Sandboxes {
		for _, p := range sb.Processes {
			if p.Kind == configs.KindCommand {
				continue
			}
			for _, inst := range p.Instances {
				c.Wanted[inst.Name] = inst
			}
		}
	}
	if loaded != nil {
		c.Objects = brokenObjects(loaded, r.plan)
	}
	return c
}

// brokenObjects are the sandboxes and processes that are broken in a plan,
// and whether the merged one has an earlier version of them.
func brokenObjects(loaded, merged *configs.Plan) []api.Object {
	var list []api.Object
	for _, sb := range loaded.Sandboxes {
		now := find(merged, sb.Name)
		if sb.Broken || sb.ProcessesBroken {
			frozen := now != nil && (sb.Broken || len(now.Processes) > 0)
			list = append(list, broken(sb.Name, "", frozen))
			continue
		}
		for _, p := range sb.Processes {
			if p.Broken {
				list = append(list, broken(sb.Name, p.Name, hasProcess(now, p.Name)))
			}
		}
	}
	return list
}

func broken(sandbox, process string, frozen bool) api.Object {
	o := api.Object{Sandbox: sandbox, Process: process, State: api.ObjectRefused}
	if frozen {
		o.State = api.ObjectFrozen
	}
	return o
}

func hasProcess(sb *configs.Sandbox, name string) bool {
	for _, p := range processesOf(sb) {
		if p.Name == name {
			return true
		}
	}
	return false
}
