package inspect

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lithos/configs"
)

// inspected is a host whose image has mount points and a static program; edit
// changes its directory, and want is what Inspect tells.
type inspected struct {
	name string
	host hostConfig
	edit func(t *testing.T, dir string)
	want []string
}

// elfFile makes a 64 bit program: its machine, kind and loader ("" = static).
func elfFile(machine, kind uint16, loader string) string {
	le := binary.LittleEndian
	h := make([]byte, 64+56)
	copy(h, "\x7fELF\x02\x01\x01")
	le.PutUint16(h[16:], kind)
	le.PutUint16(h[18:], machine)
	le.PutUint64(h[32:], 64)
	le.PutUint16(h[54:], 56)
	le.PutUint16(h[56:], 1)
	le.PutUint32(h[64:], 1)
	if loader != "" {
		le.PutUint32(h[64:], elfInterp)
		le.PutUint64(h[64+8:], uint64(len(h)))
		le.PutUint64(h[64+32:], uint64(len(loader)+1))
		h = append(append(h, loader...), 0)
	}
	return string(h)
}

func static() string { return elfFile(hostMachine(), elfExecutable, "") }

func hostMachine() uint16 {
	data, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		panic(err)
	}
	return binary.LittleEndian.Uint16(data[18:])
}

const inspectedHost = "devfs-dir: HOST/dev\n"

func (c inspected) inspect(t *testing.T) configs.Problems {
	t.Helper()
	c.host.master += inspectedHost
	dir := writeTree(t, c.host.files())
	for _, sub := range []string{"dev/pts", "images/v1/dev", "images/v1/proc", "images/v1/sys", "images/v1/bin", "images/v1/etc"} {
		mkdirs(t, filepath.Join(dir, sub))
	}
	program(t, dir, "bin/app", static())
	if c.edit != nil {
		c.edit(t, dir)
	}
	plan, problems := configs.Load(configs.Options{MasterFile: filepath.Join(dir, "master.yaml"), Excerpts: true})
	if plan == nil || len(problems) > 0 {
		t.Fatalf("unexpected problems:\n%s", format(problems))
	}
	found := Plan(plan)
	for i, p := range found {
		found[i].Text, found[i].File = strings.ReplaceAll(p.Text, dir, "HOST"), strings.ReplaceAll(p.File, dir, "HOST")
		if p.Sandbox != "web" || p.Process != "app" {
			t.Errorf("it belongs to %s/%s: %s", p.Sandbox, p.Process, p)
		}
		if p.Line > 0 && p.Excerpt == "" {
			t.Errorf("no excerpt: %s", p)
		}
	}
	return found
}

func mkdirs(t testing.TB, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
}

// program writes an executable file into the image v1.
func program(t *testing.T, dir, name, text string) {
	t.Helper()
	file := filepath.Join(dir, "images/v1", name)
	mkdirs(t, filepath.Dir(file))
	if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, dir, name string) {
	t.Helper()
	file := filepath.Join(dir, "images/v1", name)
	if err := os.RemoveAll(file); err != nil {
		t.Fatal(err)
	}
	mkdirs(t, filepath.Dir(file))
	if err := os.Symlink(target, file); err != nil {
		t.Fatal(err)
	}
}

func without(name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func script(text string) func(*testing.T, string) {
	return func(t *testing.T, dir string) { program(t, dir, "bin/app", text) }
}

func chmod(name string, mode os.FileMode) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
}

func volumes(text string) hostConfig {
	return hostConfig{
		sandbox:   "readonly-paths: {/ro: HOST/ro}\nwritable-paths: {/rw: HOST/rw}\n",
		container: "executable: /bin/app\nvolumes:\n  " + text + "\n",
	}
}

