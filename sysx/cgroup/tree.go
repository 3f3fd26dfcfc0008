package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Leaf is the group on version 2 where the process that opened the tree sits.
const Leaf = "supervisor"

// Config says which tree.
type Config struct {
	// Name of the group that the tree is in, "lithos.slice"; may have slashes.
	Name string
	// Controllers as version 1 names them, and "name"; an element may be
	// several joined by commas.
	Controllers []string
	// OnDemand are controllers that are opened by [Tree.Need], so that groups
	// which need none of them are in no more hierarchies than they have to.
	OnDemand []string
	// Stay leaves this process where it is. On version 2 the limits of a
	// delegated group can't be used then, unless it was moved before.
	Stay bool
}

// Tree is where groups are made. Its methods can be used from any goroutine.
type Tree struct {
	k kernel
	o *opening // of controllers on demand

	mu          sync.Mutex // of what follows
	branches    []branch   // replaced as a whole, never changed
	unavailable []Unavailable
	made        []string // directories, in that order
}

// now are the branches as they are now.
func (t *Tree) now() []branch {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.branches
}

// branch is the tree's part in one hierarchy.
type branch struct {
	hierarchy
	dir string // of the group Config.Name
	// limits are the controllers that the groups in dir have; nil in a
	// hierarchy that only gives names.
	limits []string
}

// Unavailable is a controller that was asked for and is not there.
type Unavailable struct {
	Controller string
	Err        error
}

// Open finds the hierarchies, makes the group that the tree is in, and on
// version 2 moves this process to a leaf of it. The error says why none of the
// controllers can be used.
func Open(c Config) (*Tree, error) {
	var text [3]string
	for i, file := range []string{"/proc/self/mountinfo", "/proc/1/cgroup", "/proc/self/cgroup"} {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("cannot find the control groups: %w", err)
		}
		text[i] = string(b)
	}
	return open(realKernel, c, text[0], text[1], text[2])
}

func open(k kernel, c Config, mountinfo, initGroups, ownGroups string) (*Tree, error) {
	if !filepath.IsLocal(c.Name) || path.Clean(c.Name) != c.Name || c.Name == "." {
		return nil, fmt.Errorf("cannot name a control group %q", c.Name)
	}
	t := &Tree{k: k}
	o := &opening{k: k.recorded(&t.made), c: c, all: parseMounts(mountinfo),
		initGroups: parseMembership(initGroups), ownGroups: parseMembership(ownGroups)}
	o.placeV2()
	wanted := make([][]string, len(o.all))
	for _, joined := range c.Controllers {
		for name := range strings.SplitSeq(joined, ",") {
			if i := find(o.all, name, o.offered); i >= 0 {
				wanted[i] = append(wanted[i], name)
				continue
			}
			t.lacks(errors.New("the kernel has no such controller, or it is not mounted"), name)
		}
	}
	for i, h := range o.all {
		if wanted[i] == nil {
			continue
		}
		b, err := o.branch(t, h, wanted[i])
		if err != nil {
			t.lacks(err, wanted[i]...)
			continue
		}
		t.branches = append(t.branches, b)
	}
	if len(t.branches) == 0 {
		return nil, fmt.Errorf("cannot use control groups: %w", t.why())
	}
	t.o = o
	t.reopen()
	return t, nil
}

// reopen opens what an earlier life opened on demand: there may be groups in it
// to be found and removed.
func (t *Tree) reopen() {
	for _, controller := range t.o.c.OnDemand {
		i := find(t.o.all, controller, t.o.offered)
		if i < 0 || t.o.all[i].v2 {
			continue // the groups of version 2 are found anyway
		}
		dir := path.Join(t.o.all[i].path(t.o.initGroups.group(t.o.all[i])), t.o.c.Name)
		if _, err := t.k.list(dir); err == nil {
			t.Need(controller)
		}
	}
}

