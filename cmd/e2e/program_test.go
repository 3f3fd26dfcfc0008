package e2e

import (
	"debug/elf"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// programs are what the test binary can be inside a container, where it is
// started as `/bin/e2e e2e-program NAME [ARGUMENTS]`.
var programs = map[string]func(args []string){
	"wait":     func([]string) { wait() },
	"net":      serveNet,
	"print":    printFile,
	"report":   report,
	"look":     look,
	"serve":    serve,
	"hog":      hog,
	"hold":     hold,
	"stubborn": stubborn,
	"asked":    asked,
	"litter":   litter,
	"orphan":   orphan,
	"run":      run,
	"says":     says,
	"dials":    dials,
	"tries":    tries,
	"inject":   inject,
	"healthy":  healthy,
	"exists":   exists,
	"tells":    tells,
	"notifies": notifies,
	"beats":    beats,
	"shout":    shout,
	"dies":     dies,
	"becomes":  becomes,
	"shuts":    shuts,
}

// init runs the program before anything of the testing package sees its
// arguments.
func init() {
	if len(os.Args) < 3 || os.Args[1] != "e2e-program" {
		return
	}
	program, ok := programs[os.Args[2]]
	if !ok {
		die(fmt.Errorf("no program %q", os.Args[2]))
	}
	program(os.Args[3:])
	os.Exit(0)
}

func die(err error) {
	fmt.Fprintln(os.Stderr, "program:", err)
	os.Exit(70)
}

func check(err error) {
	if err != nil {
		die(err)
	}
}

// wait does nothing until a signal ends it.
func wait() {
	for {
		time.Sleep(time.Hour)
	}
}

// becomes executes itself when it gets USR1, and has to close a file for that.
func becomes(args []string) {
	_, err := unix.Open(args[0], unix.O_RDONLY|unix.O_CLOEXEC, 0)
	check(err)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGUSR1)
	fmt.Println("ready")
	<-signals
	check(syscall.Exec("/bin/e2e", []string{"/bin/e2e", "e2e-program", "wait"}, os.Environ()))
}

// seen is what a program finds inside its container.
type seen struct {
	Name      string
	PID, SID  int
	UID, GID  int
	Groups    []int
	Args      []string
	Env       []string
	Workdir   string
	Hostname  string
	NoFile    syscall.Rlimit
	Hosts     string
	Resolv    string
	MountInfo string
	Status    string         // /proc/self/status
	Cgroup    string         // /proc/self/cgroup
	FDs       map[int]string // the target of each descriptor
	Spaces    []string       // namespaces
}

// report writes what it sees to a file, and waits.
func report(args []string) {
	data, err := json.Marshal(view())
	check(err)
	check(os.WriteFile(args[0]+".tmp", data, 0o644))
	check(os.Rename(args[0]+".tmp", args[0]))
	wait()
}

// look writes what it sees to its standard output.
func look([]string) {
	check(json.NewEncoder(os.Stdout).Encode(view()))
}

// view is all that a program can see.
func view() seen {
	// The descriptors as they were passed: before anything else is opened.
	fds := make(map[int]string)
	for fd := range 64 {
		if target, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)); err == nil {
			fds[fd] = target
		}
	}
	s := seen{
		Name: os.Getenv("LITHOS_NAME"), PID: os.Getpid(), UID: os.Getuid(), GID: os.Getgid(),
		Args: os.Args, Env: os.Environ(), FDs: fds,
		Hosts: text("/etc/hosts"), Resolv: text("/etc/resolv.conf"),
		MountInfo: text("/proc/self/mountinfo"), Status: text("/proc/self/status"), Cgroup: text("/proc/self/cgroup"),
	}
	s.SID, _ = sessionOf(0)
	s.Groups, _ = os.Getgroups()
	s.Workdir, _ = os.Getwd()
	s.Hostname, _ = os.Hostname()
	check(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &s.NoFile))
	for _, name := range []string{"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"} {
		ns, err := os.Readlink("/proc/self/ns/" + name)
		check(err)
		s.Spaces = append(s.Spaces, ns)
	}
	return s
}

