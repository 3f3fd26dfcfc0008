package cmd

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// A bare PID 1 (spawn/knot/bare.go) is Go code that runs without
// Go's runtime: the machine code tells whether it can.

// harmless are the functions of the runtime that may be called without one: they
// need nothing, or are never called (a bound that is never exceeded).
var harmless = regexp.MustCompile(`^(runtime\.(morestack.*|panic.*|goPanic.*|growslice|gcWriteBarrier\d|memmove|memclrNoHeapPointers|memequal|duff(zero|copy).*)|syscall\.RawSyscall6)$`)

// neverMade are calls that are in the code but not made, or made to something
// known.
var neverMade = map[string]bool{
	"internal/strconv.formatBits runtime.slicebytetostring": true, // to append, it makes no string
	"internal/strconv.formatBits runtime.gopanic":           true, // a base that is none
	"sort.Search ": true, // SignalName gives it a function of its own
}

func TestBareNeedsNoRuntime(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		return // there is the general path only
	}
	sources(t)
	knot := filepath.Join(t.TempDir(), "lithos_knot")
	cmd := exec.Command("go", "build", "-ldflags=-E=lithosKnotEntry", "-o", knot, "./lithos_knot")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	calls := callsOf(t, knot)
	const first = "lithos/spawn/knot.bareMain"
	seen, queue := map[string]bool{first: true}, []string{first}
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		if calls[name] == nil {
			t.Errorf("%s is not in the program", name)
		}
		for callee := range calls[name] {
			switch {
			case seen[callee], harmless.MatchString(callee), neverMade[name+" "+callee]:
				continue
			case callee == "", strings.HasPrefix(callee, "runtime."), strings.HasPrefix(callee, "sync"):
				t.Errorf("%s calls %q, which needs the runtime", name, callee)
				continue
			}
			seen[callee] = true
			queue = append(queue, callee)
		}
	}
	t.Logf("%d functions run without a runtime: %v", len(seen), slices.Sorted(maps.Keys(seen)))
}

// callsOf lists which function calls which; "" is one by a pointer.
func callsOf(t *testing.T, program string) map[string]map[string]bool {
	t.Helper()
	out, err := exec.Command("go", "tool", "objdump", program).Output()
	if err != nil {
		t.Fatal(err)
	}
	calls, name := map[string]map[string]bool{}, ""
	text := regexp.MustCompile(`^TEXT (\S+)\(SB\)`)
	call := regexp.MustCompile(`\t(?:CALL|JMP) (.*)$`)
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		if m := text.FindStringSubmatch(line); m != nil {
			name = strings.TrimSuffix(m[1], ".abi0")
			if calls[name] == nil {
				calls[name] = map[string]bool{}
			}
		} else if m := call.FindStringSubmatch(line); m != nil {
			target := strings.TrimSpace(m[1])
			callee, direct := strings.CutSuffix(target, "(SB)")
			switch {
			case direct:
				calls[name][strings.TrimSuffix(callee, ".abi0")] = true
			case !strings.HasPrefix(target, "0x"): // no jump within the function
				calls[name][""] = true
			}
		}
	}
	return calls
}