// Need enables controllers of Config.OnDemand; others are not affected. Groups
// that are made later join their hierarchies too. [Tree.Unavailable] and
// [Group.SetLimits] report controllers that cannot be enabled.
func (t *Tree) Need(controllers ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range controllers {
		if slices.Contains(t.o.c.OnDemand, name) && !t.known(name) {
			t.open(name)
		}
	}
}

// known tells whether a controller was opened, or tried, before.
func (t *Tree) known(controller string) bool {
	return slices.ContainsFunc(t.branches, func(b branch) bool { return slices.Contains(b.limits, controller) }) ||
		slices.ContainsFunc(t.unavailable, func(u Unavailable) bool { return u.Controller == controller })
}

// open opens one controller more, in a branch that there is or in a new one.
func (t *Tree) open(controller string) {
	i := find(t.o.all, controller, t.o.offered)
	if i < 0 {
		t.lacks(errors.New("the kernel has no such controller, or it is not mounted"), controller)
		return
	}
	h := t.o.all[i]
	b, err := t.o.branch(t, h, []string{controller})
	if err != nil {
		t.lacks(err, controller)
		return
	}
	if len(b.limits) == 0 {
		return // and is among the unavailable
	}
	branches := slices.Clone(t.branches)
	at := slices.IndexFunc(branches, func(o branch) bool { return o.mount == h.mount })
	if at < 0 {
		t.branches = append(branches, b)
		return
	}
	branches[at].limits = append(slices.Clip(branches[at].limits), controller)
	t.branches = branches
}

func (t *Tree) lacks(err error, controllers ...string) {
	for _, c := range controllers {
		t.unavailable = append(t.unavailable, Unavailable{c, err})
	}
}

func (t *Tree) why() error {
	if len(t.unavailable) == 0 {
		return errors.New("no controllers were asked for")
	}
	var errs []error
	for _, u := range t.unavailable {
		errs = append(errs, fmt.Errorf("%s: %w", u.Controller, u.Err))
	}
	return errors.Join(errs...)
}

// Unavailable lists the controllers that were asked for and can't be used.
func (t *Tree) Unavailable() []Unavailable {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.unavailable)
}

// Dirs lists the directories of the tree, one a hierarchy.
func (t *Tree) Dirs() []string {
	var dirs []string
	for _, b := range t.now() {
		dirs = append(dirs, b.dir)
	}
	return dirs
}

// Inside tells that the groups are below the one that this process was started
// in. While one of them is there, that one takes no process: systemd (252) can't
// start a successor in it.
func (t *Tree) Inside() bool {
	return t.o.inside && slices.ContainsFunc(t.now(), func(b branch) bool { return b.v2 })
}

// opening is what [open] found out.
type opening struct {
	k                     kernel
	c                     Config
	all                   []hierarchy
	initGroups, ownGroups membership

	// Of version 2, where mounted: the group to build on, what it offers, and
	// whether this process may leave its group.
	parent  string
	offered []string
	move    bool
	// inside tells that the groups come to be below the group that this
	// process was started in.
	inside bool
	leaf   string // where this process was moved, "" = nowhere
}

// placeV2 chooses the group of version 2 that the tree is built on.
func (o *opening) placeV2() {
	at := slices.IndexFunc(o.all, func(h hierarchy) bool { return h.v2 })
	if at < 0 {
		return
	}
	h := o.all[at]
	own := h.path(o.ownGroups.group(h))
	if above, ok := strings.CutSuffix(own, "/"+path.Join(o.c.Name, Leaf)); ok {
		// An earlier life of this process is where it has been put: the leaf
		// is gone over once more, so that it is known who made it.
		o.parent, o.move, o.inside = above, true, above != h.mount
	} else if above, ok := strings.CutSuffix(path.Dir(own), "/"+o.c.Name); ok && o.k.delegated(own) {
		// The slice is where the groups are to be, and hands out the
		// controllers because this one wants them all.
		o.parent = above
	} else if own != h.mount && o.k.delegated(own) {
		o.parent, o.move, o.inside = own, true, true
	} else {
		o.parent, o.move = h.mount, own == h.mount
	}
	o.offered, _ = o.k.words(path.Join(o.parent, "cgroup.controllers"))
}

