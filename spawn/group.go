package spawn

import (
	"fmt"
	"slices"
	"time"

	"lithos/sysx/cgroup"
)

// group is a cgroup whose limits were set and read back by this Spawner.
type group struct {
	limits Limits
	stamp  string // of the very group, see [cgroup.Join.Stamp]
	at     time.Time
}

// limitsHold is for how long limits count as in force that were read back. Then
// they are set again at the next start, for they may have been changed: by
// somebody's hand, or by processors and devices that went and came back.
const limitsHold = time.Minute

// joinCgroup opens the container's group, with its limits. A container without
// it is degraded, not refused: it is the operator who knows which is worse.
//
// The group outlives its containers. To set some limits and read them back is
// some thirty system calls, so a group that has them already is taken as it
// is; where it was a while ago that they were set, it is done once more as soon
// as the program has been started, not before.
func (l *launch) joinCgroup(s *Spawner) {
	tree := s.c.Cgroups
	if tree == nil {
		return
	}
	g, name := tree.Group(scope(l.spec.Name)), l.spec.Name
	if known := s.known(name, &l.r.Limits); known != nil {
		if j, err := g.Open(); err == nil && j.Stamp() == known.stamp {
			l.joins(j)
			if time.Since(known.at) > limitsHold {
				l.renew = func() { s.remember(name, known.stamp, &l.r.Limits, l.setLimits(g)) }
			}
			return
		} else if err == nil {
			j.Close()
		}
	}
	l.makeCgroup(s, tree, g)
}

// makeCgroup makes the group, if there is none, and sets its limits.
func (l *launch) makeCgroup(s *Spawner, tree *cgroup.Tree, g cgroup.Group) {
	if l.r.Limits.PIDs != 0 {
		tree.Need("pids")
	}
	if l.r.Limits.CPUs != "" {
		tree.Need("cpuset")
	}
	err := g.Create()
	if err == nil {
		set := l.setLimits(g)
		var j *cgroup.Join
		if j, err = g.Open(); err == nil {
			l.joins(j)
			s.remember(l.spec.Name, j.Stamp(), &l.r.Limits, set)
		}
	}
	if err != nil {
		l.degraded = append(l.degraded, fmt.Sprintf("no limit is enforced: %v", err))
	}
}

func (l *launch) joins(j *cgroup.Join) {
	l.join = j.Files()
	l.opened = append(l.opened, l.join...)
	l.spec.CgroupV2, l.spec.CgroupFDs = j.V2 != nil, len(l.join)
}

// setLimits tells whether all are in force.
func (l *launch) setLimits(g cgroup.Group) bool {
	limits := &l.r.Limits
	errs := g.SetLimits(cgroup.Limits{
		Memory: limits.Memory, CPUShares: limits.CPUShares, CPUQuota: limits.CPUQuota,
		CPUs: limits.CPUs, PIDs: limits.PIDs, IO: limits.Devices,
	})
	for _, e := range errs {
		l.degraded = append(l.degraded, e.Error())
	}
	return len(errs) == 0
}

// known is what is known of the group of a container, if it is this.
func (s *Spawner) known(name string, limits *Limits) *group {
	found, ok := s.groups.Load(name)
	if !ok {
		return nil
	}
	if known := found.(*group); known.limits.equal(limits) {
		return known
	}
	return nil
}

// remember keeps what is in force, and forgets what is not.
func (s *Spawner) remember(name, stamp string, limits *Limits, inForce bool) {
	if !inForce || stamp == "" {
		s.groups.Delete(name)
		return
	}
	s.groups.Store(name, &group{limits: *limits, stamp: stamp, at: time.Now()})
}

func (l *Limits) equal(o *Limits) bool {
	return l.Memory == o.Memory && l.CPUShares == o.CPUShares && l.CPUQuota == o.CPUQuota && l.CPUs == o.CPUs &&
		l.PIDs == o.PIDs && slices.Equal(l.Devices, o.Devices)
}
