package configs

import (
	"encoding/json"
	"errors"
	"fmt"
)

// keptVersion is the format of a kept plan. Fields may be added without another
// number: who does not know them passes over them, and who misses them takes
// them for unset.
const keptVersion = 1

type kept struct {
	Version int
	Plan    *Plan
}

// Keep writes a plan for the daemon that comes after this one: it has the last
// good version of each object, also of those that are broken in the files by
// then. Commands are left out. The result has the containers' environment in
// it, as the files have, so it is for root only; secrets are sealed in it.
func (p *Plan) Keep() ([]byte, error) {
	out := &Plan{Master: p.Master}
	for _, sb := range p.Sandboxes {
		copied := *sb
		copied.Processes = nil
		for _, process := range sb.Processes {
			if process.Kind != KindCommand {
				copied.Processes = append(copied.Processes, process)
			}
		}
		out.Sandboxes = append(out.Sandboxes, &copied)
	}
	return json.Marshal(kept{keptVersion, out})
}

// Kept reads what [Plan.Keep] wrote. Its instances are for daemons:
// [Instance.WithName] is not to be used.
func Kept(data []byte) (*Plan, error) {
	var k kept
	if err := json.Unmarshal(data, &k); err != nil {
		return nil, fmt.Errorf("cannot understand the kept plan: %w", err)
	}
	if k.Version != keptVersion {
		return nil, fmt.Errorf("the kept plan has the format %d, this release knows %d", k.Version, keptVersion)
	}
	if err := k.check(); err != nil {
		return nil, fmt.Errorf("cannot use the kept plan: %w", err)
	}
	return k.Plan, nil
}

// check makes sure that nothing is missing that a plan always has.
func (k *kept) check() error {
	if k.Plan == nil || k.Plan.Master == nil {
		return errors.New("it has no master config")
	}
	for _, sb := range k.Plan.Sandboxes {
		if sb == nil || sb.Config == nil {
			return errors.New("a sandbox has no config")
		}
		for _, p := range sb.Processes {
			if p == nil || p.Config == nil {
				return fmt.Errorf("a process of sandbox %q has no config", sb.Name)
			}
			for _, in := range p.Instances {
				if in == nil || in.Container == nil {
					return fmt.Errorf("an instance of %s/%s has no container", sb.Name, p.Name)
				}
			}
		}
	}
	return nil
}