// Covers: E12, E16, H1, I3, I4, K4, K10, R4
func TestInspectImages(t *testing.T) {
	config := "HOST/images/v1/config/app.yaml:"
	for _, c := range []inspected{
		{name: "R4 nothing is missing"},
		{name: "K4 no /proc", edit: without("images/v1/proc"), want: []string{
			"HOST/images/v1: error: the mount point /proc is missing: /proc does not exist on the image HOST/images/v1"}},
		{name: "K4 /sys is a file", edit: func(t *testing.T, dir string) {
			without("images/v1/sys")(t, dir)
			program(t, dir, "sys", "")
		}, want: []string{"error: the mount point /sys is no directory"}},
		{name: "K4 no pts in the devfs", edit: without("dev/pts"), want: []string{"error: the mount point /dev/pts is missing"}},
		{name: "K4 /dev may be a link inside", edit: func(t *testing.T, dir string) {
			mkdirs(t, filepath.Join(dir, "images/v1/real/dev"))
			link(t, "../real/./dev", dir, "etc/dev")
			link(t, "/etc/dev", dir, "dev")
		}},
		{name: "K4 a link never leads out", edit: func(t *testing.T, dir string) { link(t, "/../../../../../../proc", dir, "sys") }},
		{name: "K4 a loop of links", edit: func(t *testing.T, dir string) { link(t, "/sys", dir, "sys") },
			want: []string{"error: the mount point /sys is missing: /sys is a loop of symbolic links"}},
		{name: "K10 a root that the user may not enter", edit: chmod("images/v1", 0o700),
			want: []string{"HOST/images/v1: warning: user 1 may not enter it (mode 0700, owner 0:0)"}},

		{name: "R4 no executable", edit: without("images/v1/bin/app"), want: []string{
			config + "2:13: error: executable: /bin/app is missing: /bin/app does not exist on the image HOST/images/v1"}},
		{name: "R4 another name", edit: func(t *testing.T, dir string) {
			if err := os.Rename(filepath.Join(dir, "images/v1/bin/app"), filepath.Join(dir, "images/v1/bin/apps")); err != nil {
				t.Fatal(err)
			}
		}, want: []string{"executable: /bin/app is missing (did you mean /bin/apps?): /bin/app does not exist on"}},
		{name: "R4 a directory on the way is missing", edit: without("images/v1/bin"), want: []string{
			"executable: /bin/app is missing: /bin does not exist on"}},
		{name: "R4 not executable", edit: chmod("images/v1/bin/app", 0o644), want: []string{"error: executable: /bin/app is not executable (mode 0644)"}},
		{name: "R4 not for this user", edit: chmod("images/v1/bin/app", 0o700), want: []string{"warning: executable: user 1 may not execute /bin/app (mode 0700, owner 0:0)"}},
		{name: "R4 a directory", edit: func(t *testing.T, dir string) {
			without("images/v1/bin/app")(t, dir)
			mkdirs(t, filepath.Join(dir, "images/v1/bin/app"))
		}, want: []string{"executable: /bin/app is no regular file"}},
		{name: "R4 empty", edit: script(""), want: []string{"executable: /bin/app is empty"}},
		{name: "R4 text", edit: script("echo hello\n"), want: []string{"executable: /bin/app is neither a program nor a script"}},
		{name: "R4 another architecture", edit: script(elfFile(243, elfExecutable, "")), want: []string{"executable: /bin/app is a program for riscv, this machine is"}},
		{name: "R4 an object file", edit: script(elfFile(hostMachine(), 1, "")), want: []string{"is an ELF file, but no program"}},
		{name: "R4 cut off", edit: script(static()[:70]), want: []string{"is a damaged ELF file"}},
		{name: "R4 no loader", edit: script(elfFile(hostMachine(), elfShared, "/lib/ld.so")), want: []string{
			"error: executable: the loader of /bin/app, /lib/ld.so, is missing: /lib does not exist on the image"}},
		{name: "R4 a loader", edit: func(t *testing.T, dir string) {
			program(t, dir, "usr/lib/ld-2.so", static())
			link(t, "usr/lib", dir, "lib")
			link(t, "ld-2.so", dir, "usr/lib/ld.so")
			program(t, dir, "bin/app", elfFile(hostMachine(), elfShared, "/lib/ld.so"))
		}},
		{name: "R4 a script without its interpreter", edit: script("#! /bin/sh -e\n"), want: []string{
			"error: executable: the interpreter of /bin/app, /bin/sh, is missing: /bin/sh does not exist"}},
		{name: "R4 a script of a DOS", edit: script("#!/bin/sh\r\n"), want: []string{`/bin/sh\r, is missing (the lines of the script end as in DOS files)`}},
		{name: "R4 a script of a script of a program", edit: func(t *testing.T, dir string) {
			program(t, dir, "bin/app", "#!/bin/one\n")
			program(t, dir, "bin/one", "#!\t/bin/two\n")
			program(t, dir, "bin/two", static())
		}},
		{name: "R4 a script that runs itself", edit: script("#!/bin/app\n"), want: []string{"is a script that is run by a script"}},
		{name: "R4 a script without a name", edit: script("#!  \n"), want: []string{"is a script without an interpreter"}},

		{name: "E12 no workdir", host: hostConfig{container: "workdir: /srv"}, want: []string{"1:10: error: workdir: the workdir is missing: /srv does not exist"}},
		{name: "E12 a workdir that is a file", host: hostConfig{container: "workdir: /bin/app"}, want: []string{"workdir: /bin/app is no directory"}},
		{name: "E16 stdout-stderr-file on the image", host: hostConfig{container: "stdout-stderr-file: /etc/log"}, want: []string{
			"stdout-stderr-file: it would lie on the image HOST/images/v1, which is read-only"}},
		{name: "E16 stdout-stderr-file on a volume", host: hostConfig{container: "stdout-stderr-file: /etc/log\nvolumes: {/etc: !Tmpfs }"}},
		{name: "I3 mount without a file", host: hostConfig{container: "resolv-conf: {mount: true}"}, want: []string{
			"error: resolv-conf: mount needs the file /etc/resolv.conf: /etc/resolv.conf does not exist"}},
		{name: "I4 mount with a link", host: hostConfig{container: "hosts-file: {mount: true}"}, edit: func(t *testing.T, dir string) {
			link(t, "/bin/app", dir, "etc/hosts")
		}, want: []string{"error: hosts-file: mount needs /etc/hosts to be a regular file"}},
	} {
		t.Run(c.name, func(t *testing.T) { wantProblems(t, c.inspect(t), c.want...) })
	}
}

