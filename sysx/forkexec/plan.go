package forkexec

import (
	"slices"
	"syscall"
	"unsafe"
)

// Step is one system call that the child makes. Addresses in Args must be of
// memory that the [Plan] keeps alive, see [Plan.Bytes].
type Step struct {
	Name      string // for errors
	Trap      uintptr
	Args      [6]uintptr
	IgnoreErr bool
	// Feed hands the result on: it becomes the first argument of the step
	// that many places further on; 0 = nowhere.
	Feed int
}

// Plan is a list of steps, made before the fork. The zero value is empty and
// ready. A Plan can be used for several starts, also at the same time.
type Plan struct {
	steps []Step
	keep  [][]byte
}

// Numbers that package syscall lacks; the same on amd64 and arm64.
const (
	sysCloseRange = 436
	// CloseRangeCloexec makes [Plan.CloseRange] set FD_CLOEXEC only.
	CloseRangeCloexec = 4
	// RlimitNofile is RLIMIT_NOFILE.
	RlimitNofile = 7

	capabilityVersion3 = 0x20080522
	sigsetSize         = 8
	signals            = 64
	sigSetmask         = 2
	// sigactionSize is at least the size of the kernel's struct.
	sigactionSize = 64
)

// Len is the number of steps so far.
func (p *Plan) Len() int { return len(p.steps) }

// Bytes copies b to memory that lives as long as the plan and returns its
// address, for [Plan.Raw].
func (p *Plan) Bytes(b []byte) uintptr {
	c := make([]byte, max(len(b), 1))
	copy(c, b)
	p.keep = append(p.keep, c)
	return uintptr(unsafe.Pointer(&c[0]))
}

// String is [Plan.Bytes] for a string, with a NUL at its end.
func (p *Plan) String(s string) uintptr {
	return p.Bytes(append([]byte(s), 0))
}

// Grow makes room for n more steps.
func (p *Plan) Grow(n int) *Plan {
	p.steps = slices.Grow(p.steps, n)
	return p
}

// Raw adds any system call; name is for errors.
func (p *Plan) Raw(name string, trap uintptr, args ...uintptr) *Plan {
	s := Step{Name: name, Trap: trap}
	copy(s.Args[:], args)
	p.steps = append(p.steps, s)
	return p
}

// IgnoreErr lets the last added step fail.
func (p *Plan) IgnoreErr() *Plan {
	p.steps[len(p.steps)-1].IgnoreErr = true
	return p
}

// Feed hands the result of the last added step to the step n places after it,
// as its first argument: the descriptor of an openat to a write.
func (p *Plan) Feed(n int) *Plan {
	p.steps[len(p.steps)-1].Feed = n
	return p
}

// Write writes data with one call to an open descriptor: a file of /proc or of
// a cgroup. A short write is no error.
func (p *Plan) Write(name string, fd int, data []byte) *Plan {
	return p.Raw("write to "+name, syscall.SYS_WRITE, uintptr(fd), p.Bytes(data), uintptr(len(data)))
}

// Close closes one descriptor.
func (p *Plan) Close(fd int) *Plan {
	return p.Raw("close", syscall.SYS_CLOSE, uintptr(fd))
}

// CloseRange closes the descriptors first to last, both included, or with
// [CloseRangeCloexec] lets the execve do so.
func (p *Plan) CloseRange(first, last uint32, flags int) *Plan {
	return p.Raw("close_range", sysCloseRange, uintptr(first), uintptr(last), uintptr(flags))
}

// Dup3 makes newfd a duplicate of oldfd.
func (p *Plan) Dup3(oldfd, newfd, flags int) *Plan {
	return p.Raw("dup3", syscall.SYS_DUP3, uintptr(oldfd), uintptr(newfd), uintptr(flags))
}

// Prctl is prctl(2).
func (p *Plan) Prctl(name string, op int, args ...uintptr) *Plan {
	all := [6]uintptr{uintptr(op)}
	return p.Raw("prctl "+name, syscall.SYS_PRCTL, all[:1+copy(all[1:], args)]...)
}

