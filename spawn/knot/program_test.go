package knot_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lithos/spawn/wire"
)

// Covers: E5
func TestFilenoLimitIsSet(t *testing.T) {
	for _, limit := range []uint64{64, 1024, 4096} {
		b := newBox(t)
		b.spec.FilenoLimit = limit
		if r := b.look(); r.NofileSoft != limit || r.NofileHard != limit {
			t.Errorf("limit %d: soft %d, hard %d", limit, r.NofileSoft, r.NofileHard)
		}
	}
}

// Covers: E5
func TestImpossibleFilenoLimit(t *testing.T) {
	b := newBox(t)
	b.spec.FilenoLimit = 1 << 40 // more than the kernel's fs.nr_open
	if got := b.failed(); !strings.Contains(got, "cannot set the fileno-limit 1099511627776: operation not permitted; ") {
		t.Errorf("%q", got)
	}
}

// A descriptor above the limit can still be passed.
//
// Covers: E5, G11
func TestDescriptorAboveTheFilenoLimit(t *testing.T) {
	b := newBox(t)
	b.spec.FilenoLimit = 10
	b.listen(20)
	if r := b.look(); !strings.HasPrefix(r.FDs["20"], "socket:") {
		t.Errorf("descriptors %v", r.FDs)
	}
}

// Covers: E8, E9, E10, E12
func TestProgramGetsArgumentsEnvironAndWorkdir(t *testing.T) {
	b := newBox(t)
	b.mkdir(b.image + "/srv/app")
	b.spec.Workdir = "/srv/app"
	b.spec.Env = []string{"TERM=xterm", "A=1", "EMPTY=", "MY_PID=x", "LITHOS_NAME=web/app.0"}
	b.spec.PIDVars = []string{"LISTEN_PID", "MY_PID"}
	b.start0("zero", "report:/out/report", "exit:0")
	r := b.report("report")
	if want := []string{"zero", "report:/out/report", "exit:0"}; !slices.Equal(r.Args, want) {
		t.Errorf("arguments %q, want %q", r.Args, want)
	}
	slices.Sort(r.Env)
	if want := []string{"A=1", "EMPTY=", "LISTEN_PID=2", "LITHOS_NAME=web/app.0", "MY_PID=2", "TERM=xterm"}; !slices.Equal(r.Env, want) {
		t.Errorf("environment %q, want %q", r.Env, want)
	}
	if r.Cwd != "/srv/app" {
		t.Errorf("working directory %s", r.Cwd)
	}
	if r.Umask != 0o022 {
		t.Errorf("umask %o", r.Umask)
	}
}

// start0 starts with these arguments, argv[0] first.
func (b *box) start0(argv ...string) {
	b.t.Helper()
	b.spec.Argv, b.spec.Command = argv, true
	b.run(wire.ExitNormal)
}

// Covers: E8, E12
func TestUnrunnablePrograms(t *testing.T) {
	tests := []struct {
		name string
		make func(b *box)
		want string
	}{
		{"E8 missing", func(b *box) { b.spec.Executable = "/bin/none" },
			"cannot run /bin/none: no such file in the container"},
		{"E8 not executable", func(b *box) { b.write(b.image+"/bin/x", "x"); b.spec.Executable = "/bin/x" },
			"cannot run /bin/x: it is not executable (chmod +x)"},
		{"E8 a directory", func(b *box) { b.spec.Executable = "/bin" },
			"cannot run /bin: it is no regular file"},
		{"E8 not a program", func(b *box) { b.script("/bin/x", "hello"); b.spec.Executable = "/bin/x" },
			"cannot run /bin/x: it is no program for this machine, nor a script with #! in its first line"},
		{"E8 interpreter missing", func(b *box) { b.script("/bin/x", "#! /usr/bin/python9 -u\n"); b.spec.Executable = "/bin/x" },
			"its interpreter or loader /usr/bin/python9 is missing in the container"},
		{"E8 loader missing", func(b *box) {
			data, err := os.ReadFile("/bin/ls")
			must(b.t, err)
			b.script("/bin/x", string(data))
			b.spec.Executable = "/bin/x"
		}, "its interpreter or loader /lib"},
		{"E8 on a noexec volume", func(b *box) { copyProbe(b.t, b.out+"/x"); b.spec.Executable = "/out/x" },
			"cannot run /out/x: it lies on a volume that is mounted noexec"},
		{"E8 not for this user", func(b *box) {
			b.script("/bin/x", "#!/bin/probe\n")
			must(b.t, os.Chmod(b.image+"/bin/x", 0o700))
			b.spec.Executable = "/bin/x"
		}, "the user of the container may not execute it"},
		{"E12 no workdir", func(b *box) { b.spec.Workdir = "/none" },
			"cannot enter the workdir /none as user 1234: no such file or directory"},
		{"E12 workdir of somebody else", func(b *box) {
			b.mkdir(b.image + "/private")
			must(b.t, os.Chmod(b.image+"/private", 0o700))
			b.spec.Workdir = "/private"
		}, "cannot enter the workdir /private as user 1234: permission denied"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBox(t)
			tt.make(b)
			got := b.failed()
			if !strings.HasPrefix(got, "web/app.0: ") || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if log := b.read(b.log); !strings.Contains(log, `Process "web/app.0" did not start: `) {
				t.Errorf("log %q", log)
			}
		})
	}
}

