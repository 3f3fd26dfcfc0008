package untar

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func archive(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		body := h.Uname // where these tests keep it
		h.Uname, h.Size, h.Mode = "", int64(len(body)), max(h.Mode, 0o600)
		must(t, w.WriteHeader(&h))
		_, err := io.WriteString(w, body)
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

func file(name, body string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Uname: body}
}

// apply unpacks archives into a new directory.
func apply(t testing.TB, o Options, archives ...[]byte) (dir string, done Result, err error) {
	t.Helper()
	dir = t.TempDir()
	root, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	must(t, err)
	defer unix.Close(root)
	for _, a := range archives {
		if done, err = Apply(root, bytes.NewReader(a), o); err != nil {
			break
		}
	}
	return dir, done, err
}

var generous = Options{MaxBytes: 1 << 30, MaxEntries: 1000}

func TestApply_Limits(t *testing.T) {
	two := archive(t, file("a", "12345"), file("b", "12345"))
	for _, tt := range []struct {
		o    Options
		want string
	}{
		{Options{MaxBytes: 10, MaxEntries: 2}, ""},
		{Options{MaxBytes: 9, MaxEntries: 2}, `"b": with this file of 5 bytes the archive has more than 9`},
		{Options{MaxBytes: 10, MaxEntries: 1}, `"b": more than 1 entries`},
	} {
		if _, _, err := apply(t, tt.o, two); (err == nil) != (tt.want == "") || err != nil && err.Error() != tt.want {
			t.Errorf("%+v: %v, want %s", tt.o, err, tt.want)
		}
	}
}

// A file that is nothing but a hole, and says it has a terabyte: GNU's format
// of sparse files, version 1.0, with an empty map.
func TestApply_Sparse(t *testing.T) {
	sparse := func(size string) []byte {
		var b bytes.Buffer
		body := "1\n" + size + "\n0\n"
		body += strings.Repeat("\x00", 512-len(body))
		records := map[string]string{
			"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": size, "GNU.sparse.name": "hole",
		}
		// The writer refuses records that begin with GNU.sparse, so they are
		// written as the body of a header of the type x.
		pax := ""
		for _, k := range []string{"GNU.sparse.major", "GNU.sparse.minor", "GNU.sparse.name", "GNU.sparse.realsize"} {
			line := " " + k + "=" + records[k] + "\n"
			n := len(line) + 2
			if n < 10 {
				n--
			}
			if n >= 100 {
				n++
			}
			pax += itoa(n) + line
		}
		b.Write(header("x", "pax", len(pax)))
		b.WriteString(pax + strings.Repeat("\x00", 512-len(pax)))
		b.Write(header("0", "hole", len(body)))
		b.WriteString(body)
		b.Write(make([]byte, 1024))
		return b.Bytes()
	}
	if _, _, err := apply(t, generous, sparse("1099511627776")); err == nil || !strings.Contains(err.Error(), "1099511627776 bytes") {
		t.Errorf("a terabyte: %v", err)
	}
	dir, done, err := apply(t, generous, sparse("536870912"))
	must(t, err)
	info, err := os.Stat(filepath.Join(dir, "hole"))
	must(t, err)
	if blocks := info.Sys().(*syscall.Stat_t).Blocks; info.Size() != 512<<20 || blocks > 100 || done.Bytes != 512<<20 {
		t.Errorf("%d bytes in %d blocks, counted %d", info.Size(), blocks, done.Bytes)
	}
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}

// header is one of the ustar format.
func header(kind, name string, size int) []byte {
	h := make([]byte, 512)
	copy(h, name)
	octal := func(at, width, n int) {
		for i := width - 2; i >= 0; i-- {
			h[at+i] = byte('0' + n%8)
			n /= 8
		}
	}
	octal(100, 8, 0o644)
	octal(108, 8, 0)
	octal(116, 8, 0)
	octal(124, 12, size)
	octal(136, 12, 0)
	h[156] = kind[0]
	copy(h[257:], "ustar\x0000")
	sum := 8 * int(' ')
	for _, c := range h {
		sum += int(c)
	}
	octal(148, 8, sum)
	h[155] = ' '
	return h
}

// The position of an opaque whiteout in its layer does not matter.
func TestApply_OpaqueAnywhere(t *testing.T) {
	below := archive(t, file("d/old", ""), file("d/both/old", ""), file("d/replaced", "old"))
	own := []tar.Header{file("d/new", ""), file("d/both/new", ""), file("d/replaced", "new")}
	for at := range len(own) + 1 {
		list := append(append(append([]tar.Header{}, own[:at]...), file("d/.wh..wh..opq", "")), own[at:]...)
		dir, _, err := apply(t, generous, below, archive(t, list...))
		must(t, err)
		if text := files(t, dir); text != "d/both/new d/new d/replaced" {
			t.Errorf("at %d: %s", at, text)
		}
		if data, _ := os.ReadFile(dir + "/d/replaced"); string(data) != "new" {
			t.Errorf("at %d: replaced is %q", at, data)
		}
	}
}