// branch makes the tree's group in h.
func (o *opening) branch(t *Tree, h hierarchy, controllers []string) (branch, error) {
	b := branch{hierarchy: h}
	if !h.v2 {
		b.dir = h.path(o.initGroups.group(h))
		for part := range strings.SplitSeq(o.c.Name, "/") {
			b.dir = path.Join(b.dir, part)
			if err := o.k.makeGroup(h, b.dir); err != nil {
				return b, err
			}
		}
		b.limits = controllers
		return b, nil
	}
	levels := []string{o.parent}
	for part := range strings.SplitSeq(o.c.Name, "/") {
		levels = append(levels, path.Join(levels[len(levels)-1], part))
	}
	b.dir = levels[len(levels)-1]
	for _, dir := range levels[1:] {
		if err := o.k.ensure(dir); err != nil {
			return b, err
		}
	}
	if err := o.moveToLeaf(path.Join(b.dir, Leaf)); err != nil {
		return b, err
	}
	for _, name := range controllers {
		if name == "name" || name == "cpuacct" {
			continue
		}
		if err := o.enable(levels, v2Name(name)); err != nil {
			t.lacks(err, name)
			continue
		}
		b.limits = append(b.limits, name)
	}
	o.prefer()
	return b, nil
}

func (o *opening) moveToLeaf(leaf string) error {
	if !o.move || o.c.Stay {
		return nil
	}
	if err := o.k.ensure(leaf); err != nil {
		return err
	}
	if err := o.k.write(path.Join(leaf, "cgroup.procs"), strconv.Itoa(os.Getpid())); err != nil {
		return err
	}
	o.leaf = leaf
	if o.inside {
		o.clear()
	}
	return nil
}

// leafWeight is the most that version 2 knows (cpu.weight, where 100 is the
// default). The groups beside the leaf are those of containers: a thousand busy ones
// would leave who has to look after them a thousandth of the processors.
const leafWeight = 10000

// prefer gives this process its share of the processors first. Without the
// controller there is nothing to share out.
func (o *opening) prefer() {
	if o.leaf != "" {
		_ = o.k.write(path.Join(o.leaf, "cpu.weight"), strconv.Itoa(leafWeight))
	}
}

// clear moves what else is in the group that is delegated to us: children of
// this process, which must not keep it from handing out controllers.
func (o *opening) clear() {
	pids, _ := o.k.words(path.Join(o.parent, "cgroup.procs"))
	for _, pid := range pids {
		_ = o.k.write(path.Join(o.leaf, "cgroup.procs"), pid) // it may have ended
	}
}

// clearPatience is how long to wait until a delegated group is empty: a child
// that is just ending can't be moved, and keeps it busy.
const clearPatience = 2 * time.Second

// handDown writes to subtree_control of a group.
func (o *opening) handDown(dir, controller string) error {
	for began := time.Now(); ; time.Sleep(clearPatience / 1000) {
		err := o.k.write(path.Join(dir, "cgroup.subtree_control"), "+"+controller)
		if !errors.Is(err, unix.EBUSY) || o.leaf == "" || !o.inside || dir != o.parent || time.Since(began) > clearPatience {
			return err
		}
		o.clear()
	}
}

// enable hands a controller down from each level to the next.
func (o *opening) enable(levels []string, controller string) error {
	for _, dir := range levels {
		have, err := o.k.words(path.Join(dir, "cgroup.subtree_control"))
		if err != nil {
			return err
		}
		if slices.Contains(have, controller) {
			continue
		}
		if err := o.handDown(dir, controller); err != nil {
			return fmt.Errorf("%w (are there processes in %s itself?)", err, dir)
		}
	}
	return nil
}