func (b *box) script(path, text string) {
	b.write(b.image+path, text)
	must(b.t, os.Chmod(b.image+path, 0o755))
}

// Covers: K10
func TestProgramIdentity(t *testing.T) {
	// The parent may ignore signals, as make(1) does with this one, and Go's
	// runtime keeps them ignored.
	const ignored = 32
	action := [4]uint64{1} // SIG_IGN
	if _, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, ignored, uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0); errno != 0 {
		t.Fatal(errno)
	}
	b := newBox(t)
	r := b.look()
	if r.UID != 1234 || r.EUID != 1234 || r.GID != 4321 || r.EGID != 4321 || len(r.Groups) != 0 {
		t.Errorf("%d %d %d %d %v", r.UID, r.EUID, r.GID, r.EGID, r.Groups)
	}
	for key, want := range map[string]string{
		"Uid": "1234\t1234\t1234\t1234", "Gid": "4321\t4321\t4321\t4321", "Groups": "",
		"CapInh": "0000000000000000", "CapPrm": "0000000000000000", "CapEff": "0000000000000000",
		"CapAmb": "0000000000000000", "CapBnd": "00000000800005fb", "NoNewPrivs": "1",
		"SigBlk": "0000000000000000", "SigIgn": "0000000000000000", "THP_enabled": "1",
	} {
		if r.Status[key] != want {
			t.Errorf("%s is %q, want %q", key, r.Status[key], want)
		}
	}
	if r.SID != 2 || r.PGID != 2 {
		t.Errorf("session %d, process group %d, want ones of its own", r.SID, r.PGID)
	}
}

// listen makes a listening socket, for the descriptor target of the program.
func (b *box) listen(target int) net.Addr {
	b.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(b.t, err)
	f, err := l.(*net.TCPListener).File()
	must(b.t, err)
	b.t.Cleanup(func() { f.Close(); l.Close() })
	b.sockets = append(b.sockets, f)
	b.spec.Sockets = append(b.spec.Sockets, target)
	return l.Addr()
}

// Covers: G11
func TestProgramHasOnlyDonatedDescriptors(t *testing.T) {
	b := newBox(t)
	b.listen(0)
	b.listen(7)
	b.listen(3)
	for range 5 { // nobody asked for these, and they have no close-on-exec
		f, err := os.Open("/etc")
		must(t, err)
		defer f.Close()
		b.inherit = append(b.inherit, f)
	}
	r := b.look()
	var got []string
	for fd, target := range r.FDs {
		got = append(got, fd+" "+strings.SplitN(target, ":", 2)[0])
	}
	slices.Sort(got)
	if want := []string{"0 socket", "1 " + b.log, "2 " + b.log, "3 socket", "7 socket"}; !slices.Equal(got, want) {
		t.Errorf("descriptors %q, want %q", got, want)
	}
}

// Covers: G1
func TestContainersShareASocket(t *testing.T) {
	first := newBox(t, "touch:/out/up", "serve:3")
	addr := first.listen(3)
	second := newBox(t, "touch:/out/up", "serve:5")
	second.sockets, second.spec.Sockets = first.sockets, []int{5}
	for _, b := range []*box{first, second} {
		b.spec.Command = true
		b.start()
		b.awaitFile("up")
	}
	for range 2 { // each of them takes one
		c, err := net.DialTimeout("tcp", addr.String(), time.Minute)
		must(t, err)
		must(t, c.SetDeadline(time.Now().Add(time.Minute)))
		hello, err := io.ReadAll(c)
		must(t, err)
		if string(hello) != "hello from 2\n" {
			t.Errorf("got %q", hello)
		}
		c.Close()
	}
	for _, b := range []*box{first, second} {
		if code := b.exit(); code != wire.ExitNormal {
			t.Errorf("exit code %d", code)
		}
	}
}

