package knot

import (
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"lithos/spawn/wire"
	"lithos/sysx/forkexec"
	"lithos/sysx/mount"
)

// maxList is how large a list may be, bytes: with arguments and variables that
// take more, the start of a runtime is not what takes the time.
const maxList = 1 << 20

// Compile writes down the system calls by which PID 1 makes the container of a
// Spec, for the quick path; nil if it is one for the general path. It is the
// supervisor that calls it, with the credentials that PID 1 will have.
func Compile(spec *wire.Spec) *List {
	if !quickable(spec) {
		return nil
	}
	c := compilers.Get().(*compiler)
	head := make([]byte, unsafe.Sizeof(quickHead{}))
	*c = compiler{spec: spec, free: 1, data: append(c.data[:0], head...), steps: c.steps[:0], later: c.later[:0]}
	l := &List{c}
	if !c.compile() {
		l.Free()
		return nil
	}
	return l
}

// List is what [Compile] has written. No list is nil.
type List struct{ c *compiler }

// Bytes are its memory, until it is freed.
func (l *List) Bytes() []byte {
	if l == nil {
		return nil
	}
	return l.c.data
}

// Free wipes the list, in which there may be secrets, and keeps its memory for
// the next.
func (l *List) Free() {
	if l == nil {
		return
	}
	clear(l.c.data)
	clear(l.c.later)
	l.c.spec = nil
	if cap(l.c.data) <= maxKept {
		compilers.Put(l.c)
	}
}

// compilers are used again and again: at 60 kB for each start it was they that
// had the garbage collector run, once for every other start.
var compilers = sync.Pool{New: func() any { return new(compiler) }}

// maxKept is how large a list may be whose memory is kept, bytes.
const maxKept = 64 << 10

// quickable is the choice between the two paths. What has to be made anew at
// each start of a program, or looked at first, or is rare, is general.
func quickable(spec *wire.Spec) bool {
	return runtime.GOARCH == "amd64" &&
		!spec.Interactive && !spec.Terminal && (!spec.RestartProcessOnly || spec.Command) &&
		spec.StdioLog != "" && spec.StdoutStderrFile == "" &&
		(!spec.UserNS && !spec.NetNS || spacesAt(spec) >= aboveTargets(spec)) && len(spec.Network.AfterSetup) == 0 &&
		slices.IndexFunc(spec.Volumes, func(v wire.Volume) bool { return !quickVolume(&v) }) < 0
}

func quickVolume(v *wire.Volume) bool {
	if v.MountPoint == "" || v.MountPoint == "/" {
		return false
	}
	switch v.Kind {
	case wire.Readonly, wire.Persistent:
		return true
	case wire.Statedir:
		name := strings.Trim(v.SubPath, "/")
		return !strings.Contains(name, "/") && name != ".."
	case wire.Tmpfs:
		return v.Size > 0
	}
	return false
}

// compiler lays out the memory of the list.
type compiler struct {
	spec  *wire.Spec
	data  []byte // the memory from quickBase on
	steps []quickStep
	free  uint8 // the next register
	bad   bool  // it can't be done
	later []laterText

	log, root, state    arg
	emptyFile, emptyDir arg
	haveHosts           bool
}

// arg is an argument of a step: a number, or what is in a register.
type arg struct {
	n   uint64
	reg uint8
}

func num[T ~int | ~uint32 | ~uint64 | ~uintptr](n T) arg { return arg{n: uint64(n)} }

var atCwd = num(unix.AT_FDCWD)

// bytes puts b into the memory and gives its address.
func (c *compiler) bytes(b []byte) arg {
	at := c.align()
	c.data = append(c.data, b...)
	return arg{n: at}
}

// align gives the address of what is put into the memory next.
func (c *compiler) align() uint64 {
	for len(c.data)%8 != 0 {
		c.data = append(c.data, 0)
	}
	return quickBase + uint64(len(c.data))
}

func (c *compiler) str(s string) arg {
	if strings.IndexByte(s, 0) >= 0 {
		c.bad = true
	}
	at := c.align()
	c.data = append(append(c.data, s...), 0)
	return arg{n: at}
}

// laterText is a string whose place is kept in the memory.
type laterText struct {
	at   int
	text string
}

// strLater is str for what may be a secret: it is put in when the memory grows
// no more, so that no copy of it is left behind.
func (c *compiler) strLater(s string) arg {
	if strings.IndexByte(s, 0) >= 0 {
		c.bad = true
	}
	at := len(c.data)
	c.data = append(c.data, make([]byte, len(s)+1)...)
	c.later = append(c.later, laterText{at, s})
	return arg{n: quickBase + uint64(at)}
}

