package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"lithos/cmd/lithos_clean/imagedir"
	"lithos/configs/images"
	"lithos/sysx/lockfile"
)

// An unused image is removed in these steps. A container that starts meanwhile
// finds it either whole or not at all:
//
//	lock the image-dir against another lithos_clean
//	   │  restore used images that an interrupted run set aside
//	   │  find unused images that are not recent (may take long)
//	lock the processes-dir: no lithos_switch is between its check and its change
//	   │  read everything again
//	set aside: rename to a hidden name beside it; nobody finds it from here on
//	   │  read everything again: configs that were changed before the rename,
//	   │  containers that were started before it, uploads
//	give those of them that are used now their names back
//	unlock the processes-dir
//	remove the others (may take long)
//
// A later upload or config finds no image of that name and reports it. After an
// interruption the image stays hidden, and the next run continues.

// delete is --delete-unused.
func (c *cleaner) delete() {
	if !c.o.root && !c.o.dryRun {
		c.report.failure(errors.New("--delete-unused must be run as root: only root can find the images of containers"))
		return
	}
	v := c.first()
	if v == nil {
		return
	}
	if v.blind() != nil && !c.o.dryRun {
		return // was told
	}
	var list []*candidate
	for _, d := range v.survey.Dirs {
		s := c.open(v, d)
		if s == nil {
			continue
		}
		defer s.Close()
		if !c.o.dryRun {
			if _, err := inDir(&c.look.dirs, s, d.Path, func() (struct{}, error) { return struct{}{}, s.Lock() }); err != nil {
				c.report.problem(d.Path, images.Problem{Text: lockText(err)})
				continue
			}
			c.recover(v, d, s)
		}
		list = append(list, c.unused(v, d, s)...)
	}
	if c.o.dryRun {
		c.dryRun(v, list)
		return
	}
	c.after(stepFound)
	doomed := c.doom(v, list)
	c.after(stepDoomed)
	c.remove(doomed)
	if v, err := c.survey(); err == nil && v.blind() == nil {
		c.logs(v, c.removeLog)
	}
}

func lockText(err error) string {
	if errors.Is(err, imagedir.ErrLocked) {
		return "another lithos_clean is at work there"
	}
	return fmt.Sprintf("cannot lock it: %v", err)
}

func (c *cleaner) dryRun(v *view, list []*candidate) {
	for _, k := range list {
		c.report.doc.Images = append(c.report.doc.Images, item{Path: k.path(), State: stateWould})
		c.report.would("", k.path())
	}
	c.logs(v, func(f images.LogFile) state {
		c.report.would("log ", f.Path)
		return stateWould
	})
}

// hidden is the name under which an image is set aside. It follows from the
// image's name, also from one that is too long to be extended.
func hidden(base string) string {
	const most = 255 // bytes of a file name
	if len(prefix)+len(base) <= most {
		return prefix + base
	}
	sum := sha256.Sum256([]byte(base))
	return prefix + hex.EncodeToString(sum[:])
}

// owner finds the image that is in use and was set aside under this name.
func (v *view) owner(d *images.Dir, name string) (string, bool) {
	parent := filepath.Join(d.Real, filepath.Dir(name))
	for _, path := range within(v.use.imagePaths, parent) {
		if filepath.Dir(path) == parent && hidden(filepath.Base(path)) == filepath.Base(name) {
			return filepath.Join(filepath.Dir(name), filepath.Base(path)), true
		}
	}
	return "", false
}

// recover gives images that an interrupted run set aside, and that turn out to
// be used, their names back.
func (c *cleaner) recover(v *view, d *images.Dir, s *imagedir.Dir) {
	entries, _ := inDir(&c.look.dirs, s, d.Path, func() ([]imagedir.Entry, error) { return s.List(d.Levels, wanted) }) // errors come again with the next list
	for _, e := range entries {
		if !strings.HasPrefix(filepath.Base(e.Name), prefix) {
			continue
		}
		k := &candidate{dir: d, open: s, entry: e, name: e.Name, aside: true, left: true}
		if why := v.why(d, k); len(why) > 0 && k.name != e.Name {
			c.restore(k, why)
		}
	}
}

