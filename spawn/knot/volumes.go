package knot

import (
	"errors"
	"strconv"

	"golang.org/x/sys/unix"

	"lithos/spawn/wire"
	"lithos/sysx/inroot"
	"lithos/sysx/mount"
)

// volumeAttr are the flags of volumes and of the files over /etc; an executable
// volume is without the last. Which ones are is decided where the Spec is made.
const volumeAttr = mount.NoSuid | mount.NoDev | mount.NoExec

// takeVolumes makes the volumes' mounts, still detached, in their order.
func (b *builder) takeVolumes() ([]int, error) {
	fds := make([]int, 0, len(b.spec.Volumes))
	for i := range b.spec.Volumes {
		v := &b.spec.Volumes[i]
		fd, err := b.takeVolume(v)
		if err != nil {
			return nil, wrap(err, "cannot mount "+volumeName(v)+" on "+b.spec.MountDir+v.MountPoint)
		}
		fds = append(fds, fd)
	}
	return fds, nil
}

// mountVolumes puts them in their places. A mount point may lie on a volume
// that was mounted before.
func (b *builder) mountVolumes(fds []int) error {
	for i, fd := range fds {
		v := &b.spec.Volumes[i]
		if v.MountPoint == "" || v.MountPoint == "/" {
			return errors.New("cannot mount " + volumeName(v) + " on " + b.spec.MountDir +
				"/: that is the place of the image")
		}
		err := b.attach(fd, volumeName(v), v.MountPoint,
			"mount points are never made: the image, or the volume it lies on, must have it")
		unix.Close(fd)
		if err != nil {
			return err
		}
	}
	return nil
}

// volumeName is what a volume is called in an error.
func volumeName(v *wire.Volume) string {
	path := v.Source
	if v.SubPath != "" {
		path += "/" + v.SubPath
	}
	switch v.Kind {
	case wire.Readonly:
		return "the Readonly volume " + path
	case wire.Persistent:
		return "the Persistent volume " + path
	case wire.Statedir:
		return "the Statedir volume /" + v.SubPath
	}
	return "a Tmpfs volume"
}

// volumeAttributes are the flags of a volume's mount.
func volumeAttributes(v *wire.Volume) mount.Attr {
	attr := volumeAttr
	if v.Exec {
		attr &^= mount.NoExec
	}
	if v.Kind == wire.Readonly {
		attr |= mount.ReadOnly
	}
	return attr
}

// tmpfsOptions are those of a Tmpfs volume.
func tmpfsOptions(v *wire.Volume) []mount.Option {
	return []mount.Option{
		{Key: "size", Value: strconv.FormatInt(v.Size, 10)},
		{Key: "mode", Value: "0" + strconv.FormatUint(uint64(v.Mode), 8)},
	}
}

func (b *builder) takeVolume(v *wire.Volume) (int, error) {
	attr := volumeAttributes(v)
	switch v.Kind {
	case wire.Readonly, wire.Persistent, wire.Statedir:
	case wire.Tmpfs:
		if v.Size <= 0 { // the kernel's 0 is "no limit"
			return -1, errors.New("the size must be more than nothing")
		}
		return mount.New("tmpfs", attr, tmpfsOptions(v)...)
	default:
		return -1, errors.New("unknown kind of volume " + strconv.Itoa(int(v.Kind)))
	}
	dir, err := b.volumeDir(v)
	if err != nil {
		return -1, err
	}
	defer unix.Close(dir)
	fd, err := mount.Clone(dir, true)
	if err != nil {
		return -1, err
	}
	if err := mount.SetAttr(fd, attr, 0, true); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// volumeDir opens what a bind mount shows. Containers can write in there, so
// SubPath must not lead out of it.
func (b *builder) volumeDir(v *wire.Volume) (int, error) {
	owner := inroot.Owner{UID: v.User, GID: v.Group, Mode: v.Mode}
	if v.Kind == wire.Statedir {
		fd, _, err := inroot.MkdirAll(b.state, v.SubPath, owner)
		return fd, err
	}
	mkdir := v.Kind == wire.Persistent && v.Mkdir
	source, err := openSource(v, mkdir, owner)
	if err == unix.ENOENT {
		paths := "writable-paths"
		if v.Kind == wire.Readonly {
			paths = "readonly-paths or writable-paths"
		}
		return -1, &wrapped{"no such directory on the host, make it or correct the sandbox's " + paths, err}
	}
	if err != nil {
		return -1, err
	}
	if v.SubPath == "" {
		return source, nil
	}
	defer unix.Close(source)
	// Not O_DIRECTORY: a single file can be a volume, too.
	fd, err := inroot.Open(source, v.SubPath, unix.O_PATH, 0)
	if err != unix.ENOENT {
		return fd, err
	}
	if mkdir {
		fd, _, err = inroot.MkdirAll(source, v.SubPath, owner)
	} else if v.Kind == wire.Persistent {
		err = &wrapped{"no such directory, make it or set mkdir", err}
	}
	return fd, err
}

// openSource opens the host's side of a volume. mkdir makes that too.
func openSource(v *wire.Volume, mkdir bool, owner inroot.Owner) (int, error) {
	fd, err := unix.Open(v.Source, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != unix.ENOENT || !mkdir {
		return fd, err
	}
	if v.SubPath != "" {
		owner = inroot.Owner{Mode: parentMode}
	}
	return mkdirHost(v.Source, owner)
}