func text(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

func sessionOf(pid int) (int, error) {
	sid, _, errno := syscall.RawSyscall(syscall.SYS_GETSID, uintptr(pid), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(sid), nil
}

// serve answers `NAME PID` on the socket that it was passed.
func serve(args []string) {
	fd, err := strconv.Atoi(args[0])
	check(err)
	l, err := net.FileListener(os.NewFile(uintptr(fd), "socket"))
	check(err)
	for {
		c, err := l.Accept()
		check(err)
		fmt.Fprintf(c, "%s %d\n", os.Getenv("LITHOS_NAME"), os.Getpid())
		_ = c.Close()
	}
}

// hold takes so many megabytes of memory, says so, and waits.
func hold(args []string) {
	n, err := strconv.Atoi(args[0])
	check(err)
	take(n)
	fmt.Println("holding", n)
	wait()
}

// hog takes memory until somebody stops it, in a child if it is told to.
func hog(args []string) {
	if len(args) > 0 && args[0] == "child" {
		fmt.Println("child hog:", self("hog").Run())
		wait()
	}
	for {
		take(8)
	}
}

var taken [][]byte

// take makes megabytes resident.
func take(n int) {
	block := make([]byte, n<<20)
	for i := 0; i < len(block); i += 4096 {
		block[i] = 1
	}
	taken = append(taken, block)
}

// stubborn ignores TERM, and says when it does.
func stubborn([]string) {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT)
	fmt.Println("stubborn")
	wait()
}

// asked tells which signal asked it to end.
func asked([]string) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals)
	signal.Reset(syscall.SIGURG) // the Go scheduler's own
	fmt.Println("listening")
	sig := (<-signals).(syscall.Signal)
	fmt.Println("asked by signal", int(sig))
	os.Exit(5)
}

// litter leaves zombies to PID 1, and children that left its session and
// ignore TERM.
func litter([]string) {
	for range 5 {
		check(self("orphan", "run", "0").Run())
	}
	for range 2 {
		check(self("orphan", "stubborn").Run())
	}
	fmt.Println("littered")
	wait()
}

// orphan starts a program in a session of its own and leaves it behind.
func orphan(args []string) {
	cmd := self(args[0], args[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	check(cmd.Start())
}

// self is this binary as another program.
func self(program string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", append([]string{"e2e-program", program}, args...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd
}

// run lives for some milliseconds and exits: run MILLISECONDS [CODE [FILE]].
// In the file it leaves a line with the time of its start.
func run(args []string) {
	start := time.Now()
	ms, err := strconv.Atoi(args[0])
	check(err)
	code := 0
	if len(args) > 1 {
		code, err = strconv.Atoi(args[1])
		check(err)
	}
	if len(args) > 2 {
		f, err := os.OpenFile(args[2], os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		check(err)
		_, err = fmt.Fprintln(f, start.UnixNano())
		check(err)
		check(f.Close())
	}
	time.Sleep(time.Until(start.Add(time.Duration(ms) * time.Millisecond)))
	os.Exit(code)
}

// says writes a line and exits: says TEXT CODE.
func says(args []string) {
	fmt.Println(args[0])
	code, err := strconv.Atoi(args[1])
	check(err)
	os.Exit(code)
}

// libraries are the files that the test binary needs beside itself: none
// where it is static, as `make` builds it; with the race detector it is not.
var libraries = sync.OnceValue(func() []string {
	self, err := os.Executable()
	if err != nil {
		return nil
	}
	f, err := elf.Open(self)
	if err != nil {
		return nil
	}
	defer f.Close()
	var found []string
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			path := make([]byte, p.Filesz)
			if _, err := p.ReadAt(path, 0); err == nil {
				found = append(found, strings.TrimRight(string(path), "\x00"))
			}
		}
	}
	names, _ := f.ImportedLibraries()
	for _, name := range names {
		for _, pattern := range []string{"/lib/*-linux-gnu/", "/usr/lib/*-linux-gnu/", "/lib64/", "/usr/lib64/"} {
			if matches, _ := filepath.Glob(pattern + name); len(matches) > 0 {
				found = append(found, matches[0])
				break
			}
		}
	}
	return found
})
