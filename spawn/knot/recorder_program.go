package knot

import (
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"lithos/sysx/forkexec"
)

// record writes down all that a PID 1 without a runtime has to know and to do,
// and tells whether that could be done.
func (c *recorder) record() bool {
	h, spec := &c.head, c.spec
	h.magic, h.log, h.sockets = listMagic, uint64(firstFreeFD(spec)), uint64(len(spec.Sockets))
	h.killTimeout, h.normal, h.stopSignal = int64(spec.KillTimeout), normalCodes(spec), uint64(stopSignalOf(spec))
	if spec.Standby {
		h.standby = uint64(standbyFD(spec))
	}
	h.process = c.text(string(appendProcess(nil, spec)))
	h.killing = c.text(killingText(spec))
	if len(c.data) > lineSize/2 {
		return false // they would not fit the memory that is kept
	}
	h.starting = c.text(startingText(spec))

	spaces := c.spaces()
	r := recipe{operations: c, spec: spec, userns: spaces.user}
	_ = r.container() // the recorder sees no error
	if c.bad {
		return false
	}
	h.build, h.buildLen = c.flush()
	if !c.program(spaces) {
		return false
	}
	h.start, h.startLen = c.flush()
	if c.bad || len(c.data) > maxList {
		return false
	}
	c.finish(h)
	return true
}

// flush puts the steps into the memory.
func (c *recorder) flush() (at, n uint64) {
	steps := c.steps
	c.steps = steps[:0]
	return array(&c.memory, steps).n, uint64(len(steps))
}

// spaces are where the supervisor puts them; takeSpaces would leave them there,
// see canBeBare.
func (c *recorder) spaces() spaces {
	s, next := spaces{-1, -1}, spacesAt(c.spec)
	if c.spec.UserNS {
		s.user, next = next, next+1
	}
	if c.spec.NetNS {
		s.network = next
	}
	return s
}

// program adds the steps of the program's process, which are those of the
// general path, and its clone_args.
func (c *recorder) program(spaces spaces) bool {
	log := int(c.head.log)
	s, err := newStart(c.spec, log, spaces, true)
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
	c.head.clone = c.bytes(unsafe.Slice((*byte)(unsafe.Pointer(&args)), unsafe.Sizeof(args))).n

	c.plan(s.attr.Steps)
	c.descriptors(s.descriptors(c.spec, log), s.attr.Keep)
	c.plan(s.attr.Last)
	c.do(unix.SYS_EXECVE, c.str(s.attr.Path), c.strings(s.attr.Argv, c.str), c.strings(environ(&s.attr), c.strLater))
	return true
}

// cloneArgs is the kernel's struct clone_args.
type cloneArgs struct {
	flags, pidFD, childTID, parentTID, exitSignal, stack, stackSize, tls, setTID, setTIDSize, cgroup uint64
}

// environ is the environment with the pid that the program is sure to have:
// with another one its start fails, and is left to the general path.
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

// plan adds steps of package forkexec. Their memory is copied, and what is an
// address of it, in the arguments or in the memory, becomes the new one. (No
// number among them is as large as an address of Go's heap.)
func (c *recorder) plan(p *forkexec.Plan) {
	steps, memory := p.Steps()
	moved := c.adopt(memory)
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
			c.last().allowed = anyError
		}
	}
}

// adopt copies memory and gives the new address of each old one.
func (c *recorder) adopt(memory [][]byte) map[uint64]uint64 {
	address := func(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(&b[0]))) }
	moved := make(map[uint64]uint64, len(memory))
	for _, m := range memory {
		moved[address(m)] = c.bytes(m).n
	}
	for _, m := range memory {
		at := moved[address(m)] - listBase
		for i := uint64(0); i+8 <= uint64(len(m)); i += 8 {
			if to, ok := moved[number(m[i:], 8)]; ok {
				putNumber(c.data[at+i:], to)
			}
		}
	}
	return moved
}

func putNumber(b []byte, v uint64) {
	for i := range 8 {
		b[i] = byte(v >> (8 * i))
	}
}

// descriptors puts the program's in their places and closes the others, as
// forkexec does.
func (c *recorder) descriptors(fds, keep []int) {
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
