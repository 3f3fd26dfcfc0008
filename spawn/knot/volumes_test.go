package knot_test

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lithos/spawn/wire"
	"lithos/sysx/devfs"
)

func makeDevfs(t *testing.T, dir string) { t.Helper(); must(t, devfs.Make(dir)) }

// withVolume adds one volume, whose mount point is made in the image.
func (b *box) withVolume(v wire.Volume) {
	b.mkdir(b.image + v.MountPoint)
	b.spec.Volumes = append(b.spec.Volumes, v)
}

// Covers: H1
func TestMountPointsAreNeverCreated(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(b *box)
		want  []string
	}{
		{"H1 missing", func(b *box) {},
			[]string{"cannot mount a Tmpfs volume on MNT/data: no such directory in the container", "never made"}},
		{"H1 a file", func(b *box) { b.write(b.image+"/data", "") },
			[]string{"on MNT/data: the source is a directory, the mount point is none"}},
		{"H1 below a file", func(b *box) {
			b.write(b.image+"/file", "")
			b.spec.Volumes[1].MountPoint = "/file/data"
		}, []string{"on MNT/file/data: a part of the path is no directory"}},
		{"H1 a link to the host", func(b *box) { must(b.t, os.Symlink(b.out, b.image+"/data")) },
			[]string{"on MNT/data: no such directory in the container"}},
		{"H1 a link up and out", func(b *box) { must(b.t, os.Symlink("../out", b.image+"/data")); must(b.t, os.Remove(b.image+"/out")) },
			[]string{"no such directory in the container"}},
		{"H1 the root", func(b *box) { b.spec.Volumes[1].MountPoint = "/" },
			[]string{"that is the place of the image"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBox(t)
			b.spec.Volumes = append(b.spec.Volumes, wire.Volume{Kind: wire.Tmpfs, MountPoint: "/data", Size: 4096, Mode: 0o777})
			tt.spoil(b)
			got := b.failed()
			for _, want := range tt.want {
				if want := strings.ReplaceAll(want, "MNT", b.spec.MountDir); !strings.Contains(got, want) {
					t.Errorf("%q is not in %q", want, got)
				}
			}
		})
	}
}

// Covers: H1, H6
func TestMountPointsMayLieOnOuterVolumesAndBehindLinks(t *testing.T) {
	b := newBox(t)
	b.mkdir(b.dir + "/outer/inner")
	b.withVolume(wire.Volume{Kind: wire.Readonly, MountPoint: "/outer", Source: b.dir + "/outer"})
	b.spec.Volumes = append(b.spec.Volumes,
		wire.Volume{Kind: wire.Tmpfs, MountPoint: "/outer/inner", Size: 1 << 20, Mode: 0o777},
		wire.Volume{Kind: wire.Tmpfs, MountPoint: "/var/run", Size: 1 << 20, Mode: 0o777})
	b.mkdir(b.image + "/run")
	b.mkdir(b.image + "/var")
	must(t, os.Symlink("/run", b.image+"/var/run"))
	r := b.look("create:/outer/x", "create:/outer/inner/x", "create:/run/x")
	if r.Tried["create /outer/x"] == "ok" || r.Tried["create /outer/inner/x"] != "ok" || r.Tried["create /run/x"] != "ok" {
		t.Errorf("%v", r.Tried)
	}
	if m := r.mount(t, "/run"); m.fstype != "tmpfs" {
		t.Errorf("/run is %s", m.fstype)
	}
}

// Covers: H2
func TestReadonlyIsWhatTheManualPromises(t *testing.T) {
	ownMounts(t)
	b := newBox(t)
	src := b.dir + "/src"
	mountTmpfs(t, src+"/sub", 0)
	for _, d := range []string{src, src + "/sub"} {
		must(t, os.Chmod(d, 0o777))
		copyProbe(t, d+"/probe")
	}
	b.withVolume(wire.Volume{Kind: wire.Readonly, MountPoint: "/data", Source: src})
	b.withVolume(wire.Volume{Kind: wire.Readonly, MountPoint: "/prog", Source: src, Exec: true})
	r := b.look("create:/data/x", "create:/data/sub/x", "exec:/data/probe", "exec:/data/sub/probe", "exec:/prog/probe", "create:/prog/x")
	for what, want := range map[string]string{
		"create /data/x": "read-only file system", "create /data/sub/x": "read-only file system", "create /prog/x": "read-only file system",
		"exec /data/probe": "permission denied", "exec /data/sub/probe": "permission denied", "exec /prog/probe": "ok",
	} {
		if !strings.Contains(r.Tried[what], want) {
			t.Errorf("%s: %q, want %q", what, r.Tried[what], want)
		}
	}
	for _, on := range []string{"/data", "/data/sub"} {
		if m := r.mount(t, on); !m.has("ro", "nosuid", "noexec", "nodev") {
			t.Errorf("%s has %s", on, m.flags)
		}
	}
	if m := r.mount(t, "/prog"); !m.has("ro", "nosuid", "nodev") || m.has("noexec") {
		t.Errorf("/prog has %s", m.flags)
	}
}

