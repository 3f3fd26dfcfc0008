package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lithos/cmd/lithos_clean/imagedir"
	"lithos/configs"
	"lithos/configs/images"
	"lithos/spawn/records"
	"lithos/sysx/mountinfo"
	"lithos/sysx/proc"
)

// inUse is everything that must not be removed, and why. Paths are without
// symbolic links.
type inUse struct {
	// images protect themselves, what lies in them (image-dir-levels may
	// have been less) and what they lie in.
	images map[string][]string
	// holds protect themselves and their parents.
	holds map[string][]string
	// ids protect the directories that are these, by whatever name.
	ids map[imagedir.ID][]string

	imagePaths, holdPaths []string // sorted, set by sort
	// running are the images among them that containers run from: paths as
	// their records have them.
	running map[string][]string

	look *looker
	dirs []*images.Dir
	// silent is what could not be looked at because its file system does not
	// answer. It may be, or lead to, any image.
	silent []error
}

func add[K comparable](m map[K][]string, key K, why string) {
	if !slices.Contains(m[key], why) {
		m[key] = append(m[key], why)
	}
}

// addImage adds an image by its path.
func (u *inUse) addImage(path, why string) {
	place := u.find(path)
	add(u.images, place.Real, why)
	if place.Ino != 0 {
		add(u.ids, imagedir.ID{Dev: place.Dev, Ino: place.Ino}, why)
	}
}

// find looks at a place. If it can't, for its file system does not answer, that is
// a problem of the image-dir that it lies in.
func (u *inUse) find(path string) images.Place {
	place := u.look.find(path)
	var silent *silentError
	if !errors.As(place.Err, &silent) {
		return place
	}
	for _, d := range u.dirs {
		if images.Below(path, d.Real) || images.Below(path, d.Path) {
			d.Problems = append(d.Problems, images.Problem{Text: place.Err.Error()})
			return place
		}
	}
	u.silent = append(u.silent, place.Err)
	return place
}

// why lists the users of a directory; nil is none.
func (u *inUse) why(path string, id imagedir.ID) []string {
	var why []string
	collect := func(more []string) {
		for _, w := range more {
			if !slices.Contains(why, w) {
				why = append(why, w)
			}
		}
	}
	for at := path; ; at = filepath.Dir(at) {
		collect(u.images[at])
		if at == "/" || at == "." {
			break
		}
	}
	for _, p := range within(u.imagePaths, path) {
		collect(u.images[p])
	}
	for _, p := range within(u.holdPaths, path) {
		collect(u.holds[p])
	}
	if len(why) == 0 {
		collect(u.ids[id]) // by another name
	}
	return why
}

// within gives those of the sorted paths that are dir or lie in it.
func within(paths []string, dir string) []string {
	var list []string
	if _, ok := slices.BinarySearch(paths, dir); ok {
		list = append(list, dir)
	}
	prefix := strings.TrimSuffix(dir, "/") + "/"
	first, _ := slices.BinarySearch(paths, prefix)
	for _, p := range paths[first:] {
		if !strings.HasPrefix(p, prefix) {
			break
		}
		list = append(list, p)
	}
	return list
}

func sortedKeys(m map[string][]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// gather puts together what the survey says and what runs. The error is what
// can't be seen of that: then nothing may be removed.
func gather(m *configs.Master, s *images.Survey, look *looker) (*inUse, error) {
	u := &inUse{
		look: look, dirs: s.Dirs,
		images: map[string][]string{}, holds: map[string][]string{},
		ids: map[imagedir.ID][]string{}, running: map[string][]string{},
	}
	for _, d := range s.Dirs {
		for name, by := range d.Used {
			for _, why := range by {
				u.addImage(filepath.Join(d.Real, name), why)
			}
		}
		if place := look.find(d.Path); place.Ino != 0 { // told if it is silent
			add(u.ids, imagedir.ID{Dev: place.Dev, Ino: place.Ino}, "image-dir of "+d.Sandboxes[0])
		}
	}
	for path, what := range s.Paths {
		add(u.holds, path, what)
		add(u.holds, u.find(path).Real, what)
	}
	err := errors.Join(u.mounts(), u.records(filepath.Join(m.RuntimeDir, "containers")), u.processes(m, s))
	u.imagePaths, u.holdPaths = sortedKeys(u.images), sortedKeys(u.holds)
	return u, err
}

// mounts adds the mount points of this machine: what is mounted in an image is
// no part of it.
func (u *inUse) mounts() error {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("cannot list mounts: %w", err)
	}
	for _, m := range mountinfo.Parse(string(text)) {
		add(u.holds, m.Point, "mount point "+strconv.Quote(m.Point))
	}
	return nil
}

