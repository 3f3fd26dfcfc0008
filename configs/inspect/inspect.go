package inspect

import (
	"errors"
	"fmt"
	"path"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lithos/configs"
	"lithos/configs/document"
	"lithos/configs/files"
)

// Plan looks for what the images, and the host's directories for volumes,
// lack at run time. It is an error where the start would fail as things are
// now, and a warning where it may, or where it can't be told. No process is
// Broken by it: what is missing now may be there at the start.
//
// Processes that are Broken or have no instances are left out. Each container
// config is looked at once for each sandbox and image. A file system that does
// not answer in time is an error; whoever waits for it is left behind until it
// does.
func Plan(p *configs.Plan) configs.Problems {
	type key struct{ sandbox, image, config string }
	done := map[key][]document.Problem{}
	foreign := sync.OnceValue(foreignFormats)
	patience := inspectPatience
	var all configs.Problems
	for _, s := range p.Sandboxes {
		for _, process := range s.Processes {
			if len(process.Instances) == 0 {
				continue
			}
			in := process.Instances[0]
			c := in.Container
			k := key{s.Name, c.Image, c.ConfigFile}
			list, ok := done[k]
			if !ok {
				i := &inspection{
					master: p.Master, c: c, in: in, foreign: foreign,
					image: &document.Collector{File: c.Image}, content: in.Collector(),
				}
				list = i.within(patience, s.Config.ImageDir, process.Config.Image)
				if list == nil {
					list = unanswered(c)
					patience = max(patience/2, inspectPatience/8) // there may be many
				}
				done[k] = list
			}
			all = append(all, configs.Owned(list, s.Name, process.Name)...)
		}
	}
	all.Sort()
	return all
}

// inspection is the look at one container config in one image.
type inspection struct {
	master         *configs.Master
	c              *configs.Container
	in             *configs.Instance
	image, content *document.Collector
	foreign        func() bool // see foreignFormats
	view           *view
}

// inspectPatience is what the look at one container config may take, which is
// milliseconds where the file systems answer.
const inspectPatience = 5 * time.Second

// within is what run finds, which is not nil, or nil if it takes too long.
func (i *inspection) within(limit time.Duration, imageDir, name string) []document.Problem {
	found := make(chan []document.Problem, 1)
	go func() {
		i.run(imageDir, name)
		found <- append(append([]document.Problem{}, i.image.List...), i.content.List...)
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case list := <-found:
		return list
	case <-timer.C:
		return nil
	}
}

// unanswered says that a container's directories can't be looked at.
func unanswered(c *configs.Container) []document.Problem {
	list := &document.Collector{File: c.Image}
	list.ErrorAt(document.Place{}, "its file system, or that of one of the volumes, does not answer; is its server gone? A start would wait for it")
	return list.List
}

// run does in order what PID 1 does at a start, but makes nothing.
func (i *inspection) run(imageDir, name string) {
	img, err := files.OpenImage(imageDir, name)
	if err != nil {
		i.image.ErrorAt(document.Place{}, "%s", err) // it was there a moment ago
		return
	}
	i.view = &view{mounts: map[string]*layer{
		"/": {dir: img.FD(), what: "the image " + i.c.Image, readOnly: true},
	}}
	defer i.view.close()
	i.root()
	i.pseudo()
	for n := range i.c.Volumes {
		i.volume(&i.c.Volumes[n])
	}
	i.notify()
	i.etc("/etc/resolv.conf", i.c.ResolvConf.Mount, i.in.Place("resolv-conf"))
	i.etc("/etc/hosts", i.c.HostsFile.Mount, i.in.Place("hosts-file"))
	i.workdir()
	i.program(i.in.Place("executable"), i.c.Executable, "", 0)
	i.output()
	i.traits()
}

// tell reports that a lookup failed: a warning if nobody can tell.
func (i *inspection) tell(c *document.Collector, at document.Place, what string, err error) {
	var unknown *unknownError
	if errors.As(err, &unknown) {
		c.WarnAt(at, "%s: %s", what, err)
		return
	}
	c.ErrorAt(at, "%s: %s", what, err)
}

