package spawn

import (
	"slices"

	"golang.org/x/sys/unix"

	"lithos/sysx/seccomp"
)

// The default seccomp profile. Calls of ordinary programs are allowed. Calls that
// act on the host, or that were ways to attack kernels, give EPERM. All others,
// also of future kernels, give ENOSYS, so that programs fall back to older calls.
// 32 bit programs are killed.
//
// It is the spirit of docker's and podman's, with these differences: no
// architecture but the machine's own; io_uring and AF_ALG, AF_VSOCK and other
// rare address families are not allowed; TIOCSTI and TIOCLINUX are not.

const (
	eperm        = uint16(unix.EPERM)
	enosys       = uint16(unix.ENOSYS)
	eafnosupport = uint16(unix.EAFNOSUPPORT)
)

// DefaultSeccomp is the compiled profile, for programs that have these
// capabilities (bit n for capability n) in their bounding set beside the usual:
// the calls that they are for are allowed.
func DefaultSeccomp(capabilities uint64) (string, error) {
	denied := map[uint32]bool{}
	for _, n := range slices.Concat(deniedCalls, deniedHere) {
		denied[n] = true
	}
	f := &seccomp.Filter{BadArch: seccomp.KillProcess, Default: seccomp.Errno(enosys)}
	tested := map[uint32]seccomp.Rule{}
	for _, r := range testedCalls {
		tested[r.Number] = r
	}
	allow := slices.Concat(allowedCalls, allowedHere)
	for c, calls := range callsOf {
		if capabilities&(1<<c) == 0 {
			continue
		}
		allow = append(allow, calls...)
		for _, n := range calls {
			delete(denied, n)
			delete(tested, n)
		}
	}
	slices.Sort(allow)
	for _, n := range slices.Compact(allow) {
		f.Rules = append(f.Rules, seccomp.Rule{Number: n, Then: seccomp.Allow})
	}
	for n := range denied {
		f.Rules = append(f.Rules, seccomp.Rule{Number: n, Then: seccomp.Errno(eperm)})
	}
	for _, r := range tested {
		f.Rules = append(f.Rules, r)
	}
	program, err := f.Compile()
	return string(program), err
}

// namespaceFlags are those of clone and unshare that make a namespace.
const namespaceFlags = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

const whole = 0xffffffff

// testedCalls depend on an argument.
var testedCalls = []seccomp.Rule{
	noNamespaces(unix.SYS_CLONE),
	{Number: unix.SYS_UNSHARE, Then: seccomp.Allow, Else: seccomp.Errno(eperm),
		If: []seccomp.Test{{Arg: 0, Mask: namespaceFlags | unix.CLONE_NEWTIME, Value: 0}}},
	{Number: unix.SYS_PERSONALITY, Then: seccomp.Allow, Else: seccomp.Errno(eperm), If: []seccomp.Test{
		{Arg: 0, Mask: whole, Value: 0}, {Arg: 0, Mask: whole, Value: 8}, {Arg: 0, Mask: whole, Value: 0x20000},
		{Arg: 0, Mask: whole, Value: 0x20008}, {Arg: 0, Mask: whole, Value: whole}}},
	{Number: unix.SYS_SOCKET, Then: seccomp.Allow, Else: seccomp.Errno(eafnosupport), If: []seccomp.Test{
		{Arg: 0, Mask: whole, Value: unix.AF_UNIX}, {Arg: 0, Mask: whole, Value: unix.AF_INET},
		{Arg: 0, Mask: whole, Value: unix.AF_INET6}, {Arg: 0, Mask: whole, Value: unix.AF_NETLINK},
		{Arg: 0, Mask: whole, Value: unix.AF_PACKET}}},
	{Number: unix.SYS_IOCTL, Then: seccomp.Errno(eperm), Else: seccomp.Allow, If: []seccomp.Test{
		{Arg: 1, Mask: whole, Value: unix.TIOCSTI}, {Arg: 1, Mask: whole, Value: tioclinux}}},
	// Its flags lie in memory, where a filter can't look: programs fall back
	// to clone.
	{Number: unix.SYS_CLONE3, Then: seccomp.Errno(enosys)},
}

const tioclinux = 0x541c

func noNamespaces(number uint32) seccomp.Rule {
	return seccomp.Rule{Number: number, Then: seccomp.Allow, Else: seccomp.Errno(eperm),
		If: []seccomp.Test{{Arg: 0, Mask: namespaceFlags, Value: 0}}}
}

