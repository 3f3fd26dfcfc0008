package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
)

// recorded is k with a list of the directories that it makes, or that it made
// in an earlier life which was killed before it could remove them.
func (k kernel) recorded(made *[]string) kernel {
	mkdir := k.mkdir
	k.mkdir = func(dir string) error {
		err := mkdir(dir)
		if err == nil || errors.Is(err, fs.ErrExist) && k.own(dir) && !slices.Contains(*made, dir) {
			*made = append(*made, dir)
		}
		return err
	}
	return k
}

// Close removes the groups that [Open] has made, if nothing is in them: a group
// that somebody else made stays, it may have settings of its own. On version 2
// this process goes back to the root group for that, if it came from there;
// with a delegated group the leaf stays until whoever delegated it cleans up.
func (t *Tree) Close() {
	for _, b := range t.now() {
		if b.v2 && path.Dir(b.dir) == b.mount && slices.Contains(t.made, path.Join(b.dir, Leaf)) {
			_ = t.k.write(path.Join(b.mount, "cgroup.procs"), strconv.Itoa(os.Getpid()))
		}
	}
	for _, dir := range slices.Backward(t.made) {
		_ = t.k.rmdir(dir)
	}
}