// Seccomp installs a program of classic BPF: for the child and all that comes
// of it, for good. It takes no_new_privs or CAP_SYS_ADMIN.
func (p *Plan) Seccomp(program string) *Plan {
	const setModeFilter = 1
	address := p.Bytes([]byte(program))
	// struct sock_fprog: how many instructions, of 8 bytes each, and where.
	prog := quads([]uint64{uint64(len(program) / 8), uint64(address)})
	return p.Raw("seccomp", sysSeccomp, setModeFilter, 0, p.Bytes(prog))
}

// Setresuid sets the real, effective and saved user id.
func (p *Plan) Setresuid(uid uint32) *Plan {
	return p.Raw("setresuid", syscall.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid))
}

// Setresgid sets the real, effective and saved group id.
func (p *Plan) Setresgid(gid uint32) *Plan {
	return p.Raw("setresgid", syscall.SYS_SETRESGID, uintptr(gid), uintptr(gid), uintptr(gid))
}

// ClearGroups drops all supplementary groups.
func (p *Plan) ClearGroups() *Plan {
	return p.Raw("setgroups", syscall.SYS_SETGROUPS, 0, 0)
}

// Capset sets the three sets of capabilities, a bit each.
func (p *Plan) Capset(effective, permitted, inheritable uint64) *Plan {
	hdr := []uint32{capabilityVersion3, 0}
	data := []uint32{
		uint32(effective), uint32(permitted), uint32(inheritable),
		uint32(effective >> 32), uint32(permitted >> 32), uint32(inheritable >> 32),
	}
	return p.Raw("capset", syscall.SYS_CAPSET, p.Bytes(words(hdr)), p.Bytes(words(data)))
}

// Chdir changes the working directory.
func (p *Plan) Chdir(path string) *Plan {
	return p.Raw("chdir to "+path, syscall.SYS_CHDIR, p.String(path))
}

// Setsid starts a session.
func (p *Plan) Setsid() *Plan { return p.Raw("setsid", syscall.SYS_SETSID) }

// Setpgid moves the child to a process group, 0 = one of its own.
func (p *Plan) Setpgid(pgid int) *Plan {
	return p.Raw("setpgid", syscall.SYS_SETPGID, 0, uintptr(pgid))
}

// Umask sets the file mode creation mask.
func (p *Plan) Umask(mask uint32) *Plan { return p.Raw("umask", syscall.SYS_UMASK, uintptr(mask)) }

// Setrlimit sets a resource limit. One for [RlimitNofile] belongs into
// Attr.Last, for descriptors can't be put above it.
func (p *Plan) Setrlimit(resource int, soft, hard uint64) *Plan {
	return p.Raw("setrlimit", syscall.SYS_PRLIMIT64, 0, uintptr(resource), p.Bytes(quads([]uint64{soft, hard})), 0)
}

// Sigmask sets the signal mask, bit n-1 for signal n.
func (p *Plan) Sigmask(set uint64) *Plan {
	return p.Raw("rt_sigprocmask", syscall.SYS_RT_SIGPROCMASK, sigSetmask, p.Bytes(quads([]uint64{set})), 0, sigsetSize)
}

// DefaultSignals makes ignored signals have their default action again.
func (p *Plan) DefaultSignals() *Plan {
	p.Grow(signals + 8) // and some that follow
	action := p.Bytes(make([]byte, sigactionSize))
	for sig := uintptr(1); sig <= signals; sig++ {
		if sig != uintptr(syscall.SIGKILL) && sig != uintptr(syscall.SIGSTOP) {
			p.Raw("rt_sigaction", syscall.SYS_RT_SIGACTION, sig, action, 0, sigsetSize)
		}
	}
	return p
}

func words(w []uint32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(&w[0])), 4*len(w))
}

func quads(w []uint64) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(&w[0])), 8*len(w))
}

// Steps are the steps so far, for somebody who makes them elsewhere, and the
// memory that their arguments, or that memory itself, may have addresses of.
func (p *Plan) Steps() (steps []Step, memory [][]byte) { return p.steps, p.keep }
