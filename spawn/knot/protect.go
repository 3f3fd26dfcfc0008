package knot

import (
	"golang.org/x/sys/unix"

	"lithos/sysx/mount"
)

// The kernel's file systems show the host, not only the container. Most of
// that is kept by permissions from all but root, and root in a container
// without a user namespace is root. So it is kept from everybody, by mounts on
// top, which can't be taken off without CAP_SYS_ADMIN.

// hostWide are the files of proc by which root acts on the whole host: they
// are read-only.
var hostWide = []string{"bus", "fs", "irq", "sys", "sysrq-trigger"}

// masked are files and directories that tell about the host what no container
// needs (its memory, its log, keys of others, timings that give others away,
// its firmware's tables), by file system: they are empty.
var masked = map[string][]string{
	"proc": {"acpi", "asound", "interrupts", "kcore", "keys", "kmsg", "kpagecgroup", "kpagecount", "kpageflags",
		"latency_stats", "sched_debug", "scsi", "timer_list", "timer_stats"},
	"sysfs": {"devices/virtual/powercap", "firmware"},
}

// absent are the errors of a kernel that was built without a file.
var absent = []unix.Errno{unix.ENOENT, unix.ENOTDIR}

// protect does so to a file system that is mounted.
func (r *recipe) protect(fs handle, fstype string) {
	if fstype == "proc" && !r.spec.WritableProcSys {
		for _, name := range hostWide {
			r.step("cannot make ", r.spec.MountDir, "/proc/", name, " read-only")
			r.makeReadOnly(fs, name)
		}
	}
	if r.spec.UnmaskKernelFiles {
		return
	}
	for _, name := range masked[fstype] {
		r.step("cannot hide ", name, " of ", fstype)
		r.mask(fs, name)
	}
}

func (r *recipe) makeReadOnly(fs handle, name string) {
	defer r.closeFrom(r.opened())
	target := r.openIn(fs, name, nil)
	mark := r.may(absent)
	tree := r.clone(target, false)
	r.setAttr(tree, mount.ReadOnly, 0, false)
	r.move(tree, target)
	r.until(mark)
}

// mask puts an empty directory or an empty file over it.
func (r *recipe) mask(fs handle, name string) {
	defer r.closeFrom(r.opened())
	target := r.openIn(fs, name, nil)
	mark := r.may(absent)
	r.cover(target, r.emptyDir, directories)
	r.cover(target, r.emptyFile, otherFiles)
	r.until(mark)
}

var (
	directories = []uint32{unix.S_IFDIR}
	otherFiles  = []uint32{unix.S_IFREG, unix.S_IFLNK, unix.S_IFCHR, unix.S_IFBLK, unix.S_IFIFO, unix.S_IFSOCK}
	otherKind   = []unix.Errno{unix.EINVAL}
)

// cover mounts source over target if that is of these types.
func (r *recipe) cover(target, source handle, types []uint32) {
	r.kind(target, types)
	mark := r.may(otherKind)
	r.move(r.clone(source, false), target)
	r.until(mark)
}

// masksOptions are those of the file system that masks come from.
var masksOptions = []mount.Option{{Key: "size", Value: "4096"}, {Key: "mode", Value: "0555"}}

// makeMasks makes a read-only file system with nothing in it but an empty file
// and an empty directory, on dir: only of what is attached there can be copies.
// It goes with the host's mounts.
func (r *recipe) makeMasks(dir handle) {
	if r.spec.UnmaskKernelFiles {
		return
	}
	r.step("cannot make the masks of kernel files")
	masks := r.newFS("tmpfs", volumeAttr, masksOptions)
	r.mkdir(masks, "dir", 0o555)
	r.open(masks, "file", unix.O_RDONLY|unix.O_CREAT, 0o444)
	r.setAttr(masks, mount.ReadOnly, 0, false)
	r.move(masks, dir)
	r.emptyFile, r.emptyDir = r.openIn(masks, "file", nil), r.openIn(masks, "dir", nil)
}
