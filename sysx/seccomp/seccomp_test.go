package seccomp

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// run is the kernel's interpreter, of the instructions that are used here.
func run(t *testing.T, program []byte, data []byte) Action {
	t.Helper()
	var a uint32
	for pc := 0; ; pc++ {
		if 8*pc >= len(program) {
			t.Fatal("the program runs over its end")
		}
		i := program[8*pc : 8*pc+8]
		code, k := binary.NativeEndian.Uint16(i), binary.NativeEndian.Uint32(i[4:])
		skip := func(yes bool) {
			if yes {
				pc += int(i[2])
			} else {
				pc += int(i[3])
			}
		}
		switch code {
		case load:
			a = binary.NativeEndian.Uint32(data[k:])
		case and:
			a &= k
		case jump:
			pc += int(k)
		case equal:
			skip(a == k)
		case atleast:
			skip(a >= k)
		case result:
			return Action(k)
		default:
			t.Fatalf("instruction %#x", code)
		}
	}
}

func call(arch, number uint32, args ...uint64) []byte {
	data := make([]byte, 64)
	binary.NativeEndian.PutUint32(data, number)
	binary.NativeEndian.PutUint32(data[4:], arch)
	for i, arg := range args {
		binary.NativeEndian.PutUint64(data[16+8*i:], arg)
	}
	return data
}

func compile(t *testing.T, f *Filter) []byte {
	t.Helper()
	program, err := f.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return program
}

func TestCompile_EveryNumber(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 3, 50, 400, 1500} {
		f := &Filter{Arch: 7, BadArch: KillProcess, Default: Errno(38)}
		want := map[uint32]Rule{}
		for range n {
			r := Rule{Number: random.Uint32N(2000), Then: []Action{Allow, Errno(1)}[random.IntN(2)]}
			if random.IntN(10) == 0 {
				r.If, r.Else = []Test{{0, 0xf0, 0x10}, {2, 0xffffffff, 3}}, Errno(9)
			}
			if _, twice := want[r.Number]; !twice {
				want[r.Number] = r
				f.Rules = append(f.Rules, r)
			}
		}
		program := compile(t, f)
		for number := range uint32(2010) {
			action := f.Default
			r, ok := want[number]
			if ok {
				action = r.Then
			}
			if got := run(t, program, call(7, number, 0x9_0000_0015)); got != action {
				t.Fatalf("%d rules: call %d: %#x, want %#x", n, number, got, action)
			}
			if len(r.If) == 0 {
				continue
			}
			if got := run(t, program, call(7, number, 0x20, 0, 1<<40|3)); got != r.Then {
				t.Fatalf("call %d: the second test: %#x", number, got)
			}
			if got := run(t, program, call(7, number, 0x20, 0, 4)); got != r.Else {
				t.Fatalf("call %d: no test is true: %#x", number, got)
			}
		}
		for _, number := range []uint32{1 << 30, 1<<32 - 1} {
			if got := run(t, program, call(7, number)); got != f.Default {
				t.Errorf("call %d: %#x", number, got)
			}
		}
		if got := run(t, program, call(8, 1)); got != KillProcess {
			t.Errorf("another architecture: %#x", got)
		}
	}
}

func TestCompile_Errors(t *testing.T) {
	many := make([]Rule, 5000)
	for i := range many {
		many[i] = Rule{Number: uint32(2 * i), Then: Allow}
	}
	for _, tt := range []struct {
		rules []Rule
		want  string
	}{
		{[]Rule{{Number: 3, Then: Allow}, {Number: 3, Then: Errno(1)}}, "two rules for the system call 3"},
		{[]Rule{{Number: 3, If: []Test{{Arg: 6}}}}, "the system call 3 has no such argument"},
		{many, "is too long"},
	} {
		if _, err := (&Filter{Rules: tt.rules}).Compile(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v", err)
		}
	}
}

// The kernel takes it and does what it says. The filter is this thread's alone
// and ends with it.
func TestTheKernelTakesIt(t *testing.T) {
	f := &Filter{BadArch: KillProcess, Default: Allow, Rules: []Rule{
		{Number: unix.SYS_GETPPID, Then: Errno(uint16(unix.EXDEV))},
		{Number: unix.SYS_SOCKET, Then: Errno(uint16(unix.EAFNOSUPPORT)), Else: Allow, If: []Test{{0, 0xffffffff, unix.AF_NETLINK}}},
	}}
	program := compile(t, f)
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		done <- try(program)
	}()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if os.Getppid() <= 0 {
		t.Error("the filter is on other threads, too")
	}
}

func try(program []byte) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	prog := unix.SockFprog{Len: uint16(len(program) / 8), Filter: (*unix.SockFilter)(unsafe.Pointer(&program[0]))}
	if _, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&prog))); errno != 0 {
		return errno
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_GETPPID, 0, 0, 0); errno != unix.EXDEV {
		return fmt.Errorf("getppid: %v", errno)
	}
	for family, want := range map[uintptr]unix.Errno{unix.AF_NETLINK: unix.EAFNOSUPPORT, 1<<40 | unix.AF_NETLINK: unix.EAFNOSUPPORT, unix.AF_UNIX: 0} {
		fd, _, errno := unix.RawSyscall(unix.SYS_SOCKET, family, unix.SOCK_DGRAM, 0)
		if errno != want {
			return fmt.Errorf("socket of family %#x: %v", family, errno)
		}
		if errno == 0 {
			_ = unix.Close(int(fd))
		}
	}
	return nil
}
