package cgroup

import (
	"path"
	"slices"
	"strings"

	"lithos/sysx/mountinfo"
)

// hierarchy is one mounted cgroup file system.
type hierarchy struct {
	v2          bool
	controllers []string // version 1: also "name=systemd" and the like
	mount       string   // where
	root        string   // which group of the hierarchy is mounted there
}

// parseMounts finds the cgroup file systems in the text of
// /proc/self/mountinfo. Of a hierarchy that is mounted several times it takes
// the first that shows it from its root, or else the first.
func parseMounts(text string) []hierarchy {
	var all []hierarchy
	for _, m := range mountinfo.Parse(text) {
		h, ok := hierarchyOf(m)
		if !ok {
			continue
		}
		at := slices.IndexFunc(all, func(o hierarchy) bool {
			return o.v2 == h.v2 && slices.Equal(o.controllers, h.controllers)
		})
		switch {
		case at < 0:
			all = append(all, h)
		case all[at].root != "/" && h.root == "/":
			all[at] = h
		}
	}
	return all
}

// hierarchyOf is nothing for a mount of another kind.
func hierarchyOf(m mountinfo.Mount) (h hierarchy, ok bool) {
	h.root, h.mount = m.Root, m.Point
	switch m.FSType {
	case "cgroup2":
		h.v2 = true
	case "cgroup":
		for _, option := range m.Options {
			if !notControllers[option] && !strings.HasPrefix(option, "release_agent=") {
				h.controllers = append(h.controllers, option)
			}
		}
		slices.Sort(h.controllers)
	default:
		return h, false
	}
	return h, true
}

// notControllers are other mount options of version 1.
var notControllers = map[string]bool{
	"rw": true, "ro": true, "xattr": true, "noprefix": true, "clone_children": true,
	"cpuset_v2_mode": true, "favordynmods": true, "nofavordynmods": true, "all": true, "none": true,
}

// membership is the text of a /proc/PID/cgroup: which group the process is in,
// by the controllers of the hierarchy, sorted and joined by commas; "" is
// version 2.
type membership map[string]string

func parseMembership(text string) membership {
	m := membership{}
	for line := range strings.Lines(text) {
		// The path may have colons.
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(f) != 3 {
			continue
		}
		names := strings.Split(f[1], ",")
		slices.Sort(names)
		m[strings.Join(names, ",")] = f[2]
	}
	return m
}

// group is the path of the process's group in h, as the process that reads it
// names it; "/" if it is unknown.
func (m membership) group(h hierarchy) string {
	if g, ok := m[strings.Join(h.controllers, ",")]; ok {
		return g
	}
	return "/"
}

// path is where a group is in the file system. One that the mount does not show
// is taken for the mount's root, as it is inside a container.
func (h hierarchy) path(group string) string {
	if h.root != "/" {
		rel, ok := strings.CutPrefix(group+"/", h.root+"/")
		if !ok {
			return h.mount
		}
		group = rel
	}
	if slices.Contains(strings.Split(group, "/"), "..") {
		return h.mount
	}
	return path.Join(h.mount, group)
}

// find is the index of the hierarchy that has a controller, -1 if none has;
// offered are the controllers of version 2.
func find(all []hierarchy, controller string, offered []string) int {
	v1 := controller
	if v1 == "name" {
		v1 = "name=systemd"
	}
	v2 := -1
	for i, h := range all {
		if h.v2 {
			v2 = i
		} else if slices.Contains(h.controllers, v1) {
			return i
		}
	}
	if v2 >= 0 && (controller == "name" || controller == "cpuacct" || slices.Contains(offered, v2Name(controller))) {
		return v2
	}
	return -1
}

func v2Name(controller string) string {
	if controller == "blkio" {
		return "io"
	}
	return controller
}
