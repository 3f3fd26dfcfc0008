package knot_test

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lithos/spawn/wire"
)

// Covers: I1
func TestStateDirIsRecreated(t *testing.T) {
	b := newBox(t)
	b.write(b.spec.StateDir+"/left/over", "x")
	b.write(b.dir+"/precious", "x")
	must(t, os.Symlink(b.dir, b.spec.StateDir+"/link"))
	b.look()
	entries, err := os.ReadDir(b.spec.StateDir)
	must(t, err)
	if len(entries) != 0 {
		t.Errorf("the state dir has %v", entries)
	}
	var st unix.Stat_t
	must(t, unix.Lstat(b.spec.StateDir, &st))
	if st.Mode != unix.S_IFDIR|0o1777 || st.Uid != 0 {
		t.Errorf("the state dir has mode %o, owner %d", st.Mode, st.Uid)
	}
	if _, err := os.Stat(b.dir + "/precious"); err != nil {
		t.Error("a link was followed")
	}
}

// Covers: I1
func TestStateDirLinkIsReplaced(t *testing.T) {
	b := newBox(t)
	b.write(b.dir+"/precious/file", "x")
	b.mkdir(b.dir + "/state/web")
	must(t, os.Symlink(b.dir+"/precious", b.spec.StateDir))
	b.look()
	if _, err := os.Stat(b.dir + "/precious/file"); err != nil {
		t.Error("the link was followed")
	}
	if st, err := os.Lstat(b.spec.StateDir); err != nil || !st.IsDir() {
		t.Errorf("%v %v", st, err)
	}
}

// Files may be edited on the host while the container runs.
//
// Covers: I1
func TestEditsReachTheRunningContainer(t *testing.T) {
	b := newBox(t, "touch:/out/up", "await:/out/edited", "read:/etc/hosts", "report:/out/report", "exit:0")
	b.spec.Command = true
	b.write(b.image+"/etc/hosts", "image\n")
	b.spec.Hosts.Localhost = true
	b.start()
	b.awaitFile("up")
	must(t, os.WriteFile(b.spec.StateDir+"/hosts", []byte("edited\n"), 0o644))
	b.write(b.out+"/edited", "")
	if r := b.report("report"); r.Tried["text /etc/hosts"] != "edited\n" {
		t.Errorf("%q", r.Tried["text /etc/hosts"])
	}
	b.exit()
}

// etcCase is one combination of options and image; want is what the container
// reads in /etc/NAME, "" = the start fails.
type etcCase struct {
	name  string
	image string // content of the file, "link" = a link to /state/NAME, "dir" = a directory, "" = missing
	how   wire.Mount
	copy  bool
	want  string
}

func etcCases(id string) []etcCase {
	return []etcCase{
		{id + " auto over a file", "image\n", wire.MountAuto, true, "host\n"},
		{id + " auto, nothing to copy", "image\n", wire.MountAuto, false, "image\n"},
		{id + " auto, no file", "", wire.MountAuto, true, "missing"},
		{id + " auto, a directory", "dir", wire.MountAuto, true, "missing"},
		{id + " always over a file", "image\n", wire.MountAlways, true, "host\n"},
		{id + " always, nothing to copy", "image\n", wire.MountAlways, false, "empty"},
		{id + " always, no file", "", wire.MountAlways, true, ""},
		{id + " always over a link", "link", wire.MountAlways, true, ""},
		{id + " always over a directory", "dir", wire.MountAlways, true, ""},
		{id + " never", "image\n", wire.MountNever, true, "image\n"},
		{"I9 " + id + " link to the state dir", "link", wire.MountAuto, true, "host\n"},
		{"I9 " + id + " link to the state dir, never", "link", wire.MountNever, true, "host\n"},
	}
}

func (b *box) prepareEtc(tt etcCase, file string) {
	b.write(b.dir+"/source", "host\n")
	path := b.image + "/etc/" + file
	switch tt.image {
	case "":
	case "link":
		must(b.t, os.Symlink("/state/"+file, path))
		b.withVolume(wire.Volume{Kind: wire.Statedir, MountPoint: "/state"})
	case "dir":
		b.mkdir(path)
	default:
		b.write(path, tt.image)
	}
}

func (b *box) checkEtc(tt etcCase, file string) {
	b.t.Helper()
	if tt.want == "" {
		got := b.failed()
		if !strings.Contains(got, "on "+b.spec.MountDir+"/etc/"+file+": ") || !strings.Contains(got, "don't set mount to true") {
			b.t.Errorf("%q", got)
		}
		return
	}
	r := b.look("read:/etc/" + file)
	got, want := r.Tried["text /etc/"+file], tt.want
	switch want {
	case "empty":
		want = ""
	case "missing":
		want = ""
		if r.Tried["read /etc/"+file] == "ok" {
			b.t.Errorf("/etc/%s is there", file)
		}
	}
	if got != want {
		b.t.Errorf("/etc/%s is %q, want %q", file, got, want)
	}
}