// Covers: P1
func TestStdioLogIsTheFileItself(t *testing.T) {
	log := t.TempDir() + "/shared.log"
	for _, name := range []string{"one", "two"} {
		b := newBox(t)
		b.log, b.spec.StdioLog = log, log
		r := b.look("print:to stdout of "+name, "eprint:to stderr of "+name)
		if r.FDs["0"] != "/dev/null" || r.FDs["1"] != log || r.FDs["2"] != log {
			t.Errorf("descriptors %v, want the file passed, not proxied", r.FDs)
		}
	}
	data, err := os.ReadFile(log)
	must(t, err)
	at := 0
	for _, want := range []string{"to stdout of one\n", "to stderr of one\n", "to stdout of two\n", "to stderr of two\n"} {
		i := strings.Index(string(data)[at:], want)
		if i < 0 {
			t.Fatalf("%q does not follow in:\n%s", want, data)
		}
		at += i
	}
	if st, _ := os.Stat(log); st.Mode().Perm() != 0o644 {
		t.Errorf("mode of the log: %v", st.Mode())
	}
}

// Covers: E16
func TestOutputGoesToStdoutStderrFile(t *testing.T) {
	b := newBox(t, "print:out", "eprint:err", "exit:0")
	b.spec.Command = true
	b.spec.StdoutStderrFile = "/out/app.log"
	b.run(wire.ExitNormal)
	if got := b.read(b.out + "/app.log"); got != "out\nerr\n" {
		t.Errorf("the file has %q", got)
	}
	var st unix.Stat_t
	must(t, unix.Stat(b.out+"/app.log", &st))
	if st.Uid != 1234 || st.Gid != 4321 {
		t.Errorf("the file belongs to %d:%d, not to the program's user", st.Uid, st.Gid)
	}
	if log := b.read(b.log); !strings.Contains(log, "Starting") || strings.Contains(log, "out\n") {
		t.Errorf("the sandbox's file has %q, want the lines about start and end only", log)
	}
}