// callsOf are the calls that a capability is for.
var callsOf = map[int][]uint32{
	unix.CAP_DAC_READ_SEARCH: {unix.SYS_OPEN_BY_HANDLE_AT},
	unix.CAP_SYS_ADMIN: {
		unix.SYS_BPF, unix.SYS_CLONE, unix.SYS_CLONE3, unix.SYS_FANOTIFY_INIT, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT,
		unix.SYS_FSOPEN, unix.SYS_FSPICK, unix.SYS_LOOKUP_DCOOKIE, unix.SYS_MOUNT, unix.SYS_MOUNT_SETATTR,
		unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE, unix.SYS_PERF_EVENT_OPEN, unix.SYS_PIVOT_ROOT, unix.SYS_QUOTACTL,
		unix.SYS_QUOTACTL_FD, unix.SYS_SETDOMAINNAME, unix.SYS_SETHOSTNAME, unix.SYS_SETNS, unix.SYS_SWAPOFF,
		unix.SYS_SWAPON, unix.SYS_SYSLOG, unix.SYS_UMOUNT2, unix.SYS_UNSHARE,
	},
	unix.CAP_SYS_BOOT:       {unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_REBOOT},
	unix.CAP_SYS_CHROOT:     {unix.SYS_CHROOT},
	unix.CAP_SYS_MODULE:     {unix.SYS_DELETE_MODULE, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE},
	unix.CAP_SYS_NICE:       {unix.SYS_GET_MEMPOLICY, unix.SYS_MBIND, unix.SYS_SET_MEMPOLICY, unix.SYS_SET_MEMPOLICY_HOME_NODE, unix.SYS_MIGRATE_PAGES, unix.SYS_MOVE_PAGES},
	unix.CAP_SYS_PACCT:      {unix.SYS_ACCT},
	unix.CAP_SYS_PTRACE:     {unix.SYS_KCMP, unix.SYS_PIDFD_GETFD, unix.SYS_PROCESS_MADVISE},
	unix.CAP_SYS_RAWIO:      rawIO,
	unix.CAP_SYS_TIME:       {unix.SYS_CLOCK_SETTIME, unix.SYS_SETTIMEOFDAY},
	unix.CAP_SYS_TTY_CONFIG: {unix.SYS_VHANGUP},
	unix.CAP_SYSLOG:         {unix.SYS_SYSLOG},
	unix.CAP_PERFMON:        {unix.SYS_PERF_EVENT_OPEN},
	unix.CAP_BPF:            {unix.SYS_BPF},
}

// deniedCalls are refused by name: programs are to see EPERM, not a kernel that
// lacks them.
var deniedCalls = []uint32{
	unix.SYS_ACCT, unix.SYS_ADD_KEY, unix.SYS_BPF, unix.SYS_CHROOT, unix.SYS_CLOCK_SETTIME, unix.SYS_DELETE_MODULE,
	unix.SYS_FANOTIFY_INIT, unix.SYS_FINIT_MODULE, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSOPEN,
	unix.SYS_FSPICK, unix.SYS_GET_MEMPOLICY, unix.SYS_INIT_MODULE, unix.SYS_IO_URING_ENTER,
	unix.SYS_IO_URING_REGISTER, unix.SYS_IO_URING_SETUP, unix.SYS_KCMP, unix.SYS_KEXEC_FILE_LOAD,
	unix.SYS_KEXEC_LOAD, unix.SYS_KEYCTL, unix.SYS_LOOKUP_DCOOKIE, unix.SYS_MBIND, unix.SYS_MIGRATE_PAGES,
	unix.SYS_MOUNT, unix.SYS_MOUNT_SETATTR, unix.SYS_MOVE_MOUNT, unix.SYS_MOVE_PAGES, unix.SYS_NFSSERVCTL,
	unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_OPEN_TREE, unix.SYS_PERF_EVENT_OPEN, unix.SYS_PIDFD_GETFD,
	unix.SYS_PIVOT_ROOT, unix.SYS_PROCESS_MADVISE, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD, unix.SYS_REBOOT,
	unix.SYS_REQUEST_KEY, unix.SYS_SET_MEMPOLICY, unix.SYS_SET_MEMPOLICY_HOME_NODE, unix.SYS_SETDOMAINNAME,
	unix.SYS_SETHOSTNAME, unix.SYS_SETNS, unix.SYS_SETTIMEOFDAY, unix.SYS_SWAPOFF, unix.SYS_SWAPON,
	unix.SYS_SYSLOG, unix.SYS_UMOUNT2, unix.SYS_USERFAULTFD, unix.SYS_VHANGUP,
}