// Covers: H1, H2, H3, H4, H5, R4
func TestInspectVolumes(t *testing.T) {
	both := func(t *testing.T, dir string) {
		for _, sub := range []string{"ro/sub", "rw/db/inner", "images/v1/data"} {
			mkdirs(t, filepath.Join(dir, sub))
		}
	}
	for _, c := range []inspected{
		{name: "H1 no mount point", host: volumes("/nowhere: !Tmpfs {}"), want: []string{
			"3:13: error: volumes./nowhere: the mount point must exist, make it first: /nowhere does not exist on the image"}},
		{name: "H1 a mount point on a volume", host: volumes("/data: !Persistent /rw/db\n  /data/inner: !Tmpfs {}"), edit: both},
		{name: "H1 no mount point on a volume", host: volumes("/data: !Persistent /rw/db\n  /data/other: !Tmpfs {}"), edit: both, want: []string{
			"volumes./data/other: the mount point must exist, make it first: /data/other does not exist on the !Persistent volume /data"}},
		{name: "H1 a mount point on a tmpfs is never there", host: volumes("/data: !Tmpfs {}\n  /data/inner: !Tmpfs {}"), edit: both, want: []string{
			"error: volumes./data/inner: the mount point must exist, make it first: /data/inner does not exist on the !Tmpfs volume /data"}},
		{name: "H4 on a Statedir nobody knows", host: volumes("/data: !Statedir /\n  /data/inner: !Statedir /inner"), edit: both, want: []string{
			"warning: volumes./data/inner: the mount point must exist, make it first: whether /data/inner is there can't be told"}},
		{name: "H3 a directory to be made", host: volumes("/data: !Persistent {path: /rw/new, mkdir: true}"), edit: both},
		{name: "H3 no directory on the host", host: volumes("/data: !Persistent /rw/new"), edit: both, want: []string{
			"error: volumes./data: there is no directory HOST/rw/new on the host: make it, or set mkdir"}},
		{name: "H2 no directory on the host", host: volumes("/data: !Readonly /ro/new"), edit: both, want: []string{
			"error: volumes./data: there is no directory HOST/ro/new on the host"}},
		{name: "H2 a file on a directory", host: volumes("/data: !Readonly /ro/file"), edit: func(t *testing.T, dir string) {
			both(t, dir)
			writeFile(t, filepath.Join(dir, "ro/file"), "")
		}, want: []string{"error: volumes./data: the mount point /data is a directory on the image"}},
		{name: "H2 a directory on a file", host: volumes("/bin/app: !Readonly /ro/sub"), edit: both, want: []string{
			"error: volumes./bin/app: the mount point /bin/app is no directory", "executable: /bin/app is no regular file"}},
		{name: "H2 H3 an executable on a volume is noexec", host: volumes("/bin: !Persistent /rw/db"), edit: func(t *testing.T, dir string) {
			both(t, dir)
			writeFile(t, filepath.Join(dir, "rw/db/app"), static())
			chmod("rw/db/app", 0o755)(t, dir)
		}, want: []string{"error: executable: /bin/app lies on the !Persistent volume /bin, which is mounted noexec"}},
		{name: "H2 H3 unless it says exec", host: volumes("/bin: !Persistent {path: /rw/db, exec: true}"), edit: func(t *testing.T, dir string) {
			both(t, dir)
			writeFile(t, filepath.Join(dir, "rw/db/app"), static())
			chmod("rw/db/app", 0o755)(t, dir)
		}},
		{name: "H5 an executable below a tmpfs", host: volumes("/bin: !Tmpfs {}"), want: []string{
			"error: executable: /bin/app is missing: /bin/app does not exist on the !Tmpfs volume /bin"}},
		{name: "H1 a link in the image leads to a volume", host: volumes("/data: !Persistent {path: /rw/db, exec: true}"), edit: func(t *testing.T, dir string) {
			both(t, dir)
			writeFile(t, filepath.Join(dir, "rw/db/inner/app"), static())
			chmod("rw/db/inner/app", 0o755)(t, dir)
			link(t, "../etc/../data/inner/app", dir, "bin/app")
		}},
		{name: "H1 a link in a volume leads to the image", host: volumes("/data: !Readonly {path: /ro, exec: true}") /* its root is the container's */, edit: func(t *testing.T, dir string) {
			both(t, dir)
			program(t, dir, "sbin/app", static())
			if err := os.Symlink("/sbin/app", filepath.Join(dir, "ro/app")); err != nil {
				t.Fatal(err)
			}
			link(t, "/data/app", dir, "bin/app")
		}},
	} {
		t.Run(c.name, func(t *testing.T) { wantProblems(t, c.inspect(t), c.want...) })
	}
}

