package reader

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lithos/configs"
)

// TestMain is also the process that reads: a file of an image that is a FIFO
// hangs until somebody writes to it, and "die" ends the process.
func TestMain(m *testing.M) {
	if os.Args[0] == "lithos_images" {
		serve(os.Stdin, os.Stdout, func(f configs.ImageFile) configs.ImageText {
			if f.File == "die" {
				os.Exit(3)
			}
			if f.File == "fifo" {
				data, err := os.ReadFile(filepath.Join(f.ImageDir, f.Image, f.File))
				return configs.ImageText{Text: data, FileError: fmt.Sprint(err)}
			}
			return configs.ReadImageFile(f)
		})
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// host has images, each with a file "config" and a FIFO.
type host struct {
	t        *testing.T
	dir      string
	reader   *Reader
	answered chan []string
}

func newHost(t *testing.T, images ...string) *host {
	h := &host{t: t, dir: t.TempDir(), answered: make(chan []string, 10)}
	for _, image := range images {
		dir := filepath.Join(h.dir, image)
		for _, err := range []error{
			os.Mkdir(dir, 0o755), os.WriteFile(filepath.Join(dir, "config"), []byte("text of "+image), 0o644),
			unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	h.reader = &Reader{
		patience: 500 * time.Millisecond, program: []string{"/proc/self/exe", "lithos_images"},
		Answered: func(images []string) { h.answered <- images },
	}
	return h
}

// read gives the results as IMAGE=TEXT or IMAGE!ERROR.
func (h *host) read(names ...string) (got []string) {
	var files []configs.ImageFile
	for _, name := range names {
		image, file, _ := strings.Cut(name, "/")
		files = append(files, configs.ImageFile{ImageDir: h.dir, Image: image, File: file})
	}
	for i, text := range h.reader.Read(files) {
		switch why := text.ImageError + text.FileError; {
		case strings.Contains(why, "does not answer"):
			got = append(got, names[i]+" hangs")
		case why != "" && why != "<nil>":
			got = append(got, names[i]+"!"+why)
		default:
			got = append(got, names[i]+"="+string(text.Text))
		}
	}
	return got
}

func (h *host) want(what string, got []string, want ...string) {
	h.t.Helper()
	if !slices.Equal(got, want) {
		h.t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// answer has an image's FIFO answer.
func (h *host) answer(image string) {
	if err := os.WriteFile(filepath.Join(h.dir, image, "fifo"), []byte("late"), 0); err != nil {
		h.t.Error(err)
	}
}

func TestReadsAllAndEndsItsProcess(t *testing.T) {
	h := newHost(t, "a", "b")
	h.want("all", h.read("a/config", "b/config", "a/config", "b/none"),
		"a/config=text of a", "b/config=text of b", "a/config=text of a", "b/none!no such file or directory")
	if len(h.reader.PIDs()) != 0 {
		t.Error("the process is kept though nothing hangs")
	}
}

// Covers: G9
func TestHangingImagesTimeOutTogether(t *testing.T) {
	h := newHost(t, "a", "b", "c")
	begin := time.Now()
	h.want("two hang", h.read("a/fifo", "b/config", "c/fifo", "a/config"),
		"a/fifo hangs", "b/config=text of b", "c/fifo hangs", "a/config hangs")
	if took := time.Since(begin); took > 2*h.reader.patience+time.Second {
		t.Errorf("that took %s", took)
	}
	pids := h.reader.PIDs()
	if len(pids) != 1 {
		t.Fatalf("processes %v", pids)
	}
	// They are not asked again, nor waited for.
	h.reader.patience = time.Hour
	h.want("again", h.read("a/config", "b/config"), "a/config hangs", "b/config=text of b")
	if again := h.reader.PIDs(); !slices.Equal(again, pids) {
		t.Errorf("processes %v, and then %v", pids, again)
	}
	h.answer("a")
	// Not told before all of them answer.
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if got := h.read("a/config"); got[0] == "a/config=text of a" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("what answers again is not asked")
		}
	}
	if len(h.answered) != 0 {
		t.Error("told though one hangs still")
	}
	h.answer("c")
	got := <-h.answered
	slices.Sort(got)
	h.want("told", got, h.dir+"/a", h.dir+"/c")
	h.want("afterwards", h.read("c/config"), "c/config=text of c")
	if pids := h.reader.PIDs(); len(pids) != 0 {
		t.Errorf("processes %v are left", pids)
	}
}

func TestTheEndOfItsProcess(t *testing.T) {
	h := newHost(t, "a", "b")
	h.want("it dies", h.read("a/config", "b/die"), "a/config=text of a", "b/die!no such file or directory")
	h.want("the next", h.read("a/config"), "a/config=text of a")
	h.want("one hangs", h.read("a/fifo"), "a/fifo hangs")
	if err := unix.Kill(h.reader.PIDs()[0], unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	h.want("told", <-h.answered, h.dir+"/a")
	h.want("asked again", h.read("a/config"), "a/config=text of a")
}

func TestWithoutAProcess(t *testing.T) {
	h := newHost(t, "a")
	h.reader.program = []string{"/nonexistent", "x"}
	h.want("read without", h.read("a/config"), "a/config=text of a")
	h.reader.program, serves = nil, false
	h.want("a program that can't", h.read("a/config"), "a/config=text of a")
}
