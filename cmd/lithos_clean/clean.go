package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"lithos/cmd/internal/reader"
	"lithos/cmd/lithos_clean/imagedir"
	"lithos/configs"
	"lithos/configs/images"
)

// cleaner is one run.
type cleaner struct {
	o      *options
	report *report
	look   *looker
	// between is called after each step of a removal: tests make there what
	// others may do meanwhile.
	between func(step string)
}

// Steps of a removal, in this order.
const (
	stepFound  = "found"
	stepAside  = "set aside"
	stepDoomed = "doomed"
)

func (c *cleaner) after(step string) {
	if c.between != nil {
		c.between(step)
	}
}

// run carries out the action, and returns the exit code.
func (c *cleaner) run() int {
	switch c.o.action {
	case actionUsed:
		c.showUsed()
	case actionUnused:
		c.showUnused()
	case actionDelete:
		c.delete()
	}
	return c.report.finish()
}

// view is the state at one moment.
type view struct {
	master *configs.Master
	survey *images.Survey
	use    *inUse
	unseen error // why running images are unknown
}

// errConfig: the problems were told already.
var errConfig = errors.New("the master config can't be used")

// survey reads everything again.
func (c *cleaner) survey() (*view, error) {
	plan, problems := reader.Load(configs.Options{MasterFile: c.o.config})
	if plan == nil {
		for _, p := range problems {
			if p.Severity == configs.SeverityError {
				c.report.problem("", images.Problem{Text: p.String(), Config: true})
			}
		}
		c.report.code = exitConfig
		return nil, errConfig
	}
	v := &view{master: plan.Master, survey: images.Look(plan, problems, c.o.rules(), c.look.find)}
	v.use, v.unseen = gather(plan.Master, v.survey, c.look)
	return v, nil
}

// first makes the first view, and reports its problems.
func (c *cleaner) first() *view {
	if c.o.min > 0 && c.o.days == nil {
		c.report.note("--versions-min does nothing without --history-days: all versions up to --versions-max are kept")
	}
	v, err := c.survey()
	if err != nil {
		return nil
	}
	c.tell(v)
	for _, d := range v.survey.Dirs {
		c.report.dir(d, v.clean(d))
	}
	return v
}

func (c *cleaner) tell(v *view) {
	for _, p := range v.survey.Problems {
		c.report.problem("", p)
	}
	for _, d := range v.survey.Dirs {
		for _, p := range d.Problems {
			c.report.problem(d.Path, p)
		}
	}
	for _, err := range v.use.silent {
		c.report.failure(err)
	}
	if v.unseen != nil {
		if !c.o.root {
			c.report.note("only root sees all that runs: %v", v.unseen)
			return
		}
		c.report.failure(v.unseen)
	}
}

// blind is why it can't be told of any directory that nothing uses it.
func (v *view) blind() error {
	if v.unseen == nil && len(v.use.silent) > 0 {
		return v.use.silent[0]
	}
	return v.unseen
}

// clean tells whether the unused images of d are certain, and are to be removed.
func (v *view) clean(d *images.Dir) bool {
	return d.AutoClean && len(d.Problems) == 0 && len(v.survey.Problems) == 0
}

// sameDir finds an image-dir of an earlier view in this one; nil if it is
// gone, or is another one by now, or must not be cleaned any more.
func (v *view) sameDir(d *images.Dir) *images.Dir {
	for _, now := range v.survey.Dirs {
		if now.Real == d.Real && now.Levels == d.Levels && v.clean(now) {
			return now
		}
	}
	return nil
}

// showUsed lists used images, also missing ones.
func (c *cleaner) showUsed() {
	v := c.first()
	if v == nil {
		return
	}
	why, paths := make(map[string][]string), make(map[string]string)
	for _, d := range v.survey.Dirs {
		for name, by := range d.Used {
			path := filepath.Join(d.Path, name)
			paths[c.look.real(path)] = path
			why[path] = append(why[path], by...)
		}
	}
	for path, by := range v.use.running {
		if known, ok := paths[c.look.real(path)]; ok {
			path = known
		}
		why[path] = append(why[path], by...)
	}
	for _, path := range sortedKeys(why) {
		slices.Sort(why[path])
		c.report.list(path, stateUsed, why[path])
	}
}

// prefix begins the names of images that are set aside to be removed. They are
// hidden ones, which are no images to anybody.
const prefix = ".lithos_clean-"

// wanted chooses what to look at: not what is hidden, but what an interrupted
// run set aside.
func wanted(base string, last bool) bool {
	return !strings.HasPrefix(base, ".") || last && strings.HasPrefix(base, prefix)
}

// candidate is a directory that seems to be unused.
type candidate struct {
	dir   *images.Dir
	open  *imagedir.Dir
	entry imagedir.Entry // under its present name
	name  string         // below the image-dir; its own, before it was set aside
	// aside says that it was set aside, left that an earlier run did that.
	aside, left bool
}

