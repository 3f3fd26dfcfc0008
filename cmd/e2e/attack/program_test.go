package attack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// program is what the test binary is inside a container: `/bin/attack attack
// NAME ARGUMENTS`.
func program(name string, args []string) int {
	programs := map[string]func([]string) int{
		"inside": inside, "nested": nested, "whoami": whoami, "wait": func([]string) int { wait(); return 0 },
		"swap": swap, "litter": litter, "bomb": bomb, "flood": flood, "sockets": sockets, "pretend": pretend,
		"overwrite": overwrite, "where": where, "pulse": pulse, "launch": launch, "peek": peek,
	}
	run, ok := programs[name]
	if !ok {
		fmt.Fprintln(os.Stderr, "attack: no program", name)
		return 70
	}
	return run(args)
}

// self is this binary as another program.
func self(path, name string, args ...string) *exec.Cmd {
	return exec.Command(path, append([]string{"attack", name}, args...)...)
}

// launch becomes the daemon, in a session with a key: as it has those of whoever
// starts it.
func launch(args []string) int {
	runtime.LockOSThread()
	if calls(unix.SYS_KEYCTL, unix.KEYCTL_JOIN_SESSION_KEYRING, 0)() == nil {
		if _, err := unix.AddKey("user", secretKey, []byte("secret"), unix.KEY_SPEC_SESSION_KEYRING); err != nil {
			fmt.Fprintln(os.Stderr, "attack: cannot add a key:", err)
			return 70
		}
	}
	fmt.Fprintln(os.Stderr, unix.Exec(args[0], args, os.Environ()))
	return 70
}

// whoami prints the ids and the capabilities that it has.
func whoami([]string) int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 1
	}
	caps := ""
	for _, line := range strings.Split(string(status), "\n") {
		if rest, ok := strings.CutPrefix(line, "CapEff:"); ok {
			caps = strings.TrimSpace(rest)
		}
	}
	fmt.Println(os.Geteuid(), caps)
	return 0
}

// opens is an attempt to open a file.
func opens(path string, flags int) func() error {
	return func() error {
		fd, err := unix.Open(path, flags|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err == nil {
			_ = unix.Close(fd)
		}
		return err
	}
}

// reads is an attempt to read something, anything, of a file.
func reads(path string) func() error {
	return func() error {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		n, err := unix.Read(fd, make([]byte, 64))
		if err == nil && n == 0 {
			return errors.New("it is empty")
		}
		return err
	}
}

// calls is an attempt at a system call.
func calls(trap uintptr, args ...uintptr) func() error {
	return func() error {
		var a [6]uintptr
		copy(a[:], args)
		if _, _, errno := unix.Syscall6(trap, a[0], a[1], a[2], a[3], a[4], a[5]); errno != 0 {
			return errno
		}
		return nil
	}
}

// pointer is the address of bytes, which stay where they are.
func pointer(b []byte) uintptr {
	pinned = append(pinned, b)
	return uintptr(unsafe.Pointer(&b[0]))
}

var pinned [][]byte

// word is the address of a number of 32 bits.
func word(n uint32) uintptr { return pointer(binary.NativeEndian.AppendUint32(nil, n)) }

// pastRights tells whether an attempt got past the check of rights: an error that
// says it was refused is an error, one that says the arguments make no sense is
// not, because they don't.
func pastRights(try func() error) func() error {
	return func() error {
		err := try()
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EROFS) {
			return err
		}
		return nil
	}
}

// output runs a command and gives what it printed.
func output(cmd *exec.Cmd) (string, error) {
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

// first is the number that a text begins with.
func first(text string) int {
	number, _, _ := strings.Cut(text, " ")
	n, err := strconv.Atoi(number)
	if err != nil {
		return -1
	}
	return n
}

// inUserNamespace tries something with all rights in namespaces of its own.
func inUserNamespace(what string) func() error {
	return tryIn(what, func() *syscall.SysProcAttr {
		return &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
		}
	})
}

// inMountNamespace tries an attack that would undo the container's mounts for the
// attacks after it.
func inMountNamespace(what string) func() error {
	return tryIn(what, func() *syscall.SysProcAttr { return &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS} })
}

// tryIn runs `nested` and wants the word "won" of it.
func tryIn(what string, attr func() *syscall.SysProcAttr) func() error {
	return func() error {
		cmd := self("/proc/self/exe", "nested", what)
		cmd.SysProcAttr = attr()
		out, err := cmd.CombinedOutput()
		switch {
		case err != nil:
			return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out)))
		case strings.TrimSpace(string(out)) != "won":
			return errors.New(strings.TrimSpace(string(out)))
		}
		return nil
	}
}

// nested is what tries with all rights in a user namespace of its own.
func nested(args []string) int {
	tries := map[string]func() error{
		"remount": func() error {
			if err := unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND, ""); err != nil {
				return err
			}
			return opens("/bin/new", unix.O_CREAT|unix.O_WRONLY)()
		},
		"remount-proc-sys": func() error {
			if err := unix.Mount("", "/proc/sys", "", unix.MS_REMOUNT|unix.MS_BIND, ""); err != nil {
				return err
			}
			return opens("/proc/sys/vm/overcommit_memory", unix.O_WRONLY)()
		},
		"umount-proc-sys": func() error { return unix.Unmount("/proc/sys", unix.MNT_DETACH) },
		"umount-mask":     func() error { return unix.Unmount("/sys/firmware", unix.MNT_DETACH) },
		"new-proc": func() error {
			if err := unix.Mount("proc", "/scratch", "proc", 0, ""); err != nil {
				return err
			}
			return opens("/scratch/sys/vm/overcommit_memory", unix.O_WRONLY)()
		},
		"suid-remount": func() error {
			if err := unix.Mount("", "/scratch", "", unix.MS_REMOUNT|unix.MS_BIND, ""); err != nil {
				return err // nosuid and nodev can't be taken off
			}
			return nil
		},
		"pivot": func() error { return unix.PivotRoot("/scratch", "/scratch") },
		"device": func() error {
			if err := unix.Mknod("/scratch/disk", unix.S_IFBLK|0o666, int(unix.Mkdev(254, 0))); err != nil {
				return err
			}
			return opens("/scratch/disk", unix.O_RDONLY)()
		},
	}
	if err := tries[args[0]](); err != nil {
		fmt.Println(err)
		return 0
	}
	fmt.Println("won")
	return 0
}

// lines is the number of lines of a file.
func lines(path string) []string {
	data, _ := os.ReadFile(path)
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}
