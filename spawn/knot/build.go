package knot

import (
	"errors"

	"golang.org/x/sys/unix"

	"lithos/spawn/wire"
	"lithos/sysx/inroot"
	"lithos/sysx/mount"
)

// builder makes the container's file system. It runs once, in a mount
// namespace of its own, and is all that ever touches the host's paths.
type builder struct {
	spec   *wire.Spec
	spaces spaces
	// root is the image, mounted, and state the new state dir (O_PATH).
	root, state int
	haveHosts   bool // the hosts file was made in the state dir
	// emptyFile and emptyDir are mounted over what is masked, see makeMasks.
	emptyFile, emptyDir int
}

const dirFlags = unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC

// build leaves the process in the container's root. What has to be opened on
// the host must be open by then.
func build(spec *wire.Spec, spaces spaces) error {
	b := &builder{spec: spec, spaces: spaces, root: -1, state: -1, emptyFile: -1, emptyDir: -1}
	if err := mount.MakePrivate(); err != nil {
		return wrap(err, "cannot make the container's mounts private")
	}
	if err := b.makeStateDir(); err != nil {
		return err
	}
	defer unix.Close(b.state)
	// The volumes are taken before the image is mounted, so that a volume
	// with mount-dir in it doesn't contain the container.
	volumes, err := b.takeVolumes()
	if err != nil {
		return err
	}
	if err := b.mountImage(); err != nil {
		return err
	}
	defer unix.Close(b.root)
	defer b.closeMasks()
	if err := b.mountPseudo(); err != nil {
		return err
	}
	if err := b.mountVolumes(volumes); err != nil {
		return err
	}
	if err := b.mountEtc(); err != nil {
		return err
	}
	err = mount.PivotRoot(b.root)
	return wrap(hint(err, unix.EINVAL, "is the host still in its initramfs?"),
		"cannot make "+spec.MountDir+" the root")
}

// openHost opens a directory of the host, whose path is trusted.
func openHost(path string) (int, error) {
	for {
		fd, err := unix.Open(path, dirFlags, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// devAttr are the flags of devfs-dir's mount.
const devAttr = mount.ReadOnly | mount.NoSuid | mount.NoExec

// imageAttr are those of the image's.
func imageAttr(spec *wire.Spec) mount.Attr {
	if spec.NewPrivileges {
		return mount.ReadOnly | mount.NoDev // suid files are what there is to gain them by
	}
	return mount.ReadOnly | mount.NoSuid | mount.NoDev
}

// mountImage puts the image on mount-dir.
func (b *builder) mountImage() error {
	image, err := openHost(b.spec.Image)
	if err != nil {
		return wrap(err, "cannot use the image "+b.spec.Image)
	}
	defer unix.Close(image)
	dir, err := openHost(b.spec.MountDir)
	if err != nil {
		return wrap(err, "cannot use mount-dir "+b.spec.MountDir+" (it must be an empty directory)")
	}
	defer unix.Close(dir)
	if err := b.makeMasks(dir); err != nil {
		return wrap(err, "cannot make what hides files of the kernel")
	}
	what := "cannot mount the image " + b.spec.Image + " on " + b.spec.MountDir
	if b.root, err = mount.Clone(image, true); err != nil {
		return wrap(err, what)
	}
	if err := mount.SetAttr(b.root, imageAttr(b.spec), 0, true); err != nil {
		return wrap(err, what)
	}
	if b.spec.MapImage && b.spaces.user >= 0 {
		if err := mount.MapIDs(b.root, b.spaces.user); err != nil {
			return wrap(hint(err, unix.EINVAL, "the kernel or the file system of the image can't: take map-image-owners out of the sandbox config"),
				what+" with the owners of the user namespace")
		}
	}
	return wrap(mount.Move(b.root, dir), what)
}

// pseudo are mounted in this order.
var pseudo = []struct {
	fstype, on string
	missing    string // what to do where there is no directory for it
	attr       mount.Attr
	options    []mount.Option
}{
	{"devpts", "/dev/pts", "make devfs-dir with lithos_mkdev",
		mount.NoSuid | mount.NoExec | mount.NoAtime, []mount.Option{
			{Key: "newinstance"}, {Key: "ptmxmode", Value: "0666"},
			{Key: "mode", Value: "0620"}, {Key: "gid", Value: "5"}}},
	{"sysfs", "/sys", "the image must have it",
		mount.ReadOnly | mount.NoSuid | mount.NoExec | mount.NoDev | mount.NoAtime, nil},
	{"proc", "/proc", "the image must have it",
		mount.NoSuid | mount.NoExec | mount.NoDev | mount.NoAtime, nil},
}

// mountPseudo mounts dev and the kernel's file systems.
func (b *builder) mountPseudo() error {
	if err := b.mountDev(); err != nil {
		return err
	}
	for _, p := range pseudo {
		fd, err := mount.New(p.fstype, p.attr, p.options...)
		if err != nil {
			return wrap(err, "cannot mount "+p.fstype+" on "+b.spec.MountDir+p.on)
		}
		err = b.attach(fd, p.fstype, p.on, p.missing)
		if err == nil {
			err = b.protect(fd, p.fstype)
		}
		unix.Close(fd)
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) mountDev() error {
	what := "devfs " + b.spec.DevfsDir
	dir, err := openHost(b.spec.DevfsDir)
	if err != nil {
		return wrap(hint(err, unix.ENOENT, "make it with lithos_mkdev "+b.spec.DevfsDir),
			"cannot mount "+what+" on "+b.spec.MountDir+"/dev")
	}
	defer unix.Close(dir)
	fd, err := mount.Clone(dir, false)
	if err == nil {
		defer unix.Close(fd)
		err = mount.SetAttr(fd, devAttr, mount.NoDev, false)
	}
	if err != nil {
		return wrap(err, "cannot mount "+what+" on "+b.spec.MountDir+"/dev")
	}
	return b.attach(fd, what, "/dev", "the image must have it")
}

// attach mounts fd on the path on of the container, which has to be there. The
// path is looked up with the image as the root, wherever its links point.
func (b *builder) attach(fd int, what, on, missing string) error {
	text := "cannot mount " + what + " on " + b.spec.MountDir + on
	target, err := inroot.Open(b.root, on, unix.O_PATH, 0)
	if err != nil {
		switch err {
		case unix.ENOENT:
			err = &wrapped{"no such directory in the container (image " + b.spec.Image + "), " + missing, err}
		case unix.ENOTDIR:
			err = &wrapped{"a part of the path is no directory in the container (image " + b.spec.Image + ")", err}
		}
		return wrap(err, text)
	}
	defer unix.Close(target)
	if err := sameKind(fd, target); err != nil {
		return wrap(err, text)
	}
	return wrap(mount.Move(fd, target), text)
}

// sameKind says in words what move_mount would say by EINVAL.
func sameKind(fd, target int) error {
	var source, dest unix.Stat_t
	if err := unix.Fstat(fd, &source); err != nil {
		return err
	}
	if err := unix.Fstat(target, &dest); err != nil {
		return err
	}
	sourceDir, destDir := source.Mode&unix.S_IFMT == unix.S_IFDIR, dest.Mode&unix.S_IFMT == unix.S_IFDIR
	switch {
	case sourceDir && !destDir:
		return errors.New("what is mounted is a directory, the mount point is none")
	case !sourceDir && destDir:
		return errors.New("what is mounted is no directory, the mount point is one")
	}
	return nil
}
