package rotate

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const most = 64 << 10

// noise appends numbered lines of different lengths.
type noise struct {
	t    *testing.T
	path string
	n    int
}

func line(n int) string { return fmt.Sprintf("%d %s\n", n, strings.Repeat("x", n*37%300)) }

func (w *noise) write(bytes int) {
	w.t.Helper()
	f, err := os.OpenFile(w.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	for bytes > 0 {
		text := line(w.n)
		w.n++
		bytes -= len(text)
		if _, err := f.WriteString(text); err != nil {
			w.t.Fatal(err)
		}
	}
}

// all is what the parts and the file say, the oldest first.
func all(t *testing.T, path string) string {
	t.Helper()
	var b strings.Builder
	for n := 99; n >= 1; n-- {
		text, err := os.ReadFile(fmt.Sprint(path, ".", n))
		if err == nil && !bytes.HasSuffix(text, []byte("\n")) {
			t.Errorf("part %d ends within a line", n)
		}
		b.Write(text)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.TrimLeft(text, "\x00")
	if first, rest, ok := bytes.Cut(text, []byte("\n")); ok && isFiller(first) {
		text = rest
	}
	b.Write(text)
	return b.String()
}

func isFiller(line []byte) bool {
	line = bytes.TrimRight(line, " ")
	return len(line) == 0 || bytes.HasPrefix([]byte("----- what was before is in"), line[:min(len(line), 27)])
}

func (w *noise) check(what string) {
	w.t.Helper()
	var want strings.Builder
	for n := range w.n {
		want.WriteString(line(n))
	}
	if got := all(w.t, w.path); got != want.String() {
		i := 0
		for i < min(len(got), want.Len()) && got[i] == want.String()[i] {
			i++
		}
		w.t.Fatalf("%s: %d bytes of %d, the first other one is %d: %.200q", what, len(got), want.Len(), i, got[i:])
	}
	if got := End(w.path); got != int64(want.Len()) {
		w.t.Fatalf("%s: the end is %d of %d", what, got, want.Len())
	}
	for _, span := range [][2]int64{{0, 10}, {5000, 5}, {9000, 9000}} {
		to := int64(want.Len()) - span[1]
		from := to - span[0]
		if got, err := Read(w.path, from, to); err != nil || string(got) != want.String()[from:to] {
			w.t.Fatalf("%s: %d to %d is %.200q, %v", what, from, to, got, err)
		}
	}
}

// killed is what a test stops a rotation with.
type killed struct{ point string }

// until does one rotation and is killed at the nth point of it (0 = never), while
// lines come at each; it returns the points it came to.
func (w *noise) until(nth, keep int, rotation bool) (points []string) {
	w.t.Helper()
	f, err := open(w.path, keep)
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	defer func() {
		if reason := recover(); reason != nil {
			if _, ok := reason.(killed); !ok {
				panic(reason)
			}
		}
	}()
	f.at = func(point string) {
		w.write(200)
		if points = append(points, point); len(points) == nth {
			panic(killed{point})
		}
	}
	err = f.proceed()
	if err == nil && rotation {
		_, _, err = f.Rotate(small, 2)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return points
}

// small is what a part of these tests has, bytes: more than a few blocks.
const small = 20 << 10

// TestAKillAtEachStep stops a rotation at each of its steps, and the continuing from
// there at each step again, while lines are written: each is there once.
func TestAKillAtEachStep(t *testing.T) {
	for kind, dir := range places(t) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			states := map[string]bool{}
			for first := 1; ; first++ {
				last := 0
				for second := 1; second > 0; second++ {
					path := filepath.Join(dir, fmt.Sprintf("log%d-%d", first, second))
					w := &noise{t: t, path: path}
					w.write(2 * small)
					w.until(0, 99, true) // parts to shift, a head to skip
					w.write(2 * small)
					points := w.until(first, 99, true)
					last = len(points)
					again := w.until(second, 99, false)
					what := fmt.Sprintf("killed at %q, then at %q", points[last-1], again[len(again)-1])
					states[points[last-1]] = true
					if len(again) < second {
						second = -1 // it came to its end
					}
					w.finish(what, second == 1)
				}
				if last < first {
					break
				}
			}
			want := []string{"discard", "create", "describe", "copy", "dress", "sync", "shift", "publish", "note dead", "note hole", "fill", "note whole"}
			if collapses(t, dir) {
				want = append(want, "mark", "note marked", "collapse")
			}
			for _, point := range want {
				if !states[point] {
					t.Errorf("it was not killed at %q, but at %v", point, states)
				}
			}
		})
	}
}

