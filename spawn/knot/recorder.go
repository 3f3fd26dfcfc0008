package knot

import (
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"lithos/spawn/wire"
	"lithos/sysx/inroot"
	"lithos/sysx/mount"
	"lithos/sysx/neigh"
)

// recorder writes down a recipe as a list of system calls. Where the executor
// looks before it acts, these act, and an error leads to the general path.
// Descriptors are closed together at the end.
type recorder struct {
	memory
	spec  *wire.Spec
	head  listHead
	steps []listStep
	free  uint8 // the next register
	log   arg
}

func (c *recorder) reset(spec *wire.Spec) {
	head := make([]byte, unsafe.Sizeof(listHead{}))
	*c = recorder{
		memory: memory{data: append(c.data[:0], head...), later: c.later[:0]},
		spec:   spec, steps: c.steps[:0], free: 1,
	}
}

// do adds a step.
func (c *recorder) do(trap int, args ...arg) *listStep {
	s := listStep{trap: uint32(trap)}
	for i, a := range args {
		s.args[i], s.from[i] = a.n, a.reg
	}
	c.steps = append(c.steps, s)
	return c.last()
}

func (c *recorder) last() *listStep { return &c.steps[len(c.steps)-1] }

// get adds a step whose result is used.
func (c *recorder) get(trap int, args ...arg) handle {
	if c.free >= registers {
		c.bad, c.free = true, 1
	}
	c.do(trap, args...).into = c.free
	c.free++
	return handle{reg: c.free - 1}
}

func (c *recorder) may(errnos []unix.Errno) (mark int) {
	for _, e := range errnos {
		c.last().allowed |= 1 << e
	}
	return len(c.steps) - 1
}

func (c *recorder) until(mark int) {
	if mark == noMark {
		return
	}
	skip := len(c.steps) - 1 - mark
	if skip > 255 {
		c.bad = true
	}
	c.steps[mark].skip = uint8(skip)
}

func (c *recorder) opened() (mark int) { return int(c.free) }

// closeFrom gives back the registers.
func (c *recorder) closeFrom(mark int) { c.free = uint8(mark) }

// The recorder sees no operation fail.
func (c *recorder) failure() error         { return nil }
func (c *recorder) failed(unix.Errno) bool { return false }
func (c *recorder) amend(error)            {}

func (c *recorder) refuse(error) { c.bad = true }

func (c *recorder) call(trap uintptr, x, y, z uintptr) { c.do(int(trap), num(x), num(y), num(z)) }

var logKinds = []uint32{unix.S_IFREG, unix.S_IFCHR}

// openLog opens it as the first free descriptor.
func (c *recorder) openLog(path string) {
	how := unix.OpenHow{Flags: openLogFlags, Mode: logMode, Resolve: unix.RESOLVE_NO_MAGICLINKS}
	c.log = c.openat2(host, path, &how)
	c.last().want = uint64(firstFreeFD(c.spec))
	c.kind(c.log, logKinds)
	c.do(unix.SYS_FCNTL, c.log, num(unix.F_SETFL), num(unix.O_APPEND))
}

// asking is the socket that hears others who have the address.
func (c *recorder) asking() arg { return num(firstFreeFD(c.spec) - 1) }

// askForAddress asks once more: the supervisor may have asked before the bridge
// saw that there is a new port.
func (c *recorder) askForAddress(n *wire.Network) {
	c.send(linkOf(n).Question([]byte(n.Address)))
}

// claimAddress waits as long as the supervisor has told the socket.
func (c *recorder) claimAddress(n *wire.Network) {
	c.do(unix.SYS_RECVFROM, c.asking(), c.bytes(make([]byte, 8)), num(1), num(0), num(0), num(0)).want = neverSucceeds
	c.last().allowed = 1 << unix.EAGAIN
	c.send(linkOf(n).Announcement([]byte(n.Address)))
}

func (c *recorder) send(m neigh.Message) {
	to := object(&c.memory, &m.To)
	c.do(unix.SYS_SENDTO, c.asking(), c.bytes(m.Data), num(len(m.Data)), num(0), to, num(unsafe.Sizeof(m.To)))
}

func (c *recorder) run([]string) { c.bad = true }

func (c *recorder) open(dir handle, path string, flags int, mode uint32) handle {
	return c.get(unix.SYS_OPENAT, dir, c.str(path), num(flags|unix.O_CLOEXEC), num(mode))
}

