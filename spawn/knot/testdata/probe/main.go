// Probe is the program that the tests run in containers: each argument is
// something to do, VERB or VERB:ARGUMENT, done in order.
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// Report is a program's view of its container.
type Report struct {
	PID, PPID, SID, PGID int
	UID, EUID, GID, EGID int
	Groups               []int
	Args, Env            []string
	Cwd, Hostname        string
	Umask                int
	NofileSoft           uint64
	NofileHard           uint64
	FDs                  map[string]string
	Status               map[string]string // of /proc/self/status
	MountInfo            string
	Tried                map[string]string
	Processes            []string // PID COMM STATE
}

var tried = map[string]string{}

// fds is taken at start, before anything is opened.
var fds = listFDs()

func main() {
	for _, arg := range os.Args[1:] {
		verb, rest, _ := strings.Cut(arg, ":")
		do, ok := verbs[verb]
		if !ok {
			fail("unknown verb " + verb)
		}
		do(rest)
	}
}

func fail(text string) {
	fmt.Fprintln(os.Stderr, "probe: "+text)
	os.Exit(99)
}

func check(err error) {
	if err != nil {
		fail(err.Error())
	}
}

var verbs map[string]func(string)

func init() {
	verbs = map[string]func(string){
		"report": report,
		"print":  func(s string) { fmt.Println(s) },
		"eprint": func(s string) { fmt.Fprintln(os.Stderr, s) },
		"exit":   func(s string) { os.Exit(number(s)) },
		"sleep":  func(s string) { d, err := time.ParseDuration(s); check(err); time.Sleep(d) },
		// No select {}: where nothing else is under way, Go calls it a deadlock and exits with 2.
		"forever": func(string) {
			for {
				time.Sleep(time.Hour)
			}
		},
		"ignore": func(s string) { signal.Ignore(signalOf(s)) },
		"reset":  func(s string) { signal.Reset(signalOf(s)) },
		"on":     onSignal,
		"raise":  func(s string) { check(syscall.Kill(os.Getpid(), signalOf(s))); select {} },
		"kill1":  func(s string) { note("kill1", syscall.Kill(1, signalOf(s))) },
		"touch":  func(s string) { check(os.WriteFile(s, nil, 0o644)) },
		"append": appendLine,
		"await":  await,
		"orphan": orphan,
		"daemon": func(s string) { background(true, s) },
		// An orphan that still runs is no zombie yet: wait for all to go.
		"alone": func(string) {
			until(func() bool { return len(processes()) == 2 }, "others than PID 1 and this stay")
		},
		"create": func(s string) {
			f, err := os.OpenFile(s, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
			note("create "+s, err)
			if err == nil {
				f.Close()
			}
		},
		"open": func(s string) {
			f, err := os.OpenFile(s, os.O_RDWR|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
			note("open "+s, err)
			if err == nil {
				f.Close()
			}
		},
		"exec":  func(s string) { note("exec "+s, exec.Command(s, "exit:0").Run()) },
		"read":  func(s string) { data, err := os.ReadFile(s); note("read "+s, err); tried["text "+s] = string(data) },
		"stat":  stat,
		"pty":   pty,
		"chown": func(s string) { note("chown "+s, os.Chown(s, 7, 7)) },
		"mknod": func(s string) { note("mknod "+s, syscall.Mknod(s, syscall.S_IFCHR|0o666, 1<<8|3)) },
		"mount": func(s string) { note("mount "+s, syscall.Mount("none", s, "tmpfs", 0, "")) },
		"serve": serve,
		"fork":  fork,
	}
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	check(err)
	return n
}

func signalOf(s string) syscall.Signal { return syscall.Signal(number(s)) }

func note(what string, err error) {
	tried[what] = "ok"
	if err != nil {
		tried[what] = err.Error()
	}
}

// onSignal "15=VERB:…": does it, in a goroutine, each time.
func onSignal(s string) {
	sig, action, _ := strings.Cut(s, "=")
	verb, rest, _ := strings.Cut(action, ":")
	c := make(chan os.Signal, 10)
	signal.Notify(c, signalOf(sig))
	go func() {
		for range c {
			verbs[verb](rest)
		}
	}()
}

// appendLine appends the pid and the time to a file.
func appendLine(path string) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	check(err)
	_, err = fmt.Fprintln(f, os.Getpid(), time.Now().UnixNano())
	check(err)
	f.Close()
}

func until(ok func() bool, text string) {
	for start := time.Now(); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Since(start) > 20*time.Second {
			fail(text)
		}
	}
}