// doom sets the candidates aside and gives those that nobody began to use.
func (c *cleaner) doom(v *view, list []*candidate) []*candidate {
	if len(list) == 0 {
		return nil
	}
	lock, err := lockfile.LockDir(v.master.ProcessesDir, func() {
		c.report.note("a lithos_switch is at work, waiting for it")
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.report.failure(fmt.Errorf("cannot lock the processes-dir: %w; nothing was removed", err))
		return nil
	}
	if lock != nil {
		defer lock.Close()
	}
	aside := c.setAside(list)
	c.after(stepAside)
	return c.recheck(aside)
}

// setAside renames the candidates that are still unused.
func (c *cleaner) setAside(list []*candidate) []*candidate {
	v, err := c.survey()
	if err != nil {
		return nil
	}
	c.tell(v)
	var aside []*candidate
	for _, k := range list {
		if why := c.used(v, k); len(why) > 0 {
			c.report.keep(k.path(), stateUsed, why)
			continue
		}
		if !k.aside {
			entry, err := c.rename(k, hidden(filepath.Base(k.name)))
			if err != nil {
				c.failed(k, fmt.Errorf("cannot set the image aside: %w", err))
				continue
			}
			k.entry, k.aside = entry, true
		}
		aside = append(aside, k)
	}
	return aside
}

// used says why a candidate must not be removed, as things are in v.
func (c *cleaner) used(v *view, k *candidate) []string {
	if err := v.blind(); err != nil {
		return []string{err.Error()}
	}
	now := v.sameDir(k.dir)
	if now == nil {
		return []string{"the used images are uncertain by now in " + k.dir.Path}
	}
	return v.why(now, k)
}

// recheck returns the images that are set aside and still unused.
func (c *cleaner) recheck(aside []*candidate) []*candidate {
	if len(aside) == 0 {
		return nil
	}
	v, err := c.survey()
	if err == nil {
		c.tell(v)
	}
	var doomed []*candidate
	for _, k := range aside {
		why := []string{"the configs can't be read any more"}
		if err == nil {
			why = c.used(v, k)
		}
		if len(why) == 0 && c.recent(k) {
			why = []string{"it is being changed"}
		}
		if len(why) > 0 {
			c.restore(k, why)
			continue
		}
		doomed = append(doomed, k)
	}
	return doomed
}

func (c *cleaner) rename(k *candidate, to string) (imagedir.Entry, error) {
	e, err := inDir(&c.look.dirs, k.open, k.dir.Path, func() (imagedir.Entry, error) { return k.open.Rename(k.entry, to) })
	if err != nil {
		return k.entry, err
	}
	return e, nil
}

// remove removes images that are set aside.
func (c *cleaner) remove(doomed []*candidate) {
	for _, k := range doomed {
		c.report.deleting("", k.path())
		_, err := inDir(&c.look.removals, k.open, k.dir.Path, func() (struct{}, error) { return struct{}{}, k.open.Remove(k.entry) })
		if err != nil {
			c.failed(k, fmt.Errorf("cannot remove the image %q, the rest of it is in %q: %w",
				k.path(), filepath.Join(k.dir.Path, k.entry.Name), err))
			continue
		}
		c.report.doc.Images = append(c.report.doc.Images, item{Path: k.path(), State: stateDeleted})
	}
}

// restore gives a candidate its name back.
func (c *cleaner) restore(k *candidate, why []string) {
	base := filepath.Base(k.name)
	if base == filepath.Base(k.entry.Name) {
		// Set aside by an earlier run, and its name is not known.
		c.report.keep(k.path(), stateUsed, why)
		return
	}
	if _, err := c.rename(k, base); err != nil {
		c.failed(k, fmt.Errorf("the image %q is used (%s), but cannot be renamed back from %q: %w",
			k.path(), strings.Join(why, ", "), filepath.Join(k.dir.Path, k.entry.Name), err))
		return
	}
	c.report.keep(k.path(), stateRestored, why)
}

func (c *cleaner) failed(k *candidate, err error) {
	c.report.doc.Images = append(c.report.doc.Images, item{Path: k.path(), State: stateFailed})
	c.report.failure(err)
}
