package spawn

import (
	"errors"
	"lithos/sysx/forkexec"
	"strings"
	"syscall"
)

// advice says what to do after a failed fork.
func advice(err error) string {
	var e *forkexec.Error
	if !errors.As(err, &e) {
		return ""
	}
	exec := strings.HasPrefix(e.Name, "exec ") || strings.HasPrefix(e.Name, "use ")
	switch {
	case exec && e.Errno == syscall.ENOENT:
		return " (lithos_knot must be installed beside the other programs of lithos)"
	case exec && e.Errno == syscall.E2BIG:
		return " (the process config of one instance is too long for a command line)"
	case e.Name == "clone3" && e.Errno == syscall.ENOSPC:
		return " (the host has no more namespaces: sysctl user.max_pid_namespaces, user.max_mnt_namespaces)"
	case strings.HasPrefix(e.Name, "move_mount ") && e.Errno == syscall.ENOSPC:
		return " (a mount namespace has as many mounts as it may: sysctl fs.mount-max)"
	case e.Name == "clone3" && e.Errno == syscall.EAGAIN:
		return " (the host has no more processes: sysctl kernel.pid_max, pids.max of the daemon's cgroup)"
	case e.Name == "clone3" && e.Errno == syscall.ENOMEM:
		return " (the kernel has no memory for another process, or the daemon's pid namespace is ending)"
	case e.Name == "clone3" && e.Errno == syscall.EPERM:
		return " (lithos must run as root)"
	}
	return ""
}

// shortage says what to do where the host has no more of something, whichever
// call was the one that did not get it.
func shortage(err error) string {
	switch {
	case errors.Is(err, syscall.EMFILE):
		return " (the daemon has as many descriptors open as it may: LimitNOFILE of its service, ulimit -n)"
	case errors.Is(err, syscall.ENFILE):
		return " (the host has no more descriptors: sysctl fs.file-max)"
	case errors.Is(err, syscall.ENOSPC) && !errors.As(err, new(*forkexec.Error)):
		return " (the file system of the runtime-dir is full: df -h, df -i)"
	case errors.Is(err, syscall.EROFS):
		return " (the file system of the runtime-dir is read-only; after an error of its disk the kernel makes it so: dmesg)"
	}
	return ""
}
