package attack

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// mountAttempts are at the container's file system.
var mountAttempts = []attempt{
	{name: "write-image", must: "the image is read-only", try: opens("/bin/new", unix.O_CREAT|unix.O_WRONLY)},
	{name: "write-program", must: "the programs of the image can't be written", try: opens("/bin/suid", unix.O_WRONLY)},
	{name: "write-readonly-volume", must: "a Readonly volume is read-only", try: opens("/readonly/new", unix.O_CREAT|unix.O_WRONLY)},
	{name: "write-dev", must: "no device can be made in /dev", try: opens("/dev/new", unix.O_CREAT|unix.O_WRONLY)},
	{name: "make-disk", must: "no device can be made", try: func() error {
		defer os.Remove("/scratch/disk")
		return unix.Mknod("/scratch/disk", unix.S_IFBLK|0o666, int(unix.Mkdev(254, 0)))
	}},
	{name: "make-kmem", must: "no device can be made", try: func() error {
		defer os.Remove("/out/mem")
		return unix.Mknod("/out/mem", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 1)))
	}},
	{name: "remount-root", must: "the image stays read-only", try: func() error { return unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND, "") }},
	{name: "remount-sys", must: "/sys stays read-only", try: func() error { return unix.Mount("", "/sys", "", unix.MS_REMOUNT|unix.MS_BIND, "") }},
	{name: "remount-volume", must: "a volume stays nosuid and nodev", try: func() error { return unix.Mount("", "/out", "", unix.MS_REMOUNT|unix.MS_BIND, "") }},
	{name: "setattr-root", must: "the image stays read-only", try: func() error {
		return unix.MountSetattr(unix.AT_FDCWD, "/", 0, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY})
	}},
	{name: "bind-mount", must: "nothing can be mounted", try: func() error { return unix.Mount("/out", "/scratch", "", unix.MS_BIND, "") }},
	{name: "mount-proc", must: "no other /proc can be mounted", try: func() error { return unix.Mount("proc", "/scratch", "proc", 0, "") }},
	{name: "mount-sysfs", must: "no other /sys can be mounted", try: func() error { return unix.Mount("sys", "/scratch", "sysfs", 0, "") }},
	{name: "mount-cgroup", must: "no cgroup hierarchy can be mounted (release_agent)", try: func() error { return unix.Mount("none", "/scratch", "cgroup", 0, "none,name=attack") }},
	{name: "mount-cgroup2", must: "no cgroup hierarchy can be mounted", try: func() error { return unix.Mount("none", "/scratch", "cgroup2", 0, "") }},
	{name: "fsopen", must: "nothing can be mounted by the new calls", try: func() error {
		fd, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
		if err == nil {
			_ = unix.Close(fd)
		}
		return err
	}},
	{name: "open-tree", must: "no mount can be copied", try: func() error {
		fd, err := unix.OpenTree(unix.AT_FDCWD, "/", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
		if err == nil {
			_ = unix.Close(fd)
		}
		return err
	}},
	{name: "umount-proc-sys", must: "what protects /proc stays", try: func() error { return unix.Unmount("/proc/sys", unix.MNT_DETACH) }},
	{name: "umount-hosts", must: "the made resolv.conf and hosts stay", try: func() error { return unix.Unmount("/etc/hosts", unix.MNT_DETACH) }},
	{name: "pivot-root", must: "there is no other root", try: inMountNamespace("pivot")},
	{name: "chroot", must: "there is no way out by chroot", try: func() error { return unix.Chroot("/") }},
	{name: "open-by-handle", must: "no file can be opened by its number", try: openByHandle},
	{name: "device-in-image", must: "devices in an image can't be used", try: opens("/extra/null", unix.O_RDONLY)},
	{name: "device-in-volume", must: "devices in a volume can't be used", try: opens("/readonly/null", unix.O_RDONLY)},
	{name: "exec-on-volume", must: "nothing on a Persistent volume can be executed", try: func() error {
		defer os.Remove("/out/program")
		if err := install("/out/program", 0o755); err != nil {
			return err
		}
		_, err := output(self("/out/program", "whoami"))
		return err
	}},
	{name: "set-immutable", must: "no file can be made immutable", try: func() error {
		f, err := os.Create("/out/immutable")
		if err != nil {
			return err
		}
		defer os.Remove("/out/immutable")
		defer f.Close()
		return unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, 0x10)
	}},
	{name: "link-to-image", must: "no hard link leads into an image", try: func() error { return os.Link("/bin/suid", "/out/link") }},
	{name: "nested-remount", must: "a user namespace of its own can't make the image writable", try: inUserNamespace("remount")},
	{name: "nested-remount-proc-sys", must: "a user namespace of its own can't make /proc/sys writable", try: inUserNamespace("remount-proc-sys")},
	{name: "nested-umount-proc-sys", must: "a user namespace of its own can't take off what protects /proc", try: inUserNamespace("umount-proc-sys"), only: onlyUnmapped},
	{name: "nested-umount-mask", must: "a user namespace of its own can't take off what hides files", try: inUserNamespace("umount-mask"), only: onlyUnmapped},
	{name: "nested-proc", must: "a user namespace of its own gets no writable /proc/sys", try: inUserNamespace("new-proc")},
	{name: "nested-suid", must: "a user namespace of its own can't take nosuid off", try: inUserNamespace("suid-remount")},
	{name: "nested-device", must: "a user namespace of its own gets no device", try: inUserNamespace("device")},
}

