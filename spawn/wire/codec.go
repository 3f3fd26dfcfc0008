package wire

import (
	"math"
	"time"
)

// The first word of an encoded [Spec] is "LSP" and a number that changes with
// every change of the layout, because a supervisor may start a lithos_knot of
// another release. A Spec without newer fields is written as the version that
// the releases before them read.
const (
	version      = 'L' | 'S'<<8 | 'P'<<16 | 3<<24
	newerVersion = 'L' | 'S'<<8 | 'P'<<16 | 4<<24
)

// MaxSpec is the largest encoded Spec, bytes. The kernel's own limit of
// arguments and environment together is 6 MiB.
const MaxSpec = 16 << 20

// Errors of Decode.
const (
	ErrVersion = Error("the spec was written by another version of lithos_tree: restart it, so that all programs are of one version")
	ErrCorrupt = Error("the spec is cut off or damaged")
)

// Error is a constant error.
type Error string

func (e Error) Error() string { return string(e) }

// Encode writes a Spec. Preconditions: no string is longer than 4 GiB.
func Encode(s *Spec) []byte {
	room := 4096
	for _, list := range [][]string{s.Argv, s.Env, s.PIDVars, {s.Seccomp}} {
		for _, text := range list {
			room += 4 + len(text)
		}
	}
	// Nearly always enough: there may be secrets in it, of which as few copies
	// as possible are to be made.
	c := &coder{buf: make([]byte, 0, room)}
	v := uint32(version)
	if hasNewer(s) {
		v = newerVersion
	}
	c.u32(&v)
	spec(c, s)
	if v == newerVersion {
		newer(c, s)
	}
	return c.buf
}

// Decode reads what [Encode] wrote, or [Wrap] with it. It takes any input, and no more memory
// than a few times its length. An empty list comes back as nil.
func Decode(data []byte) (*Spec, error) {
	c := &coder{buf: unwrap(data), reading: true}
	var v uint32
	c.u32(&v)
	if c.bad {
		return nil, ErrCorrupt
	}
	if v != version && v != newerVersion {
		return nil, ErrVersion
	}
	s := new(Spec)
	spec(c, s)
	if v == newerVersion {
		newer(c, s)
		c.bad = c.bad || !hasNewer(s)
	}
	if c.bad || len(c.buf) != 0 {
		return nil, ErrCorrupt
	}
	return s, nil
}

// newer goes through the fields of newerVersion, in both directions.
func newer(c *coder, s *Spec) {
	c.u32(&s.StopSignal)
}

func hasNewer(s *Spec) bool { return s.StopSignal != 0 }

// spec goes through all other fields, in both directions.
func spec(c *coder, s *Spec) {
	c.str(&s.Name)

	c.str(&s.Image)
	c.str(&s.MountDir)
	c.str(&s.DevfsDir)
	c.str(&s.StateDir)
	c.str(&s.ResolvConf.Source)
	small(c, &s.ResolvConf.Mount)
	c.str(&s.Hosts.Source)
	c.boolean(&s.Hosts.Localhost)
	c.boolean(&s.Hosts.PublicHostname)
	list(c, &s.Hosts.Additional, (*coder).str)
	small(c, &s.Hosts.Mount)
	list(c, &s.Volumes, volume)

	c.str(&s.Executable)
	list(c, &s.Argv, (*coder).str)
	list(c, &s.Env, (*coder).str)
	list(c, &s.PIDVars, (*coder).str)
	c.str(&s.Workdir)
	c.u32(&s.UserID)
	c.u32(&s.GroupID)
	c.u64(&s.FilenoLimit)
	c.str(&s.StdioLog)
	c.str(&s.StdoutStderrFile)
	c.boolean(&s.Interactive)
	c.boolean(&s.Terminal)
	list(c, &s.Sockets, (*coder).integer)

	c.boolean(&s.Command)
	c.boolean(&s.RestartProcessOnly)
	c.duration(&s.RestartTimeout)
	c.duration(&s.KillTimeout)
	list(c, &s.NormalExitCodes, (*coder).integer)

	c.u64(&s.AddCapabilities)
	c.boolean(&s.NewPrivileges)
	c.boolean(&s.WritableProcSys)
	c.boolean(&s.UnmaskKernelFiles)
	c.str(&s.Seccomp)

	c.u32(&s.HostUser)
	c.u32(&s.HostGroup)
	c.boolean(&s.MapImage)
	c.integer(&s.Network.Index)
	c.str(&s.Network.MAC)
	c.str(&s.Network.Address)
	list(c, &s.Network.AfterSetup, (*coder).str)

	c.integer(&s.CgroupFDs)
	c.boolean(&s.CgroupV2)
	c.boolean(&s.UserNS)
	c.boolean(&s.NetNS)
	c.boolean(&s.Standby)
}