func (c *compiler) text(s string) quickText { return quickText{c.bytes([]byte(s)).n, uint64(len(s))} }

// do adds a step.
func (c *compiler) do(trap int, args ...arg) *quickStep {
	s := quickStep{trap: uint32(trap)}
	for i, a := range args {
		s.args[i], s.from[i] = a.n, a.reg
	}
	c.steps = append(c.steps, s)
	return &c.steps[len(c.steps)-1]
}

// get adds a step whose result is used.
func (c *compiler) get(trap int, args ...arg) arg {
	if c.free >= quickRegs {
		c.bad, c.free = true, 1
	}
	c.do(trap, args...).into = c.free
	c.free++
	return arg{reg: c.free - 1}
}

// may lets the last step fail, and then leaves out what is added until the
// function that it returns is called.
func (c *compiler) may(errnos ...unix.Errno) (until func()) {
	at := len(c.steps) - 1
	for _, e := range errnos {
		c.steps[at].allowed |= 1 << e
	}
	return func() {
		skip := len(c.steps) - 1 - at
		if skip > 255 {
			c.bad = true
		}
		c.steps[at].skip = uint8(skip)
	}
}

// scratch gives back the registers that were taken since.
func (c *compiler) scratch() (back func()) {
	free := c.free
	return func() { c.free = free }
}

// compile tells whether it could be done.
func (c *compiler) compile() bool {
	h := quickHead{
		magic: quickMagic, log: uint64(firstFreeFD(c.spec)), sockets: uint64(len(c.spec.Sockets)),
		killTimeout: int64(c.spec.KillTimeout),
	}
	if c.spec.Standby {
		h.standby = uint64(standbyFD(c.spec))
	}
	for _, code := range c.spec.NormalExitCodes {
		if code >= 0 && code < 256 {
			h.normal[code/64] |= 1 << (code % 64)
		}
	}
	if spec := c.spec; spec.Command && len(spec.NormalExitCodes) == 0 {
		h.normal[0] = 1
	}
	h.process = c.text(string(appendProcess(nil, c.spec)))
	h.killing = c.text("did not respond to SIGTERM in " + c.spec.KillTimeout.String())
	if len(c.data) > quickPage || len(c.data) > quickBuf/2 {
		return false // they would not fit the memory that is kept
	}
	h.starting = c.text(startingText(c.spec))

	c.build(&h)
	h.build, h.buildLen = c.flush()
	if !c.program(&h) {
		return false
	}
	h.start, h.startLen = c.flush()
	if c.bad || len(c.data) > maxList {
		return false
	}
	for len(c.data)%quickPage != 0 || len(c.data) < 2*quickPage {
		c.data = append(c.data, 0)
	}
	h.size = uint64(len(c.data))
	copy(c.data, unsafe.Slice((*byte)(unsafe.Pointer(&h)), unsafe.Sizeof(h)))
	for _, l := range c.later {
		copy(c.data[l.at:], l.text)
	}
	return true
}

// flush puts the steps into the memory.
func (c *compiler) flush() (at, n uint64) {
	steps := c.steps
	c.steps = steps[:0]
	size := uintptr(len(steps)) * unsafe.Sizeof(quickStep{})
	return c.bytes(unsafe.Slice((*byte)(unsafe.Pointer(&steps[0])), size)).n, uint64(len(steps))
}

// program adds the steps of the program's process, which are those of the
// general path, and its clone_args.
func (c *compiler) program(h *quickHead) bool {
	s, err := newStart(c.spec, int(h.log), c.spaces(), true)
	if err != nil {
		return false
	}
	// As in forkexec the child has no exit signal until its execve.
	args := cloneArgs{flags: unix.CLONE_VM | unix.CLONE_VFORK | unix.CLONE_CLEAR_SIGHAND, setTIDSize: 1}
	args.setTID = c.bytes([]byte{byte(s.attr.TID), 0, 0, 0}).n
	if s.attr.UseCgroupFD {
		args.flags |= unix.CLONE_INTO_CGROUP
		args.cgroup = uint64(s.attr.CgroupFD)
	}
	h.clone = c.bytes(unsafe.Slice((*byte)(unsafe.Pointer(&args)), unsafe.Sizeof(args))).n

	c.plan(s.attr.Steps)
	c.descriptors(s.descriptors(c.spec, int(h.log)), s.attr.Keep)
	c.plan(s.attr.Last)
	c.do(unix.SYS_EXECVE, c.str(s.attr.Path), c.list(s.attr.Argv, c.str), c.list(environ(&s.attr), c.strLater))
	return true
}