// openByHandle is the way out that is known as shocker.
func openByHandle() error {
	dir, err := unix.Open("/out", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	handle, _, err := unix.NameToHandleAt(unix.AT_FDCWD, "/out", 0)
	if err != nil {
		return err
	}
	fd, err := unix.OpenByHandleAt(dir, handle, unix.O_RDONLY)
	if err == nil {
		_ = unix.Close(fd)
	}
	return err
}

// privilegeAttempts are to get more rights.
var privilegeAttempts = []attempt{
	{name: "suid-in-image", must: "a setuid program of the image gives nothing", only: onlyUser, try: becomesRoot("/bin/suid")},
	{name: "suid-in-volume", must: "a setuid program on a volume gives nothing", only: onlyUser, try: becomesRoot("/readonly/suid")},
	{name: "capabilities-in-image", must: "file capabilities of the image give nothing", only: onlyUser, try: func() error {
		got, err := output(self("/bin/caps", "whoami"))
		if err != nil {
			return err
		}
		if _, caps, _ := strings.Cut(got, " "); strings.Trim(caps, "0") == "" {
			return errors.New("no capability")
		}
		return nil
	}},
	{name: "suid-of-its-own", must: "a setuid program that root made on a tmpfs gives nothing", only: onlyRoot, try: func() error {
		defer os.Remove("/scratch/suid")
		if err := errors.Join(install("/scratch/suid", 0o755|os.ModeSetuid)); err != nil {
			return err
		}
		var st unix.Statfs_t
		if err := unix.Statfs("/scratch", &st); err != nil {
			return err
		}
		if st.Flags&unix.ST_NOSUID != 0 {
			return errors.New("the tmpfs is nosuid")
		}
		return nil
	}},
	{name: "become-root", must: "a user stays what it is", only: onlyUser, try: calls(unix.SYS_SETRESUID, 0, 0, 0)},
	{name: "group-of-disks", must: "no group can be joined", only: onlyUser, try: func() error {
		return calls(unix.SYS_SETGROUPS, 1, word(6))()
	}},
	{name: "supplementary-groups", must: "there are no supplementary groups", try: func() error {
		groups, err := os.Getgroups()
		if err == nil && len(groups) == 0 {
			return errors.New("there are none")
		}
		return err
	}},
	{name: "raise-capabilities", must: "capabilities can't be raised", only: func(w who) bool { return !w.mapped }, try: func() error {
		hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		data := [2]unix.CapUserData{{Effective: 1 << unix.CAP_SYS_ADMIN, Permitted: 1 << unix.CAP_SYS_ADMIN}}
		return unix.Capset(&hdr, &data[0])
	}},
	{name: "bounding-set", must: "the bounding set has nothing that acts on the host", try: func() error {
		for _, c := range []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SYS_PTRACE, unix.CAP_SYS_RAWIO, unix.CAP_SYS_MODULE, unix.CAP_DAC_READ_SEARCH, unix.CAP_NET_ADMIN, unix.CAP_MKNOD, unix.CAP_BPF} {
			if n, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, c, 0, 0, 0); err == nil && n == 1 {
				return nil
			}
		}
		return errors.New("none of them")
	}},
	{name: "new-privileges", must: "no_new_privs is set and stays", try: func() error {
		if n, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err == nil && n == 0 {
			return nil
		}
		return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0)
	}},
	{name: "oom-score", must: "it can't keep itself from being killed for memory", try: func() error {
		return os.WriteFile("/proc/self/oom_score_adj", []byte("-1000"), 0)
	}},
	{name: "raise-limit", must: "the fileno-limit can't be raised", try: func() error {
		limit := unix.Rlimit{Cur: 1 << 19, Max: 1 << 19}
		return unix.Prlimit(0, unix.RLIMIT_NOFILE, &limit, nil)
	}},
	{name: "raise-priority", must: "the priority can't be raised", try: func() error { return unix.Setpriority(unix.PRIO_PROCESS, 0, -20) }},
	{name: "real-time", must: "it can't run in real time", try: func() error {
		return calls(unix.SYS_SCHED_SETSCHEDULER, 0, 1, word(50))()
	}},
	{name: "hostname", must: "the host's name stays", try: func() error {
		name, err := os.Hostname()
		if err != nil {
			return err
		}
		return unix.Sethostname([]byte(name))
	}, only: onlyUnmapped},
}

func becomesRoot(path string) func() error {
	return func() error {
		got, err := output(self(path, "whoami"))
		if err == nil && first(got) != 0 {
			return fmt.Errorf("it is user %d", first(got))
		}
		return err
	}
}

