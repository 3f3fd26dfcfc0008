package spawn

import (
	"sync"

	"lithos/sysx/cgroup"
)

// Config is what all containers of a host have in common.
type Config struct {
	Knot    string       // absolute path of lithos_knot
	Cgroups *cgroup.Tree // nil = off: no limits, and none missing
	General bool         // no container has a bare PID 1, see spawn/knot
}

// Spawner starts containers and removes their remains.
type Spawner struct {
	c        Config
	groups   groups
	networks networks
	mounts   mounts
	// standbys are by pid, until they are dead or have become containers.
	standbys sync.Map // of *built
}

// NewSpawner makes a Spawner.
func NewSpawner(c Config) *Spawner { return &Spawner{c: c, groups: groups{tree: c.Cgroups}} }

// Usage is what the cgroup of a container uses, without how long it was held
// up; all unknown without cgroups.
func (s *Spawner) Usage(name string) cgroup.Usage { return s.groups.usage(name) }

// UsageAndWaits is Usage with how long it was held up.
func (s *Spawner) UsageAndWaits(name string) cgroup.Usage {
	u := s.Usage(name)
	if s.c.Cgroups != nil {
		s.c.Cgroups.Group(scope(name)).Waits(&u)
	}
	return u
}

// Spent are the counters of a container's cgroup; all unknown without
// cgroups.
func (s *Spawner) Spent(name string) cgroup.Spent {
	if s.c.Cgroups == nil {
		return cgroup.NothingSpent
	}
	return s.c.Cgroups.Group(scope(name)).Spent()
}
