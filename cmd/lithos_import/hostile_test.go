package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Layers that nobody's build made. Each either does nothing outside of the
// image, or is refused as a whole.
func TestHostileLayers(t *testing.T) {
	outside := t.TempDir()
	must(t, os.WriteFile(filepath.Join(outside, "precious"), []byte("untouched"), 0o644))
	before := tree(t, outside)
	deep := strings.Repeat("d/", 1500)
	tests := []struct {
		name    string
		refused string // "" = unpacked, confined
		layers  [][]byte
	}{
		{"dotdot", "has .. in its name", [][]byte{archive(t, file("a/../../../"+outside+"/evil", ""))}},
		{"dotdot directory", "has .. in its name", [][]byte{archive(t, dir(".."))}},
		{"dotdot hard link", "has .. in its name", [][]byte{archive(t, hardlink("x", "../../../../../"+outside+"/precious"))}},
		{"dotdot whiteout", "is not the name of a whiteout", [][]byte{archive(t, file(".wh...", ""))}},
		{"whiteout of dot", "is not the name of a whiteout", [][]byte{archive(t, file("a/.wh..", ""))}},
		{"absolute name", "", [][]byte{archive(t, file(outside+"/precious", "evil"))}},
		{"absolute hard link", "cannot find the file", [][]byte{archive(t, hardlink("x", outside+"/precious"))}},
		{"symlink as parent", "", [][]byte{archive(t, symlink("out", outside), file("out/evil", ""), dir("out/evildir"))}},
		{"symlink up as parent", "", [][]byte{archive(t, symlink("up", strings.Repeat("../", 20)+outside), file("up/evil", ""))}},
		{"symlink in a layer below", "", [][]byte{archive(t, symlink("out", outside)), archive(t, file("out/precious", "evil"))}},
		{"symlink of symlinks", "", [][]byte{archive(t, symlink("a", "b"), symlink("b", outside), file("a/evil", ""))}},
		{"symlink to proc", "", [][]byte{archive(t, symlink("p", "/proc/self/root"), file("p/"+outside+"/evil", ""))}},
		{"symlink as parent that is inside too", "", [][]byte{archive(t, dir(outside), symlink("out", outside), file("out/precious", "evil"), dir("out/d"))}},
		{"symlink up that is inside too", "", [][]byte{archive(t, dir(outside), symlink("up", strings.Repeat("../", 20)+outside)), archive(t, file("up/precious", "evil"), file("up/.wh.x", ""))}},
		{"etc is a symlink", "", [][]byte{archive(t, symlink("etc", outside))}},
		{"loop of symlinks", "too many levels of symbolic links", [][]byte{archive(t, symlink("a", "b"), symlink("b", "a"), file("a/x", ""))}},
		{"whiteout through a symlink", "", [][]byte{archive(t, symlink("out", outside), file("out/.wh.precious", ""))}},
		{"opaque through a symlink", "", [][]byte{archive(t, symlink("out", outside), file("out/.wh..wh..opq", ""))}},
		{"mode through a symlink", "", [][]byte{archive(t, symlink("out", outside), entry{name: "out", kind: tar.TypeDir, mode: 0o777})}},
		{"hard link through a symlink", "cannot find the file", [][]byte{archive(t, symlink("out", outside), hardlink("x", "out/precious"))}},
		{"write through a hard link", "", [][]byte{archive(t, symlink("s", outside+"/precious"), hardlink("h", "s"), file("h", "evil"))}},
		{"config is a symlink", "cannot make /config", [][]byte{archive(t, symlink("etc", outside), symlink("config", outside))}},
		{"ours is a symlink", "", [][]byte{archive(t, symlink(".lithos_import.json", outside+"/precious"), symlink("etc/hosts", outside+"/precious"))}},
		{"device", "", [][]byte{archive(t, entry{name: "sda", kind: tar.TypeBlock})}},
		{"device in dev", "", [][]byte{archive(t, entry{name: "dev/sda", kind: tar.TypeBlock})}},
		{"hard link to itself", "is a hard link to itself", [][]byte{archive(t, hardlink("x", "./x"))}},
		{"hard link to a directory", "operation not permitted", [][]byte{archive(t, dir("d"), hardlink("x", "d"))}},
		{"hard link to nothing", "cannot find the file", [][]byte{archive(t, hardlink("x", "y"))}},
		{"file for the root", "would replace the root", [][]byte{archive(t, entry{name: ".", kind: tar.TypeSymlink, link: outside})}},
		{"long name", "its name is longer", [][]byte{archive(t, file(strings.Repeat("n/", 3000)+"n", ""))}},
		{"long part", "file name too long", [][]byte{archive(t, file(strings.Repeat("n", 300), ""))}},
		{"deep", "", [][]byte{archive(t, file(deep+"x", "at the bottom")), archive(t, file(".wh.d", ""), file("top", ""))}},
		{"deep opaque", "", [][]byte{archive(t, file(deep+"x", "")), archive(t, file("d/.wh..wh..opq", ""))}},
		{"duplicates", "", [][]byte{archive(t, file("x", "1"), dir("x"), file("x/y", "2"), file("x", "3"), symlink("x", outside), file("x", "4"))}},
		{"unknown type", "unknown type", [][]byte{archive(t, entry{name: "x", kind: '7'})}},
		{"foreign attributes", "", [][]byte{archive(t, entry{name: "x", xattrs: map[string]string{"trusted.overlay.opaque": "y", "security.selinux": "z"}})}},
		{"not a tar", "invalid tar header", [][]byte{bytes.Repeat([]byte("no"), 1000)}},
		{"cut off", "unexpected EOF", [][]byte{archive(t, file("x", strings.Repeat("y", 5000)))[:2000]}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			source := layout(t, "", map[string]any{"Cmd": []string{"/x"}}, tt.layers...)
			if tt.refused != "" {
				refused(t, tt.refused, source)
			} else {
				images := memoryDir(t)
				r := imported(t, images, source)
				if list := names(t, images); len(list) != 1 || list[0] != r.Name {
					t.Errorf("the image-dir has %v", list)
				}
			}
			after := tree(t, outside)
			for name := range before {
				if after[name] != before[name] {
					t.Errorf("outside %s is now %s", name, after[name])
				}
			}
			if len(after) != len(before) {
				t.Errorf("outside there is now %v", after)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	big := archive(t, file("a", strings.Repeat("x", 700)), file("b", strings.Repeat("x", 700)))
	more := archive(t, file("c", strings.Repeat("x", 700)))
	refused(t, "has more than 1000", "--max-size", "1000", layout(t, "gzip", nil, big))
	refused(t, "has more than", "--max-size", "2000", layout(t, "gzip", nil, big, more))
	imported(t, memoryDir(t), "--max-size", "2100", layout(t, "gzip", nil, big, more))
}

// Damaged files with the same manifest.
func TestDamage(t *testing.T) {
	layer := archive(t, file("x", "content"))
	blobs := func(source string, change func(data []byte) []byte) {
		list, err := filepath.Glob(filepath.Join(source, "blobs/sha256/*"))
		must(t, err)
		for _, name := range list {
			data, err := os.ReadFile(name)
			must(t, err)
			if changed := change(data); changed != nil {
				must(t, os.WriteFile(name, changed, 0o644))
			}
		}
	}
	for _, how := range []string{"", "gzip", "zstd"} {
		packed := pack(t, how, layer)
		tests := []struct {
			name, want string
			change     func([]byte) []byte
		}{
			{"another content", "", func(b []byte) []byte { return pack(t, how, archive(t, file("x", "CONTENT"))) }},
			{"one bit", "", func(b []byte) []byte { b[len(b)/2] ^= 1; return b }},
			{"cut off", "", func(b []byte) []byte { return b[:len(b)-20] }},
			{"something behind it", "its manifest says", func(b []byte) []byte { return append(b, 0) }},
		}
		for _, tt := range tests {
			t.Run(how+" "+tt.name, func(t *testing.T) {
				source := layout(t, how, nil, layer)
				blobs(source, func(data []byte) []byte {
					if !bytes.Equal(data, packed) {
						return nil
					}
					return tt.change(data)
				})
				refused(t, tt.want, source)
			})
		}
	}
	for _, what := range []string{"diff_ids", "schemaVersion"} {
		t.Run("a changed "+what, func(t *testing.T) {
			source := layout(t, "gzip", nil, layer)
			blobs(source, func(data []byte) []byte {
				if !bytes.Contains(data, []byte(what)) {
					return nil
				}
				return append(data, ' ')
			})
			refused(t, "is damaged", source)
		})
	}
	t.Run("docker: a changed config", func(t *testing.T) {
		data := dockerSave(t, map[string]any{"User": "aaaa"}, layer)
		refused(t, "is damaged", tempFile(t, bytes.Replace(data, []byte("aaaa"), []byte("root"), 1)))
	})
	t.Run("docker: a changed layer", func(t *testing.T) {
		data := dockerSave(t, nil, layer)
		refused(t, "is not what the image's config says", tempFile(t, bytes.Replace(data, []byte("content"), []byte("CONTENT"), 1)))
	})
}

func TestSourcesThatAreNone(t *testing.T) {
	empty := t.TempDir()
	layer := archive(t, file("x", ""))
	two := layout(t, "", nil, layer)
	index, err := os.ReadFile(two + "/index.json")
	must(t, err)
	one := bytes.TrimSuffix(bytes.SplitN(index, []byte("["), 2)[1], []byte("],\"schemaVersion\":2}"))
	other := bytes.Replace(bytes.Replace(one, []byte(`"test"`), []byte(`"other"`), 1), []byte("sha256:"), []byte("sha256:0"), 1)
	must(t, os.WriteFile(two+"/index.json", fmt.Appendf(nil, `{"schemaVersion":2,"manifests":[%s,%s]}`, one, other), 0o644))

	tests := []struct {
		name, want string
		args       []string
	}{
		{"missing", "no such file", []string{empty + "/none"}},
		{"an empty directory", "is neither made by docker save", []string{empty}},
		{"an empty file", "is an empty tar", []string{tempFile(t, nil)}},
		{"a tar of something else", "is neither made by docker save", []string{tempFile(t, layer)}},
		{"no tar", "is not a tar that can be read", []string{tempFile(t, bytes.Repeat([]byte("?"), 2000))}},
		{"a broken index", "index.json can't be read", []string{tempFile(t, archive(t, file("index.json", "{")))}},
		{"a list of nothing", "there is no image in it", []string{tempFile(t, archive(t, file("manifest.json", "[]")))}},
		{"several", "say which by --reference: other, test", []string{two}},
		{"none of that name", `no image "third", there are: other, test`, []string{"--reference", "third", two}},
		{"a bad digest", "is not a sha256 digest", []string{"--reference", "other", two}},
		{"another machine", "--platform", []string{"--platform", "linux/mips", "--reference", "test", two}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { refused(t, tt.want, tt.args...) })
	}
	imported(t, memoryDir(t), "--reference", "test", two)
}

func tempFile(t *testing.T, data []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(name, data, 0o644))
	return name
}
