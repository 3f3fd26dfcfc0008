package configs

import "testing"

// Covers: E19, H2, H3, H4, H5, H6
func TestVolumeOptions(t *testing.T) {
	c := hostConfig{
		sandbox: "readonly-paths: {/ro: /srv/ro}\nwritable-paths: {/rw: /srv/rw}\n",
		container: `
volumes:
  /data/deep: !Readonly {path: /ro/a//b/, exec: true}
  /tmp: !Tmpfs {size: 1Gi, mode: 0o1777, exec: false}
  /b/: !Readonly "/ro"
  /a: !Readonly /rw/x
  /data: !Persistent { path: /rw/dir, mkdir: true, mode: 0o700, user: 5, group: 6 }
  /state: !Statedir { path: /sub, mode: 0o755, user: 7, group: 8 }
  //dev/shm: !Tmpfs
`}.app(t)
	equal(t, "volumes, shorter mount points first", c.Volumes, []Volume{
		{MountPoint: "/a", Kind: VolumeReadonly, Source: "/srv/rw", SubPath: "x", Mode: 0o777},
		{MountPoint: "/b", Kind: VolumeReadonly, Source: "/srv/ro", Mode: 0o777},
		{MountPoint: "/tmp", Kind: VolumeTmpfs, Mode: 0o1777, Size: 1 << 30},
		{MountPoint: "/data", Kind: VolumePersistent, Source: "/srv/rw", SubPath: "dir", Mkdir: true, Mode: 0o700, User: 5, Group: 6},
		{MountPoint: "/state", Kind: VolumeStatedir, SubPath: "sub", Mode: 0o755, User: 7, Group: 8, Exec: true},
		{MountPoint: "/dev/shm", Kind: VolumeTmpfs, Mode: 0o777, Size: 100 << 20, Exec: true},
		{MountPoint: "/data/deep", Kind: VolumeReadonly, Source: "/srv/ro", SubPath: "a/b", Mode: 0o777, Exec: true},
	})
}

// Covers: H7
func TestLongestVirtualPrefixWins(t *testing.T) {
	table := map[string]string{"/": "/root", "/a": "/A", "/a/b": "/AB", "/a/bc/d": "/ABCD"}
	for _, c := range []struct{ virtual, source, rest string }{
		{"/", "/root", ""}, {"/x/y", "/root", "x/y"}, {"/a", "/A", ""}, {"/ab", "/root", "ab"}, {"/a/x", "/A", "x"},
		{"/a/b", "/AB", ""}, {"/a/b/c", "/AB", "c"}, {"/a/bc", "/A", "bc"}, {"/a/bc/d/e", "/ABCD", "e"},
	} {
		source, rest, ok := longestPrefix(table, c.virtual)
		equal(t, c.virtual, []any{source, rest, ok}, []any{c.source, c.rest, true})
	}
	_, _, ok := longestPrefix(map[string]string{"/a": "/A"}, "/ab")
	equal(t, "/ab below /a", ok, false)

	c := hostConfig{
		sandbox:   "readonly-paths: {/p: /ro}\nwritable-paths: {/p: /rw, /p/q: /rwq}\n",
		container: "volumes: {/1: !Readonly /p/q/r, /2: !Persistent /p/q/r}\n",
	}.app(t)
	equal(t, "readonly-paths come first as a whole", c.Volumes[0].Source+":"+c.Volumes[0].SubPath, "/ro:q/r")
	equal(t, "what is writable comes from writable-paths only", c.Volumes[1].Source+":"+c.Volumes[1].SubPath, "/rwq:r")
}

// Covers: C8, C9, E19, H2, H3, H4, H5, H8, H9
func TestVolumeMistakes(t *testing.T) {
	maps := "uid-map: [{inside: 1, outside: 10, count: 5}]\ngid-map: [{inside: 0, outside: 10, count: 5}]\n"
	runProblems(t, []problemCase{
		{name: "H9 C8 C9 a virtual path that is nowhere", host: hostConfig{sandbox: "readonly-paths: {/ro: /x}\n",
			container: "volumes:\n  /a: !Readonly /rox\n  /b: !Persistent /ro/x\n"},
			want: []string{
				"app.yaml:2:7: error: volumes./a: no virtual directory of the sandbox holds /rox: it is not in readonly-paths or writable-paths",
				"app.yaml:3:7: error: volumes./b: no virtual directory of the sandbox holds /ro/x: it is not in writable-paths",
			}},
		{name: "E19 mount points", host: hostConfig{container: "volumes:\n  tmp: !Tmpfs\n  /a/../b: !Tmpfs\n  /: !Tmpfs\n  /c: !Tmpfs\n  /c/: !Tmpfs\n"},
			want: []string{
				`app.yaml:2:3: error: volumes.tmp: the mount point "tmp" must be an absolute path`,
				"volumes./a/../b: the mount point \"/a/../b\" must not have `..` in it",
				`volumes./: the mount point "/" is the root, which is the image`,
				"app.yaml:6:3: error: volumes./c/: the same mount point as /c",
			}},
		{name: "H2 H3 H4 virtual paths", host: hostConfig{container: "volumes:\n  /a: !Readonly\n  /b: !Readonly data\n  /c: !Persistent {path: /x/../y}\n  /d: !Statedir ../x\n  /e: !Readonly {exec: true}\n  /f: !Readonly [a]\n"},
			want: []string{
				"volumes./a.path: is required",
				`volumes./b: "data" must be an absolute path`,
				"volumes./c.path: \"/x/../y\" must not have `..` in it",
				`volumes./d: "../x" must be an absolute path`,
				"volumes./e.path: is required",
				"volumes./f: expected a path, got a list",
			}},
		{name: "H3 H4 H5 options", host: hostConfig{container: "volumes:\n  /a: !Tmpfs {size: 0, mode: 0o2777, path: /x}\n  /b: !Statedir {mkdir: true}\n  /c: !Tmpfs 100Mi\n"},
			want: []string{
				"volumes./a.size: 0 is not in 1 to 1125899906842624", "volumes./a.mode: 0o2777 is not in 0 to 0o1777", "volumes./a.path: unknown key",
				"volumes./b.mkdir: unknown key", `volumes./c: expected a mapping, got "100Mi"`,
			}},
		{name: "H3 H4 H5 modes", host: hostConfig{
			container: "volumes:\n  /a: !Tmpfs {mode: 700}\n  /b: !Tmpfs {mode: 1777}\n  /c: !Tmpfs {mode: -1}\n  /d: !Tmpfs {mode: 0o755}\n  /e: !Tmpfs {mode: 0}\n  /f: !Tmpfs {mode: 512}\n"},
			want: []string{
				"warning: volumes./a.mode: 700 is a decimal number, which is 0o1274; an octal one is written 0o700",
				"error: volumes./b.mode: 1777 is not in 0 to 0o1777; an octal one is written 0o1777",
				"error: volumes./c.mode: -1 is less than 0",
				"warning: volumes./f.mode: 512 is a decimal number, which is 0o1000; an octal one is written 0o512",
			}},
		{name: "H8 owners must be mapped", host: hostConfig{sandbox: maps + "writable-paths: {/d: /x}\n",
			container: "volumes:\n  /a: !Persistent {path: /d/x, mkdir: true}\n  /b: !Persistent {path: /d/x}\n  /c: !Statedir {path: /x, user: 1, group: 9}\n  /e: !Statedir\n"},
			want: []string{"app.yaml:2:7: error: volumes./a: its user 0 is not among the inside ids of the map in force",
				"app.yaml:4:7: error: volumes./c: its group 9 is not among the inside ids of the map in force"}},
	})
}