// The image names the file, and what is in the container's volumes is hostile.
//
// Covers: E16
func TestHostileStdoutStderrFileIsRefused(t *testing.T) {
	tests := []struct {
		name, path string
		make       func(b *box)
		want       string
	}{
		{"E16 fifo", "/out/x", func(b *box) {
			must(b.t, unix.Mkfifo(b.out+"/x", 0o666))
			must(b.t, os.Chmod(b.out+"/x", 0o666))
		}, "neither a regular file nor a character device"},
		{"E16 link to a root-only file of proc", "/out/x", func(b *box) { must(b.t, os.Symlink("/proc/sys/kernel/core_pattern", b.out+"/x")) },
			"the program's user has to be able to write it"},
		{"E16 link to a path of the host", "/out/x", func(b *box) { must(b.t, os.Symlink(b.dir+"/precious", b.out+"/x")) },
			"no such file or directory"},
		{"E16 root's file on the volume", "/out/x", func(b *box) { b.write(b.out+"/x", "") },
			"the program's user has to be able to write it"},
		{"E16 directory", "/out", func(b *box) {}, "is a directory"},
		{"E16 in the image", "/etc/x", func(b *box) { must(b.t, os.Chmod(b.image+"/etc", 0o777)) }, "it has to lie on a writable volume"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBox(t)
			b.write(b.dir+"/precious", "x")
			tt.make(b)
			b.spec.StdoutStderrFile = tt.path
			if got := b.failed(); !strings.Contains(got, "cannot open stdout-stderr-file "+tt.path+": ") || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	t.Run("E16 character device", func(t *testing.T) {
		b := newBox(t)
		b.spec.StdoutStderrFile = "/dev/null"
		if r := b.look("print:x"); r.FDs["1"] != "/dev/null" {
			t.Errorf("%v", r.FDs)
		}
	})
}

// Covers: E17
func TestInteractiveKeepsTheTerminal(t *testing.T) {
	b := newBox(t, "report:/out/report", "print:hello", "eprint:trouble", "exit:0")
	b.spec.Interactive, b.spec.Command, b.spec.StdioLog = true, true, ""
	in, inW, err := os.Pipe()
	must(t, err)
	outR, out, err := os.Pipe()
	must(t, err)
	errR, errW, err := os.Pipe()
	must(t, err)
	b.stdio = [3]*os.File{in, out, errW}
	b.start()
	for _, f := range []*os.File{in, out, errW} {
		f.Close()
	}
	inW.Close()
	stdout, err := io.ReadAll(outR) // its end: PID 1 is gone too
	must(t, err)
	stderr, err := io.ReadAll(errR)
	must(t, err)
	if string(stdout) != "hello\n" || string(stderr) != "trouble\n" {
		t.Errorf("stdout %q, stderr %q; want what the program wrote and nothing else", stdout, stderr)
	}
	if code := b.exit(); code != wire.ExitNormal {
		t.Errorf("exit code %d", code)
	}
	if r := b.report("report"); r.SID != 2 || len(r.FDs) != 3 || !strings.HasPrefix(r.FDs["0"], "pipe:") {
		t.Errorf("session %d, descriptors %v; want a session of its own and the caller's descriptors", r.SID, r.FDs)
	}
}

// Without a log the program doesn't get the record to write in.
//
// Covers: E17
func TestMissingLogIsNotTheRecord(t *testing.T) {
	b := newBox(t)
	b.spec.StdioLog = ""
	r := b.look("print:{}")
	if r.FDs["1"] != "/dev/null" || r.FDs["2"] != "/dev/null" {
		t.Errorf("%v", r.FDs)
	}
}

// Covers: P2
func TestStartAndDeathLinesAreLogged(t *testing.T) {
	b := newBox(t, "print:hello", "exit:3")
	b.spec.Argv = append(b.spec.Argv, "a b", "new\nline")
	b.run(wire.ExitAbnormal)
	lines := strings.SplitAfter(b.read(b.log), "\n")
	if len(lines) != 4 {
		t.Fatalf("%q", lines)
	}
	for i, want := range []string{
		`: ----- Starting "web/app.0": "/bin/probe" "print:hello" "exit:3" "a b" "new\nline" -----` + "\n",
		"hello\n",
		`: ----- Process "web/app.0" exited with code 3, uptime 0s -----` + "\n",
	} {
		at, rest := "", lines[i]
		if i != 1 {
			at, rest = lines[i][:20], lines[i][20:]
			if when, err := time.Parse(time.RFC3339, at); err != nil || time.Since(when) > time.Minute {
				t.Errorf("time %q: %v", at, err)
			}
		}
		if rest = regexp.MustCompile(`\d+s -----`).ReplaceAllString(rest, "0s -----"); rest != want {
			t.Errorf("line %d is %q, want %q", i, rest, want)
		}
	}
}

// Covers: R2
func TestCommandLine(t *testing.T) {
	tests := []struct {
		name string
		args []string
		code int
		want string
	}{
		{"R2 help", []string{"--help"}, 0, "Usage: lithos_knot --name SANDBOX/PROCESS.N --master FILE --config JSON"},
		{"R2 version", []string{"--version"}, 0, "dev\n"},
		{"R2 by hand", nil, 1, "lithos_knot is internal"},
		{"R2 by hand with the options", []string{"--name", "a/b.0", "--master", "m", "--config", "{}"}, 1, "use lithos_cmd"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			cmd := exec.Command(knotBin, tt.args...)
			cmd.Stdout, cmd.Stderr = &out, &out
			err := cmd.Run()
			if cmd.ProcessState.ExitCode() != tt.code || !strings.Contains(out.String(), tt.want) {
				t.Errorf("%v: exit code %d, %q", err, cmd.ProcessState.ExitCode(), out.String())
			}
		})
	}
	t.Run("R2 a file instead of a sealed memfd", func(t *testing.T) {
		f, err := os.Create(filepath.Join(t.TempDir(), "spec"))
		must(t, err)
		defer f.Close()
		_, err = f.Write(wire.Encode(&wire.Spec{Name: "x"}))
		must(t, err)
		cmd := exec.Command(knotBin)
		cmd.ExtraFiles = []*os.File{f}
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "internal") {
			t.Errorf("%v %q", err, out)
		}
	})
}
