package main

import (
	"archive/tar"
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sample is an image of the corpus: layers over [corpusBase].
type sample struct {
	layers [][]byte
	how    string   // of compression
	args   []string // of lithos_import
	like   string   // the sample whose tree this is, which umoci can't read
	disk   bool     // it has what a tmpfs can't hold before Linux 6.6
	// differs are the files that umoci makes otherwise, and why that is so. An
	// empty text is a file that one of the two does not make.
	differs map[string]string
}

// corpusBase has all that lithos_import makes in an image that lacks it, so that
// nothing is added to the others.
func corpusBase(t *testing.T) []byte {
	return archive(t, dir("dev"), dir("proc"), dir("run"), dir("sys"), dir("tmp"), dir("etc"), dir("config"),
		file("etc/hosts", "h"), file("etc/resolv.conf", "r"), file("etc/passwd", "root:x:0:0::/root:\n"), entry{name: "x", mode: 0o755},
		dir("d"), file("d/one", "1"), file("d/two", "2"), dir("d/deep"), file("d/deep/three", "3"), dir("e"), file("e/four", "4"),
		symlink("to-d", "d"), symlink("to-root", "/"), symlink("dangling", "nowhere"), symlink("up", "../../d"), hardlink("hard", "d/one"))
}

// changes are layers of a few entries, each with one trait.
func changes(t *testing.T) map[string]sample {
	say := func(entries ...entry) sample { return sample{layers: [][]byte{archive(t, entries...)}} }
	white := func(name string) entry {
		return file(filepath.Join(filepath.Dir(name), ".wh."+filepath.Base(name)), "")
	}
	opaque := func(name string) entry { return file(name+"/.wh..wh..opq", "") }
	fifo := func(name string) entry { return entry{name: name, kind: tar.TypeFifo} }
	long := strings.Repeat("long/", 40) + strings.Repeat("n", 255)
	return map[string]sample{
		"nothing":                   say(),
		"a new file":                say(file("new", "n")),
		"implied parents":           say(file("a/b/c", "n")),
		"modes":                     say(entry{name: "m1", mode: 0o7}, entry{name: "m2", mode: 0o400}, entry{name: "m3", kind: tar.TypeDir, mode: 0o1777}),
		"mode of a directory":       say(entry{name: "d", kind: tar.TypeDir, mode: 0o700, uid: 5}),
		"set-id on directories":     say(entry{name: "s", kind: tar.TypeDir, mode: 0o2775}),
		"owners":                    say(entry{name: "o1", uid: 100000, gid: 65534}, entry{name: "o2", uid: 2000000000, gid: 1}),
		"owner of a link":           say(entry{name: "l", kind: tar.TypeSymlink, link: "x", uid: 7, gid: 8}),
		"links":                     say(symlink("l1", "x"), symlink("l2", "/etc/passwd"), symlink("l3", "l3"), symlink("l4", strings.Repeat("t", 300))),
		"hard links":                say(file("h1", "h"), hardlink("h2", "h1"), hardlink("a/h3", "./h2"), hardlink("h4", "/h1")),
		"hard link below":           say(hardlink("h", "d/two"), hardlink("d/deep/h", "e/four")),
		"hard link to a link":       say(hardlink("h", "to-d")),
		"hard link through a link":  say(hardlink("h", "to-d/one")),
		"hard link, then replaced":  say(hardlink("h", "d/two"), file("d/two", "new")),
		"a hard link's file":        say(file("hard", "only this one")),
		"dots in a hard link":       say(hardlink("h", "d/../e/./four")),
		"dots in names":             say(file("./a/../b/./c", "n"), dir("q/../r/")),
		"slashes":                   say(file("//s//t", "n"), dir("/u//v//")),
		"whiteout":                  say(white("d/one")),
		"whiteout of a directory":   say(white("d")),
		"whiteout of a link":        say(white("to-d")),
		"whiteout of nothing":       say(white("d/none"), white("none/none"), white("dangling/x")),
		"whiteout, then new":        say(white("d"), dir("d"), file("d/new", "n")),
		"new, then whiteout":        say(dir("d"), file("d/new", "n"), white("d")),
		"whiteout of its own":       say(file("d/one", "new"), white("d/one")),
		"whiteout below a file":     say(file("d", "a file"), white("d/one")),
		"opaque":                    say(dir("d"), opaque("d"), file("d/new", "n")),
		"opaque at the end":         say(dir("d"), file("d/new", "n"), dir("d/deep"), opaque("d")),
		"opaque without its entry":  say(opaque("d")),
		"opaque below opaque":       say(opaque("d"), file("d/deep/new", "n"), opaque("d/deep")),
		"opaque of a new one":       say(dir("new"), opaque("new"), file("new/f", "n")),
		"opaque of nothing":         say(opaque("d/none/none")),
		"other markers":             say(file(".wh..wh.plnk", ""), file("d/.wh..wh.aufs", "")),
		"directory to file":         say(file("d", "a file")),
		"directory to link":         say(symlink("d", "e"), file("d/new", "in e")),
		"file to directory":         say(dir("x"), file("x/y", "n")),
		"file to link":              say(symlink("x", "d")),
		"link to file":              say(file("to-d", "a file")),
		"link to directory":         say(dir("to-d"), file("to-d/new", "not in d")),
		"FIFO":                      say(fifo("p"), fifo("x")),
		"FIFO to file":              {layers: [][]byte{archive(t, fifo("p")), archive(t, file("p", "a file"))}},
		"through a link":            say(file("to-d/new", "in d"), dir("to-d/newdir"), file("to-root/top", "t"), file("up/new2", "n")),
		"through an own link":       say(symlink("own", "e"), file("own/new", "in e")),
		"below a dangling link":     say(file("dangling/a/b", "made")),
		"whiteout through a link":   say(white("to-d/one")),
		"whiteout, own link":        say(symlink("l", "d"), file("d/one", "new"), white("l/one")),
		"opaque through a link":     say(opaque("to-d"), file("to-d/new", "n")),
		"the same name twice":       say(file("n", "1"), file("n", "2")),
		"a directory twice":         say(entry{name: "n", kind: tar.TypeDir, mode: 0o700}, file("n/f", ""), entry{name: "n", kind: tar.TypeDir, mode: 0o711}),
		"file, directory, file":     say(file("n", "1"), dir("n"), file("n/f", "2"), file("n", "3")),
		"long names":                say(file(long, "n"), symlink("l", long), hardlink("h", long)),
		"odd names":                 say(file("a b", ""), file("new\nline", ""), file("über", ""), file("\xff\xfe", ""), file("-", ""), file(".hidden", ""), file("~", ""), file(".w", "")),
		"deep":                      say(file(strings.Repeat("p/", 300)+"f", "n")),
		"a file of zeros":           say(file("zeros", strings.Repeat("\x00", 3<<20)+"end"), file("tail", "x"+strings.Repeat("\x00", 300_000))),
		"no global header":          say(file("g", "n")),
		"global header":             {layers: [][]byte{globalHeader(t, file("g", "n"))}, like: "no global header"},
		"padding behind the end":    {layers: [][]byte{append(archive(t, file("n", "n")), make([]byte, 1<<20)...)}},
		"no blocks at the end":      {layers: [][]byte{bytes.TrimRight(archive(t, file("n", strings.Repeat("n", 512))), "\x00")}},
		"three layers of a file":    {layers: [][]byte{archive(t, file("f", "1")), archive(t, white("f")), archive(t, file("f", "3"))}},
		"a layer twice":             {layers: [][]byte{archive(t, file("f", "1")), archive(t, file("f", "2")), archive(t, file("f", "1"))}},
		"gzip":                      {layers: [][]byte{archive(t, file("f", "1"))}, how: "gzip"},
		"attributes":                {layers: [][]byte{archive(t, entry{name: "a", xattrs: map[string]string{"user.a": "1", "user.b": "\x00\xff"}}, entry{name: "b", kind: tar.TypeDir, xattrs: map[string]string{"user.c": "3"}})}, disk: true},
		"set-user-id, if asked for": {layers: [][]byte{archive(t, entry{name: "s", mode: 0o4755}, entry{name: "g", mode: 0o2711})}, args: []string{"--keep-setuid"}},
		"whiteout through an own link": {layers: [][]byte{archive(t, dir("lib"), file("lib/f", "1"), dir("usr/lib"), file("usr/lib/f", "2")), archive(t, symlink("lib", "usr/lib"), file("lib/.wh.f", ""))}, differs: map[string]string{
			"usr/lib/f": "umoci removes it; the whiteout names lib/f, which went with the directory lib"}},
		"set-user-id": {layers: [][]byte{archive(t, entry{name: "s", mode: 0o4755})}, differs: map[string]string{
			"s": "set-id bits are taken off unless asked for"}},
		"devices": {layers: [][]byte{archive(t, entry{name: "dev/null", kind: tar.TypeChar}, entry{name: "jail/null", kind: tar.TypeChar}, hardlink("jail/same", "jail/null"))}, differs: map[string]string{
			"dev/null": "", "jail/null": "", "jail/same": ""}},
	}
}

// globalHeader has a PAX header for all entries, as git archive writes it.
func globalHeader(t *testing.T, e entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header", PAXRecords: map[string]string{"comment": "0123"}}))
	must(t, w.Flush())
	return append(b.Bytes(), archive(t, e)...)
}

// packed are layers that programs packed, from one directory.
func packed(t *testing.T) map[string]sample {
	root := t.TempDir()
	for _, d := range []string{"p/sub", "p/" + strings.Repeat("n", 120) + "/" + strings.Repeat("m", 120)} {
		must(t, os.MkdirAll(filepath.Join(root, d), 0o755))
	}
	must(t, os.WriteFile(root+"/p/file", []byte("content"), 0o640))
	must(t, os.Chown(root+"/p/file", 70000, 80000))
	must(t, os.Link(root+"/p/file", root+"/p/sub/hard"))
	must(t, os.Symlink("../file", root+"/p/sub/link"))
	must(t, os.WriteFile(root+"/p/"+strings.Repeat("n", 120)+"/"+strings.Repeat("m", 120)+"/long", []byte("l"), 0o644))
	hole, err := os.Create(root + "/p/hole")
	must(t, err)
	_, err = hole.WriteAt([]byte("in the middle"), 2<<20)
	must(t, err)
	must(t, hole.Truncate(5<<20))
	must(t, hole.Close())
	must(t, filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.Mode()&os.ModeSymlink != 0 {
			return err
		}
		return os.Chtimes(path, when, when)
	}))
	all := map[string]sample{}
	add := func(name string, command ...string) {
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Dir, cmd.Stderr = root, os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v", command, err)
		}
		all[name] = sample{layers: [][]byte{out}}
	}
	for _, format := range []string{"gnu", "oldgnu", "posix"} {
		add("GNU tar, "+format, "tar", "--format="+format, "-cf", "-", "p")
	}
	for _, format := range []string{"gnu", "oldgnu"} {
		name := "GNU tar, sparse, " + format
		add(name, "tar", "--format="+format, "-S", "-cf", "-", "./p")
		all[name] = sample{layers: all[name].layers, like: "GNU tar, posix"}
	}
	for _, version := range []string{"0.0", "0.1", "1.0"} {
		add("GNU tar, sparse "+version, "tar", "--format=posix", "--sparse-version="+version, "-S", "-cf", "-", "p")
	}
	add("GNU tar, numbers", "tar", "--numeric-owner", "--owner=3000000000", "--group=3000000001", "-cf", "-", "p/file")
	add("GNU tar, ustar", "tar", "--format=ustar", "-cf", "-", "p/file", "p/sub")
	add("GNU tar, v7", "tar", "--format=v7", "-cf", "-", "p/file", "p/sub")
	add("GNU tar, old times", "tar", "--mtime=1950-01-01 00:00:00.25 UTC", "--format=posix", "-cf", "-", "p/file")
	for _, format := range []string{"USTAR", "GNU", "PAX"} {
		add("Python, "+format, "python3", "-c", "import sys, tarfile\nwith tarfile.open(fileobj=sys.stdout.buffer, mode='w|', format=tarfile."+format+"_FORMAT) as t:\n for n in ('p/file', 'p/sub'): t.add(n)")
	}
	return all
}

