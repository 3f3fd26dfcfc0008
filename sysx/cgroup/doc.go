// Package cgroup makes a tree of control groups for other processes, on cgroup
// version 1, version 2, or both at once, as they are mounted.
//
//	version 1                  version 2                       version 2, a service of systemd
//	<mount>/<group of pid 1>   <mount>, or our own group if    <mount>
//	   │                          │  it is delegated to us        │
//	   └ <Name>                   └ <Name>                        └ <Name> = Slice= of its unit
//	       ├ group                    ├ supervisor (we)               ├ its group (we, Delegate=yes)
//	       └ group                    ├ group                         ├ group
//	                                  └ group                         └ group
//
// Which hierarchies are used follows from the controllers that are asked for:
// each is looked for among the version 1 hierarchies first, then in version 2.
// "name" is the hierarchy without controllers that systemd has on version 1;
// on version 2 every group has a name. blkio is called io on version 2, cpuacct
// is part of it. A controller that isn't there is no error: [Tree.Unavailable]
// lists it, and a limit that would need it gives an error of its own. Those of
// Config.OnDemand are opened by the first [Tree.Need]: on version 1 each is one
// more hierarchy to join at every start.
//
// On version 2 a group that hands out controllers must not have processes: that
// is why this process moves to a leaf, which it does if its own group is
// delegated to it or if it is in the root group. Otherwise it stays where it is.
// The other processes of a delegated group, its children, move with it.
//
// What belongs here: groups and limits. What does not: what they are named
// after, which limits, when they are removed.
package cgroup
