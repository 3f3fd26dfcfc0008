package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"lithos/cmd/lithos_import/untar"
	"lithos/sysx/inroot"
	"lithos/sysx/lockfile"
)

// workPrefix begins the names of unfinished images in the image-dir. Hidden
// directories are no images to lithos_clean.
const workPrefix = ".lithos_import-"

// work is the hidden directory in which an image comes to be:
//
//	DIR/.lithos_import-DIGEST/state.json   how far it came
//	DIR/.lithos_import-DIGEST/root         the image
//
// A layer counts as applied when everything of it is on the disk.
type work struct {
	path string
	lock *os.File
	root int // descriptor of root
	// State is kept for the next run.
	State struct {
		Digest  string   `json:"digest"`
		Options string   `json:"options"` // other options that affect the result
		Applied []string `json:"applied"` // diff_ids
		Began   bool     `json:"began"`   // something of the next layer may be there
	}
	totals totals
	config string // text of the container config
}

// totals are the sums over the layers of this run.
type totals struct {
	layers, entries, setID, attributes int
	bytes                              int64
	devices                            []string
}

// openWork makes the directory, or opens the one that an earlier run left of the
// same image. It is locked until the program ends.
// waiting is called once if another program has it; errGone says that it has
// finished the image meanwhile.
func openWork(imageDir, digits, options string, fresh bool, waiting func()) (*work, error) {
	w := &work{path: filepath.Join(imageDir, workPrefix+digits), root: -1}
	if err := os.Mkdir(w.path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	var err error
	w.lock, err = lockfile.LockDir(w.path, waiting)
	if err != nil {
		return nil, err
	}
	if there, err := os.Stat(w.path); err != nil || !sameFile(there, w.lock) {
		w.lock.Close()
		return nil, errGone
	}
	if data, err := os.ReadFile(w.statePath()); err == nil && !fresh {
		_ = json.Unmarshal(data, &w.State)
	}
	if fresh || w.State.Digest != digits || w.State.Options != options || !exists(w.rootPath()) {
		w.State.Digest, w.State.Options = digits, options
		if err := w.begin(); err != nil {
			return nil, err
		}
	}
	return w, w.openRoot()
}

var errGone = errors.New("was finished by another lithos_import")

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func sameFile(there os.FileInfo, f *os.File) bool {
	have, err := f.Stat()
	return err == nil && os.SameFile(there, have)
}

func (w *work) statePath() string { return filepath.Join(w.path, "state.json") }
func (w *work) rootPath() string  { return filepath.Join(w.path, "root") }

// begin empties the directory.
func (w *work) begin() error {
	w.State.Applied, w.State.Began, w.totals = nil, false, totals{}
	if w.root >= 0 {
		unix.Close(w.root)
		w.root = -1
	}
	if err := inroot.RemoveAll(w.rootPath()); err != nil {
		return err
	}
	if err := os.Mkdir(w.rootPath(), 0o755); err != nil {
		return err
	}
	return w.save()
}

func (w *work) openRoot() (err error) {
	if w.root >= 0 {
		return nil
	}
	w.root, err = unix.Open(w.rootPath(), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	return err
}

// save writes the state after everything it speaks of is on the disk.
func (w *work) save() error {
	data, err := json.Marshal(&w.State)
	if err != nil {
		return err
	}
	if err := os.WriteFile(w.statePath()+".new", append(data, '\n'), 0o600); err != nil {
		return err
	}
	if err := unix.Syncfs(int(w.lock.Fd())); err != nil {
		return fmt.Errorf("cannot write to the disk: %w", err)
	}
	return os.Rename(w.statePath()+".new", w.statePath())
}

// errAnew: the leftovers of an interrupted run can't be continued.
var errAnew = errors.New("has to begin anew")

// apply unpacks the layers that are not there yet.
func (w *work) apply(s source, img *image, o untar.Options, show *progress) error {
	for {
		err := w.applyRest(s, img, o, show)
		if !errors.Is(err, errAnew) {
			return err
		}
		if err := w.begin(); err != nil {
			return err
		}
		if err := w.openRoot(); err != nil {
			return err
		}
	}
}

func (w *work) applyRest(s source, img *image, o untar.Options, show *progress) error {
	for i, l := range img.layers {
		if i < len(w.State.Applied) {
			if w.State.Applied[i] != l.diffID {
				return errAnew
			}
			continue
		}
		resumed := w.State.Began
		if !resumed {
			w.State.Began = true
			if err := w.save(); err != nil {
				return err
			}
		}
		done, err := w.layer(s, l, i, o, show)
		if err != nil {
			return fmt.Errorf("layer %d: %w", i+1, err)
		}
		if resumed && done.Once > 0 {
			return errAnew // see package untar
		}
		o.MaxBytes -= done.Bytes
		o.MaxEntries -= done.Entries
		w.totals.add(done)
		w.State.Applied, w.State.Began = append(w.State.Applied, l.diffID), false
		if err := w.save(); err != nil {
			return err
		}
	}
	return nil
}

// layer unpacks and verifies one. A wrong digest makes the whole directory
// unusable. When the layer can't be opened, those below it are kept for a
// complete source.
func (w *work) layer(s source, l layer, i int, o untar.Options, show *progress) (untar.Result, error) {
	if remote, ok := s.(*registrySource); ok {
		there, err := w.fetch(remote, l, o.MaxBytes, show.begin(i, "fetched"))
		if err != nil {
			if len(w.State.Applied) == 0 && !exists(w.downloadPath(l)) {
				err = errors.Join(err, w.remove())
			}
			return untar.Result{}, err
		}
		defer there.close()
		defer os.Remove(there.Name())
		s = there
	}
	r, err := openLayer(s, l, show.begin(i, "unpacked"))
	if err != nil {
		if len(w.State.Applied) == 0 {
			err = errors.Join(err, w.remove())
		}
		return untar.Result{}, err
	}
	defer r.close()
	done, err := untar.Apply(w.root, r, o)
	if err == nil {
		err = r.verify()
	}
	if err != nil {
		return done, errors.Join(err, w.remove())
	}
	return done, nil
}

func (t *totals) add(r untar.Result) {
	t.layers++
	t.entries += r.Entries
	t.bytes += r.Bytes
	t.setID += r.SetID
	t.attributes += r.Attributes
	t.devices = append(t.devices, r.Devices...)
}

// publish gives the image its name. Nothing that has it is replaced.
func (w *work) publish(to string) error {
	if err := unix.Syncfs(int(w.lock.Fd())); err != nil {
		return fmt.Errorf("cannot write to the disk: %w", err)
	}
	if err := unix.Renameat2(unix.AT_FDCWD, w.rootPath(), unix.AT_FDCWD, to, unix.RENAME_NOREPLACE); err != nil {
		return fmt.Errorf("cannot name the image %s: %w", to, err)
	}
	for _, dir := range []string{w.path, filepath.Dir(to)} {
		if err := syncDir(dir); err != nil {
			return err
		}
	}
	return w.remove()
}

// remove removes the directory; the lock lives as long as the program.
func (w *work) remove() error {
	if err := inroot.RemoveAll(w.path); err != nil {
		return fmt.Errorf("cannot remove %s: %w", w.path, err)
	}
	return nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
