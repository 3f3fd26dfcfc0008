package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// layersOfAll have everything that layers do to each other.
func layersOfAll(t *testing.T) [][]byte {
	return layersWith(t, map[string]string{"user.colour": "green"})
}

func layersWith(t *testing.T, attributes map[string]string) [][]byte {
	return [][]byte{
		archive(t,
			dir("./"), dir("usr/"), dir("usr/bin/"), symlink("bin", "usr/bin"),
			entry{name: "usr/bin/tool", body: "#!/bin/sh\n", mode: 0o755},
			dir("etc/"), file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nweb:x:33:44:web:/var/www:/bin/false\n"),
			dir("var"), dir("var/cache"), file("var/cache/a", "a"), dir("var/cache/deep"), file("var/cache/deep/b", "b"),
			entry{name: "var/owned", kind: '5', mode: 0o1777, uid: 33, gid: 44},
			file("one", "same content"), hardlink("two", "one"), hardlink("usr/three", "/one"),
			entry{name: "var/attributes", body: "x", xattrs: attributes},
			file("old", "goes"), dir("olddir"), file("olddir/x", "goes, too"),
			file("becomes-dir", "a file"), dir("becomes-file"), file("becomes-file/inside", ""),
			symlink("dangling", "/no/where"), symlink("absolute", "/etc/passwd"),
			dir("tmp"), file("empty", ""),
		),
		archive(t,
			file(".wh.old", ""), file(".wh.olddir", ""),
			dir("var/cache"), file("var/cache/.wh..wh..opq", ""), file("var/cache/new", "new"),
			dir("becomes-dir"), file("becomes-dir/inside", "now"), file("becomes-file", "now"),
			file("one", "changed, the others not"),
			entry{name: "usr/bin/tool", body: "#!/bin/sh\necho 2\n", mode: 0o755},
		),
		archive(t, file("etc/.wh.nothing", ""), file("var/cache/new", "newer"), symlink("bin/link", "tool"), file("no/parents/here", "")),
	}
}

var everything = map[string]any{
	"Entrypoint": []string{"tool"}, "Cmd": []string{"--port", "80", "a b"}, "User": "web",
	"Env": []string{"PATH=/usr/bin", "LANG=C.UTF-8", "QUOTED=\"#: \t"}, "WorkingDir": "/srv/app",
	"ExposedPorts": map[string]any{"80/tcp": map[string]any{}}, "Volumes": map[string]any{"/var/lib/data": map[string]any{}},
}

// umoci unpacks the same image, with the same outcome in every file; skopeo makes
// the other formats of it.
func TestOthersUnpackTheSame(t *testing.T) {
	oci := layout(t, "gzip", everything, layersOfAll(t)...)
	dir := t.TempDir()
	tool(t, "umoci", "unpack", "--image", oci+":test", filepath.Join(dir, "bundle"))
	tool(t, "skopeo", "copy", "oci:"+oci+":test", "docker-archive:"+dir+"/docker.tar:web:1")
	tool(t, "skopeo", "copy", "oci:"+oci+":test", "oci-archive:"+dir+"/oci.tar:web")
	tool(t, "skopeo", "copy", "--dest-compress-format", "zstd", "oci:"+oci+":test", "oci:"+dir+"/zstd:web")
	want := tree(t, filepath.Join(dir, "bundle/rootfs"))
	var digest string
	for _, source := range []string{oci, dir + "/docker.tar", dir + "/oci.tar", dir + "/zstd"} {
		t.Run(filepath.Base(source), func(t *testing.T) {
			r := imported(t, t.TempDir(), source)
			got := tree(t, r.Path)
			for _, ours := range []string{".lithos_import.json", "config", "config/image.yaml", "etc/hosts", "etc/resolv.conf",
				"dev", "proc", "run", "sys", "srv", "srv/app", "var/lib", "var/lib/data"} {
				if got[ours] == "" {
					t.Errorf("%s is missing", ours)
				}
				delete(got, ours)
			}
			for name, text := range want {
				if got[name] != text {
					t.Errorf("%s is\n  %s, umoci makes\n  %s", name, got[name], text)
				}
				delete(got, name)
			}
			for name := range got {
				t.Errorf("%s: umoci makes none", name)
			}
			// skopeo writes docker's config of its own, so its digest differs.
			if !strings.HasSuffix(source, "docker.tar") {
				if digest == "" {
					digest = r.Digest
				}
				if r.Digest != digest {
					t.Errorf("digest %s, another format has %s", r.Digest, digest)
				}
			}
			if !slices.Equal(r.Volumes, []string{"/var/lib/data"}) || r.User == nil || *r.User != 33 || *r.Group != 44 {
				t.Errorf("volumes %v, user %v, group %v", r.Volumes, r.User, r.Group)
			}
		})
	}
}

// Layers packed by umoci are unpacked.
func TestImagesOfUmoci(t *testing.T) {
	dir := t.TempDir()
	image := filepath.Join(dir, "image") + ":v1"
	tool(t, "umoci", "init", "--layout", filepath.Join(dir, "image"))
	tool(t, "umoci", "new", "--image", image)
	tool(t, "umoci", "config", "--image", image, "--config.entrypoint", "/bin/one", "--config.user", "7:8",
		"--config.env", "A=b", "--architecture", machine.Architecture, "--os", "linux")
	bundle := filepath.Join(dir, "bundle")
	root := filepath.Join(bundle, "rootfs")
	tool(t, "umoci", "unpack", "--image", image, bundle)
	must(t, os.MkdirAll(root+"/bin/sub", 0o755))
	must(t, os.WriteFile(root+"/bin/one", []byte("1"), 0o755))
	must(t, os.WriteFile(root+"/bin/sub/two", []byte("2"), 0o600))
	must(t, os.Link(root+"/bin/one", root+"/bin/uno"))
	must(t, os.Chtimes(root+"/bin/one", when, when))
	must(t, os.Chtimes(root+"/bin/sub/two", when, when))
	tool(t, "umoci", "repack", "--refresh-bundle", "--image", image, bundle)
	must(t, os.RemoveAll(root+"/bin/sub"))
	must(t, os.WriteFile(root+"/bin/sub", []byte("a file now"), 0o644))
	must(t, os.Chtimes(root+"/bin/sub", when, when))
	must(t, os.Symlink("one", root+"/bin/eins"))
	tool(t, "umoci", "repack", "--refresh-bundle", "--image", image, bundle)

	r := imported(t, filepath.Join(dir, "images"), "--name", "web/v1", filepath.Join(dir, "image"))
	if r.Name != "web/v1" || len(r.Layers) != 2 {
		t.Errorf("%+v", r)
	}
	got := tree(t, r.Path)
	for name, text := range tree(t, root) {
		if name != "." && got[name] != text {
			t.Errorf("%s is\n  %s, want\n  %s", name, got[name], text)
		}
	}
	if got["bin/sub/two"] != "" {
		t.Error("bin/sub/two is still there")
	}
}

func tool(t *testing.T, name string, args ...string) {
	t.Helper()
	if name == "skopeo" {
		args = append([]string{"--insecure-policy"}, args...)
	}
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v (apt-get install skopeo umoci)\n%s", name, args, err, out)
	}
}