// records adds the images of all containers that have a record: those that
// live, those being made and those that wait for their restart, which may be
// by a config that is gone from the disk. A record goes away with its
// container, or when the next daemon starts.
func (u *inUse) records(dir string) error {
	sandboxes, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot see the records of containers: %w", err)
	}
	var errs []error
	for _, sandbox := range sandboxes {
		if !sandbox.IsDir() {
			continue
		}
		files, err := os.ReadDir(filepath.Join(dir, sandbox.Name()))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("cannot see the records of containers: %w", err))
		}
		for _, file := range files {
			name := filepath.Join(sandbox.Name(), file.Name())
			r, err := records.Read(filepath.Join(dir, name))
			if errors.Is(err, fs.ErrNotExist) || !file.Type().IsRegular() {
				continue
			}
			if err != nil {
				errs = append(errs, err)
				continue
			}
			u.record(name, r)
		}
	}
	return errors.Join(errs...)
}

func (u *inUse) record(name string, r *records.Record) {
	image := r.Created.Image
	if !filepath.IsAbs(image) {
		return
	}
	why := fmt.Sprintf("container %s, which may be started again", name)
	switch {
	case r.Forked == nil:
		why = fmt.Sprintf("container %s, which is being started", name)
	case proc.MayBeSame(r.Forked.PID, r.Forked.StartTime):
		why = fmt.Sprintf("container %s (pid %d)", name, r.Forked.PID)
	}
	u.addImage(image, why)
	add(u.running, image, why)
}

// processes looks at every process of the machine: the directory that it has
// as its root is what the kernel runs a container from. A lithos_knot that has
// not got there yet, or that can't be seen, says it on its command line. That
// finds containers of other daemons, too.
func (u *inUse) processes(m *configs.Master, s *images.Survey) error {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return fmt.Errorf("cannot list processes: %w", err)
	}
	ours, err := imagedir.Identify("/")
	if err != nil {
		return fmt.Errorf("cannot list processes: %w", err)
	}
	var unseen error
	var hang []int
	knots := map[int]bool{} // whose root is known
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		root, err := rootOf(pid)
		k, ok := readKnot(pid)
		switch {
		case errors.Is(err, proc.ErrSilent):
			hang = append(hang, pid)
		case err == nil && root != ours && ok:
			add(u.ids, root, k.String())
			knots[pid] = true
		case err == nil && root != ours:
			add(u.ids, root, fmt.Sprintf("process %d", pid))
		case ok && k.image != "":
			u.addKnot(k, m, s)
		case ok && (errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM)):
			unseen = fmt.Errorf("cannot find the image of a container: %w", err)
		}
	}
	u.hang(hang, knots)
	return unseen
}

// hang is about processes that can't be looked at.
func (u *inUse) hang(pids []int, knots map[int]bool) {
	if len(pids) == 0 {
		return
	}
	own, _ := os.ReadFile("/proc/self/mountinfo") // without it none is harmless by it
	for _, pid := range pids {
		if !harmless(pid, string(own), knots) {
			name, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
			u.silent = append(u.silent, fmt.Errorf("cannot see what process %d (%s) runs from: %w", pid, strings.TrimSpace(string(name)), proc.ErrSilent))
		}
	}
}

// addKnot adds the image that a lithos_knot is about to run: that of its
// sandbox, or, if it belongs to another daemon, of that name wherever it may be.
func (u *inUse) addKnot(k knot, m *configs.Master, s *images.Survey) {
	sandbox := configs.ParseInstanceName(k.name).Sandbox
	own := u.find(k.master).Real == u.find(m.File).Real
	for _, d := range s.Dirs {
		if !own || slices.Contains(d.Sandboxes, sandbox) {
			u.addImage(filepath.Join(d.Real, k.image), k.String())
		}
	}
}

// knot is the PID 1 of a container.
type knot struct {
	pid                 int
	name, master, image string
}

func (k knot) String() string { return fmt.Sprintf("container %s (pid %d)", k.name, k.pid) }

// readKnot reads the command line of a container's PID 1:
// `lithos_knot --name NAME --master FILE --config JSON`.
func readKnot(pid int) (k knot, ok bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return k, false
	}
	args := strings.Split(string(text), "\x00")
	if filepath.Base(args[0]) != "lithos_knot" {
		return k, false
	}
	k.pid = pid
	for i := 1; i+1 < len(args); i++ {
		switch args[i] {
		case "--name":
			k.name = args[i+1]
		case "--master":
			k.master = args[i+1]
		case "--config":
			var config struct{ Image string }
			if json.Unmarshal([]byte(args[i+1]), &config) == nil && plain(config.Image) {
				k.image = config.Image
			}
		}
	}
	return k, true
}

// plain says whether a name can be an image's.
func plain(name string) bool {
	return name != "." && filepath.IsLocal(name) && filepath.Clean(name) == name
}