// Covers: I2, I3, I9, I10
func TestResolvConfIsCopiedAndMounted(t *testing.T) {
	for _, tt := range etcCases("I3") {
		t.Run(tt.name, func(t *testing.T) {
			b := newBox(t)
			b.prepareEtc(tt, "resolv.conf")
			b.spec.ResolvConf.Mount = tt.how
			if tt.copy {
				b.spec.ResolvConf.Source = b.dir + "/source"
			}
			b.checkEtc(tt, "resolv.conf")
		})
	}
	t.Run("I2 I10 the copy is in the state dir, the original out of reach", func(t *testing.T) {
		b := newBox(t)
		b.write(b.dir+"/source", "nameserver 192.0.2.53\n")
		b.write(b.image+"/etc/resolv.conf", "")
		b.spec.ResolvConf.Source = b.dir + "/source"
		r := b.look("read:/etc/resolv.conf", "stat:/etc/resolv.conf", "append:/out/x")
		if got := b.read(b.spec.StateDir + "/resolv.conf"); got != "nameserver 192.0.2.53\n" {
			t.Errorf("state dir: %q", got)
		}
		if got := r.Tried["text /etc/resolv.conf"]; got != "nameserver 192.0.2.53\n" {
			t.Errorf("container: %q", got)
		}
		if got := r.Tried["stat /etc/resolv.conf"]; got != "100644 0:0" {
			t.Errorf("mode and owner: %s", got)
		}
		if m := r.mount(t, "/etc/resolv.conf"); !m.has("nosuid", "noexec", "nodev") || !strings.HasPrefix(m.root, b.spec.StateDir) {
			t.Errorf("mount: %+v", m)
		}
	})
}

// Covers: I4, I5, I9
func TestHostsFileIsCopiedAndMounted(t *testing.T) {
	for _, tt := range etcCases("I4") {
		t.Run(tt.name, func(t *testing.T) {
			b := newBox(t)
			b.prepareEtc(tt, "hosts")
			b.spec.Hosts.Mount = tt.how
			if tt.copy {
				b.spec.Hosts.Source = b.dir + "/source"
			}
			b.checkEtc(tt, "hosts")
		})
	}
}

// Covers: I3
func TestEtcMustBeARealDirectory(t *testing.T) {
	for _, how := range []wire.Mount{wire.MountAuto, wire.MountAlways} {
		b := newBox(t)
		must(t, os.Rename(b.image+"/etc", b.image+"/real"))
		must(t, os.Symlink("/real", b.image+"/etc"))
		b.write(b.image+"/real/hosts", "image\n")
		b.spec.Hosts = wire.Hosts{Localhost: true, Mount: how}
		if how == wire.MountAlways {
			b.failed()
		} else if r := b.look("read:/etc/hosts"); r.Tried["text /etc/hosts"] != "image\n" {
			t.Errorf("%q", r.Tried["text /etc/hosts"])
		}
	}
}

// Covers: I5, I6, I7, I8
func TestHostsContent(t *testing.T) {
	host, err := os.Hostname()
	must(t, err)
	const localhost = "127.0.0.1 localhost.localdomain localhost\n"
	tests := []struct {
		name   string
		source string
		hosts  wire.Hosts
		want   string // HOST stands for the line of the public hostname
	}{
		{"I5 copied", "10.0.0.1 one\n", wire.Hosts{}, "10.0.0.1 one\n"},
		{"I6 localhost", "-", wire.Hosts{Localhost: true}, localhost},
		{"I7 public hostname", "-", wire.Hosts{PublicHostname: true}, "HOST"},
		{"I8 additional after a copy", "10.0.0.1 one\n", wire.Hosts{Additional: []string{"10.0.0.2 two", "10.0.0.3 one"}},
			"10.0.0.1 one\n10.0.0.2 two\n10.0.0.3 one\n"},
		{"I8 additional after a copy without a newline", "10.0.0.1 one", wire.Hosts{Additional: []string{"10.0.0.2 two"}},
			"10.0.0.1 one\n10.0.0.2 two\n"},
		{"I8 additional only", "-", wire.Hosts{Additional: []string{"10.0.0.2 two"}}, "10.0.0.2 two\n"},
		{"I6 I7 I8 all", "", wire.Hosts{Localhost: true, PublicHostname: true, Additional: []string{"::1 six"}},
			localhost + "HOST::1 six\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBox(t)
			b.write(b.image+"/etc/hosts", "image\n")
			b.spec.Hosts = tt.hosts
			if tt.source != "-" {
				b.write(b.dir+"/source", tt.source)
				b.spec.Hosts.Source = b.dir + "/source"
			}
			got := b.look("read:/etc/hosts").Tried["text /etc/hosts"]
			if before, after, ok := strings.Cut(tt.want, "HOST"); ok {
				line, _, _ := strings.Cut(strings.TrimPrefix(got, before), "\n")
				addr, name, _ := strings.Cut(line, " ")
				if name != host || strings.Count(addr, ".") != 3 {
					t.Errorf("line of the public hostname %q, want an address and %q", line, host)
				}
				tt.want = before + line + "\n" + after
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// Covers: I2
func TestUnusableEtcSource(t *testing.T) {
	b := newBox(t)
	must(t, unix.Mkfifo(b.dir+"/fifo", 0o666))
	b.spec.ResolvConf.Source = b.dir + "/fifo"
	if got := b.failed(); !strings.Contains(got, "cannot copy "+b.dir+"/fifo for the container's resolv.conf: it is no regular file") {
		t.Errorf("%q", got)
	}
	b = newBox(t)
	b.spec.Hosts.Source = b.dir + "/none"
	if got := b.failed(); !strings.Contains(got, "cannot copy "+b.dir+"/none for the container's hosts file: no such file") {
		t.Errorf("%q", got)
	}
}