// root: everybody in the container has to pass the image's own directory.
func (i *inspection) root() {
	f, err := i.view.enter("/")
	if err != nil {
		return
	}
	defer f.close()
	if !i.may(f, 1) {
		i.image.WarnAt(document.Place{}, "%s may not enter it (mode %04o, owner %d:%d): chmod a+x",
			i.user(), f.st.Mode&0o7777, f.st.Uid, f.st.Gid)
	}
}

// pseudo looks for the mount points of every container (requirement K4).
func (i *inspection) pseudo() {
	devfs, err := files.OpenDir(i.master.DevfsDir)
	if err != nil {
		devfs = -1 // which is not about the image
	}
	for _, p := range []struct {
		point, what, remedy string
		dir                 int
	}{
		{"/dev", "the devfs-dir " + i.master.DevfsDir, "make it in the image", devfs},
		{"/dev/pts", "devpts", "make the devfs-dir with lithos_mkdev", -1},
		{"/sys", "sysfs", "make it in the image", -1},
		{"/proc", "proc", "make it in the image", -1},
	} {
		l := &layer{dir: p.dir, what: p.what, readOnly: true, noExec: true}
		f, err := i.view.lookup(p.point)
		var unknown *unknownError
		switch {
		case errors.As(err, &unknown):
		case err != nil:
			i.image.ErrorAt(document.Place{}, "the mount point %s is missing: %s; it must be a directory, %s", p.point, err, p.remedy)
		case !f.is(unix.S_IFDIR):
			i.image.ErrorAt(document.Place{}, "the mount point %s is no directory", p.point)
		}
		if f == nil {
			if p.dir >= 0 {
				unix.Close(p.dir)
			}
			continue
		}
		i.view.mounts[f.path] = l
		f.close()
	}
}

// volume looks for the host's side of a volume and for its mount point.
func (i *inspection) volume(v *configs.Volume) {
	at := i.in.Place("volumes." + v.MountPoint)
	l := &layer{
		dir: -1, what: "the !" + string(v.Kind) + " volume " + v.MountPoint,
		readOnly: v.Kind == configs.VolumeReadonly, empty: v.Kind == configs.VolumeTmpfs, noExec: !v.Exec,
	}
	directory := i.source(at, v, l)
	f, err := i.view.lookup(v.MountPoint)
	if err != nil {
		i.tell(i.content, at, "the mount point must exist, make it first", err)
		if l.dir >= 0 {
			unix.Close(l.dir)
		}
		return
	}
	defer f.close()
	switch {
	case directory && !f.is(unix.S_IFDIR):
		i.content.ErrorAt(at, "the mount point %s is no directory on %s", f.path, f.on.what)
	case !directory && f.is(unix.S_IFDIR):
		i.content.ErrorAt(at, "the mount point %s is a directory on %s, but %s is none", f.path, f.on.what, path.Join(v.Source, v.SubPath))
	}
	if old := i.view.mounts[f.path]; old != nil && old.dir >= 0 {
		unix.Close(old.dir)
	}
	i.view.mounts[f.path] = l
}

// source looks at the host's side of a volume, and tells whether it is, or
// will be, a directory.
func (i *inspection) source(at document.Place, v *configs.Volume, l *layer) bool {
	if v.Kind != configs.VolumeReadonly && v.Kind != configs.VolumePersistent {
		return true
	}
	source, err := openVolume(v)
	host := path.Join(v.Source, v.SubPath)
	switch {
	case err == nil:
		l.dir = source.fd
		return source.is(unix.S_IFDIR)
	case files.Missing(err) && v.Mkdir:
	case files.Missing(err) && v.Kind == configs.VolumePersistent:
		i.content.ErrorAt(at, "there is no directory %s on the host: make it, or set mkdir", host)
	case files.Missing(err):
		i.content.ErrorAt(at, "there is no directory %s on the host", host)
	default:
		i.content.WarnAt(at, "cannot look at %s on the host: %s", host, err)
	}
	return true
}

// openVolume opens what a volume shows of the host. Its source is the
// maintainer's, what is below may be a container's.
func openVolume(v *configs.Volume) (*found, error) {
	fd, err := files.RetryEINTR(func() (int, error) {
		return unix.Open(v.Source, unix.O_PATH|unix.O_CLOEXEC, 0)
	})
	if err == nil && v.SubPath != "" {
		source := fd
		fd, err = files.Openat2(source, v.SubPath, unix.O_PATH, unix.RESOLVE_IN_ROOT|unix.RESOLVE_NO_MAGICLINKS)
		unix.Close(source)
	}
	if err != nil {
		return nil, err
	}
	return newFound(fd, v.Source, nil)
}

