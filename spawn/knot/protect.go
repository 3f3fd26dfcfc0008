package knot

import (
	"golang.org/x/sys/unix"

	"lithos/sysx/inroot"
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

// protect does so to a file system that is mounted.
func (b *builder) protect(fs int, fstype string) error {
	if fstype == "proc" && !b.spec.WritableProcSys {
		for _, name := range hostWide {
			if err := readOnly(fs, name); err != nil {
				return wrap(err, "cannot make "+b.spec.MountDir+"/proc/"+name+" read-only")
			}
		}
	}
	if b.spec.UnmaskKernelFiles {
		return nil
	}
	for _, name := range masked[fstype] {
		if err := b.mask(fs, name); err != nil {
			return wrap(err, "cannot hide "+name+" of "+fstype)
		}
	}
	return nil
}

// openIn opens what a file system has under that name, -1 if it has nothing:
// the kernel was built without it.
func openIn(fs int, name string) (int, error) {
	fd, err := inroot.Open(fs, name, unix.O_PATH, 0)
	if err == unix.ENOENT || err == unix.ENOTDIR {
		return -1, nil
	}
	return fd, err
}

func readOnly(fs int, name string) error {
	target, err := openIn(fs, name)
	if target < 0 {
		return err
	}
	defer unix.Close(target)
	fd, err := mount.Clone(target, false)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := mount.SetAttr(fd, mount.ReadOnly, 0, false); err != nil {
		return err
	}
	return mount.Move(fd, target)
}

// mask puts an empty directory or an empty file over it.
func (b *builder) mask(fs int, name string) error {
	target, err := openIn(fs, name)
	if target < 0 {
		return err
	}
	defer unix.Close(target)
	var st unix.Stat_t
	if err := unix.Fstat(target, &st); err != nil {
		return err
	}
	source := b.emptyFile
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		source = b.emptyDir
	}
	fd, err := mount.Clone(source, false)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return mount.Move(fd, target)
}

// masksOptions are those of the file system that masks come from.
var masksOptions = []mount.Option{{Key: "size", Value: "4096"}, {Key: "mode", Value: "0555"}}

// makeMasks makes a read-only file system with nothing in it but an empty file
// and an empty directory, on dir: only of what is attached there can be copies.
// It goes with the host's mounts.
func (b *builder) makeMasks(dir int) error {
	if b.spec.UnmaskKernelFiles {
		return nil
	}
	fd, err := mount.New("tmpfs", volumeAttr, masksOptions...)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Mkdirat(fd, "dir", 0o555); err != nil {
		return err
	}
	file, err := unix.Openat(fd, "file", unix.O_RDONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o444)
	if err != nil {
		return err
	}
	unix.Close(file)
	if err := mount.SetAttr(fd, mount.ReadOnly, 0, false); err != nil {
		return err
	}
	if err := mount.Move(fd, dir); err != nil {
		return err
	}
	if b.emptyFile, err = openIn(fd, "file"); err == nil {
		b.emptyDir, err = openIn(fd, "dir")
	}
	return err
}

func (b *builder) closeMasks() {
	for _, fd := range []int{b.emptyFile, b.emptyDir} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}