// Every image of the corpus becomes the tree that umoci makes of it, file by
// file, or the difference is explained.
func TestCorpus(t *testing.T) {
	base := corpusBase(t)
	corpus := changes(t)
	maps.Copy(corpus, packed(t))
	if len(corpus) < 80 {
		t.Fatalf("the corpus has %d images", len(corpus))
	}
	for _, name := range slices.Sorted(maps.Keys(corpus)) {
		s := corpus[name]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			images, bundle := memoryDir(t), memoryDir(t)+"/bundle"
			if s.disk {
				images, bundle = t.TempDir(), t.TempDir()+"/bundle"
			}
			make := func(layers [][]byte) string {
				return layout(t, s.how, map[string]any{"Cmd": []string{"/x"}}, append([][]byte{base}, layers...)...)
			}
			oci := make(s.layers)
			theirs := oci
			if s.like != "" {
				theirs = make(corpus[s.like].layers)
			}
			tool(t, "umoci", "unpack", "--image", theirs+":test", bundle)
			r := imported(t, images, append(s.args, oci)...)
			sameTree(t, tree(t, bundle+"/rootfs"), tree(t, r.Path), s.differs)
		})
	}
}

// sameTree compares umoci's tree with ours; differs are as in a sample.
func sameTree(t *testing.T, want, got map[string]string, differs map[string]string) {
	t.Helper()
	for _, ours := range []string{metadataFile, "config/image.yaml"} {
		if got[ours] == "" {
			t.Errorf("%s is missing", ours)
		}
		delete(got, ours)
	}
	for name := range differs {
		if got[name] == want[name] {
			t.Errorf("%s does not differ any more", name)
		}
		delete(got, name)
		delete(want, name)
	}
	for name, text := range want {
		if got[name] != text {
			t.Errorf("%q is\n  %s, umoci makes\n  %s", name, got[name], text)
		}
		delete(got, name)
	}
	for name := range got {
		t.Errorf("%q: umoci makes none", name)
	}
}