// etc: with mount set to true there must be a file to mount on (I3, I4).
func (i *inspection) etc(file string, mount *bool, at document.Place) {
	if mount == nil || !*mount {
		return
	}
	f, err := i.view.lookup(file)
	if err != nil {
		i.tell(i.content, at, "mount needs the file "+file, err)
		return
	}
	defer f.close()
	if f.path != file || !f.is(unix.S_IFREG) {
		i.content.ErrorAt(at, "mount needs %s to be a regular file in a real directory, no symbolic links", file)
	}
}

// notify: there must be a file to mount the socket on.
func (i *inspection) notify() {
	r := i.c.Ready
	if r == nil || r.Kind != configs.CheckNotify {
		return
	}
	f, err := i.view.lookup(r.Path)
	if err != nil {
		i.tell(i.content, i.in.Place("ready.notify"), "the socket needs a file to be mounted on, none is made: make an empty one in the image", err)
		return
	}
	defer f.close()
	if f.is(unix.S_IFDIR) {
		i.content.ErrorAt(i.in.Place("ready.notify"), "%s is a directory on %s: the socket needs a file to be mounted on, an empty one in the image", f.path, f.on.what)
	}
}

func (i *inspection) workdir() {
	f, err := i.view.lookup(i.c.Workdir)
	if err != nil {
		i.tell(i.content, i.in.Place("workdir"), "the workdir is missing", err)
		return
	}
	defer f.close()
	switch {
	case !f.is(unix.S_IFDIR):
		i.content.ErrorAt(i.in.Place("workdir"), "%s is no directory on %s", f.path, f.on.what)
	case f.path != "/" && !i.may(f, 1): // of "/" it was told
		i.content.WarnAt(i.in.Place("workdir"), "%s may not enter it (mode %04o, owner %d:%d)", i.user(), f.st.Mode&0o7777, f.st.Uid, f.st.Gid)
	}
}

// output: stdout-stderr-file is opened for writing by the program's user, and
// made where it is missing.
func (i *inspection) output() {
	file := i.c.StdoutStderrFile
	if file == "" || i.c.Interactive {
		return
	}
	f, err := i.view.lookup(file)
	if err != nil {
		if f, err = i.view.lookup(path.Dir(file)); err != nil {
			i.tell(i.content, i.in.Place("stdout-stderr-file"), "its directory is missing", err)
			return
		}
	}
	defer f.close()
	switch {
	case f.is(unix.S_IFCHR):
	case f.path == path.Clean(file) && !f.is(unix.S_IFREG):
		i.content.ErrorAt(i.in.Place("stdout-stderr-file"), "%s is neither a regular file nor a character device", f.path)
	case f.on.readOnly:
		i.content.ErrorAt(i.in.Place("stdout-stderr-file"), "it would lie on %s, which is read-only: it needs a writable volume", f.on.what)
	case !i.may(f, 2):
		i.content.WarnAt(i.in.Place("stdout-stderr-file"), "%s may not write %s (mode %04o, owner %d:%d)", i.user(), f.path, f.st.Mode&0o7777, f.st.Uid, f.st.Gid)
	}
}

func (i *inspection) user() string { return fmt.Sprintf("user %d", i.c.UserID) }

// may tells whether the program's user has a right by a file's mode: 1 to
// execute or enter, 2 to write. In a user namespace, whose ids are others, and
// of what does not exist yet, nothing is said.
func (i *inspection) may(f *found, right uint32) bool {
	mode := f.st.Mode
	switch {
	case f.fd < 0 || len(i.c.UIDMap) > 0:
		return true
	case i.c.UserID == 0:
		return right != 1 || f.is(unix.S_IFDIR) || mode&0o111 != 0
	case f.st.Uid == i.c.UserID:
		mode >>= 6
	case f.st.Gid == i.c.GroupID:
		mode >>= 3
	}
	return mode&right != 0
}