const secretKey = "lithos-attack-secret"

// leakAttempts look for what a container is not to have.
var leakAttempts = []attempt{
	{name: "inherited-descriptors", must: "there is no descriptor but 0, 1 and 2", try: func() error {
		for fd := 3; fd < 256; fd++ {
			name, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
			if err != nil || strings.HasPrefix(name, "anon_inode:") || strings.HasPrefix(name, "/proc") || strings.HasPrefix(name, "pipe:") {
				continue // the Go runtime's own
			}
			return nil
		}
		return errors.New("there is none")
	}},
	{name: "log-is-append-only", must: "what it wrote to its log can't be overwritten", try: func() error {
		flags, err := unix.FcntlInt(1, unix.F_GETFL, 0)
		if err == nil && flags&unix.O_APPEND != 0 {
			return errors.New("it is opened for appending")
		}
		return err
	}},
	{name: "log-is-write-only", must: "the log of the others can't be read by its descriptor", try: func() error {
		_, err := unix.Pread(1, make([]byte, 10), 0)
		return err
	}},
	{name: "mounts-of-the-host", must: "no mount of the host is to be seen", try: func() error {
		for _, line := range lines("/proc/self/mountinfo") {
			fields := strings.Fields(line)
			if len(fields) > 4 && strings.Contains(fields[4], "/lithos-attack-") {
				return nil
			}
		}
		return errors.New("none is")
	}},
	{name: "canary-by-dots", must: "there is no way up from the root", try: func() error {
		matches, err := os.ReadDir("/../../..")
		for _, m := range matches {
			if m.Name() == "host" || m.Name() == "boot" || m.Name() == "root" {
				return nil
			}
		}
		return errors.Join(err, errors.New("it is the container's root"))
	}},
	{name: "keys-of-the-daemon", must: "the keys of the daemon's session are not inherited", try: func() error {
		id, err := unix.KeyctlSearch(unix.KEY_SPEC_SESSION_KEYRING, "user", secretKey, 0)
		if err != nil {
			return err
		}
		_, err = unix.KeyctlBuffer(unix.KEYCTL_READ, id, make([]byte, 100), 100)
		return err
	}},
	{name: "abstract-sockets", must: "lithos listens on no abstract socket", try: func() error {
		for _, line := range lines("/proc/net/unix") {
			if strings.Contains(line, "@") && strings.Contains(line, "lithos") {
				return nil
			}
		}
		return errors.New("none has its name")
	}},
	{name: "environment", must: "nothing of the daemon's environment comes along", try: func() error {
		for _, name := range []string{"PATH", "HOME", "LITHOS_BIN", "PWD", "USER"} {
			if os.Getenv(name) != "" {
				return nil
			}
		}
		return fmt.Errorf("%d variables", len(os.Environ()))
	}},
	{name: "cgroup-files", must: "its cgroup can't be written", try: opens("/sys/fs/cgroup/cgroup.procs", unix.O_WRONLY)},
	{name: "shared-memory", must: "the host's System V memory is not there", try: func() error {
		list := lines("/proc/sysvipc/shm")
		if len(list) > 1 {
			return nil
		}
		return errors.New("there is none")
	}},
	{name: "terminal", must: "it has no terminal", try: opens("/dev/tty", unix.O_RDWR)},
	{name: "pty-of-the-host", must: "the host's terminals are not in /dev/pts", try: func() error {
		list, err := os.ReadDir("/dev/pts")
		for _, e := range list {
			if e.Name() != "ptmx" {
				return nil
			}
		}
		return errors.Join(err, errors.New("there is none"))
	}},
}

// lastAttempts are at the life of the container; it has to continue.
var lastAttempts = []attempt{
	{name: "kill-pid1", must: "PID 1 is not ended by KILL of its container", try: survives(unix.SIGKILL)},
	{name: "stop-pid1", must: "PID 1 is not stopped by STOP of its container", try: survives(unix.SIGSTOP)},
	{name: "crash-pid1", must: "PID 1 is not ended by SEGV, ABRT, QUIT or HUP", try: survives(unix.SIGSEGV, unix.SIGABRT, unix.SIGQUIT, unix.SIGHUP, unix.SIGUSR1, unix.SIGBUS)},
}

// survives sends signals to PID 1. That this program lives to say so, is that
// PID 1 lives; the kernel would have ended it at once.
func survives(signals ...unix.Signal) func() error {
	return func() error {
		var errs []error
		for _, s := range signals {
			errs = append(errs, unix.Kill(1, s))
		}
		time.Sleep(50 * time.Millisecond)
		for _, line := range lines("/proc/1/status") {
			if state, ok := strings.CutPrefix(line, "State:"); ok {
				if strings.Contains(state, "T") || strings.Contains(state, "Z") {
					return nil
				}
				return errors.Join(append(errs, fmt.Errorf("PID 1 lives on: %s", strings.TrimSpace(state)))...)
			}
		}
		return nil
	}
}
