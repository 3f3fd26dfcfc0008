package knot

import (
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"lithos/spawn/wire"
	"lithos/sysx/mount"
	"lithos/sysx/neigh"
)

// The steps that make the container: those of builder and knot.prepare, in the
// same order. Where these look before they act, the steps act, and an error
// leads to the general path. Descriptors are closed together at the end.

// build adds them.
func (c *compiler) build(h *quickHead) {
	c.do(unix.SYS_UMASK, num(programUmask))
	c.do(unix.SYS_PRCTL, num(unix.PR_SET_DUMPABLE), num(0))
	c.do(unix.SYS_CLOSE_RANGE, num(wire.FDSpec), num(uint64(^uint32(0))), num(unix.CLOSE_RANGE_CLOEXEC))
	c.openLog()
	c.ask()
	c.do(unix.SYS_MOUNT_SETATTR, atCwd, c.str("/"), num(unix.AT_RECURSIVE), c.attr(0, 0, unix.MS_PRIVATE), num(unsafe.Sizeof(unix.MountAttr{})))
	c.makeStateDir()
	volumes := make([]arg, 0, len(c.spec.Volumes))
	for i := range c.spec.Volumes {
		volumes = append(volumes, c.takeVolume(&c.spec.Volumes[i]))
	}
	c.mountImage(h)
	c.mountPseudo()
	for i, fd := range volumes {
		c.attach(fd, c.spec.Volumes[i].MountPoint)
	}
	c.mountEtc("resolv.conf", c.spec.ResolvConf.Source != "", c.spec.ResolvConf.Mount)
	c.mountEtc("hosts", c.haveHosts, c.spec.Hosts.Mount)
	c.claim()
	c.pivotRoot(h)
}

// asking is the socket that hears others who have the address.
func (c *compiler) asking() arg { return num(firstFreeFD(c.spec) - 1) }

// ask has others asked for the address once more: the supervisor may have asked
// before the bridge saw that there is a new port.
func (c *compiler) ask() {
	if n := &c.spec.Network; hasAddress(c.spec) {
		c.send(linkOf(n).Question([]byte(n.Address)))
	}
}

// claim fails if somebody has said that the address is theirs, for the general
// path to complain, and tells everybody else that it is here now. How long it
// waits the supervisor has told the socket.
func (c *compiler) claim() {
	if n := &c.spec.Network; hasAddress(c.spec) {
		c.do(unix.SYS_RECVFROM, c.asking(), c.bytes(make([]byte, 8)), num(1), num(0), num(0), num(0)).want = quickNever
		c.may(unix.EAGAIN)()
		c.send(linkOf(n).Announcement([]byte(n.Address)))
	}
}

func (c *compiler) send(m neigh.Message) {
	to := c.bytes(unsafe.Slice((*byte)(unsafe.Pointer(&m.To)), unsafe.Sizeof(m.To)))
	c.do(unix.SYS_SENDTO, c.asking(), c.bytes(m.Data), num(len(m.Data)), num(0), to, num(unsafe.Sizeof(m.To)))
}

// openLog opens StdioLog as the first free descriptor.
func (c *compiler) openLog() {
	how := unix.OpenHow{Flags: openLogFlags, Mode: logMode, Resolve: unix.RESOLVE_NO_MAGICLINKS}
	c.log = c.get(unix.SYS_OPENAT2, atCwd, c.str(c.spec.StdioLog), c.how(&how), num(unsafe.Sizeof(how)))
	c.steps[len(c.steps)-1].want = uint64(firstFreeFD(c.spec))
	c.kind(c.log, unix.S_IFREG, unix.S_IFCHR)
	c.do(unix.SYS_FCNTL, c.log, num(unix.F_SETFL), num(unix.O_APPEND))
}

// kind checks the type of a file.
func (c *compiler) kind(fd arg, types ...uint32) {
	var set uint64
	for _, t := range types {
		set |= 1 << (t >> 12)
	}
	c.do(quickKind, fd, num(set))
}

// open opens a path of the host.
func (c *compiler) open(path string, flags int) arg {
	return c.get(unix.SYS_OPENAT, atCwd, c.str(path), num(flags|unix.O_CLOEXEC), num(0))
}

// openIn is inroot.Open with O_PATH.
func (c *compiler) openIn(root arg, path string) arg {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	return c.get(unix.SYS_OPENAT2, root, c.str(path), c.how(&how), num(unsafe.Sizeof(how)))
}

func (c *compiler) how(how *unix.OpenHow) arg {
	return c.bytes(unsafe.Slice((*byte)(unsafe.Pointer(how)), unsafe.Sizeof(*how)))
}

// clone is mount.Clone, and mount.SetAttr where there is something to set.
func (c *compiler) clone(fd arg, recursive bool, set, clear mount.Attr) arg {
	flags := unix.AT_EMPTY_PATH
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	tree := c.get(unix.SYS_OPEN_TREE, fd, c.str(""), num(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|flags))
	if set|clear != 0 {
		c.do(unix.SYS_MOUNT_SETATTR, tree, c.str(""), num(flags), c.attr(set, clear, 0), num(unsafe.Sizeof(unix.MountAttr{})))
	}
	return tree
}