// An image that buildah built, in all forms that buildah and skopeo write, becomes
// the tree that umoci makes of it.
func TestImagesOfBuildah(t *testing.T) {
	work := memoryDir(t) // buildah takes no upper case in the path of a layout
	must(t, os.MkdirAll(work+"/source/sub", 0o755))
	must(t, os.WriteFile(work+"/source/sub/tool", []byte("#!/bin/sh\n"), 0o755))
	must(t, os.WriteFile(work+"/source/old", []byte("old"), 0o644))
	must(t, os.Chtimes(work+"/source/sub/tool", when, when))
	must(t, os.Chtimes(work+"/source/old", when, when))
	buildah := func(args ...string) string {
		t.Helper()
		args = append([]string{"--storage-driver", "vfs", "--root", work + "/storage", "--runroot", work + "/run"}, args...)
		cmd := exec.Command("buildah", args...)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("buildah %v: %v (apt-get install buildah)\n%s", args, err, errs.String())
		}
		return strings.TrimSpace(string(out))
	}
	first := buildah("from", "scratch")
	buildah("copy", "--chown", "7:8", first, work+"/source", "/app")
	buildah("config", "--user", "7", "--entrypoint", `["/app/sub/tool"]`, "--healthcheck", "CMD /app/sub/tool", first)
	buildah("commit", "--format", "docker", first, "oci:"+work+"/layout:one")
	second := buildah("from", "oci:"+work+"/layout:one")
	mounted := buildah("mount", second)
	must(t, os.Remove(mounted+"/app/old"))
	must(t, os.WriteFile(mounted+"/app/new", []byte("new"), 0o600))
	must(t, os.Chtimes(mounted+"/app/new", when, when))
	for _, to := range []string{"oci:" + work + "/layout:two", "oci-archive:" + work + "/oci.tar:two", "docker-archive:" + work + "/docker.tar:two:1", "dir:" + work + "/dir"} {
		buildah("commit", second, to)
	}
	buildah("commit", "--format", "docker", second, "dir:"+work+"/dir-docker")
	buildah("commit", "--squash", second, "oci:"+work+"/layout:squashed")
	from := "oci:" + work + "/layout:two"
	tool(t, "skopeo", "copy", from, "dir:"+work+"/dir-skopeo")
	tool(t, "skopeo", "copy", "--format", "v2s2", from, "dir:"+work+"/dir-v2s2")
	tool(t, "skopeo", "copy", from, "docker-archive:"+work+"/skopeo.tar")
	tool(t, "skopeo", "copy", from, "docker-archive:"+work+"/skopeo-named.tar:example.org/a/b:c")
	tool(t, "skopeo", "copy", "--dest-compress-format", "zstd", "--dest-compress", from, "dir:"+work+"/dir-zstd")
	tool(t, "skopeo", "copy", "--dest-decompress", from, "dir:"+work+"/dir-plain")
	tool(t, "umoci", "unpack", "--image", work+"/layout:two", work+"/bundle")

	for _, args := range [][]string{
		{"--reference", "two", "layout"}, {"--reference", "squashed", "layout"}, {"oci.tar"}, {"docker.tar"}, {"dir"}, {"dir-docker"},
		{"dir-skopeo"}, {"dir-v2s2"}, {"skopeo.tar"}, {"skopeo-named.tar"}, {"dir-zstd"}, {"dir-plain"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			last := len(args) - 1
			r := imported(t, memoryDir(t), append(args[:last:last], filepath.Join(work, args[last]))...)
			got, want := tree(t, r.Path), tree(t, work+"/bundle/rootfs")
			for _, ours := range []string{"config", "dev", "etc", "etc/hosts", "etc/resolv.conf", "proc", "run", "sys"} {
				delete(got, ours)
			}
			sameTree(t, want, got, nil)
			if r.User == nil || *r.User != 7 || *r.Group != 0 {
				t.Errorf("user %v, group %v", r.User, r.Group)
			}
		})
	}
}
