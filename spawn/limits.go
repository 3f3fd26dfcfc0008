package spawn

import (
	"fmt"
	"os"
	"sync"
	"time"

	"lithos/sysx/cgroup"
)

// groups makes the cgroups of containers. A group outlives its containers. To set
// its limits and read them back takes some thirty system calls, so a group whose
// limits are known to be in force is joined as it is.
type groups struct {
	tree  *cgroup.Tree // nil = off: no limits, and none missing
	known sync.Map     // of known, by the containers' names
}

// known is a group whose limits this process has set and read back.
type known struct {
	limits cgroup.Limits
	stamp  string // of the very group, see [cgroup.Join.Stamp]
	at     time.Time
}

// limitsHold is for how long limits count as in force that were read back. They
// may be changed by hand, or by processors and devices that come and go.
const limitsHold = time.Minute

// membership is how PID 1 enters its cgroup.
type membership struct {
	files    []*os.File      // in the order in which they are written to
	v2       bool            // the first is of version 2
	degraded []string        // a sentence for each limit that is not in force
	renew    func() []string // sets old limits once more, after the fork; nil = no need
}

// join opens the container's group, with its limits. A container without a group
// is degraded, not refused: the operator knows which is worse.
func (s *groups) join(name string, limits *cgroup.Limits) membership {
	if s.tree == nil {
		return membership{}
	}
	g := s.tree.Group(scope(name))
	if k := s.find(name, limits); k != nil {
		j, err := g.Open()
		switch {
		case err == nil && j.Stamp() == k.stamp:
			m := memberOf(j)
			if time.Since(k.at) > limitsHold {
				m.renew = func() []string {
					degraded := setLimits(g, limits)
					s.remember(name, k.stamp, limits, degraded)
					return degraded
				}
			}
			return m
		case err == nil:
			j.Close()
		}
	}
	return s.create(g, name, limits)
}

// create makes the group, if there is none, and sets its limits.
func (s *groups) create(g cgroup.Group, name string, limits *cgroup.Limits) (m membership) {
	if limits.PIDs != 0 {
		s.tree.Need("pids")
	}
	if limits.CPUs != "" {
		s.tree.Need("cpuset")
	}
	var degraded []string
	err := g.Create()
	if err == nil {
		degraded = setLimits(g, limits)
		var j *cgroup.Join
		if j, err = g.Open(); err == nil {
			m = memberOf(j)
			s.remember(name, j.Stamp(), limits, degraded)
		}
	}
	if err != nil {
		degraded = append(degraded, fmt.Sprintf("no limit is enforced: %v", err))
	}
	m.degraded = degraded
	return m
}

func memberOf(j *cgroup.Join) membership { return membership{files: j.Files(), v2: j.V2 != nil} }

// setLimits returns a sentence for each limit that could not be set.
func setLimits(g cgroup.Group, limits *cgroup.Limits) (degraded []string) {
	for _, err := range g.SetLimits(*limits) {
		degraded = append(degraded, err.Error())
	}
	return degraded
}

// find is what is known of the group of a container, nil if it had other limits.
func (s *groups) find(name string, limits *cgroup.Limits) *known {
	found, ok := s.known.Load(name)
	if !ok || !found.(*known).limits.Equal(limits) {
		return nil
	}
	return found.(*known)
}

// remember keeps limits that are all in force.
func (s *groups) remember(name, stamp string, limits *cgroup.Limits, degraded []string) {
	if len(degraded) > 0 || stamp == "" {
		s.known.Delete(name)
		return
	}
	s.known.Store(name, &known{limits: *limits, stamp: stamp, at: time.Now()})
}

// remove removes the group of a dead container.
func (s *groups) remove(name string) error {
	if s.tree == nil {
		return nil
	}
	s.known.Delete(name)
	return s.tree.Group(scope(name)).Remove(removePatience)
}

// usage is the usage of the group; all unknown without cgroups.
func (s *groups) usage(name string) cgroup.Usage {
	if s.tree == nil {
		return cgroup.NoUsage
	}
	return s.tree.Group(scope(name)).Usage()
}
