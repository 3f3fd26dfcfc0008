package knot

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"

	"lithos/spawn/wire"
	"lithos/sysx/inroot"
	"lithos/sysx/mount"
)

// operations are all that a container is made by. The recorder writes them down
// for a PID 1 without a runtime, the executor carries them out.
//
// The first failure is kept: the operations after it do nothing.
type operations interface {
	// call is a system call that concerns PID 1 itself.
	call(trap uintptr, a, b, c uintptr)
	// openLog opens the program's log, whose descriptor stays open.
	openLog(path string)
	// askForAddress asks the others on the bridge whether they have the
	// container's address. claimAddress fails if one has said so, and else tells
	// them that it is here now: the recorder as late as it can, so that nobody
	// waits for the answers. The executor does both at once.
	askForAddress(n *wire.Network)
	claimAddress(n *wire.Network)
	// run carries out a command in the container's network.
	run(command []string)

	// open is openat(2). A path of the host is opened below [host].
	open(dir handle, path string, flags int, mode uint32) handle
	// openIn opens a path that is not trusted (O_PATH): it can't lead out of
	// root. A directory that is missing is made if there is an owner.
	openIn(root handle, path string, owner *inroot.Owner) handle
	// removeAll removes a directory of the host.
	removeAll(path string)
	// makeDir makes a directory below root, with all that are missing above it.
	makeDir(root handle, path string, o inroot.Owner) handle
	mkdir(dir handle, name string, mode uint32)
	chmod(f handle, mode uint32)
	// copyFile appends a file of the host to f, with wholeLines up to the end of
	// a line.
	copyFile(f handle, source string, wholeLines bool)
	write(f handle, text []byte)
	// kind fails with EINVAL unless f is of one of these types (S_IFREG …).
	kind(f handle, types []uint32)

	// The operations on mounts are those of package mount.
	makePrivate()
	newFS(fstype string, attr mount.Attr, options []mount.Option) handle
	clone(f handle, recursive bool) handle
	setAttr(tree handle, set, clear mount.Attr, recursive bool)
	mapIDs(tree handle, userns int)
	move(tree, target handle)
	pivot(root handle)

	// may lets the operation before it fail with one of these errors. All
	// operations up to until are left out then.
	may(errnos []unix.Errno) (mark int)
	until(mark int) // nothing for noMark
	// closeFrom closes the descriptors opened since the call of opened.
	opened() (mark int)
	closeFrom(mark int)

	// failure is the error of the operation that failed. The recorder has none.
	failure() error
	// failed tells whether the operation before it has failed with this error.
	failed(errno unix.Errno) bool
	// amend replaces the error of the operation before it, which has failed.
	amend(err error)
	// refuse is an operation that fails. The recorder leaves it, and with it the
	// container, to the general path.
	refuse(err error)
}

// handle is an open file: its descriptor, or the recorder's register that will
// hold it.
type handle struct {
	n   uint64
	reg uint8
}

// host is where paths of the host begin.
var host = num(unix.AT_FDCWD)

const noMark = -1

// regular is for kind.
var regular = []uint32{unix.S_IFREG}

func num[T ~int | ~uint32 | ~uint64 | ~uintptr](n T) handle { return handle{n: uint64(n)} }

// recipe is the order of the steps by which a container is made.
type recipe struct {
	operations
	spec   *wire.Spec
	userns int // descriptor of the program's user namespace, -1 = none

	// sentence describes the present step, for its error.
	sentence [8]string

	root, state         handle // the image, mounted, and the state dir
	emptyFile, emptyDir handle // mounted over masked files, see makeMasks
	haveHosts           bool   // the hosts file was made in the state dir
}

const dirFlags = unix.O_PATH | unix.O_DIRECTORY

// container makes the whole of it. It leaves the process in the container's
// root: files of the host must be open by then.
func (r *recipe) container() error {
	r.hardenSelf()
	if r.spec.StdioLog != "" {
		r.step("cannot open the file for stdout and stderr ", r.spec.StdioLog)
		r.openLog(r.spec.StdioLog)
	}
	r.joinNetwork()
	r.step("cannot make the container's mounts private")
	r.makePrivate()
	r.makeStateDir()
	// The volumes are taken before the image is mounted, so that a volume
	// with mount-dir in it doesn't contain the container.
	volumes := r.takeVolumes()
	r.mountImage()
	r.mountDev()
	r.mountPseudo()
	r.mountVolumes(volumes)
	r.mountEtc("resolv.conf", r.spec.ResolvConf.Source != "", r.spec.ResolvConf.Mount)
	r.mountEtc("hosts", r.haveHosts, r.spec.Hosts.Mount)
	if hasAddress(r.spec) {
		r.claimAddress(&r.spec.Network)
	}
	r.step("cannot make ", r.spec.MountDir, " the root")
	r.pivot(r.root)
	if r.failed(unix.EINVAL) {
		r.advise("is the host still in its initramfs?")
	}
	return wrap(r.failure(), strings.Join(r.sentence[:], ""))
}

// step begins a step: parts make the text in front of its error.
func (r *recipe) step(parts ...string) {
	if r.failure() == nil {
		clear(r.sentence[copy(r.sentence[:], parts):])
	}
}

