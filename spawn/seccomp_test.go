package spawn

import (
	"encoding/binary"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"lithos/sysx/seccomp"
)

func TestDefaultSeccomp(t *testing.T) {
	for _, calls := range [][]uint32{allowedCalls, allowedHere, deniedCalls, deniedHere} {
		for _, n := range calls {
			if n == 0 && n != unix.SYS_READ {
				t.Errorf("a call without a number in %v", calls)
			}
		}
	}
	plain, err := DefaultSeccomp(0)
	if err != nil {
		t.Fatal(err)
	}
	all, err := DefaultSeccomp(^uint64(0))
	if err != nil {
		t.Fatal(err)
	}
	if len(plain)%8 != 0 || len(plain) == 0 || plain == all {
		t.Errorf("%d and %d bytes", len(plain), len(all))
	}
	if again, err := DefaultSeccomp(0); err != nil || again != plain {
		t.Errorf("the program is another one each time (%v): containers would be replaced at every reload", err)
	}
	// Every capability's calls are among those that are denied or tested.
	for c, calls := range callsOf {
		for _, n := range calls {
			tested := slices.ContainsFunc(testedCalls, func(r seccomp.Rule) bool { return r.Number == n })
			if !tested && !slices.Contains(deniedCalls, n) && !slices.Contains(deniedHere, n) {
				t.Errorf("the call %d of the capability %d is neither denied nor tested", n, c)
			}
		}
	}
	if code := binary.NativeEndian.Uint16([]byte(plain)); code != 0x20 {
		t.Errorf("it begins with the instruction %#x", code)
	}
}