// cloneArgs is the kernel's struct clone_args.
type cloneArgs struct {
	flags, pidFD, childTID, parentTID, exitSignal, stack, stackSize, tls, setTID, setTIDSize, cgroup uint64
}

// environ is the environment with the pid that the program is sure to have:
// with another one the quick path fails.
func environ(a *forkexec.Attr) []string {
	var env []string
	for _, e := range a.Env {
		if name, _, _ := strings.Cut(e, "="); !slices.Contains(a.PIDEnv, name) {
			env = append(env, e)
		}
	}
	for i, name := range a.PIDEnv {
		if !slices.Contains(a.PIDEnv[:i], name) {
			env = append(env, name+"="+strconv.Itoa(a.TID))
		}
	}
	return env
}

// list is a NULL-terminated array of strings.
func (c *compiler) list(texts []string, str func(string) arg) arg {
	array := make([]uint64, 0, len(texts)+1)
	for _, t := range texts {
		array = append(array, str(t).n)
	}
	array = append(array, 0)
	return c.bytes(unsafe.Slice((*byte)(unsafe.Pointer(&array[0])), 8*len(array)))
}

// plan adds steps of package forkexec. Their memory is copied, and what is an
// address of it, in the arguments or in the memory, becomes the new one. (No
// number among them is as large as an address of Go's heap.)
func (c *compiler) plan(p *forkexec.Plan) {
	steps, memory := p.Steps()
	moved := make(map[uint64]uint64, len(memory))
	for _, m := range memory {
		moved[uint64(uintptr(unsafe.Pointer(&m[0])))] = c.bytes(m).n
	}
	for _, m := range memory {
		at := moved[uint64(uintptr(unsafe.Pointer(&m[0])))] - quickBase
		for i := 0; i+8 <= len(m); i += 8 {
			if to, ok := moved[number(m[i:], 8)]; ok {
				putNumber(c.data[int(at)+i:], to)
			}
		}
	}
	feeds := make(map[int]arg) // by the step that gets it
	for i, s := range steps {
		args := make([]arg, 0, len(s.Args))
		for _, a := range s.Args {
			n := uint64(a)
			if to, ok := moved[n]; ok {
				n = to
			}
			args = append(args, num(n))
		}
		if from, ok := feeds[i]; ok {
			args[0] = from
		}
		if s.Feed > 0 {
			feeds[i+s.Feed] = c.get(int(s.Trap), args...)
		} else {
			c.do(int(s.Trap), args...)
		}
		if s.IgnoreErr {
			c.steps[len(c.steps)-1].allowed = quickAnyError
		}
	}
}

func putNumber(b []byte, v uint64) {
	for i := range 8 {
		b[i] = byte(v >> (8 * i))
	}
}

// spaces are where the supervisor puts them; takeSpaces would leave them there,
// see quickable.
func (c *compiler) spaces() spaces {
	s, next := spaces{-1, -1}, spacesAt(c.spec)
	if c.spec.UserNS {
		s.user, next = next, next+1
	}
	if c.spec.NetNS {
		s.network = next
	}
	return s
}

// descriptors puts the program's in their places and closes the others, as
// forkexec does.
func (c *compiler) descriptors(fds, keep []int) {
	from := make([]arg, len(fds))
	for target, fd := range fds {
		from[target] = num(fd)
		if fd >= 0 && fd < len(fds) && fd != target {
			from[target] = c.get(unix.SYS_FCNTL, num(fd), num(unix.F_DUPFD_CLOEXEC), num(len(fds)))
		}
	}
	for target, fd := range fds {
		switch {
		case fd < 0:
			c.do(unix.SYS_CLOSE_RANGE, num(target), num(target), num(0))
		case fd == target:
			c.do(unix.SYS_FCNTL, num(fd), num(unix.F_SETFD), num(0))
		default:
			c.do(unix.SYS_DUP3, from[target], num(target), num(0))
		}
	}
	first := len(fds)
	for _, fd := range keep {
		if fd > first {
			c.do(unix.SYS_CLOSE_RANGE, num(first), num(fd-1), num(0))
		}
		first = fd + 1
	}
	c.do(unix.SYS_CLOSE_RANGE, num(first), num(uint64(^uint32(0))), num(0))
}

// attr is a struct mount_attr.
func (c *compiler) attr(set, clear mount.Attr, propagation uint64) arg {
	return c.mountAttr(&unix.MountAttr{Attr_set: uint64(set), Attr_clr: uint64(clear), Propagation: propagation})
}

func (c *compiler) mountAttr(a *unix.MountAttr) arg {
	return c.bytes(unsafe.Slice((*byte)(unsafe.Pointer(a)), unsafe.Sizeof(*a)))
}
