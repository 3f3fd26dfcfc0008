package cli

import "runtime/debug"

// plentyOfGarbage lets the heap grow to five times what is needed.
const plentyOfGarbage = 400

// EndsSoon is for a program that is done before it pays to look for garbage.
func EndsSoon() { debug.SetGCPercent(plentyOfGarbage) }
