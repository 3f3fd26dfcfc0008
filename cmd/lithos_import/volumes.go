package main

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"lithos/sysx/inroot"
)

// volumesDir is the virtual directory that the volumes of an image lie in: one
// line of a sandbox config gives them all a place, and below it they can be made
// with the program's user as the owner.
const volumesDir = "/volumes"

// writeVolumes gives each path that the program writes a volume: the root is
// read-only.
func (m *made) writeVolumes(w *yamlWriter, root int, img *image) {
	seen := map[string]bool{}
	for v := range img.config.Config.Volumes {
		if v = path.Clean("/" + v); v != "/" && !seen[v] {
			seen[v] = true
			m.volumes = append(m.volumes, v)
		}
	}
	slices.Sort(m.volumes)
	m.mounts = append(m.mounts, m.volumes...)
	w.comment("The root file system is read-only: what the program writes needs a volume.")
	w.line("volumes:")
	if !seen["/tmp"] && isDirectory(root, "/tmp") {
		w.line("  /tmp: !Tmpfs {size: 100Mi, mode: 0o1777}")
	}
	if !seen["/dev/shm"] {
		w.line("  /dev/shm: !Tmpfs {size: 64Mi, mode: 0o1777}")
	}
	if !seen["/run"] && canBeDirectory(root, "/run") {
		w.line("  # /run: !Tmpfs {size: 10Mi, mode: 0o1777}")
		m.mounts = append(m.mounts, "/run")
	}
	for _, v := range m.volumes {
		owner := ""
		if !m.id.root {
			owner = fmt.Sprintf(", user: %d, group: %d", m.id.uid, m.id.gid)
		}
		w.line(fmt.Sprintf("  %s: !Persistent {path: %s, mkdir: true, mode: 0o700%s}", scalar(v), scalar(volumesDir+v), owner))
		m.hidden(root, v)
	}
}

// hidden warns of image files below a volume.
func (m *made) hidden(root int, volume string) {
	n := filesBelow(root, volume)
	if n == 0 {
		return
	}
	program := ""
	if at := realPath(root, m.program); at != "" && strings.HasPrefix(at, strings.TrimSuffix(realPath(root, volume), "/")+"/") {
		program = ", the program among them"
	}
	m.warn("the volume %s hides %d file(s) of the image%s: copy them to where the sandbox has %s, or take the volume out of the container config",
		printable(volume), n, program, printable(volumesDir+volume))
}

// filesBelow counts all files but directories.
func filesBelow(root int, dir string) (n int) {
	fd, err := inroot.Open(root, dir, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	// No link is followed: only directories are opened, and nobody changes one
	// meanwhile. One that can't be read, since its path is too long, counts as a
	// file.
	_ = fs.WalkDir(os.DirFS(fmt.Sprintf("/proc/self/fd/%d", fd)), ".", func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			n++
		}
		return nil
	})
	return n
}

func isDirectory(root int, name string) bool {
	fd, err := inroot.Open(root, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false
	}
	unix.Close(fd)
	return true
}

// canBeDirectory tells whether the name is one, leads to one, or is free.
func canBeDirectory(root int, name string) bool {
	fd, err := inroot.Open(root, name, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err == nil {
		unix.Close(fd)
		return true
	}
	var st unix.Stat_t
	return unix.Fstatat(root, strings.TrimPrefix(name, "/"), &st, unix.AT_SYMLINK_NOFOLLOW) == unix.ENOENT
}