// TestReadAtEachStep reads the last lines at each step of a rotation, also when the
// head of the file was dropped: no moment hides them, and nobody waits for the next.
func TestReadAtEachStep(t *testing.T) {
	for kind, dir := range places(t) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := &noise{t: t, path: filepath.Join(dir, "log")}
			f, read, from := (*File)(nil), map[string]int{}, int64(0)
			at := func(point string) {
				w.write(200)
				to := End(w.path)
				var want strings.Builder
				for n := range w.n {
					want.WriteString(line(n))
				}
				if to != int64(want.Len()) {
					t.Fatalf("at %q the end is %d, not %d", point, to, want.Len())
				}
				for _, back := range []int64{100, 2 * small, 7 * small} {
					begin := max(from, to-back)
					got, err := Read(w.path, begin, to)
					if err != nil || string(got) != want.String()[begin:] {
						t.Fatalf("at %q the last %d bytes are %d: %.100q, %v", point, back, len(got), got, err)
					}
				}
				read[point]++
			}
			for round := range 5 {
				w.write(4 * small)
				var err error
				if f, err = open(w.path, 9); err != nil {
					t.Fatal(err)
				}
				f.at = at
				if round == 2 {
					from = f.state.base + f.state.start + small // of what stays
					if _, err = f.Drop(small); err != nil {
						t.Fatal(err)
					}
				}
				if _, n, err := f.Rotate(small, 2); err != nil || n != 2 {
					t.Fatalf("%d parts, %v", n, err)
				}
				f.Close()
			}
			if read["shift"] < 5 || read["publish"] < 10 {
				t.Errorf("read at %v", read)
			}
		})
	}
}