// openIn fails where a directory has to be made.
func (c *recorder) openIn(root handle, path string, _ *inroot.Owner) handle {
	if root == host {
		return c.open(host, path, unix.O_PATH, 0)
	}
	return c.openat2(root, path, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
}

func (c *recorder) openat2(root handle, path string, how *unix.OpenHow) handle {
	return c.get(unix.SYS_OPENAT2, root, c.str(path), object(&c.memory, how), num(unsafe.Sizeof(*how)))
}

// removeAll is done by the supervisor, after the last container's death.
func (c *recorder) removeAll(string) {}

// makeDir makes a new directory: on the host with its parent, else with one
// name only.
func (c *recorder) makeDir(root handle, path string, o inroot.Owner) handle {
	if root == host {
		c.mkdir(host, filepath.Dir(path), parentMode)
		c.last().allowed = 1 << unix.EEXIST
	} else if path = strings.Trim(path, "/"); path == "" || path == "." {
		return root
	} else if strings.Contains(path, "/") || path == ".." {
		c.bad = true
	}
	c.mkdir(root, path, 0o700)
	dir := c.open(root, path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if root != host {
		c.do(unix.SYS_FCHOWN, dir, num(o.UID), num(o.GID))
	}
	c.chmod(dir, o.Mode)
	return dir
}

func (c *recorder) mkdir(dir handle, name string, mode uint32) {
	c.do(unix.SYS_MKDIRAT, dir, c.str(name), num(mode))
}

func (c *recorder) chmod(f handle, mode uint32) { c.do(unix.SYS_FCHMOD, f, num(mode)) }

// copyFile copies the file into the list.
func (c *recorder) copyFile(f handle, source string, wholeLines bool) {
	text, ok := readSmall(source)
	if !ok {
		c.bad = true
	}
	if n := len(text); wholeLines && n > 0 && text[n-1] != '\n' {
		text = append(text, '\n')
	}
	c.write(f, text)
}

// write makes one step of several in a row.
func (c *recorder) write(f handle, text []byte) {
	n := uint64(len(text))
	if s := c.last(); s.trap == unix.SYS_WRITE && s.from[0] == f.reg && s.args[1]+s.args[2] == c.end() {
		c.data = append(c.data, text...)
		s.args[2], s.want = s.args[2]+n, s.want+n
	} else if n > 0 {
		c.do(unix.SYS_WRITE, f, c.bytes(text), num(n)).want = n
	}
}

// maxCopied is how large a file of the host is copied into the list, bytes.
const maxCopied = 64 << 10

// readSmall reads a file of the host that is not larger than that.
func readSmall(path string) (text []byte, ok bool) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, false
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size > maxCopied {
		return nil, false
	}
	text = make([]byte, st.Size+1)
	n, err := unix.Pread(fd, text, 0)
	if err != nil || int64(n) != st.Size {
		return nil, false
	}
	return text[:n], true
}

func (c *recorder) kind(f handle, types []uint32) {
	var set uint64
	for _, t := range types {
		set |= 1 << (t >> 12)
	}
	c.do(trapKind, f, num(set))
}

func (c *recorder) makePrivate() {
	c.mountSetattr(host, "/", unix.AT_RECURSIVE, &unix.MountAttr{Propagation: unix.MS_PRIVATE})
}

func (c *recorder) newFS(fstype string, attr mount.Attr, options []mount.Option) handle {
	fs := c.get(unix.SYS_FSOPEN, c.str(fstype), num(unix.FSOPEN_CLOEXEC))
	c.setOption(fs, mount.Option{Key: "source", Value: fstype})
	for _, o := range options {
		c.setOption(fs, o)
	}
	c.do(unix.SYS_FSCONFIG, fs, num(unix.FSCONFIG_CMD_CREATE), num(0), num(0), num(0))
	return c.get(unix.SYS_FSMOUNT, fs, num(unix.FSMOUNT_CLOEXEC), num(uint64(attr)))
}

func (c *recorder) setOption(fs handle, o mount.Option) {
	if o.Value == "" {
		c.do(unix.SYS_FSCONFIG, fs, num(unix.FSCONFIG_SET_FLAG), c.str(o.Key), num(0), num(0))
	} else {
		c.do(unix.SYS_FSCONFIG, fs, num(unix.FSCONFIG_SET_STRING), c.str(o.Key), c.str(o.Value), num(0))
	}
}

// ofMount are the flags of a call on a mount by its root.
func ofMount(recursive bool) int {
	if recursive {
		return unix.AT_EMPTY_PATH | unix.AT_RECURSIVE
	}
	return unix.AT_EMPTY_PATH
}

func (c *recorder) clone(f handle, recursive bool) handle {
	return c.get(unix.SYS_OPEN_TREE, f, c.str(""), num(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|ofMount(recursive)))
}

func (c *recorder) setAttr(tree handle, set, clear mount.Attr, recursive bool) {
	c.mountSetattr(tree, "", ofMount(recursive), &unix.MountAttr{Attr_set: uint64(set), Attr_clr: uint64(clear)})
}

func (c *recorder) mapIDs(tree handle, userns int) {
	c.mountSetattr(tree, "", ofMount(false), &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(userns)})
}

func (c *recorder) mountSetattr(tree handle, path string, flags int, attr *unix.MountAttr) {
	c.do(unix.SYS_MOUNT_SETATTR, tree, c.str(path), num(flags), object(&c.memory, attr), num(unsafe.Sizeof(*attr)))
}

func (c *recorder) move(tree, target handle) {
	if c.head.attached == 0 {
		c.head.attached = uint64(len(c.steps))
	}
	c.do(unix.SYS_MOVE_MOUNT, tree, c.str(""), target, c.str(""), num(unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH))
}

// pivot also closes what only the recipe needed.
func (c *recorder) pivot(root handle) {
	c.do(unix.SYS_FCHDIR, root)
	c.do(unix.SYS_PIVOT_ROOT, c.str("."), c.str("."))
	c.head.pivoted = uint64(len(c.steps))
	c.do(unix.SYS_UMOUNT2, c.str("."), num(unix.MNT_DETACH))
	c.do(unix.SYS_CHDIR, c.str("/"))
	c.do(unix.SYS_CLOSE_RANGE, num(firstFreeFD(c.spec)+1), num(uint64(^uint32(0))), num(0))
}