// A whiteout removes files of the layers below at its path and no other, also
// when a symbolic link leads to where it stands.
func TestWhiteoutsSpareTheirOwnLayer(t *testing.T) {
	link := func(name, target string) tar.Header {
		return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target}
	}
	marks := map[string]string{"whiteout": "lib/.wh.libc.so", "opaque": "lib/.wh..wh..opq"}
	for _, tt := range []struct {
		name  string
		below []tar.Header
		own   []tar.Header
		want  string
	}{
		{"link of the same layer", []tar.Header{file("lib/libc.so", "old")},
			[]tar.Header{file("usr/lib/libc.so", "new"), link("lib", "usr/lib")}, "lib usr/lib/libc.so"},
		{"link of the same layer to files of a layer below", []tar.Header{file("lib/libc.so", "old"), file("usr/lib/libc.so", "older")},
			[]tar.Header{link("lib", "usr/lib")}, "lib usr/lib/libc.so"},
		{"link of a layer below", []tar.Header{file("usr/lib/a", ""), link("lib", "usr/lib")},
			[]tar.Header{file("usr/lib/libc.so", "new")}, "lib usr/lib/libc.so"},
		{"link below an absolute link", []tar.Header{file("usr/lib/libc.so", "old"), file("x/y", ""), link("l", "/x/../usr"), link("lib", "x/../l/./lib")},
			nil, "l lib x/y"},
		{"link out of the root", []tar.Header{file("usr/lib/libc.so", "old"), link("lib", "../../usr/lib")}, nil, "lib"},
		{"loop of links", []tar.Header{link("lib", "lib2"), link("lib2", "lib"), file("a", "")}, nil, "a lib lib2"},
	} {
		for kind, mark := range marks {
			t.Run(tt.name+" "+kind, func(t *testing.T) {
				own := append(append([]tar.Header{}, tt.own...), file(mark, ""))
				dir, _, err := apply(t, generous, archive(t, tt.below...), archive(t, own...))
				must(t, err)
				want := tt.want
				if kind == "whiteout" && tt.name == "link of a layer below" {
					want = "lib usr/lib/a usr/lib/libc.so"
				}
				if got := files(t, dir); got != want {
					t.Errorf("there are %s, want %s", got, want)
				}
			})
		}
	}
}

// An entry below a symbolic link that leads to nothing makes the directory that
// the link names, in the root.
func TestEntriesBelowDanglingLinks(t *testing.T) {
	for _, tt := range []struct{ target, want string }{
		{"mariadb", "p/mariadb/d/new p/mysql"},
		{"/mariadb", "mariadb/d/new p/mysql"},
		{"../../../var/lib", "p/mysql var/lib/d/new"},
		{"none/../other/.", "p/mysql p/other/d/new"},
		{"second", "p/mysql p/second p/third/d/new"},
	} {
		below := archive(t, file("p/mariadb/f", ""), tar.Header{Typeflag: tar.TypeSymlink, Name: "p/mysql", Linkname: tt.target},
			tar.Header{Typeflag: tar.TypeSymlink, Name: "p/second", Linkname: "third"})
		own := []tar.Header{file("p/.wh.mariadb", ""), file("p/mysql/d/new", "")}
		if tt.target != "second" {
			own = append(own, file("p/.wh.second", ""))
		}
		dir, _, err := apply(t, generous, below, archive(t, own...))
		must(t, err)
		if got := files(t, dir); got != tt.want {
			t.Errorf("%s: there are %s, want %s", tt.target, got, tt.want)
		}
	}
}

// The names of entries and of the targets of hard links may have dots in them,
// as long as they stay in the root.
func TestDotsInNames(t *testing.T) {
	const up = "has .. in its name, which would lead out of the directory"
	link := func(to string) []byte {
		return archive(t, file("usr/lib/x", "1"), tar.Header{Typeflag: tar.TypeLink, Name: "usr/bin/y", Linkname: to})
	}
	for _, tt := range []struct {
		name    string
		archive []byte
		want    string // files, or the error
	}{
		{"hard link", link("usr/bin/../lib/x"), "usr/bin/y usr/lib/x"},
		{"hard link by the root", link("/usr/../././usr/lib//x"), "usr/bin/y usr/lib/x"},
		{"hard link out", link("usr/../../usr/lib/x"), up},
		{"file", archive(t, file("a/../b/c", "")), "b/c"},
		{"file out", archive(t, file("a/../../b", "")), up},
		{"file out and in again", archive(t, file("../a", "")), up},
	} {
		dir, _, err := apply(t, generous, tt.archive)
		if got := files(t, dir); err == nil && got != tt.want || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %s %v, want %s", tt.name, got, err, tt.want)
		}
	}
}