// collapses tells whether blocks can be taken out of files of a directory.
func collapses(t *testing.T, dir string) bool {
	t.Helper()
	w := &noise{t: t, path: filepath.Join(dir, "probe")}
	w.write(1)
	f, err := Open(w.path, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return f.collapses(1)
}

// finish opens the file as the next daemon does, and may rotate once more.
func (w *noise) finish(what string, rotateOn bool) {
	w.t.Helper()
	f, err := Open(w.path, 99)
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	w.check(what)
	if f.state.phase != whole || exists(w.path+newSuffix) {
		w.t.Errorf("%s: something is left: %+v", what, f.state)
	}
	if !rotateOn {
		return
	}
	w.write(small)
	if n, _, err := f.Rotate(small, 9); err != nil || n < small/2 {
		w.t.Fatalf("%s: %d bytes rotated, %v", what, n, err)
	}
	w.check(what + ", and rotated again")
	if waiting, err := f.Waiting(); err != nil || waiting > 4*small || !exists(w.path+".2") {
		w.t.Errorf("%s: %d bytes are left, %v", what, waiting, err)
	}
}

// TestAPartIsNotComplete: it was killed within a write.
func TestAPartIsNotComplete(t *testing.T) {
	for kind, dir := range places(t) {
		w := &noise{t: t, path: filepath.Join(dir, "log")}
		w.write(2 * small)
		w.until(0, 99, true)
		w.write(2 * small)
		for nth := 1; ; nth++ {
			if points := w.until(nth, 99, true); points[len(points)-1] == "dress" {
				break
			}
		}
		if err := os.Truncate(w.path+newSuffix, 1000); err != nil {
			t.Fatal(err)
		}
		w.finish(kind, true)
	}
}

// TestWritersGoOn has programs write all the time.
func TestWritersGoOn(t *testing.T) {
	for kind, dir := range places(t) {
		path := filepath.Join(dir, "busy")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		const writers, parts = 4, 6
		var wg sync.WaitGroup
		var rotations atomic.Int64
		var lines [writers]int
		for n := range writers {
			wg.Go(func() {
				f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
				if err != nil {
					t.Error(err)
					return
				}
				defer f.Close()
				for ; rotations.Load() < parts && !t.Failed(); lines[n]++ {
					fmt.Fprintf(f, "%d %d the output of a program\n", n, lines[n])
					if lines[n]%100 == 0 {
						time.Sleep(time.Millisecond) // or the file is huge where the disk is slow
					}
				}
			})
		}
		for rotations.Load() < parts && !t.Failed() {
			f, err := Open(path, 99)
			if err != nil {
				t.Error(err)
				break
			}
			if waiting, _ := f.Waiting(); waiting > most {
				if n, _, err := f.Rotate(most, 1); err != nil || n == 0 || n > 2*most {
					t.Errorf("%d bytes rotated, %v", n, err)
				}
				rotations.Add(1)
			}
			f.Close()
		}
		wg.Wait()
		next := [writers]int{}
		for text := range strings.Lines(all(t, path)) {
			var n, i int
			if _, err := fmt.Sscanf(text, "%d %d the output of a program\n", &n, &i); err != nil || i != next[n] {
				t.Fatalf("%s: %q, and line %d of it was awaited: %v", kind, text, next[n], err)
			}
			next[n]++
		}
		if next != lines || !exists(fmt.Sprint(path, ".", parts)) {
			t.Errorf("%s: %v lines of %v", kind, next, lines)
		}
	}
}

func TestTheNumberOfPartsIsBounded(t *testing.T) {
	for kind, dir := range places(t) {
		path := filepath.Join(dir, "log")
		w := &noise{t: t, path: path}
		for keep := range []int{5, 5, 5, 5, 5, 5, 5, 2} {
			w.write(2 * most)
			f, err := Open(path, []int{5, 5, 5, 5, 5, 5, 5, 2}[keep])
			if err != nil {
				t.Fatal(err)
			}
			if n, _, err := f.Rotate(most, 1); n < most/2 || err != nil {
				t.Fatal(n, err)
			}
			f.Close()
		}
		for n, want := range []bool{true, true, true, false, false, false, false} {
			if n > 0 && exists(fmt.Sprint(path, ".", n)) != (want && n <= 2) {
				t.Errorf("%s: part %d: %v", kind, n, !want)
			}
		}
		if info, err := os.Stat(path + ".1"); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("%s: the mode of a part is %v, %v", kind, info.Mode(), err)
		}
	}
}

func TestDrop(t *testing.T) {
	for kind, dir := range places(t) {
		path := filepath.Join(dir, "log")
		w := &noise{t: t, path: path}
		w.write(20 * most)
		end := End(path)
		f, err := Open(path, 3)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if n, err := f.Drop(5 * most); err != nil || n > 5*most || n < 4*most {
				t.Fatalf("%s: dropped %d, %v", kind, n, err)
			}
		}
		if waiting, err := f.Waiting(); err != nil || waiting < 10*most || waiting > 12*most {
			t.Errorf("%s: %d bytes wait, %v", kind, waiting, err)
		}
		if n, _, err := f.Rotate(most, 1); err != nil || n == 0 {
			t.Errorf("%s: %d, %v", kind, n, err)
		}
		f.Close()
		if got := End(path); got != end {
			t.Errorf("%s: the end is %d, it was %d", kind, got, end)
		}
		if text := all(t, path); !strings.HasSuffix(text, line(w.n-1)) || !strings.Contains(text, "\n"+line(w.n-2000)) {
			t.Errorf("%s: the newest lines are not there", kind)
		}
	}
}

