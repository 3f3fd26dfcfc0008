package spawn

import (
	"unsafe"

	"lithos/spawn/knot"
	"lithos/spawn/wire"
)

// encode returns the parts of an encoded Spec with the secrets in its environment.
// With runtimeless they have the list of PID 1's calls, if there can be one. wipe
// overwrites all memory that has the secrets in it: the garbage collector would not.
//
// Postconditions: after wipe neither the result nor the secrets may be used.
func encode(spec *wire.Spec, secrets []Secret, runtimeless bool) (parts [][]byte, wipe func()) {
	env := spec.Env
	hidden := make([][]byte, 0, len(secrets))
	for _, s := range secrets {
		b := make([]byte, 0, len(s.Name)+1+len(s.Value))
		b = append(append(append(b, s.Name...), '='), s.Value...)
		hidden = append(hidden, b)
		// This string is wiped with b. Nothing keeps it, see wipe.
		spec.Env = append(spec.Env[:len(spec.Env):len(spec.Env)], unsafe.String(unsafe.SliceData(b), len(b)))
	}
	encoded, list := wire.Encode(spec), (*knot.List)(nil)
	if runtimeless {
		list = knot.Compile(spec)
	}
	parts = wire.Wrap(encoded, list.Bytes())
	if len(hidden) == 0 {
		return parts, list.Free
	}
	return parts, func() {
		spec.Env = env
		for _, b := range hidden {
			clear(b)
		}
		for _, s := range secrets {
			clear(s.Value)
		}
		clear(encoded)
		list.Free()
	}
}