// allowedCalls are on all architectures.
var allowedCalls = []uint32{
	unix.SYS_ACCEPT, unix.SYS_ACCEPT4, unix.SYS_ADJTIMEX, unix.SYS_BIND, unix.SYS_BRK, unix.SYS_CACHESTAT,
	unix.SYS_CAPGET, unix.SYS_CAPSET, unix.SYS_CHDIR, unix.SYS_CLOCK_ADJTIME, unix.SYS_CLOCK_GETRES,
	unix.SYS_CLOCK_GETTIME, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_CLOSE, unix.SYS_CLOSE_RANGE, unix.SYS_CONNECT,
	unix.SYS_COPY_FILE_RANGE, unix.SYS_DUP, unix.SYS_DUP3, unix.SYS_EPOLL_CREATE1, unix.SYS_EPOLL_CTL,
	unix.SYS_EPOLL_PWAIT, unix.SYS_EPOLL_PWAIT2, unix.SYS_EVENTFD2, unix.SYS_EXECVE, unix.SYS_EXECVEAT,
	unix.SYS_EXIT, unix.SYS_EXIT_GROUP, unix.SYS_FACCESSAT, unix.SYS_FACCESSAT2, unix.SYS_FADVISE64,
	unix.SYS_FALLOCATE, unix.SYS_FANOTIFY_MARK, unix.SYS_FCHDIR, unix.SYS_FCHMOD, unix.SYS_FCHMODAT,
	unix.SYS_FCHMODAT2, unix.SYS_FCHOWN, unix.SYS_FCHOWNAT, unix.SYS_FCNTL, unix.SYS_FDATASYNC,
	unix.SYS_FGETXATTR, unix.SYS_FLISTXATTR, unix.SYS_FLOCK, unix.SYS_FREMOVEXATTR, unix.SYS_FSETXATTR,
	unix.SYS_FSTAT, unix.SYS_FSTATFS, unix.SYS_FSYNC, unix.SYS_FTRUNCATE, unix.SYS_FUTEX, unix.SYS_FUTEX_WAITV,
	unix.SYS_FUTEX_WAKE, unix.SYS_FUTEX_WAIT, unix.SYS_FUTEX_REQUEUE, unix.SYS_GETCPU, unix.SYS_GETCWD,
	unix.SYS_GETDENTS64, unix.SYS_GETEGID, unix.SYS_GETEUID, unix.SYS_GETGID, unix.SYS_GETGROUPS,
	unix.SYS_GETITIMER, unix.SYS_GETPEERNAME, unix.SYS_GETPGID, unix.SYS_GETPID, unix.SYS_GETPPID,
	unix.SYS_GETPRIORITY, unix.SYS_GETRANDOM, unix.SYS_GETRESGID, unix.SYS_GETRESUID, unix.SYS_GETRLIMIT,
	unix.SYS_GET_ROBUST_LIST, unix.SYS_GETRUSAGE, unix.SYS_GETSID, unix.SYS_GETSOCKNAME, unix.SYS_GETSOCKOPT,
	unix.SYS_GETTID, unix.SYS_GETTIMEOFDAY, unix.SYS_GETUID, unix.SYS_GETXATTR, unix.SYS_INOTIFY_ADD_WATCH,
	unix.SYS_INOTIFY_INIT1, unix.SYS_INOTIFY_RM_WATCH, unix.SYS_IO_CANCEL, unix.SYS_IO_DESTROY,
	unix.SYS_IO_GETEVENTS, unix.SYS_IO_PGETEVENTS, unix.SYS_IOPRIO_GET, unix.SYS_IOPRIO_SET, unix.SYS_IO_SETUP,
	unix.SYS_IO_SUBMIT, unix.SYS_KILL, unix.SYS_LANDLOCK_ADD_RULE, unix.SYS_LANDLOCK_CREATE_RULESET,
	unix.SYS_LANDLOCK_RESTRICT_SELF, unix.SYS_LGETXATTR, unix.SYS_LINKAT, unix.SYS_LISTEN, unix.SYS_LISTXATTR,
	unix.SYS_LLISTXATTR, unix.SYS_LREMOVEXATTR, unix.SYS_LSEEK, unix.SYS_LSETXATTR, unix.SYS_MADVISE,
	unix.SYS_MAP_SHADOW_STACK, unix.SYS_MEMBARRIER, unix.SYS_MEMFD_CREATE, unix.SYS_MEMFD_SECRET,
	unix.SYS_MINCORE, unix.SYS_MKDIRAT, unix.SYS_MKNODAT, unix.SYS_MLOCK, unix.SYS_MLOCK2, unix.SYS_MLOCKALL,
	unix.SYS_MMAP, unix.SYS_MPROTECT, unix.SYS_MQ_GETSETATTR, unix.SYS_MQ_NOTIFY, unix.SYS_MQ_OPEN,
	unix.SYS_MQ_TIMEDRECEIVE, unix.SYS_MQ_TIMEDSEND, unix.SYS_MQ_UNLINK, unix.SYS_MREMAP, unix.SYS_MSEAL,
	unix.SYS_MSGCTL, unix.SYS_MSGGET, unix.SYS_MSGRCV, unix.SYS_MSGSND, unix.SYS_MSYNC, unix.SYS_MUNLOCK,
	unix.SYS_MUNLOCKALL, unix.SYS_MUNMAP, unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_NANOSLEEP, unix.SYS_OPENAT,
	unix.SYS_OPENAT2, unix.SYS_PIDFD_OPEN, unix.SYS_PIDFD_SEND_SIGNAL, unix.SYS_PIPE2, unix.SYS_PKEY_ALLOC,
	unix.SYS_PKEY_FREE, unix.SYS_PKEY_MPROTECT, unix.SYS_PPOLL, unix.SYS_PRCTL, unix.SYS_PREAD64,
	unix.SYS_PREADV, unix.SYS_PREADV2, unix.SYS_PRLIMIT64, unix.SYS_PROCESS_MRELEASE, unix.SYS_PROCESS_VM_READV,
	unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PSELECT6, unix.SYS_PTRACE, unix.SYS_PWRITE64, unix.SYS_PWRITEV,
	unix.SYS_PWRITEV2, unix.SYS_READ, unix.SYS_READAHEAD, unix.SYS_READLINKAT, unix.SYS_READV,
	unix.SYS_RECVFROM, unix.SYS_RECVMMSG, unix.SYS_RECVMSG, unix.SYS_REMAP_FILE_PAGES, unix.SYS_REMOVEXATTR,
	unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_RESTART_SYSCALL, unix.SYS_RSEQ, unix.SYS_RT_SIGACTION,
	unix.SYS_RT_SIGPENDING, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_SIGRETURN,
	unix.SYS_RT_SIGSUSPEND, unix.SYS_RT_SIGTIMEDWAIT, unix.SYS_RT_TGSIGQUEUEINFO, unix.SYS_SCHED_GETAFFINITY,
	unix.SYS_SCHED_GETATTR, unix.SYS_SCHED_GETPARAM, unix.SYS_SCHED_GET_PRIORITY_MAX,
	unix.SYS_SCHED_GET_PRIORITY_MIN, unix.SYS_SCHED_GETSCHEDULER, unix.SYS_SCHED_RR_GET_INTERVAL,
	unix.SYS_SCHED_SETAFFINITY, unix.SYS_SCHED_SETATTR, unix.SYS_SCHED_SETPARAM, unix.SYS_SCHED_SETSCHEDULER,
	unix.SYS_SCHED_YIELD, unix.SYS_SECCOMP, unix.SYS_SEMCTL, unix.SYS_SEMGET, unix.SYS_SEMOP,
	unix.SYS_SEMTIMEDOP, unix.SYS_SENDFILE, unix.SYS_SENDMMSG, unix.SYS_SENDMSG, unix.SYS_SENDTO,
	unix.SYS_SETFSGID, unix.SYS_SETFSUID, unix.SYS_SETGID, unix.SYS_SETGROUPS, unix.SYS_SETITIMER,
	unix.SYS_SETPGID, unix.SYS_SETPRIORITY, unix.SYS_SETREGID, unix.SYS_SETRESGID, unix.SYS_SETRESUID,
	unix.SYS_SETREUID, unix.SYS_SETRLIMIT, unix.SYS_SET_ROBUST_LIST, unix.SYS_SETSID, unix.SYS_SETSOCKOPT,
	unix.SYS_SET_TID_ADDRESS, unix.SYS_SETUID, unix.SYS_SETXATTR, unix.SYS_SHMAT, unix.SYS_SHMCTL,
	unix.SYS_SHMDT, unix.SYS_SHMGET, unix.SYS_SHUTDOWN, unix.SYS_SIGALTSTACK, unix.SYS_SIGNALFD4,
	unix.SYS_SOCKETPAIR, unix.SYS_SPLICE, unix.SYS_STATFS, unix.SYS_STATX, unix.SYS_SYMLINKAT, unix.SYS_SYNC,
	unix.SYS_SYNC_FILE_RANGE, unix.SYS_SYNCFS, unix.SYS_SYSINFO, unix.SYS_TEE, unix.SYS_TGKILL,
	unix.SYS_TIMER_CREATE, unix.SYS_TIMER_DELETE, unix.SYS_TIMER_GETOVERRUN, unix.SYS_TIMER_GETTIME,
	unix.SYS_TIMER_SETTIME, unix.SYS_TIMERFD_CREATE, unix.SYS_TIMERFD_GETTIME, unix.SYS_TIMERFD_SETTIME,
	unix.SYS_TIMES, unix.SYS_TKILL, unix.SYS_TRUNCATE, unix.SYS_UMASK, unix.SYS_UNAME, unix.SYS_UNLINKAT,
	unix.SYS_UTIMENSAT, unix.SYS_VMSPLICE, unix.SYS_WAIT4, unix.SYS_WAITID, unix.SYS_WRITE, unix.SYS_WRITEV,
}
