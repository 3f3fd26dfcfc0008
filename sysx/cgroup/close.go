package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
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
	moved := ""
	for _, b := range t.now() {
		if b.v2 && path.Dir(b.dir) == b.mount && slices.Contains(t.made, path.Join(b.dir, Leaf)) {
			_ = t.k.write(path.Join(b.mount, "cgroup.procs"), strconv.Itoa(os.Getpid()))
			moved = path.Join(b.dir, Leaf)
		}
	}
	for _, dir := range slices.Backward(t.made) {
		err := t.k.rmdir(dir)
		// A thread of this process that was just ending did not move, and is in
		// the leaf for another moment.
		for n := 0; errors.Is(err, unix.EBUSY) && dir == moved && n < leafTries; n++ {
			time.Sleep(leafPause)
			err = t.k.rmdir(dir)
		}
	}
}

// How long Close waits for the leaf to be empty: a second.
const (
	leafTries = 200
	leafPause = 5 * time.Millisecond
)
