package seccomp

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// Action is what happens to a system call.
type Action uint32

// The actions.
const (
	Allow       Action = 0x7fff0000
	KillProcess Action = 0x80000000
)

// Errno makes the call fail with an error number.
func Errno(n uint16) Action { return 0x00050000 | Action(n) }

// Test is true if the masked low 32 bits of an argument (0 to 5) have a value.
type Test struct {
	Arg         int
	Mask, Value uint32
}

// Rule is about one system call.
type Rule struct {
	Number uint32
	Then   Action
	// If are tests, one of which has to be true for Then; else it is Else.
	// Without tests it is always Then.
	If   []Test
	Else Action
}

// Filter is the source of a program.
type Filter struct {
	Arch    uint32 // AUDIT_ARCH_…, or 0 for that of this program
	BadArch Action
	Default Action // of calls without a rule
	Rules   []Rule // at most one a number
}

// Instructions of classic BPF, and the offsets in struct seccomp_data.
const (
	load    = 0x20 // BPF_LD | BPF_W | BPF_ABS
	and     = 0x54 // BPF_ALU | BPF_AND | BPF_K
	jump    = 0x05 // BPF_JMP | BPF_JA
	equal   = 0x15 // BPF_JMP | BPF_JEQ | BPF_K
	atleast = 0x35 // BPF_JMP | BPF_JGE | BPF_K
	result  = 0x06 // BPF_RET | BPF_K

	offsetNumber = 0
	offsetArch   = 4
	offsetArgs   = 16

	maxInstructions = 4096
)

type instruction struct {
	code    uint16
	yes, no uint8 // how many to skip
	k       uint32
}

// interval is all numbers from first up to the next interval's.
type interval struct {
	first uint32
	rule  Rule
}

// Compile makes the program: 8 bytes an instruction, as the kernel has them.
func (f *Filter) Compile() ([]byte, error) {
	list, err := f.intervals()
	if err != nil {
		return nil, err
	}
	arch := f.Arch
	if arch == 0 {
		arch = nativeArch
	}
	code := []instruction{
		{code: load, k: offsetArch},
		{code: equal, yes: 1, k: arch},
		{code: result, k: uint32(f.BadArch)},
		{code: load, k: offsetNumber},
	}
	code = append(code, search(list)...)
	if len(code) > maxInstructions {
		return nil, fmt.Errorf("a filter of %d instructions is too long", len(code))
	}
	bytes := make([]byte, 0, 8*len(code))
	for _, i := range code {
		bytes = binary.NativeEndian.AppendUint16(bytes, i.code)
		bytes = append(bytes, i.yes, i.no)
		bytes = binary.NativeEndian.AppendUint32(bytes, i.k)
	}
	return bytes, nil
}

// intervals puts the rules in order, with the default between them; neighbours
// that are the same become one.
func (f *Filter) intervals() ([]interval, error) {
	rules := slices.Clone(f.Rules)
	slices.SortStableFunc(rules, func(a, b Rule) int { return int(int64(a.Number) - int64(b.Number)) })
	var list []interval
	add := func(first uint32, r Rule) {
		if n := len(list); n > 0 && len(list[n-1].rule.If) == 0 && len(r.If) == 0 && list[n-1].rule.Then == r.Then {
			return
		}
		list = append(list, interval{first, r})
	}
	next := uint64(0)
	for _, r := range rules {
		switch {
		case uint64(r.Number) < next:
			return nil, fmt.Errorf("two rules for the system call %d", r.Number)
		case slices.ContainsFunc(r.If, func(t Test) bool { return t.Arg < 0 || t.Arg > 5 }):
			return nil, fmt.Errorf("the system call %d has no such argument", r.Number)
		case uint64(r.Number) > next:
			add(uint32(next), Rule{Then: f.Default})
		}
		add(r.Number, r)
		next = uint64(r.Number) + 1
	}
	if next <= math.MaxUint32 {
		add(uint32(next), Rule{Then: f.Default})
	}
	return list, nil
}

// search finds the interval of the number, which is loaded.
func search(list []interval) []instruction {
	if len(list) == 1 {
		return list[0].rule.decide()
	}
	middle := len(list) / 2
	below, above := search(list[:middle]), search(list[middle:])
	step := []instruction{{code: atleast, k: list[middle].first, yes: uint8(len(below))}}
	if len(below) > math.MaxUint8 {
		step = []instruction{{code: atleast, k: list[middle].first, no: 1}, {code: jump, k: uint32(len(below))}}
	}
	return slices.Concat(step, below, above)
}

// decide is the end of each way through a program.
func (r *Rule) decide() []instruction {
	if len(r.If) == 0 {
		return []instruction{{code: result, k: uint32(r.Then)}}
	}
	var code []instruction
	for _, t := range r.If {
		code = append(code,
			instruction{code: load, k: offsetArgs + 8*uint32(t.Arg)},
			instruction{code: and, k: t.Mask},
			instruction{code: equal, k: t.Value, no: 1},
			instruction{code: result, k: uint32(r.Then)})
	}
	return append(code, instruction{code: result, k: uint32(r.Else)})
}