// Extended attributes that the kernel refuses are left out and counted, and the
// entry is made.
func TestAttributesThatTheFileSystemRefuses(t *testing.T) {
	for _, tt := range []struct {
		kind        byte
		name, value string
	}{
		{tar.TypeFifo, "user.foo", "bar"},
		{tar.TypeSymlink, "user.foo", "bar"},
		{tar.TypeReg, "user.", "a name without a name"},
		{tar.TypeReg, "user.foo", strings.Repeat("x", 65537)},
		{tar.TypeReg, "user." + strings.Repeat("n", 300), "bar"},
		{tar.TypeReg, "system.posix_acl_access", "no ACL"},
	} {
		h := tar.Header{Typeflag: tt.kind, Name: "x", Linkname: "y", PAXRecords: map[string]string{"SCHILY.xattr." + tt.name: tt.value}}
		dir, done, err := apply(t, generous, archive(t, h))
		if err != nil || done.Attributes != 1 {
			t.Errorf("%c %.20s: %d left out, %v", tt.kind, tt.name, done.Attributes, err)
		}
		_, err = os.Lstat(dir + "/x")
		must(t, err)
	}
}

// Devices are left out wherever they are, with the hard links to them; a file of
// a layer below that had the name is gone.
func TestDevicesAreLeftOut(t *testing.T) {
	null := tar.Header{Typeflag: tar.TypeChar, Name: "var/jail/null", Devmajor: 1, Devminor: 3}
	disk := tar.Header{Typeflag: tar.TypeBlock, Name: "dev/sda", Devmajor: 8}
	link := tar.Header{Typeflag: tar.TypeLink, Name: "dev/hard", Linkname: "var/jail/null"}
	dir, done, err := apply(t, generous, archive(t, file("var/jail/null", "a file")), archive(t, null, disk, link, file("x", "")))
	must(t, err)
	if got, told := files(t, dir), strings.Join(done.Devices, " "); got != "x" || told != "var/jail/null dev/sda dev/hard" {
		t.Errorf("there are %s, left out are %s", got, told)
	}
}

// files lists all that is no directory.
func files(t *testing.T, dir string) string {
	t.Helper()
	var got []string
	must(t, filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			got = append(got, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	}))
	return strings.Join(got, " ")
}

// No input creates, removes or changes a file outside of the directory.
func FuzzApply(f *testing.F) {
	link := func(name, to string, kind byte) tar.Header {
		return tar.Header{Typeflag: kind, Name: name, Linkname: to}
	}
	f.Add(archive(f, file("a", "x"), file("../b", "y")))
	f.Add(archive(f, link("l", "/", '2'), file("l/x", "y"), link("l", "..", '2'), file("l/x", "y")))
	f.Add(archive(f, link("l", "../outside", '2'), link("h", "l/precious", '1'), file("h", "y"), file("l/.wh.precious", "")))
	f.Add(archive(f, file("d/e/f", ""), file("d/.wh..wh..opq", ""), file(".wh.d", ""), file("d", "")))
	f.Add(archive(f, link("l", "none/x", '2'), file("l/y", "z"), link("n", "a/../l/y", '1'), file("l/.wh.y", ""), link("l/up", "../../outside", '2'), file("l/up/z", "")))
	f.Add(archive(f, tar.Header{Typeflag: tar.TypeChar, Name: "d/null"}, link("e", "d/null", '1'), file("d/null/x", "y")))
	f.Add([]byte("no tar"))
	f.Fuzz(func(t *testing.T, data []byte) {
		top := t.TempDir()
		must(t, os.Mkdir(top+"/outside", 0o755))
		must(t, os.WriteFile(top+"/outside/precious", []byte("untouched"), 0o644))
		must(t, os.Mkdir(top+"/root", 0o755))
		root, err := unix.Open(top+"/root", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		must(t, err)
		defer unix.Close(root)
		_, _ = Apply(root, bytes.NewReader(data), Options{MaxBytes: 1 << 20, MaxEntries: 100})
		entries, err := os.ReadDir(top)
		must(t, err)
		outside, err := os.ReadDir(top + "/outside")
		must(t, err)
		if body, err := os.ReadFile(top + "/outside/precious"); len(entries) != 2 || len(outside) != 1 || string(body) != "untouched" {
			t.Errorf("%v %v %q %v", entries, outside, body, err)
		}
	})
}