// path is how it is told to the user.
func (k *candidate) path() string { return filepath.Join(k.dir.Path, k.name) }

// open opens an image-dir; nil if there is nothing to do in it.
func (c *cleaner) open(v *view, d *images.Dir) *imagedir.Dir {
	if !v.clean(d) {
		return nil
	}
	if d.Missing {
		c.report.note("the image-dir %q does not exist", d.Path)
		return nil
	}
	s, err := inDir(&c.look.dirs, nil, d.Path, func() (*imagedir.Dir, error) { return imagedir.Open(d.Path) })
	if err != nil {
		c.dirFailure(d, err)
		return nil
	}
	return s
}

// dirFailure tells an error of an image-dir, or what has become of all of it.
func (c *cleaner) dirFailure(d *images.Dir, err error) {
	var silent *silentError
	if errors.As(err, &silent) {
		c.report.problem(d.Path, images.Problem{Text: err.Error()})
		return
	}
	c.report.failure(err)
}

// why lists the users of a candidate in d.
func (v *view) why(d *images.Dir, k *candidate) []string {
	if k.left {
		if name, used := v.owner(d, k.entry.Name); used {
			k.name = name
		}
	}
	// Mounts in it, and programs that run from it, have it under its present
	// name.
	why := v.use.why(filepath.Join(d.Real, k.entry.Name), k.entry.ID)
	if len(why) > 0 || k.name == k.entry.Name {
		return why
	}
	// A newer one that has its name by now is the one that is used.
	there, err := inDir(&v.use.look.dirs, k.open, d.Path, func() (bool, error) { return k.open.Exists(k.name) })
	if err == nil && there {
		if k.left {
			k.name = k.entry.Name
		}
		return nil
	}
	return v.use.why(filepath.Join(d.Real, k.name), k.entry.ID)
}

// unused finds the directories of an image-dir that nothing uses and that were
// not changed lately.
func (c *cleaner) unused(v *view, d *images.Dir, s *imagedir.Dir) []*candidate {
	entries, err := inDir(&c.look.dirs, s, d.Path, func() ([]imagedir.Entry, error) { return s.List(d.Levels, wanted) })
	if err != nil {
		c.dirFailure(d, err)
	}
	var list []*candidate
	for _, e := range entries {
		left := strings.HasPrefix(filepath.Base(e.Name), prefix)
		k := &candidate{dir: d, open: s, entry: e, name: e.Name, aside: left, left: left}
		if why := v.why(d, k); len(why) > 0 {
			c.report.keep(k.path(), stateUsed, why)
			continue
		}
		if c.recent(k) {
			c.report.keep(k.path(), stateRecent, []string{"changed within " + c.o.keep.String()})
			continue
		}
		list = append(list, k)
	}
	return list
}

// depth says how far below an image a change is looked for, directories.
const depth = 32

// recent is --keep-recent. A candidate that cannot be inspected may be recent.
func (c *cleaner) recent(k *candidate) bool {
	if c.o.keep == 0 || k.left {
		return false
	}
	changed, err := inDir(&c.look.dirs, k.open, k.dir.Path, func() (bool, error) {
		return k.open.ChangedSince(k.entry, time.Now().Add(-c.o.keep), depth, k.aside)
	})
	if err != nil {
		c.dirFailure(k.dir, err)
		return true
	}
	return changed
}

// showUnused is --unused.
func (c *cleaner) showUnused() {
	v := c.first()
	if v == nil {
		return
	}
	for _, d := range v.survey.Dirs {
		s := c.open(v, d)
		if s == nil {
			continue
		}
		for _, k := range c.unused(v, d, s) {
			c.report.list(k.path(), stateUnused, nil)
		}
		_ = s.Close()
	}
	c.logs(v, func(f images.LogFile) state {
		c.report.line("%q", f.Path)
		return stateUnused
	})
}

// logs does something with each file of a config log that is not needed.
func (c *cleaner) logs(v *view, do func(images.LogFile) state) {
	if !c.o.cleanLogs {
		return
	}
	for _, d := range v.survey.Dirs {
		if !v.clean(d) {
			continue
		}
		for _, f := range d.UnneededLogs {
			c.report.doc.Logs = append(c.report.doc.Logs, item{Path: f.Path, State: do(f)})
		}
	}
}

// removeLog removes a file of a config log, if it is still the same one.
func (c *cleaner) removeLog(f images.LogFile) state {
	now, err := os.Lstat(f.Path)
	if err != nil || !os.SameFile(now, f.Info) {
		return stateUnused // the daemon renamed it meanwhile: next time
	}
	c.report.deleting("log ", f.Path)
	if err := os.Remove(f.Path); err != nil {
		c.report.failure(fmt.Errorf("cannot remove a config log: %w", err))
		return stateFailed
	}
	return stateDeleted
}