// A hostile image must not make the checker work for long.
//
// Covers: R4
func TestInspectHostileImage(t *testing.T) {
	c := inspected{edit: func(t *testing.T, dir string) {
		long := strings.Repeat("a/", 200)
		mkdirs(t, filepath.Join(dir, "images/v1/etc", long))
		link(t, "/etc/"+long+strings.Repeat("../", 1000)+"etc/next", dir, "bin/app")
		link(t, "/bin/app", dir, "etc/next")
	}}
	wantProblems(t, c.inspect(t), "is a loop of symbolic links")
}

// Covers: R4
func TestImageIsInspectedOnce(t *testing.T) {
	h := hostConfig{process: "a: &a {image: v1, config: /config/app.yaml, instances: 3}\nb: *a\nc: {image: v1, config: /config/app.yaml, instances: 0}\n"}
	plan := h.load(t)
	found := Plan(plan)
	for _, process := range []string{"a", "b"} {
		if len(found.Of("web", process)) == 0 {
			t.Errorf("nothing is told of %s", process)
		}
	}
	if list := found.Of("web", "c"); len(list) > 0 {
		t.Errorf("c has no instances, but there is %s", list[0])
	}
	if a, all := found.Of("web", "a"), found.Distinct(); len(a) != len(all) {
		t.Errorf("%d problems of a, %d distinct ones", len(a), len(all))
	}
}

func FuzzProgram(f *testing.F) {
	f.Add([]byte(static()))
	f.Add([]byte(elfFile(hostMachine(), elfShared, "/lib/ld.so")))
	f.Add([]byte("#!/bin/sh\n"))
	f.Add(bytes.Repeat([]byte{0xff}, 300))
	name := filepath.Join(f.TempDir(), "program")
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if _, err := file.Write(data); err != nil {
			t.Fatal(err)
		}
		h, err := openHead(&found{fd: int(file.Fd())})
		if err != nil {
			t.Fatal(err)
		}
		defer h.close()
		if loader, wrong := h.interpreter(); loader != "" && wrong != "" {
			t.Errorf("%q and %q", loader, wrong)
		}
	})
}
