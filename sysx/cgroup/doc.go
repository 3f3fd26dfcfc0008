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
// "name" is the hierarchy without controllers that systemd has on version 1; on
// version 2 every group has a name. Version 2 calls blkio io and always has
// cpuacct. A missing controller is not an error: [Tree.Unavailable] lists it, and
// setting a limit of it fails. The first [Tree.Need] opens the controllers of
// Config.OnDemand, because on version 1 each adds a hierarchy to join at every
// start.
//
// On version 2 a group that enables controllers for its children must not have
// processes. So this process moves to a leaf if its group is delegated to it or
// is the root group; otherwise it stays. The other processes of a delegated
// group, its children, move with it.
//
// Scope: groups and limits. Out of scope: what they are named
// after, which limits, when they are removed.
package cgroup
