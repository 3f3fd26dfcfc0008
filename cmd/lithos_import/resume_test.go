package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lithos/cmd/lithos_import/untar"
	"lithos/sysx/inroot"
)

// cutSource fails after some bytes of all files, as a full disk or a kill would
// stop it.
type cutSource struct {
	source
	left *int64
}

func (s cutSource) open(name string) (io.ReadCloser, int64, error) {
	r, size, err := s.source.open(name)
	if err != nil {
		return nil, 0, err
	}
	return io.NopCloser(readerFunc(func(b []byte) (int, error) {
		if *s.left <= 0 {
			panic(errCut)
		}
		n, err := r.Read(b[:min(int64(len(b)), *s.left)])
		*s.left -= int64(n)
		return n, err
	})), size, nil
}

var errCut = fmt.Errorf("cut")

// An import that is cut off anywhere, again and again, ends with the same tree
// as one that is not.
func TestInterruptedAnywhere(t *testing.T) {
	layers := layersWith(t, nil)
	oci := layout(t, "", everything, layers...)
	want := tree(t, imported(t, t.TempDir(), oci).Path)
	total := 0
	for _, l := range layers {
		total += len(l)
	}
	kept := 0
	for cut := 512; cut < total; cut += 1536 {
		images := memoryDir(t)
		interrupt(t, images, oci, int64(cut))
		interrupt(t, images, oci, int64(cut)/2)
		if list := names(t, images); len(list) > 1 || len(list) == 1 && list[0][0] != '.' {
			t.Fatalf("cut at %d: there is %v", cut, list)
		}
		r := imported(t, images, oci)
		if r.Layers[0].Kept {
			kept++
		}
		got := tree(t, r.Path)
		for name := range want {
			if got[name] != want[name] {
				t.Errorf("cut at %d: %s is\n  %s, want\n  %s", cut, name, got[name], want[name])
			}
		}
		if len(got) != len(want) || len(names(t, images)) != 1 {
			t.Errorf("cut at %d: %d files, want %d; the image-dir has %v", cut, len(got), len(want), names(t, images))
		}
	}
	if kept < 5 {
		t.Errorf("the first layer was kept %d times", kept)
	}
}

// interrupt runs an import until so many bytes of layers were read.
func interrupt(t *testing.T, images, oci string, bytes int64) {
	t.Helper()
	o, _, _ := parseOptions([]string{"--image-dir", images, oci}, io.Discard, io.Discard)
	s, err := openSource(oci, nil, images, o.maxSize)
	must(t, err)
	defer s.close()
	img, err := findImage(s, choice{platform: machine})
	must(t, err)
	defer func() {
		if p := recover(); p != nil && p != errCut {
			panic(p)
		}
	}()
	digits, err := hexOf(img.digest)
	must(t, err)
	w, err := openWork(images, digits, "", false, func() {})
	must(t, err)
	defer w.lock.Close()
	_ = w.apply(cutSource{s, &bytes}, img, untar.Options{MaxBytes: o.maxSize, MaxEntries: maxEntries}, &progress{})
}

// The one thing that can't be applied twice: a hard link to a file below, which
// the same layer replaces afterwards.
func TestInterruptedAfterALinkBelow(t *testing.T) {
	oci := layout(t, "", nil,
		archive(t, file("lower", "old")),
		archive(t, hardlink("link", "lower"), file("lower", "new"), file("big", strings.Repeat("x", 5000))))
	images := t.TempDir()
	interrupt(t, images, oci, 2048+5*512)
	r := imported(t, images, oci)
	link, err := os.ReadFile(r.Path + "/link")
	must(t, err)
	if string(link) != "old" || r.Layers[0].Kept {
		t.Errorf("link is %q, the first layer was kept: %v", link, r.Layers[0].Kept)
	}
}

// A whiteout below a link of a lower layer, which its own layer replaces
// afterwards: applied again it would lead elsewhere.
func TestInterruptedAfterAWhiteoutBelowALink(t *testing.T) {
	oci := layout(t, "", nil,
		archive(t, file("one/x", "1"), file("two/x", "2"), symlink("link", "one")),
		archive(t, file("link/.wh.x", ""), symlink("link", "two"), file("big", strings.Repeat("x", 5000))))
	images := t.TempDir()
	interrupt(t, images, oci, 5*1024+5*512)
	r := imported(t, images, oci)
	got := tree(t, r.Path)
	if got["one/x"] != "" || got["two/x"] == "" || r.Layers[0].Kept {
		t.Errorf("one/x: %q, two/x: %q, the first layer was kept: %v", got["one/x"], got["two/x"], r.Layers[0].Kept)
	}
}

