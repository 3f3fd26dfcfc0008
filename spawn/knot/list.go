package knot

import (
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"lithos/spawn/wire"
)

// The list of system calls for a PID 1 without a runtime: its layout, and how
// it is laid out. The recorder makes it, bare_amd64.go carries it out.

// listBase is where the list is in PID 1's memory: it has absolute addresses
// in it. Far from the program (below 4 GiB), from Go's heap (from 768 GiB on)
// and from what the kernel places (below 128 TiB).
const listBase = 64 << 30

const (
	// listMagic ends with a number that changes with every change of the list's
	// layout: a supervisor may start a lithos_knot that was installed after it.
	listMagic = 'L' | 'K'<<8 | 'Q'<<16 | 3<<24
	pageSize  = 4096 // bytes of the list that are kept while the program runs
	registers = 64
	lineSize  = 2048 // more than a line of the record or a log, bytes

	// maxList is how large a list may be, bytes: with arguments and variables
	// that take more, the start of a runtime is not what takes the time.
	maxList = 1 << 20
	// maxKept is how large a list may be whose memory is used again, bytes.
	maxKept = 64 << 10
)

// listHead is at the beginning of the list's memory. Addresses are absolute.
type listHead struct {
	magic uint64
	size  uint64 // of all

	build, buildLen uint64 // steps that make the container
	attached        uint64 // after this step something is on mount-dir
	pivoted         uint64 // from this step on the host is gone
	start, startLen uint64 // steps of the program's process, the last an execve
	clone           uint64 // its clone_args

	log     uint64 // descriptor of StdioLog; those from FDSockets+sockets to it are closed
	sockets uint64
	standby uint64 // descriptor to wait at before the program is started, 0 = none

	killTimeout int64 // ns
	stopSignal  uint64
	normal      exitCodes

	// Texts of the lines in StdioLog; the last two are in the first page.
	starting, process, killing listText
}

type listText struct{ addr, len uint64 }

// listStep is one system call.
type listStep struct {
	trap    uint32
	into    uint8 // register for the result, 0 = none
	skip    uint8 // how many more steps to leave out after an error in allowed
	from    [6]uint8
	_       [4]byte
	want    uint64 // the result that it has to have, 0 = any
	allowed uint64 // errors that are none, a bit each
	args    [6]uint64
}

const (
	// trapKind is a step of our own: args[0] is a descriptor, args[1] has a bit
	// for each type of file that it may be of (S_IFMT>>12). Else it is EINVAL.
	trapKind = 1 << 20
	// anyError as allowed: no error matters.
	anyError = ^uint64(0)
	// neverSucceeds as want: the step may only fail, by an error that is allowed.
	neverSucceeds = 1 << 62
)

// List is a list of system calls. No list is nil.
type List struct{ r *recorder }

// Compile writes down the system calls by which PID 1 makes the container of a
// Spec without Go's runtime; nil if that is for the general path. It is the
// supervisor that calls it, with the credentials that PID 1 will have.
func Compile(spec *wire.Spec) *List {
	if !canBeBare(spec) {
		return nil
	}
	l := &List{recorders.Get().(*recorder)}
	if l.r.reset(spec); !l.r.record() {
		l.Free()
		return nil
	}
	return l
}

// canBeBare refuses containers whose supervision needs the general path. The
// recorder refuses those whose making does.
func canBeBare(spec *wire.Spec) bool {
	return runtime.GOARCH == "amd64" &&
		!spec.Interactive && !spec.Terminal && (!spec.RestartProcessOnly || spec.Command) &&
		spec.StdioLog != "" && spec.StdoutStderrFile == "" &&
		(!spec.UserNS && !spec.NetNS || spacesAt(spec) >= aboveTargets(spec))
}

// Bytes are its memory, until it is freed.
func (l *List) Bytes() []byte {
	if l == nil {
		return nil
	}
	return l.r.data
}

// Free wipes the list, in which there may be secrets, and keeps its memory for
// the next.
func (l *List) Free() {
	if l == nil {
		return
	}
	clear(l.r.data)
	clear(l.r.later)
	l.r.spec = nil
	if cap(l.r.data) <= maxKept {
		recorders.Put(l.r)
	}
}

// recorders are used again and again: at 60 kB for each start it was they that
// had the garbage collector run, once for every other start.
var recorders = sync.Pool{New: func() any { return new(recorder) }}

// memory is that of a list while it is laid out, from listBase on.
type memory struct {
	data  []byte
	later []laterText
	bad   bool // it can't be done
}

// laterText is a string whose place is kept in the memory.
type laterText struct {
	at   int
	text string
}

// arg is an argument of a step: a number, or a register with a result.
type arg = handle

// bytes puts b into the memory and gives its address.
func (m *memory) bytes(b []byte) arg {
	at := m.align()
	m.data = append(m.data, b...)
	return arg{n: at}
}

// object puts what p points at into the memory.
func object[T any](m *memory, p *T) arg {
	return m.bytes(unsafe.Slice((*byte)(unsafe.Pointer(p)), unsafe.Sizeof(*p)))
}

// array puts the elements of a list that is not empty into the memory.
func array[T any](m *memory, list []T) arg {
	return m.bytes(unsafe.Slice((*byte)(unsafe.Pointer(&list[0])), uintptr(len(list))*unsafe.Sizeof(list[0])))
}

// align returns the address of the next object in the memory.
func (m *memory) align() uint64 {
	for len(m.data)%8 != 0 {
		m.data = append(m.data, 0)
	}
	return m.end()
}

func (m *memory) end() uint64 { return listBase + uint64(len(m.data)) }

// str puts a string with a NUL at its end into the memory.
func (m *memory) str(s string) arg {
	m.checkString(s)
	at := m.align()
	m.data = append(append(m.data, s...), 0)
	return arg{n: at}
}

func (m *memory) checkString(s string) {
	if strings.IndexByte(s, 0) >= 0 {
		m.bad = true
	}
}

// strLater is str for what may be a secret: it is put in when the memory grows
// no more, so that no copy of it is left behind.
func (m *memory) strLater(s string) arg {
	m.checkString(s)
	at := len(m.data)
	m.data = append(m.data, make([]byte, len(s)+1)...)
	m.later = append(m.later, laterText{at, s})
	return arg{n: listBase + uint64(at)}
}

func (m *memory) text(s string) listText { return listText{m.bytes([]byte(s)).n, uint64(len(s))} }

// strings is a NULL-terminated array of strings.
func (m *memory) strings(texts []string, str func(string) arg) arg {
	addresses := make([]uint64, 0, len(texts)+1)
	for _, t := range texts {
		addresses = append(addresses, str(t).n)
	}
	return array(m, append(addresses, 0))
}

// finish makes it whole pages, with the head in its place.
func (m *memory) finish(h *listHead) {
	for len(m.data)%pageSize != 0 || len(m.data) < 2*pageSize {
		m.data = append(m.data, 0)
	}
	h.size = uint64(len(m.data))
	copy(m.data, unsafe.Slice((*byte)(unsafe.Pointer(h)), unsafe.Sizeof(*h)))
	for _, l := range m.later {
		copy(m.data[l.at:], l.text)
	}
}