func TestLinesThatDoNotEnd(t *testing.T) {
	for kind, dir := range places(t) {
		path := filepath.Join(dir, "log")
		want := "a\n" + strings.Repeat("y", 5*most)
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path, 99)
		if err != nil {
			t.Fatal(err)
		}
		for range 4 {
			if _, _, err := f.Rotate(most, 1); err != nil {
				t.Fatal(err)
			}
		}
		f.Close()
		var got strings.Builder
		for n := 9; n > 0; n-- {
			text, _ := os.ReadFile(fmt.Sprint(path, ".", n))
			got.Write(text)
		}
		rest, _ := os.ReadFile(path)
		if i := bytes.IndexByte(rest, '\n'); i >= 0 {
			rest = rest[i+1:]
		}
		got.Write(bytes.TrimLeft(rest, "\x00"))
		if got.String() != want {
			t.Errorf("%s: %d bytes of %d", kind, got.Len(), len(want))
		}
	}
}

// TestSomebodyElseEmptiesTheFile: logrotate does, with copytruncate.
func TestSomebodyElseEmptiesTheFile(t *testing.T) {
	for kind, dir := range places(t) {
		path := filepath.Join(dir, "log")
		w := &noise{t: t, path: path}
		w.write(3 * most)
		for range 2 {
			f, err := Open(path, 3)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := f.Rotate(most, 1); err != nil {
				t.Fatal(err)
			}
			f.Close()
			if err := os.Truncate(path, 0); err != nil {
				t.Fatal(err)
			}
			w.n = 0
			w.write(2 * most)
		}
		f, err := Open(path, 1)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := f.Rotate(most, 1); err != nil {
			t.Fatal(err)
		}
		f.Close()
		if got := all(t, path); !strings.HasPrefix(got, line(0)+line(1)) {
			t.Errorf("%s: it begins with %.40q", kind, got)
		}
	}
}

func TestOnlyRegularFiles(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	if err := os.WriteFile(target, []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{
		filepath.Join(dir, "link"): ErrKind, "/dev/null": ErrKind, dir: nil, filepath.Join(dir, "none"): os.ErrNotExist,
	} {
		if _, err := Open(path, 3); err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	// A link in the place of the part that is begun is replaced, not followed.
	log := filepath.Join(dir, "log")
	(&noise{t: t, path: log}).write(2 * most)
	for _, name := range []string{newSuffix, ".1", ".2"} {
		if err := os.Symlink(target, log+name); err != nil {
			t.Fatal(err)
		}
	}
	f, err := Open(log, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Symlink(target, log+newSuffix); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.Rotate(most, 1); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(target); string(text) != "x\n" {
		t.Errorf("what a link leads to was written: %.50q", text)
	}
}

func TestSupported(t *testing.T) {
	for kind, dir := range places(t) {
		if err := Supported(dir); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	poor := t.TempDir()
	if err := unix.Mount("ramfs", poor, "ramfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(poor, unix.MNT_DETACH) })
	if err := Supported(poor); err == nil {
		t.Error("ramfs can neither make a hole nor keep attributes")
	}
	w := &noise{t: t, path: filepath.Join(poor, "log")}
	w.write(2 * most)
	f, err := Open(w.path, 3)
	if err == nil {
		_, _, err = f.Rotate(most, 1)
		f.Close()
	}
	if err == nil || all(t, w.path) == "" || exists(w.path+".1") || exists(w.path+newSuffix) {
		t.Errorf("a file there: %v", err)
	}
}

func FuzzState(f *testing.F) {
	for _, s := range []state{
		{phase: whole, id: random(), base: 7, start: 5}, {phase: marked, id: random(), start: 9, blocks: 8, mark: random()},
	} {
		f.Add(s.String())
	}
	f.Add(span{id: random(), from: 4, to: 9}.String())
	for _, text := range []string{"", "1 dead 0 -1 0 x", "1 marked 0 1 9 x y", "2 part 0 0", "1 part 99999999999999999999 0 x"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if s := parseState(text); s.id == "" && s != (state{phase: whole}) || s.id != "" && parseState(s.String()) != s {
			t.Errorf("%q is %+v, and then %+v", text, s, parseState(s.String()))
		}
		if p := parseSpan(text); p != (span{}) && parseSpan(p.String()) != p {
			t.Errorf("%q is %+v, and then %+v", text, p, parseSpan(p.String()))
		}
	})
}