// Covers: H3
func TestPersistentIsWhatTheManualPromises(t *testing.T) {
	ownMounts(t)
	b := newBox(t)
	src := b.dir + "/src"
	mountTmpfs(t, src+"/sub", 0)
	mountTmpfs(t, src+"/ro", unix.MS_RDONLY)
	for _, d := range []string{src, src + "/sub"} {
		must(t, os.Chmod(d, 0o777))
		copyProbe(t, d+"/probe")
	}
	b.withVolume(wire.Volume{Kind: wire.Persistent, MountPoint: "/data", Source: src})
	r := b.look("create:/data/x", "create:/data/sub/x", "exec:/data/probe", "exec:/data/sub/probe", "create:/data/ro/x")
	for what, want := range map[string]string{
		"create /data/x": "ok", "create /data/sub/x": "ok",
		"exec /data/probe": "permission denied", "exec /data/sub/probe": "permission denied",
		"create /data/ro/x": "read-only", // the host's choice stays
	} {
		if !strings.Contains(r.Tried[what], want) {
			t.Errorf("%s: %q, want %q", what, r.Tried[what], want)
		}
	}
	for _, on := range []string{"/data", "/data/sub"} {
		if m := r.mount(t, on); !m.has("rw", "nosuid", "noexec", "nodev") {
			t.Errorf("%s has %s", on, m.flags)
		}
	}
	if _, err := os.Stat(src + "/x"); err != nil {
		t.Errorf("what was written did not reach the host: %v", err)
	}
}

// Covers: H3
func TestPersistentMkdir(t *testing.T) {
	tests := []struct {
		name        string
		volume      wire.Volume // Source is appended to the test's directory
		made        string
		owner, mode uint32
	}{
		{"H3 below the source", wire.Volume{Source: "/src", SubPath: "a/b", Mkdir: true, Mode: 0o1770, User: 77, Group: 88}, "/src/a/b", 77, 0o1770},
		{"H3 the source itself", wire.Volume{Source: "/new/src", Mkdir: true, Mode: 0o700, User: 77}, "/new/src", 77, 0o700},
		{"H3 the source on the way", wire.Volume{Source: "/new/src", SubPath: "a", Mkdir: true, Mode: 0o700, User: 77}, "/new/src", 0, 0o755},
		{"H3 existing keeps its owner", wire.Volume{Source: "/src", SubPath: "old", Mkdir: true, Mode: 0o777, User: 77}, "/src/old", 0, 0o711},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBox(t)
			b.mkdir(b.dir + "/src/old")
			must(t, os.Chmod(b.dir+"/src/old", 0o711))
			v := tt.volume
			v.Kind, v.MountPoint, v.Source = wire.Persistent, "/data", b.dir+v.Source
			b.withVolume(v)
			b.look()
			var st unix.Stat_t
			must(t, unix.Stat(b.dir+tt.made, &st))
			if st.Uid != tt.owner || st.Mode&0o7777 != tt.mode {
				t.Errorf("%s: owner %d mode %o, want %d and %o", tt.made, st.Uid, st.Mode&0o7777, tt.owner, tt.mode)
			}
		})
	}
}

// A container can put links into its volumes; they are not to lead out, for the
// next container whose volume lies below.
//
// Covers: H3
func TestSubPathStaysInsideTheSource(t *testing.T) {
	for _, sub := range []string{"abs", "up", "abs/new", "up/new", "../secret", "dangling"} {
		for _, kind := range []wire.VolumeKind{wire.Readonly, wire.Persistent} {
			b := newBox(t)
			b.mkdir(b.dir + "/secret")
			b.write(b.dir+"/secret/key", "x")
			b.mkdir(b.dir + "/src")
			must(t, os.Symlink(b.dir+"/secret", b.dir+"/src/abs"))
			must(t, os.Symlink("../secret", b.dir+"/src/up"))
			must(t, os.Symlink("nowhere", b.dir+"/src/dangling"))
			b.withVolume(wire.Volume{Kind: kind, MountPoint: "/data", Source: b.dir + "/src", SubPath: sub,
				Mkdir: sub == "abs/new" || sub == "up/new", Mode: 0o777})
			got := b.failed()
			if !strings.Contains(got, "cannot mount the ") || !strings.Contains(got, b.dir+"/src/"+sub+" on "+b.spec.MountDir+"/data: ") {
				t.Errorf("%q, sub path %s", got, sub)
			}
			if entries, _ := os.ReadDir(b.dir + "/secret"); len(entries) != 1 {
				t.Errorf("sub path %s: something was made outside: %v", sub, entries)
			}
		}
	}
}

// Covers: H2
func TestReadonlySingleFile(t *testing.T) {
	b := newBox(t)
	b.write(b.dir+"/src/ca.pem", "certificate")
	b.write(b.image+"/etc/ca.pem", "")
	b.spec.Volumes = append(b.spec.Volumes,
		wire.Volume{Kind: wire.Readonly, MountPoint: "/etc/ca.pem", Source: b.dir + "/src", SubPath: "ca.pem"})
	if r := b.look("read:/etc/ca.pem"); r.Tried["text /etc/ca.pem"] != "certificate" {
		t.Errorf("%v", r.Tried)
	}
}

