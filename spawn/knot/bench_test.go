package knot_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lithos/spawn/wire"
)

// BenchmarkLife is a whole container whose program does nothing; that program
// by itself is BenchmarkProgram.
func BenchmarkLife(b *testing.B) {
	box := newBox(b, "exit:0")
	box.spec.Command = true
	for b.Loop() {
		must(b, os.RemoveAll(box.spec.StateDir)) // as the supervisor does
		box.run(wire.ExitNormal)
	}
}

// BenchmarkProgram is what of BenchmarkLife is the test program's own time.
func BenchmarkProgram(b *testing.B) {
	for b.Loop() {
		must(b, exec.Command(probeBin, "exit:0").Run())
	}
}

// BenchmarkIdle measures the memory of PID 1 while its program runs.
func BenchmarkIdle(b *testing.B) {
	var boxes []*box
	for b.Loop() {
		box := newBox(b, "touch:/out/up", "forever")
		box.start()
		box.awaitFile("up")
		boxes = append(boxes, box)
	}
	// Others share the program's pages: what is private is each one's own.
	other := newBox(b, "touch:/out/up", "forever")
	other.start()
	other.awaitFile("up")
	text := other.read("/proc/" + itoa(other.pid) + "/smaps_rollup")
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); strings.HasPrefix(f[0], "Private_") {
			b.ReportMetric(float64(atoi(b, f[1])), "kB-"+strings.TrimSuffix(f[0], ":"))
		}
	}
	tasks, err := os.ReadDir("/proc/" + itoa(other.pid) + "/task")
	must(b, err)
	b.ReportMetric(float64(len(tasks)), "threads")
	for _, box := range append(boxes, other) {
		must(b, unix.Kill(box.pid, unix.SIGKILL))
		box.wait()
	}
}