// move is mount.Move.
func (c *compiler) move(fd, target arg) {
	c.do(unix.SYS_MOVE_MOUNT, fd, c.str(""), target, c.str(""), num(unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH))
}

// newFS is mount.New.
func (c *compiler) newFS(fstype string, attr mount.Attr, options ...mount.Option) arg {
	fs := c.get(unix.SYS_FSOPEN, c.str(fstype), num(unix.FSOPEN_CLOEXEC))
	for _, o := range append([]mount.Option{{Key: "source", Value: fstype}}, options...) {
		if o.Value == "" {
			c.do(unix.SYS_FSCONFIG, fs, num(unix.FSCONFIG_SET_FLAG), c.str(o.Key), num(0), num(0))
		} else {
			c.do(unix.SYS_FSCONFIG, fs, num(unix.FSCONFIG_SET_STRING), c.str(o.Key), c.str(o.Value), num(0))
		}
	}
	c.do(unix.SYS_FSCONFIG, fs, num(unix.FSCONFIG_CMD_CREATE), num(0), num(0), num(0))
	return c.get(unix.SYS_FSMOUNT, fs, num(unix.FSMOUNT_CLOEXEC), num(uint64(attr)))
}

// attach mounts fd on a path of the container.
func (c *compiler) attach(fd arg, on string) {
	defer c.scratch()()
	c.move(fd, c.openIn(c.root, on))
}

// makeStateDir makes the state dir, which the supervisor has removed after the
// last container's death.
func (c *compiler) makeStateDir() {
	c.do(unix.SYS_MKDIRAT, atCwd, c.str(filepath.Dir(c.spec.StateDir)), num(parentMode))
	c.may(unix.EEXIST)()
	c.do(unix.SYS_MKDIRAT, atCwd, c.str(c.spec.StateDir), num(0o700))
	c.state = c.open(c.spec.StateDir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	c.do(unix.SYS_FCHMOD, c.state, num(stateMode))
	c.makeFile("resolv.conf", c.resolvConf)
	c.makeFile("hosts", c.hosts)
}

// maxCopied is how large a file of the host is copied into the list, bytes.
const maxCopied = 64 << 10

// readHost reads a file of the host. What can't be read is for the general path
// to complain about.
func (c *compiler) readHost(path string) []byte {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		c.bad = true
		return nil
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size > maxCopied {
		c.bad = true
		return nil
	}
	text := make([]byte, st.Size+1)
	n, err := unix.Pread(fd, text, 0)
	if err != nil || int64(n) != st.Size {
		c.bad = true
		return nil
	}
	return text[:n]
}

// makeFile makes a file in the state dir if there is one to make.
func (c *compiler) makeFile(name string, content func() (text []byte, ok bool)) {
	text, ok := content()
	if !ok {
		return
	}
	defer c.scratch()()
	fd := c.get(unix.SYS_OPENAT, c.state, c.str(name),
		num(unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC), num(fileMode))
	c.do(unix.SYS_FCHMOD, fd, num(fileMode))
	if len(text) > 0 {
		c.do(unix.SYS_WRITE, fd, c.bytes(text), num(len(text))).want = uint64(len(text))
	}
}

func (c *compiler) resolvConf() (text []byte, ok bool) {
	r := &c.spec.ResolvConf
	if r.Source != "" {
		text = c.readHost(r.Source)
	}
	return text, r.Source != "" || r.Mount == wire.MountAlways
}

func (c *compiler) hosts() (text []byte, ok bool) {
	h := &c.spec.Hosts
	if !makesHosts(h) {
		return nil, false
	}
	c.haveHosts = true
	if h.Source != "" {
		text = c.readHost(h.Source)
		if len(text) > 0 && text[len(text)-1] != '\n' {
			text = append(text, '\n')
		}
	}
	return appendHosts(text, h), true
}

// takeVolume makes a volume's mount, still detached. One whose directory has to
// be made first fails.
func (c *compiler) takeVolume(v *wire.Volume) arg {
	attr := volumeAttributes(v)
	if v.Kind == wire.Tmpfs {
		return c.newFS("tmpfs", attr, tmpfsOptions(v)...)
	}
	if v.Kind == wire.Statedir {
		return c.clone(c.stateSubdir(v), true, attr, 0)
	}
	dir := c.open(v.Source, unix.O_PATH)
	if v.SubPath != "" {
		dir = c.openIn(dir, v.SubPath)
	}
	return c.clone(dir, true, attr, 0)
}

// stateSubdir makes a directory of the state dir.
func (c *compiler) stateSubdir(v *wire.Volume) arg {
	name := strings.Trim(v.SubPath, "/")
	if name == "" || name == "." {
		return c.state
	}
	c.do(unix.SYS_MKDIRAT, c.state, c.str(name), num(0o700))
	dir := c.get(unix.SYS_OPENAT, c.state, c.str(name), num(unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC), num(0))
	c.do(unix.SYS_FCHOWN, dir, num(v.User), num(v.Group))
	c.do(unix.SYS_FCHMOD, dir, num(v.Mode))
	return dir
}

// mountImage also makes what hides files of the kernel, see builder.makeMasks.
func (c *compiler) mountImage(h *quickHead) {
	image, dir := c.open(c.spec.Image, dirFlags), c.open(c.spec.MountDir, dirFlags)
	h.attached = uint64(len(c.steps))
	if !c.spec.UnmaskKernelFiles {
		masks := c.newFS("tmpfs", volumeAttr, masksOptions...)
		c.do(unix.SYS_MKDIRAT, masks, c.str("dir"), num(0o555))
		c.get(unix.SYS_OPENAT, masks, c.str("file"), num(unix.O_RDONLY|unix.O_CREAT|unix.O_CLOEXEC), num(0o444))
		c.do(unix.SYS_MOUNT_SETATTR, masks, c.str(""), num(unix.AT_EMPTY_PATH), c.attr(mount.ReadOnly, 0, 0), num(unsafe.Sizeof(unix.MountAttr{})))
		c.move(masks, dir)
		c.emptyFile, c.emptyDir = c.openIn(masks, "file"), c.openIn(masks, "dir")
	}
	c.root = c.clone(image, true, imageAttr(c.spec), 0)
	if c.spec.MapImage && c.spec.UserNS {
		attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(c.spaces().user)}
		c.do(unix.SYS_MOUNT_SETATTR, c.root, c.str(""), num(unix.AT_EMPTY_PATH), c.mountAttr(&attr), num(unsafe.Sizeof(attr)))
	}
	c.move(c.root, dir)
}

