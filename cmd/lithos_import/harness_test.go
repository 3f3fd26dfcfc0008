package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"lithos/sysx/inroot"
)

// entry is one of a tar that tests make.
type entry struct {
	name, link, body string
	kind             byte // 0 = a file
	mode             int64
	uid, gid         int
	xattrs           map[string]string
}

var when = time.Unix(1_600_000_000, 0)

// archive makes a tar.
func archive(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		if e.kind == 0 {
			e.kind = tar.TypeReg
		}
		if e.mode == 0 {
			e.mode = 0o644
			if e.kind == tar.TypeDir {
				e.mode = 0o755
			}
		}
		h := &tar.Header{
			Typeflag: e.kind, Name: e.name, Linkname: e.link, Mode: e.mode, Uid: e.uid, Gid: e.gid,
			Size: int64(len(e.body)), ModTime: when, Format: tar.FormatPAX,
		}
		for k, v := range e.xattrs {
			if h.PAXRecords == nil {
				h.PAXRecords = map[string]string{}
			}
			h.PAXRecords["SCHILY.xattr."+k] = v
		}
		must(t, w.WriteHeader(h))
		_, err := io.WriteString(w, e.body)
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

func dir(name string) entry        { return entry{name: name, kind: tar.TypeDir} }
func file(name, body string) entry { return entry{name: name, body: body} }
func symlink(name, target string) entry {
	return entry{name: name, link: target, kind: tar.TypeSymlink}
}
func hardlink(name, to string) entry { return entry{name: name, link: to, kind: tar.TypeLink} }

func pack(t *testing.T, how string, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch how {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "zstd":
		z, err := zstd.NewWriter(&b)
		must(t, err)
		w = z
	default:
		return data
	}
	_, err := w.Write(data)
	must(t, err)
	must(t, w.Close())
	return b.Bytes()
}

// imageText is the config of a test image with these layers.
func imageText(t *testing.T, config map[string]any, layers ...[]byte) []byte {
	return imageTextFor(t, machine, config, layers...)
}

func imageTextFor(t *testing.T, p platform, config map[string]any, layers ...[]byte) []byte {
	t.Helper()
	ids := []string{}
	for _, l := range layers {
		ids = append(ids, digestOf(l))
	}
	return toJSON(t, map[string]any{
		"created": "2020-09-13T12:26:40Z", "architecture": p.Architecture, "os": p.OS, "variant": p.Variant,
		"config": config, "rootfs": map[string]any{"type": "layers", "diff_ids": ids},
	})
}

func toJSON(t *testing.T, value any) []byte {
	t.Helper()
	data, err := json.Marshal(value)
	must(t, err)
	return data
}

var machine = func() platform {
	o, _, _ := parseOptions([]string{"x"}, io.Discard, io.Discard)
	return o.platform
}()

// layout makes an OCI layout of an image.
func layout(t *testing.T, how string, config map[string]any, layers ...[]byte) string {
	t.Helper()
	l := newLayout(t)
	l.top(named("test", l.image(how, machine, config, layers...)))
	return l.root
}

// layoutDir is an OCI layout that comes to be.
type layoutDir struct {
	t    *testing.T
	root string
}

func newLayout(t *testing.T) layoutDir {
	t.Helper()
	l := layoutDir{t, t.TempDir()}
	must(t, os.MkdirAll(filepath.Join(l.root, "blobs/sha256"), 0o755))
	l.write("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
	return l
}

func (l layoutDir) write(name string, data []byte) {
	must(l.t, os.WriteFile(filepath.Join(l.root, name), data, 0o644))
}

const vnd = "application/vnd.oci.image."

// entryOf is a descriptor in an index.
type entryOf = map[string]any

// blob stores data and gives its descriptor.
func (l layoutDir) blob(kind string, data []byte) entryOf {
	d := digestOf(data)
	l.write("blobs/sha256/"+strings.TrimPrefix(d, "sha256:"), data)
	return entryOf{"mediaType": kind, "digest": d, "size": len(data)}
}

// image stores an image.
func (l layoutDir) image(how string, p platform, config map[string]any, layers ...[]byte) entryOf {
	suffix := map[string]string{"gzip": "+gzip", "zstd": "+zstd"}[how]
	list := []any{}
	for _, data := range layers {
		list = append(list, l.blob(vnd+"layer.v1.tar"+suffix, pack(l.t, how, data)))
	}
	return l.blob(vnd+"manifest.v1+json", toJSON(l.t, map[string]any{
		"schemaVersion": 2, "mediaType": vnd + "manifest.v1+json", "layers": list,
		"config": l.blob(vnd+"config.v1+json", imageTextFor(l.t, p, config, layers...)),
	}))
}

func (l layoutDir) index(list ...entryOf) entryOf {
	return l.blob(vnd+"index.v1+json", toJSON(l.t, map[string]any{"schemaVersion": 2, "manifests": list}))
}

// top writes index.json.
func (l layoutDir) top(list ...entryOf) {
	l.write("index.json", toJSON(l.t, map[string]any{"schemaVersion": 2, "manifests": list}))
}

// with is a descriptor with one more field.
func with(d entryOf, key string, value any) entryOf {
	d = maps.Clone(d)
	d[key] = value
	return d
}

func named(name string, d entryOf) entryOf {
	return with(d, "annotations", map[string]string{refName: name})
}

func forPlatform(text string, d entryOf) entryOf {
	p := strings.Split(text+"/", "/")
	return with(d, "platform", platform{p[0], p[1], p[2]})
}

// dockerSave makes the tar that docker save made before version 25.
func dockerSave(t *testing.T, config map[string]any, layers ...[]byte) []byte {
	t.Helper()
	text := imageText(t, config, layers...)
	name := strings.TrimPrefix(digestOf(text), "sha256:") + ".json"
	entries := []entry{file(name, string(text))}
	var files []string
	seen := map[string]string{}
	for i, l := range layers {
		f := fmt.Sprintf("%064d/layer.tar", i)
		if first, twice := seen[string(l)]; twice {
			entries = append(entries, symlink(f, "../"+first))
		} else {
			entries = append(entries, file(f, string(l)))
		}
		seen[string(l)] = f
		files = append(files, f)
	}
	m := toJSON(t, []any{map[string]any{"Config": name, "RepoTags": []string{"test:1"}, "Layers": files}})
	return archive(t, append(entries, file("manifest.json", string(m)))...)
}

// tarOf packs a directory as it is.
func tarOf(t *testing.T, root string) []byte {
	t.Helper()
	var entries []entry
	must(t, fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(root, path))
		entries = append(entries, file("./"+path, string(data)))
		return err
	}))
	return archive(t, entries...)
}

