package attack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// procAttempts are at PID 1 and at other processes, by /proc.
var procAttempts = []attempt{
	{name: "pid1-mem", must: "the memory of PID 1 can't be opened", try: opens("/proc/1/mem", unix.O_RDWR)},
	{name: "pid1-environ", must: "the environment of PID 1 can't be read", try: reads("/proc/1/environ")},
	{name: "pid1-maps", must: "the mappings of PID 1 can't be read", try: reads("/proc/1/maps")},
	{name: "pid1-auxv", must: "the auxiliary vector of PID 1 can't be read", try: reads("/proc/1/auxv")},
	{name: "pid1-root", must: "the root of PID 1 is no way to anywhere", try: opens("/proc/1/root/etc", unix.O_RDONLY)},
	{name: "pid1-cwd", must: "the working directory of PID 1 is no way to anywhere", try: opens("/proc/1/cwd/", unix.O_RDONLY)},
	{name: "pid1-exe-write", must: "the file of lithos_knot can't be opened for writing", try: opens("/proc/1/exe", unix.O_WRONLY)},
	{name: "pid1-exe-read", must: "the file of lithos_knot can't be opened", try: opens("/proc/1/exe", unix.O_RDONLY)},
	{name: "pid1-fds", must: "the descriptors of PID 1 can't be opened, nor what they are be read", try: func() error {
		for fd := range 32 {
			if err := opens(fmt.Sprintf("/proc/1/fd/%d", fd), unix.O_RDONLY)(); err == nil {
				return nil
			}
		}
		_, err := os.Readlink("/proc/1/fd/4")
		return err
	}},
	{name: "pid1-namespaces", must: "the namespaces of PID 1 can't be entered by its files", try: opens("/proc/1/ns/mnt", unix.O_RDONLY)},
	{name: "foreign-processes", must: "no process but PID 1 and its own is to be seen", try: func() error {
		list, _ := filepath.Glob("/proc/[0-9]*")
		for _, path := range list {
			pid, _ := strconv.Atoi(filepath.Base(path))
			if pid != 1 && pid != os.Getpid() {
				if status, err := os.ReadFile(path + "/status"); err == nil && !strings.Contains(string(status), fmt.Sprintf("PPid:\t%d\n", os.Getpid())) {
					return nil
				}
			}
		}
		return fmt.Errorf("%d processes", len(list))
	}},
	{name: "foreign-signals", must: "no process of the host has a pid here", try: func() error {
		for pid := 3; pid < 70000; pid++ {
			if unix.Kill(pid, 0) != unix.ESRCH && !ours(pid) {
				return nil
			}
		}
		return unix.ESRCH
	}},
}

// ours tells whether a pid is one of a thread of this program or of PID 1.
func ours(pid int) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	text := string(status)
	return err == nil && (strings.Contains(text, "\nTgid:\t1\n") || strings.Contains(text, fmt.Sprintf("\nTgid:\t%d\n", os.Getpid())))
}

// ptraceAttempts are at PID 1 by system calls.
var ptraceAttempts = []attempt{
	{name: "ptrace-attach", must: "PID 1 can't be traced", try: ptraced(unix.PTRACE_ATTACH)},
	{name: "ptrace-seize", must: "PID 1 can't be traced", try: ptraced(unix.PTRACE_SEIZE)},
	{name: "process-vm-readv", must: "the memory of PID 1 can't be copied", try: func() error {
		var buf [8]byte
		local := unix.Iovec{Base: &buf[0]}
		local.SetLen(len(buf))
		_, err := unix.ProcessVMReadv(1, []unix.Iovec{local}, []unix.RemoteIovec{{Base: 0x400000, Len: 8}}, 0)
		return err
	}},
	{name: "pidfd-getfd", must: "no descriptor of PID 1 can be taken", try: func() error {
		pidfd, err := unix.PidfdOpen(1, 0)
		if err != nil {
			return err
		}
		defer unix.Close(pidfd)
		for fd := range 16 {
			var got int
			if got, err = unix.PidfdGetfd(pidfd, fd, 0); err == nil {
				_ = unix.Close(got)
				return nil
			}
		}
		return err
	}},
	{name: "setns", must: "the namespaces of PID 1 can't be entered by its pidfd", try: func() error {
		pidfd, err := unix.PidfdOpen(1, 0)
		if err != nil {
			return err
		}
		defer unix.Close(pidfd)
		return unix.Setns(pidfd, unix.CLONE_NEWPID)
	}},
	{name: "prlimit-of-pid1", must: "the limits of PID 1 can't be changed", only: onlyUser, try: func() error {
		limit := unix.Rlimit{Cur: 10, Max: 10}
		return unix.Prlimit(1, unix.RLIMIT_NOFILE, &limit, nil)
	}},
	{name: "priority-of-pid1", must: "the priority of PID 1 can't be changed", only: onlyUser,
		try: func() error { return unix.Setpriority(unix.PRIO_PROCESS, 1, 19) }},
}