func (c *compiler) mountPseudo() {
	back := c.scratch()
	c.attach(c.clone(c.open(c.spec.DevfsDir, dirFlags), false, devAttr, mount.NoDev), "/dev")
	back()
	for _, p := range pseudo {
		back := c.scratch()
		fs := c.newFS(p.fstype, p.attr, p.options...)
		c.attach(fs, p.on)
		c.protect(fs, p.fstype)
		back()
	}
}

// protect is builder.protect.
func (c *compiler) protect(fs arg, fstype string) {
	if fstype == "proc" && !c.spec.WritableProcSys {
		for _, name := range hostWide {
			back := c.scratch()
			target := c.openIn(fs, name)
			until := c.may(unix.ENOENT, unix.ENOTDIR)
			c.move(c.clone(target, false, mount.ReadOnly, 0), target)
			until()
			back()
		}
	}
	if c.spec.UnmaskKernelFiles {
		return
	}
	for _, name := range masked[fstype] {
		back := c.scratch()
		target := c.openIn(fs, name)
		until := c.may(unix.ENOENT, unix.ENOTDIR)
		c.mask(target, c.emptyDir, unix.S_IFDIR)
		c.mask(target, c.emptyFile, unix.S_IFREG, unix.S_IFLNK, unix.S_IFCHR, unix.S_IFBLK, unix.S_IFIFO, unix.S_IFSOCK)
		until()
		back()
	}
}

// mask puts source over what is of these types.
func (c *compiler) mask(target, source arg, types ...uint32) {
	c.kind(target, types...)
	until := c.may(unix.EINVAL)
	c.move(c.clone(source, false, 0, 0), target)
	until()
}

// mountEtc is builder.mountEtcFile.
func (c *compiler) mountEtc(name string, have bool, how wire.Mount) {
	if how == wire.MountNever || how == wire.MountAuto && !have {
		return
	}
	defer c.scratch()()
	var missing []unix.Errno
	if how == wire.MountAuto {
		missing = []unix.Errno{unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.EINVAL}
	}
	etc := c.get(unix.SYS_OPENAT, c.root, c.str("etc"), num(unix.O_PATH|unix.O_NOFOLLOW|unix.O_DIRECTORY|unix.O_CLOEXEC), num(0))
	noDir := c.may(missing...)
	target := c.get(unix.SYS_OPENAT, etc, c.str(name), num(unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC), num(0))
	noFile := c.may(missing...)
	c.kind(target, unix.S_IFREG)
	otherFile := c.may(missing...)
	c.move(c.clone(c.openIn(c.state, name), false, volumeAttr, 0), target)
	noDir()
	noFile()
	otherFile()
}

// pivotRoot is mount.PivotRoot, and closes what only the building needed.
func (c *compiler) pivotRoot(h *quickHead) {
	c.do(unix.SYS_FCHDIR, c.root)
	c.do(unix.SYS_PIVOT_ROOT, c.str("."), c.str("."))
	h.pivoted = uint64(len(c.steps))
	c.do(unix.SYS_UMOUNT2, c.str("."), num(unix.MNT_DETACH))
	c.do(unix.SYS_CHDIR, c.str("/"))
	c.do(unix.SYS_CLOSE_RANGE, num(firstFreeFD(c.spec)+1), num(uint64(^uint32(0))), num(0))
}