// A layer whose file is missing keeps those below it for the next source.
func TestCompletedByALaterSource(t *testing.T) {
	first, second := archive(t, file("a", "a")), archive(t, file("b", "b"))
	oci := layout(t, "gzip", nil, first, second)
	missing := filepath.Join(oci, "blobs/sha256", strings.TrimPrefix(digestOf(pack(t, "gzip", second)), "sha256:"))
	must(t, os.Rename(missing, missing+".away"))
	images := t.TempDir()
	var errs bytes.Buffer
	if code := run([]string{"--image-dir", images, oci}, nil, io.Discard, &errs); code != exitFailed || !strings.Contains(errs.String(), "layer 2: ") {
		t.Fatalf("%d: %s", code, errs.String())
	}
	must(t, os.Rename(missing+".away", missing))
	if r := imported(t, images, oci); !r.Layers[0].Kept || r.Layers[1].Kept {
		t.Errorf("%+v", r.Layers)
	}
}

func TestAgain(t *testing.T) {
	images := t.TempDir()
	oci := layout(t, "gzip", map[string]any{"Cmd": []string{"/x"}}, archive(t, entry{name: "x", mode: 0o4755}))
	r := imported(t, images, oci)
	before := tree(t, r.Path)
	if again := imported(t, images, oci); !again.There || again.Path != r.Path {
		t.Errorf("%+v", again)
	}
	setuid := imported(t, images, "--keep-setuid", oci)
	if setuid.Path == r.Path || !strings.HasPrefix(tree(t, setuid.Path)["x"], "urwxr-xr-x") || !strings.HasPrefix(before["x"], "-rwxr-xr-x") {
		t.Errorf("%s and %s: %s", r.Path, setuid.Path, tree(t, setuid.Path)["x"])
	}
	own := tempFile(t, []byte("executable: /x\n"))
	other := imported(t, images, "--config", own, oci)
	text, err := os.ReadFile(other.Path + "/config/image.yaml")
	must(t, err)
	if other.Path == r.Path || string(text) != "executable: /x\n" {
		t.Errorf("%s: %s", other.Path, text)
	}
	another := layout(t, "gzip", map[string]any{"Cmd": []string{"/y"}}, archive(t, file("y", "")))
	for _, tt := range []struct{ want, name, source string }{
		{"is another image", filepath.Base(r.Path), another},
		{"was made with other options", filepath.Base(setuid.Path), oci},
		{"was not made by lithos_import", "foreign", oci},
	} {
		must(t, os.MkdirAll(images+"/foreign", 0o755))
		var errs bytes.Buffer
		if code := run([]string{"--image-dir", images, "--name", tt.name, tt.source}, nil, io.Discard, &errs); code != exitFailed || !strings.Contains(errs.String(), tt.want) {
			t.Errorf("%d: %s, want %s", code, errs.String(), tt.want)
		}
	}
	if after := tree(t, r.Path); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("it was changed: %v", after)
	}
	must(t, inroot.RemoveAll(r.Path))
	if anew := imported(t, images, "--begin-anew", oci); anew.There {
		t.Errorf("%+v", anew)
	}
}

// The formats of docker save, from files and from standard input.
func TestDockerSave(t *testing.T) {
	layer := archive(t, file("x", "1"))
	data := dockerSave(t, map[string]any{"Cmd": []string{"/x"}}, layer, archive(t, file("y", "")), layer)
	oci := tarOf(t, layout(t, "zstd", map[string]any{"Cmd": []string{"/x"}}, layer, archive(t, file("y", "")), layer))
	var digest string
	for _, format := range [][]byte{data, oci} {
		for _, how := range []string{"", "gzip", "zstd"} {
			name := tempFile(t, pack(t, how, format))
			r := imported(t, t.TempDir(), name)
			if digest == "" {
				digest = r.Digest
			}
			if r.Digest != digest || len(r.Layers) != 3 || r.Name != "sha256-"+strings.TrimPrefix(digest, "sha256:") {
				t.Errorf("%s: %+v", how, r)
			}
			images := t.TempDir()
			reader, writer, err := os.Pipe()
			must(t, err)
			go func() {
				f, _ := os.Open(name)
				_, _ = io.Copy(writer, f)
				writer.Close()
			}()
			var out, errs bytes.Buffer
			if code := run([]string{"--image-dir", images, "-"}, reader, &out, &errs); code != exitOK || !strings.Contains(out.String(), "image: "+r.Name+"\n") {
				t.Errorf("%d: %s%s", code, out.String(), errs.String())
			}
			if list := names(t, images); len(list) != 1 {
				t.Errorf("the image-dir has %v", list)
			}
		}
	}
}
