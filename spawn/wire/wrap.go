package wire

// WrapMagic is the first word of a memfd with a Spec and a list of system calls
// for PID 1, which are two forms of the same, see spawn/knot. A memfd may also
// have the Spec alone.
const WrapMagic = 'L' | 'S'<<8 | 'W'<<16 | 1<<24

// Wrapped is the beginning of such a memfd, little-endian; the Spec follows, and
// then the list.
type Wrapped struct {
	Magic uint32
	Spec  uint32 // length, bytes
	List  uint64 // length, bytes
}

// wrappedSize is the size of Wrapped, bytes.
const wrappedSize = 16

// Wrap gives the parts of a memfd with both, in their order; without a list it
// is the Spec alone.
func Wrap(spec, list []byte) [][]byte {
	if len(list) == 0 {
		return [][]byte{spec}
	}
	c := &coder{buf: make([]byte, 0, wrappedSize)}
	w := Wrapped{WrapMagic, uint32(len(spec)), uint64(len(list))}
	w.code(c)
	return [][]byte{c.buf, spec, list}
}

// unwrap is the Spec of what Wrap made.
func unwrap(data []byte) []byte {
	c, w := &coder{buf: data, reading: true}, Wrapped{}
	if w.code(c); c.bad || w.Magic != WrapMagic || uint64(w.Spec) > uint64(len(c.buf)) {
		return data
	}
	return c.buf[:w.Spec]
}

func (w *Wrapped) code(c *coder) {
	c.u32(&w.Magic)
	c.u32(&w.Spec)
	c.u64(&w.List)
}
