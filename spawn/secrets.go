package spawn

import (
	"unsafe"

	"lithos/spawn/knot"
	"lithos/spawn/wire"
)

// encode gives the encoded Spec, with the secrets in its environment, in its
// parts, and what wipes all that has them in it. The garbage collector clears no memory, so
// they would stay in that of the supervisor for as long as it pleases.
//
// Postconditions: after wipe the result must not be used, nor the secrets.
func (l *launch) encode() (parts [][]byte, wipe func()) {
	env := l.spec.Env
	hidden := make([][]byte, 0, len(l.request.Secrets))
	for _, s := range l.request.Secrets {
		b := make([]byte, 0, len(s.Name)+1+len(s.Value))
		b = append(append(append(b, s.Name...), '='), s.Value...)
		hidden = append(hidden, b)
		// A string that is wiped with b: nobody keeps it, see wipe.
		l.spec.Env = append(l.spec.Env[:len(l.spec.Env):len(l.spec.Env)], unsafe.String(unsafe.SliceData(b), len(b)))
	}
	spec, list := wire.Encode(&l.spec), (*knot.List)(nil)
	if !l.config.General {
		list = knot.Compile(&l.spec)
	}
	parts = wire.Wrap(spec, list.Bytes())
	if len(hidden) == 0 {
		return parts, list.Free
	}
	return parts, func() {
		l.spec.Env = env
		for _, b := range hidden {
			clear(b)
		}
		l.request.Wipe()
		clear(spec)
		list.Free()
	}
}