// explain puts text in front of the error of the operation that failed.
func (r *recipe) explain(text string) { r.amend(&wrapped{text, r.failure()}) }

// advise adds to the error what to do.
func (r *recipe) advise(text string) { r.amend(errors.New(r.failure().Error() + "; " + text)) }

// hardenSelf keeps PID 1 itself, and its descriptors, from the program.
func (r *recipe) hardenSelf() {
	r.call(unix.SYS_UMASK, programUmask, 0, 0)
	r.step("cannot make PID 1 undumpable")
	r.call(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 0, 0)
	r.step("cannot keep descriptors from the program")
	r.call(unix.SYS_CLOSE_RANGE, wire.FDSpec, uintptr(^uint32(0)), unix.CLOSE_RANGE_CLOEXEC)
}

// joinNetwork is done while the host's files are there: after-setup-command may
// need them.
func (r *recipe) joinNetwork() {
	n := &r.spec.Network
	if !hasAddress(r.spec) {
		return
	}
	r.step("cannot use the address ", addressText(n.Address))
	r.askForAddress(n)
	if len(n.AfterSetup) > 0 {
		r.step("after-setup-command ", n.AfterSetup[0])
		r.run(n.AfterSetup)
	}
}

// devAttr are the flags of devfs-dir's mount.
const devAttr = mount.ReadOnly | mount.NoSuid | mount.NoExec

// imageAttr are those of the image's.
func imageAttr(spec *wire.Spec) mount.Attr {
	if spec.NewPrivileges {
		return mount.ReadOnly | mount.NoDev // privileges are gained by suid files
	}
	return mount.ReadOnly | mount.NoSuid | mount.NoDev
}

// mountImage puts the image on mount-dir.
func (r *recipe) mountImage() {
	r.step("cannot use the image ", r.spec.Image)
	image := r.open(host, r.spec.Image, dirFlags, 0)
	r.step("cannot use mount-dir ", r.spec.MountDir, " (it must be an empty directory)")
	dir := r.open(host, r.spec.MountDir, dirFlags, 0)
	r.makeMasks(dir)
	r.step("cannot mount the image ", r.spec.Image, " on ", r.spec.MountDir)
	r.root = r.clone(image, true)
	r.setAttr(r.root, imageAttr(r.spec), 0, true)
	if r.spec.MapImage && r.userns >= 0 {
		r.step("cannot mount the image ", r.spec.Image, " on ", r.spec.MountDir, " with the owners of the user namespace")
		r.mapIDs(r.root, r.userns)
		if r.failed(unix.EINVAL) {
			r.advise("the kernel or the file system of the image can't: take map-image-owners out of the sandbox config")
		}
		r.step("cannot mount the image ", r.spec.Image, " on ", r.spec.MountDir)
	}
	r.move(r.root, dir)
}

// inImage says that a mount point has to be in the image.
const inImage = "the image must have it"

func (r *recipe) mountDev() {
	defer r.closeFrom(r.opened())
	r.step("cannot mount devfs ", r.spec.DevfsDir, " on ", r.spec.MountDir, "/dev")
	dir := r.open(host, r.spec.DevfsDir, dirFlags, 0)
	if r.failed(unix.ENOENT) {
		r.advise("make it with lithos_mkdev " + r.spec.DevfsDir)
	}
	dev := r.clone(dir, false)
	r.setAttr(dev, devAttr, mount.NoDev, false)
	r.attach(dev, "/dev", inImage)
}

// pseudo are mounted in this order.
var pseudo = []struct {
	fstype, on string
	missing    string // the remedy if its directory is missing
	attr       mount.Attr
	options    []mount.Option
}{
	{"devpts", "/dev/pts", "make devfs-dir with lithos_mkdev",
		mount.NoSuid | mount.NoExec | mount.NoAtime, []mount.Option{
			{Key: "newinstance"}, {Key: "ptmxmode", Value: "0666"},
			{Key: "mode", Value: "0620"}, {Key: "gid", Value: "5"}}},
	{"sysfs", "/sys", inImage,
		mount.ReadOnly | mount.NoSuid | mount.NoExec | mount.NoDev | mount.NoAtime, nil},
	{"proc", "/proc", inImage,
		mount.NoSuid | mount.NoExec | mount.NoDev | mount.NoAtime, nil},
}

// mountPseudo mounts the kernel's file systems.
func (r *recipe) mountPseudo() {
	for _, p := range pseudo {
		mark := r.opened()
		r.step("cannot mount ", p.fstype, " on ", r.spec.MountDir, p.on)
		fs := r.newFS(p.fstype, p.attr, p.options)
		r.attach(fs, p.on, p.missing)
		r.protect(fs, p.fstype)
		r.closeFrom(mark)
	}
}

// attach mounts tree on the path on of the container, which has to be there. The
// path is looked up with the image as the root, wherever its links point.
func (r *recipe) attach(tree handle, on, missing string) {
	defer r.closeFrom(r.opened())
	target := r.openIn(r.root, on, nil)
	switch {
	case r.failed(unix.ENOENT):
		r.explain("no such directory in the container (image " + r.spec.Image + "), " + missing)
	case r.failed(unix.ENOTDIR):
		r.explain("a part of the path is no directory in the container (image " + r.spec.Image + ")")
	}
	r.move(tree, target)
}