// memoryDir is an image-dir on a tmpfs, which has no attributes of users before
// 6.6. On a disk each of many imports would wait for everything that anybody
// wrote to it.
func memoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "lithos_import-test-")
	must(t, err)
	t.Cleanup(func() { must(t, inroot.RemoveAll(dir)) })
	return dir
}

// imported runs the program, which has to succeed, and gives its document.
func imported(t *testing.T, imageDir string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run(append([]string{"--json", "--image-dir", imageDir}, args...), os.Stdin, &out, &errs); code != exitOK {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	var r result
	must(t, json.Unmarshal(out.Bytes(), &r))
	return r
}

// refused runs the program, which has to fail with this text and leave no
// image.
func refused(t *testing.T, want string, args ...string) {
	t.Helper()
	imageDir := memoryDir(t)
	var out, errs bytes.Buffer
	if code := run(append([]string{"--image-dir", imageDir}, args...), os.Stdin, &out, &errs); code != exitFailed {
		t.Errorf("exit code %d: %s%s", code, out.String(), errs.String())
	}
	if !strings.Contains(errs.String(), want) {
		t.Errorf("told is %q, want %q", errs.String(), want)
	}
	for _, name := range names(t, imageDir) {
		t.Errorf("%s was left", name)
	}
}

func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// tree describes each file below a directory: type, mode, owner, links, time,
// attributes, content.
func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	list := map[string]string{}
	inodes := map[uint64]string{}
	must(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		text := fmt.Sprintf("%v %d:%d", info.Mode(), st.Uid, st.Gid)
		switch {
		case info.Mode().IsRegular():
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += fmt.Sprintf(" %s %q", age(info.ModTime()), data)
			if st.Nlink > 1 {
				if inodes[st.Ino] == "" {
					inodes[st.Ino] = name
				}
				text += " = " + inodes[st.Ino]
			}
		case info.Mode()&fs.ModeSymlink != 0:
			target, _ := os.Readlink(path)
			text += " -> " + target
		}
		list[name] = text + attributesOf(path)
		return nil
	}))
	return list
}

// age is the time of an archived file; a file made here is new.
func age(at time.Time) string {
	if at.Year() > when.Year() {
		return "new"
	}
	return at.UTC().Format(time.RFC3339)
}

func attributesOf(path string) string {
	buf := make([]byte, 4096)
	n, err := unix.Llistxattr(path, buf)
	if err != nil || n <= 0 {
		return ""
	}
	all := strings.Split(strings.TrimRight(string(buf[:n]), "\x00"), "\x00")
	sort.Strings(all)
	value := make([]byte, 4096)
	text := ""
	for _, name := range all {
		n, _ := unix.Lgetxattr(path, name, value)
		text += fmt.Sprintf(" %s=%q", name, value[:max(n, 0)])
	}
	return text
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