func await(path string) {
	until(func() bool { _, err := os.Stat(path); return err == nil }, path+" does not come")
}

// background runs the probe again with the verbs in s, separated by "+", as a
// child of a child that is already gone.
func background(session bool, s string) {
	cmd := exec.Command("/bin/probe", "fork:"+s)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: session}
	check(cmd.Run())
}

func fork(s string) {
	check(exec.Command("/bin/probe", strings.Split(s, "+")...).Start())
	os.Exit(0)
}

func orphan(s string) {
	for range number(s) {
		background(false, "exit:0")
	}
}

func stat(path string) {
	var st syscall.Stat_t
	if err := syscall.Lstat(path, &st); err != nil {
		note("stat "+path, err)
		return
	}
	tried["stat "+path] = fmt.Sprintf("%o %d:%d", st.Mode, st.Uid, st.Gid)
}

// pty makes a pseudoterminal, as any user.
func pty(string) {
	m, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	note("open ptmx", err)
	if err != nil {
		return
	}
	defer m.Close()
	var unlock, n int32
	ioctl := func(op uintptr, p *int32) {
		if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, m.Fd(), op, uintptr(unsafe.Pointer(p))); e != 0 {
			fail(e.Error())
		}
	}
	ioctl(syscall.TIOCSPTLCK, &unlock)
	ioctl(syscall.TIOCGPTN, &n)
	path := "/dev/pts/" + strconv.Itoa(int(n))
	s, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOCTTY, 0)
	note("open pts", err)
	if err == nil {
		s.Close()
	}
	tried["pts"] = path
}

// serve accepts one connection on a listening descriptor and says hello.
func serve(s string) {
	l, err := net.FileListener(os.NewFile(uintptr(number(s)), "socket"))
	check(err)
	c, err := l.Accept()
	check(err)
	fmt.Fprintf(c, "hello from %d\n", os.Getpid())
	c.Close()
}

func listFDs() map[string]string {
	m := map[string]string{}
	for n := range 2000 {
		name := strconv.Itoa(n)
		if target, err := os.Readlink("/proc/self/fd/" + name); err == nil && !strings.HasPrefix(target, "anon_inode:") {
			m[name] = target
		}
	}
	return m
}

func processes() (list []string) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		text, err := os.ReadFile(d + "/stat")
		if err != nil {
			continue
		}
		s := string(text)
		open, end := strings.IndexByte(s, '('), strings.LastIndexByte(s, ')')
		list = append(list, filepath.Base(d)+" "+s[open+1:end]+" "+s[end+2:end+3])
	}
	return list
}

func report(path string) {
	r := &Report{
		PID: os.Getpid(), PPID: os.Getppid(), PGID: syscall.Getpgrp(),
		UID: os.Getuid(), EUID: os.Geteuid(), GID: os.Getgid(), EGID: os.Getegid(),
		Args: os.Args, Env: os.Environ(), FDs: fds, Tried: tried, Processes: processes(),
		Status: map[string]string{},
	}
	sid, _, _ := syscall.RawSyscall(syscall.SYS_GETSID, 0, 0, 0)
	r.SID = int(sid)
	r.Groups, _ = os.Getgroups()
	r.Cwd, _ = os.Getwd()
	r.Hostname, _ = os.Hostname()
	r.Umask = syscall.Umask(0)
	syscall.Umask(r.Umask)
	if lim, err := os.ReadFile("/proc/self/limits"); err == nil {
		for line := range strings.Lines(string(lim)) {
			if rest, ok := strings.CutPrefix(line, "Max open files"); ok {
				fmt.Sscan(rest, &r.NofileSoft, &r.NofileHard)
			}
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	check(err)
	r.MountInfo = string(mounts)
	status, err := os.ReadFile("/proc/self/status")
	check(err)
	for line := range strings.Lines(string(status)) {
		k, v, _ := strings.Cut(line, ":")
		r.Status[k] = strings.TrimSpace(v)
	}
	data, err := json.Marshal(r)
	check(err)
	// Complete when it is there.
	check(os.WriteFile(path+".new", data, 0o666))
	check(os.Rename(path+".new", path))
}
