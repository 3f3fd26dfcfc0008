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
func (r *recipe) takeVolumes() []handle {
	trees := make([]handle, 0, len(r.spec.Volumes))
	for i := range r.spec.Volumes {
		v := &r.spec.Volumes[i]
		r.step("cannot mount ", volumeName(v), " on ", r.spec.MountDir, v.MountPoint)
		trees = append(trees, r.takeVolume(v))
	}
	return trees
}

// mountVolumes puts them in their places. A mount point may lie on a volume
// that was mounted before.
func (r *recipe) mountVolumes(trees []handle) {
	for i, tree := range trees {
		v := &r.spec.Volumes[i]
		if v.MountPoint == "" || v.MountPoint == "/" {
			r.step("cannot mount ", volumeName(v), " on ", r.spec.MountDir, "/")
			r.refuse(errors.New("that is the place of the image"))
		}
		r.step("cannot mount ", volumeName(v), " on ", r.spec.MountDir, v.MountPoint)
		r.attach(tree, v.MountPoint, "mount points are never made: the image, or the volume it lies on, must have it")
	}
}

// volumeName is the name of a volume in an error.
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

func (r *recipe) takeVolume(v *wire.Volume) handle {
	attr := volumeAttributes(v)
	var dir handle
	switch v.Kind {
	case wire.Readonly, wire.Persistent:
		dir = r.volumeDir(v)
	case wire.Statedir:
		dir = r.makeDir(r.state, v.SubPath, inroot.Owner{UID: v.User, GID: v.Group, Mode: v.Mode})
	case wire.Tmpfs:
		if v.Size <= 0 { // the kernel's 0 is "no limit"
			r.refuse(errors.New("the size must be more than nothing"))
		}
		return r.newFS("tmpfs", attr, []mount.Option{
			{Key: "size", Value: strconv.FormatInt(v.Size, 10)},
			{Key: "mode", Value: "0" + strconv.FormatUint(uint64(v.Mode), 8)},
		})
	default:
		r.refuse(errors.New("unknown kind of volume " + strconv.Itoa(int(v.Kind))))
	}
	tree := r.clone(dir, true)
	r.setAttr(tree, attr, 0, true)
	return tree
}

// volumeDir opens a directory of the host that a volume shows, or a single file.
// Containers can write in there, so SubPath must not lead out of it.
func (r *recipe) volumeDir(v *wire.Volume) handle {
	var owner, parent *inroot.Owner // of those to be made
	if v.Kind == wire.Persistent && v.Mkdir {
		owner = &inroot.Owner{UID: v.User, GID: v.Group, Mode: v.Mode}
		if parent = owner; v.SubPath != "" {
			parent = &inroot.Owner{Mode: parentMode}
		}
	}
	dir := r.openIn(host, v.Source, parent)
	if r.failed(unix.ENOENT) {
		paths := "writable-paths"
		if v.Kind == wire.Readonly {
			paths = "readonly-paths or writable-paths"
		}
		r.explain("no such directory on the host, make it or correct the sandbox's " + paths)
	}
	if v.SubPath == "" {
		return dir
	}
	dir = r.openIn(dir, v.SubPath, owner)
	if owner == nil && v.Kind == wire.Persistent && r.failed(unix.ENOENT) {
		r.explain("no such directory, make it or set mkdir")
	}
	return dir
}