// Covers: H4
func TestStatedirVolume(t *testing.T) {
	b := newBox(t)
	b.withVolume(wire.Volume{Kind: wire.Statedir, MountPoint: "/state", Mode: 0o700, User: 9})
	b.withVolume(wire.Volume{Kind: wire.Statedir, MountPoint: "/mine", SubPath: "a/mine", Mode: 0o2750, User: 1234, Group: 4321})
	r := b.look("stat:/state", "stat:/mine", "create:/state/x", "create:/mine/x")
	for what, want := range map[string]string{
		"stat /state": "41777 0:0", // "/" is the state dir itself, its owner is not ours to change
		"stat /mine":  "42750 1234:4321", "create /state/x": "ok", "create /mine/x": "ok",
	} {
		if r.Tried[what] != want {
			t.Errorf("%s: %q, want %q", what, r.Tried[what], want)
		}
	}
	for _, on := range []string{"/state", "/mine"} {
		if m := r.mount(t, on); !m.has("rw", "nosuid", "noexec", "nodev") {
			t.Errorf("%s has %s", on, m.flags)
		}
	}
	for _, path := range []string{"/x", "/a/mine/x"} {
		if _, err := os.Stat(b.spec.StateDir + path); err != nil {
			t.Error(err)
		}
	}
}

// Covers: H5
func TestTmpfsVolume(t *testing.T) {
	b := newBox(t)
	b.withVolume(wire.Volume{Kind: wire.Tmpfs, MountPoint: "/tmp", Size: 123 << 12, Mode: 0o1777})
	r := b.look("stat:/tmp", "create:/tmp/x")
	if r.Tried["stat /tmp"] != "41777 0:0" || r.Tried["create /tmp/x"] != "ok" {
		t.Errorf("%v", r.Tried)
	}
	m := r.mount(t, "/tmp")
	if m.fstype != "tmpfs" || !m.has("rw", "nosuid", "nodev", "noexec") || !strings.Contains(m.superop, "size=492k") {
		t.Errorf("/tmp: %+v", m)
	}

	b = newBox(t)
	b.withVolume(wire.Volume{Kind: wire.Tmpfs, MountPoint: "/tmp", Size: 4096, Mode: 0o1777, Exec: true})
	if m := b.look().mount(t, "/tmp"); !m.has("rw", "nosuid", "nodev") || m.has("noexec") {
		t.Errorf("an executable /tmp: %+v", m)
	}

	b = newBox(t)
	b.withVolume(wire.Volume{Kind: wire.Tmpfs, MountPoint: "/tmp", Mode: 0o1777})
	if got := b.failed(); !strings.Contains(got, "the size must be more than nothing") {
		t.Errorf("a tmpfs without a limit: %q", got)
	}
}

// A volume that is mounted later covers what an earlier one has there.
//
// Covers: H6
func TestVolumesAreMountedInTheirOrder(t *testing.T) {
	b := newBox(t)
	b.write(b.dir+"/one/two/file", "first")
	b.write(b.dir+"/other/file", "second")
	b.withVolume(wire.Volume{Kind: wire.Persistent, MountPoint: "/one", Source: b.dir + "/one"})
	b.spec.Volumes = append(b.spec.Volumes, wire.Volume{Kind: wire.Readonly, MountPoint: "/one/two", Source: b.dir + "/other"})
	if r := b.look("read:/one/two/file"); r.Tried["text /one/two/file"] != "second" {
		t.Errorf("%v", r.Tried)
	}
}

// Covers: H9
func TestMissingSourceNamesTheSandboxsOption(t *testing.T) {
	for kind, want := range map[wire.VolumeKind]string{
		wire.Readonly:   "correct the sandbox's readonly-paths or writable-paths",
		wire.Persistent: "correct the sandbox's writable-paths",
	} {
		b := newBox(t)
		b.withVolume(wire.Volume{Kind: kind, MountPoint: "/data", Source: b.dir + "/none"})
		if got := b.failed(); !strings.Contains(got, want) || !strings.Contains(got, b.dir+"/none on "+b.spec.MountDir+"/data: no such directory") {
			t.Errorf("%q", got)
		}
	}
}

// A volume of the host that has mount-dir in it doesn't contain the container.
//
// Covers: H3
func TestVolumeContainingMountDir(t *testing.T) {
	b := newBox(t)
	b.withVolume(wire.Volume{Kind: wire.Persistent, MountPoint: "/around", Source: b.dir})
	r := b.look("stat:/around/mnt/bin")
	if r.Tried["stat /around/mnt/bin"] == "" || !strings.Contains(r.Tried["stat /around/mnt/bin"], "no such file") {
		t.Errorf("%v", r.Tried)
	}
}

func copyProbe(t testing.TB, to string) {
	t.Helper()
	data, err := os.ReadFile(probeBin)
	must(t, err)
	must(t, os.WriteFile(to, data, 0o755))
}