func volume(c *coder, v *Volume) {
	small(c, &v.Kind)
	c.str(&v.MountPoint)
	c.str(&v.Source)
	c.str(&v.SubPath)
	c.boolean(&v.Mkdir)
	c.u32(&v.Mode)
	c.u32(&v.User)
	c.u32(&v.Group)
	c.i64(&v.Size)
	c.boolean(&v.Exec)
}

// coder appends to buf, or takes from its front when reading. Numbers are
// little-endian, strings and lists have their length in front.
type coder struct {
	buf     []byte
	reading bool
	bad     bool // the input is invalid; all further values are zero
}

// take cuts n bytes off the front; nil if there are not as many.
func (c *coder) take(n uint64) []byte {
	if c.bad || n > uint64(len(c.buf)) {
		c.bad = true
		return nil
	}
	b := c.buf[:n]
	c.buf = c.buf[n:]
	return b
}

func (c *coder) u64(v *uint64) { number(c, v, 8) }

func (c *coder) u32(v *uint32) { number(c, v, 4) }

// number is not encoding/binary because that imports reflect.
func number[T uint32 | uint64](c *coder, v *T, size uint64) {
	if !c.reading {
		for i := range size {
			c.buf = append(c.buf, byte(*v>>(8*i)))
		}
		return
	}
	*v = 0
	for i, b := range c.take(size) {
		*v |= T(b) << (8 * i)
	}
}

func (c *coder) i64(v *int64) {
	u := uint64(*v)
	c.u64(&u)
	*v = int64(u)
}

func (c *coder) integer(v *int) {
	i := int64(*v)
	c.i64(&i)
	if i < math.MinInt || i > math.MaxInt {
		c.bad = true
		return
	}
	*v = int(i)
}

func (c *coder) duration(v *time.Duration) {
	i := int64(*v)
	c.i64(&i)
	*v = time.Duration(i)
}

func (c *coder) boolean(v *bool) {
	var b uint8
	if *v {
		b = 1
	}
	small(c, &b)
	if b > 1 {
		c.bad = true
	}
	*v = b == 1
}

func (c *coder) str(v *string) {
	n := uint32(len(*v))
	c.u32(&n)
	if !c.reading {
		c.buf = append(c.buf, *v...)
	} else {
		*v = string(c.take(uint64(n)))
	}
}

// small is for types of one byte.
func small[T ~uint8](c *coder, v *T) {
	if !c.reading {
		c.buf = append(c.buf, byte(*v))
	} else if b := c.take(1); b != nil {
		*v = T(b[0])
	}
}

// list codes each element by one. The count is believed no further than the
// input goes: every element takes at least 4 bytes of it.
func list[T any](c *coder, v *[]T, one func(*coder, *T)) {
	n := uint32(len(*v))
	c.u32(&n)
	if c.reading {
		if c.bad || uint64(n) > uint64(len(c.buf))/4 {
			c.bad = true
			return
		}
		*v = nil
		for ; n > 0 && !c.bad; n-- {
			var e T
			one(c, &e)
			*v = append(*v, e)
		}
		return
	}
	for i := range *v {
		one(c, &(*v)[i])
	}
}