func ptraced(request uintptr) func() error {
	return func() error {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := calls(unix.SYS_PTRACE, request, 1, 0, 0)()
		if err == nil {
			_ = calls(unix.SYS_PTRACE, unix.PTRACE_DETACH, 1, 0, 0)()
		}
		return err
	}
}

// kernelAttempts are at the host by way of its kernel.
var kernelAttempts = []attempt{
	{name: "kcore", must: "the host's memory can't be read", try: reads("/proc/kcore")},
	{name: "kmsg-file", must: "the host's log can't be read", try: opensAndHas("/proc/kmsg")},
	{name: "kmsg-device", must: "the host's log can't be written", try: opens("/dev/kmsg", unix.O_WRONLY)},
	{name: "kmsg-clear", must: "the host's log can't be controlled", try: calls(unix.SYS_SYSLOG, unix.SYSLOG_ACTION_SIZE_UNREAD, 0, 0)},
	{name: "dev-mem", must: "there is no /dev/mem", try: opens("/dev/mem", unix.O_RDONLY)},
	{name: "keys-file", must: "the list of keys can't be read", try: reads("/proc/keys"), only: onlyUnmapped},
	{name: "timer-list", must: "the list of timers can't be read", try: reads("/proc/timer_list")},
	{name: "interrupts", must: "the interrupts can't be watched", try: reads("/proc/interrupts"), only: onlyUnmapped},
	{name: "firmware", must: "the tables of the firmware can't be read", try: func() error {
		list, err := os.ReadDir("/sys/firmware")
		if err == nil && len(list) == 0 {
			return errors.New("it is empty")
		}
		return err
	}, only: onlyUnmapped},
	{name: "sysrq", must: "sysrq can't be triggered", try: opens("/proc/sysrq-trigger", unix.O_WRONLY)},
	{name: "core-pattern", must: "core_pattern can't be set", try: opens("/proc/sys/kernel/core_pattern", unix.O_WRONLY)},
	{name: "modprobe-path", must: "the path of modprobe can't be set", try: opens("/proc/sys/kernel/modprobe", unix.O_WRONLY)},
	{name: "sysctl-vm", must: "sysctls can't be set", try: opens("/proc/sys/vm/overcommit_memory", unix.O_WRONLY)},
	{name: "sysctl-fs", must: "sysctls can't be set", try: opens("/proc/sys/fs/suid_dumpable", unix.O_WRONLY)},
	{name: "sysctl-net", must: "sysctls of the host's network can't be set", try: opens("/proc/sys/net/ipv4/ip_forward", unix.O_WRONLY)},
	{name: "binfmt-misc", must: "no interpreter can be registered", try: opens("/proc/sys/fs/binfmt_misc/register", unix.O_WRONLY)},
	{name: "irq-affinity", must: "interrupts can't be moved", try: opens("/proc/irq/default_smp_affinity", unix.O_WRONLY)},
	{name: "uevent-helper", must: "uevent_helper can't be set", try: opens("/sys/kernel/uevent_helper", unix.O_WRONLY)},
	{name: "sysfs-write", must: "nothing in /sys can be written", try: opens("/sys/kernel/mm/transparent_hugepage/enabled", unix.O_WRONLY)},
	{name: "load-module", must: "no module can be loaded", try: pastRights(calls(unix.SYS_INIT_MODULE, pointer(buffer), 8, pointer(buffer)))},
	{name: "unload-module", must: "no module can be unloaded", try: pastRights(calls(unix.SYS_DELETE_MODULE, pointer([]byte("no_such_module\x00")), 0))},
	{name: "kexec", must: "no other kernel can be loaded", try: pastRights(calls(unix.SYS_KEXEC_LOAD, 0, 0, pointer(buffer), ^uintptr(0)))},
	{name: "reboot", must: "the host can't be rebooted", try: pastRights(calls(unix.SYS_REBOOT, unix.LINUX_REBOOT_MAGIC1, unix.LINUX_REBOOT_MAGIC2, 0x7777, 0))},
	{name: "swapon", must: "no swap can be added", try: pastRights(calls(unix.SYS_SWAPON, pointer([]byte("/no/such\x00")), 0))},
	{name: "accounting", must: "accounting can't be switched", try: pastRights(calls(unix.SYS_ACCT, pointer([]byte("/no/such\x00"))))},
	{name: "set-clock", must: "the clock can't be set", try: func() error {
		now := unix.NsecToTimespec(time.Now().UnixNano())
		return unix.ClockSettime(unix.CLOCK_REALTIME, &now)
	}},
	{name: "adjust-clock", must: "the clock can't be steered", try: func() error {
		var current unix.Timex
		if _, err := unix.Adjtimex(&current); err != nil {
			return err
		}
		_, err := unix.Adjtimex(&unix.Timex{Modes: 0x4000 /* ADJ_TICK */, Tick: current.Tick})
		return err
	}},
	{name: "bpf-program", must: "no program of a probe can be loaded", try: func() error {
		code := []byte{0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0} // r0 = 0; exit
		attr := binary.NativeEndian.AppendUint32(nil, 2)                     // BPF_PROG_TYPE_KPROBE
		attr = binary.NativeEndian.AppendUint32(attr, 2)                     // instructions
		attr = binary.NativeEndian.AppendUint64(attr, uint64(pointer(code)))
		attr = binary.NativeEndian.AppendUint64(attr, uint64(pointer([]byte("GPL\x00"))))
		attr = append(attr, make([]byte, 104)...)
		const load = 5
		return calls(unix.SYS_BPF, load, pointer(attr), uintptr(len(attr)))()
	}},
	{name: "perf-of-the-host", must: "the processors can't be profiled", try: func() error {
		fd, err := unix.PerfEventOpen(&unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_CPU_CLOCK,
			Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{}))}, -1, 0, -1, unix.PERF_FLAG_FD_CLOEXEC)
		if err == nil {
			_ = unix.Close(fd)
		}
		return err
	}},
	{name: "userfaultfd", must: "faults of the kernel can't be held", try: calls(unix.SYS_USERFAULTFD, unix.O_CLOEXEC)},
	{name: "fanotify", must: "a whole file system can't be watched", try: func() error {
		fd, err := unix.FanotifyInit(unix.FAN_CLASS_CONTENT, unix.O_RDONLY)
		if err == nil {
			_ = unix.Close(fd)
		}
		return err
	}},
	{name: "io-ports", must: "no port of the machine can be had", try: ioPorts},
	{name: "raw-socket", must: "no raw socket of the host's network", try: opensSocket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)},
	{name: "packet-socket", must: "the host's network can't be listened to", try: opensSocket(unix.AF_PACKET, unix.SOCK_RAW, 0)},
	{name: "network-interface", must: "the host's interfaces can't be changed", try: func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		ifr, err := unix.NewIfreq("lo")
		if err != nil {
			return err
		}
		if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, ifr); err != nil {
			return err
		}
		return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr) // as they are
	}},
	{name: "inject-input", must: "no input can be put into a terminal", try: func() error {
		err := calls(unix.SYS_IOCTL, 0, unix.TIOCSTI, pointer([]byte("x")))()
		if tty := opens("/dev/tty", unix.O_RDWR)(); tty == nil {
			return nil
		}
		return err
	}},
}

var buffer = make([]byte, 64)

// opensAndHas: opening alone counts, if there is something in it.
func opensAndHas(path string) func() error {
	return func() error {
		err := reads(path)()
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		return err
	}
}

func opensSocket(family, kind, protocol int) func() error {
	return func() error {
		fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, protocol)
		if err == nil {
			_ = unix.Close(fd)
		}
		return err
	}
}
