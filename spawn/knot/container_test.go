package knot_test

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lithos/spawn/wire"
)

// Covers: K1
func TestContainerHasItsOwnNamespaces(t *testing.T) {
	b := newBox(t, "report:/out/report", "forever")
	b.start()
	r := b.report("report")
	for ns, own := range map[string]bool{
		"mnt": true, "uts": true, "ipc": true, "pid": true,
		"net": false, "user": false, "cgroup": false, "time": false,
	} {
		ours, err := os.Readlink("/proc/self/ns/" + ns)
		must(t, err)
		theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", b.pid, ns))
		must(t, err)
		if (ours != theirs) != own {
			t.Errorf("namespace %s: host %s, container %s; own should be %v", ns, ours, theirs, own)
		}
	}
	if want, _ := os.Hostname(); r.Hostname != want {
		t.Errorf("hostname %q, want the host's %q", r.Hostname, want)
	}
	b.signal(unix.SIGTERM)
	if code := b.exit(); code != wire.ExitNormal {
		t.Errorf("exit code %d", code)
	}
}

// Covers: K2
func TestKnotIsPID1AndTheProgramPID2(t *testing.T) {
	b := newBox(t)
	r := b.look()
	if r.PID != wire.ProgramPID || r.PPID != 1 {
		t.Errorf("the program has pid %d and parent %d, want 2 and 1", r.PID, r.PPID)
	}
	if !slices.ContainsFunc(r.Processes, func(s string) bool { return strings.HasPrefix(s, "1 lithos_knot ") }) {
		t.Errorf("processes %q, want lithos_knot as pid 1", r.Processes)
	}
	if e := b.events(); e[0].Started == nil || e[0].Started.PID != wire.ProgramPID {
		t.Errorf("first event %+v, want started with pid 2", e[0])
	}
}

// Covers: K3
func TestHostSeesNoMounts(t *testing.T) {
	before := hostMounts(t)
	b := newBox(t, "touch:/out/up", "forever")
	b.spec.Volumes = append(b.spec.Volumes, wire.Volume{Kind: wire.Tmpfs, MountPoint: "/sys/kernel", Size: 1 << 20, Mode: 0o755})
	b.start()
	b.awaitFile("up")
	if during := hostMounts(t); during != before {
		t.Errorf("the host's mounts changed:\n%s\nbefore:\n%s", during, before)
	}
	entries, err := os.ReadDir(b.spec.MountDir)
	must(t, err)
	if len(entries) != 0 {
		t.Errorf("mount-dir does not look empty: %v", entries)
	}
	b.signal(unix.SIGTERM)
	b.exit()
	if after := hostMounts(t); after != before {
		t.Errorf("the host's mounts changed:\n%s\nbefore:\n%s", after, before)
	}
}

// hostMounts is the mount table without what other tests on the machine do.
func hostMounts(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	var keep []string
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "/TestK3") || !strings.Contains(line, " /tmp/") {
			keep = append(keep, line)
		}
	}
	return strings.Join(keep, "")
}

// Nothing that is mounted on the host is to be seen, nor the way back.
//
// Covers: K3
func TestContainerSeesNothingOfTheHost(t *testing.T) {
	b := newBox(t)
	r := b.look("read:/etc/passwd", "open:"+b.dir, "read:/proc/1/environ", "open:/proc/1/root", "open:/proc/1/mem")
	var on []string
	for _, m := range r.mounts() {
		if !strings.HasPrefix(m.on, "/proc/") && !strings.HasPrefix(m.on, "/sys/") {
			on = append(on, m.on) // but for what protects the kernel's
		}
	}
	slices.Sort(on)
	want := []string{"/", "/dev", "/dev/pts", "/out", "/proc", "/sys"}
	if !slices.Equal(on, want) {
		t.Errorf("mounts %q, want %q", on, want)
	}
	for what, got := range r.Tried {
		if got == "ok" {
			t.Errorf("%s succeeded", what)
		}
	}
}

// Not even the root of the container gets at PID 1, which has all rights.
//
// Covers: K10
func TestRootCannotTouchPIDOne(t *testing.T) {
	b := newBox(t)
	b.spec.UserID, b.spec.GroupID, b.spec.HostUser, b.spec.HostGroup = 0, 0, 0, 0
	r := b.look("open:/proc/1/mem", "open:/proc/1/root/etc", "open:/proc/1/cwd", "open:/proc/1/fd/4", "read:/proc/1/environ",
		"mount:/sys", "mknod:/out/null",
		"open:/proc/sys/kernel/core_pattern", "open:/proc/sysrq-trigger", "open:/proc/self/comm")
	for what, got := range r.Tried {
		if wantOK := what == "open /proc/self/comm"; (got == "ok") != wantOK && !strings.HasPrefix(what, "text ") {
			t.Errorf("%s: %s", what, got)
		}
	}
	if r.Status["CapEff"] != "00000000800005fb" || r.Status["CapBnd"] != "00000000800005fb" {
		t.Errorf("root has capabilities %s, bounding %s", r.Status["CapEff"], r.Status["CapBnd"])
	}
}

// For every user, files that act on the host are read-only, and files about it
// are empty; the sandbox can lift both.
//
// Covers: K10
func TestKernelFilesAreProtectedUnlessTheSandboxLoosensIt(t *testing.T) {
	look := func(change func(*wire.Spec)) (root *report) {
		b := newBox(t)
		b.spec.UserID, b.spec.GroupID, b.spec.HostUser, b.spec.HostGroup = 0, 0, 0, 0
		change(b.spec)
		return b.look("open:/proc/sys/kernel/hostname", "open:/proc/sysrq-trigger", "read:/proc/timer_list")
	}
	r := look(func(*wire.Spec) {})
	if m := r.mount(t, "/proc/sys"); !strings.HasPrefix(m.flags, "ro") {
		t.Errorf("/proc/sys is %s", m.flags)
	}
	if r.Tried["open /proc/sys/kernel/hostname"] == "ok" || r.Tried["open /proc/sysrq-trigger"] == "ok" {
		t.Errorf("protected: %v", r.Tried)
	}
	if got := r.Tried["text /proc/timer_list"]; got != "" {
		t.Errorf("timer_list reads %q", got)
	}
	r = look(func(s *wire.Spec) { s.WritableProcSys = true })
	if r.Tried["open /proc/sys/kernel/hostname"] != "ok" || r.Tried["text /proc/timer_list"] != "" {
		t.Errorf("writable-proc-sys: %v", r.Tried)
	}
	r = look(func(s *wire.Spec) { s.UnmaskKernelFiles = true })
	if r.Tried["open /proc/sys/kernel/hostname"] == "ok" || r.Tried["text /proc/timer_list"] == "" {
		t.Errorf("unmask-kernel-files: %v", r.Tried)
	}
}

// Covers: K4
func TestImageNeedsNoTmp(t *testing.T) {
	b := newBox(t)
	if _, err := os.Stat(b.image + "/tmp"); !os.IsNotExist(err) {
		t.Fatal("the image of the test has /tmp")
	}
	b.look()
}

// Covers: K4, K13
func TestMissingImageDirectories(t *testing.T) {
	for _, name := range []string{"dev", "sys", "proc"} {
		t.Run("K4 K13 /"+name, func(t *testing.T) {
			b := newBox(t)
			must(t, os.Remove(b.image+"/"+name))
			got := b.failed()
			for _, want := range []string{"web/app.0: cannot mount ", " on " + b.spec.MountDir + "/" + name + ": no such directory",
				b.image, "the image must have it"} {
				if !strings.Contains(got, want) {
					t.Errorf("%q is not in %q", want, got)
				}
			}
		})
	}
}

// Covers: K13, P8
func TestErrorsNameTheMountAndTheProcess(t *testing.T) {
	empty := t.TempDir()
	tests := []struct {
		name  string
		spoil func(b *box)
		want  []string
	}{
		{"K13 devfs without pts", func(b *box) { b.spec.DevfsDir = empty },
			[]string{"cannot mount devpts on MNT/dev/pts: no such directory", "lithos_mkdev"}},
		{"K13 no devfs", func(b *box) { b.spec.DevfsDir = empty + "/none" },
			[]string{"cannot mount devfs " + empty + "/none on MNT/dev", "no such file or directory", "lithos_mkdev " + empty + "/none"}},
		{"K13 no image", func(b *box) { b.spec.Image = empty + "/none" },
			[]string{"cannot use the image " + empty + "/none", "no such file or directory"}},
		{"K13 no mount dir", func(b *box) { must(b.t, os.Remove(b.spec.MountDir)) },
			[]string{"cannot use mount-dir MNT"}},
		{"K13 dev is a file", func(b *box) {
			must(b.t, os.Remove(b.image+"/dev"))
			b.write(b.image+"/dev", "")
		}, []string{"on MNT/dev: the source is a directory, the mount point is none"}},
		{"K13 dev is a link out of the image", func(b *box) {
			must(b.t, os.Remove(b.image+"/dev"))
			must(b.t, os.Symlink(empty, b.image+"/dev"))
		}, []string{"on MNT/dev: no such directory in the container"}},
		{"K13 no stdio log", func(b *box) { b.spec.StdioLog = empty + "/none/log" },
			[]string{"cannot open the file for stdout and stderr " + empty + "/none/log"}},
		{"K13 stdio log is a fifo", func(b *box) {
			must(b.t, unix.Mkfifo(b.dir+"/fifo", 0o666))
			b.spec.StdioLog = b.dir + "/fifo"
		}, []string{"neither a regular file nor a character device"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBox(t)
			tt.spoil(b)
			got := b.failed()
			if !strings.HasPrefix(got, "web/app.0: ") {
				t.Errorf("%q does not begin with the name of the process", got)
			}
			for _, want := range tt.want {
				if want := strings.ReplaceAll(want, "MNT", b.spec.MountDir); !strings.Contains(got, want) {
					t.Errorf("%q is not in %q", want, got)
				}
			}
		})
	}
}

// Covers: K5
func TestPseudoFileSystemFlags(t *testing.T) {
	b := newBox(t)
	r := b.look("pty", "create:/dev/x", "open:/dev/null", "open:/dev/full", "open:/dev/random",
		"open:/proc/self/comm", "create:/sys/x", "stat:/dev/ptmx", "stat:/dev/pts/ptmx")
	tests := []struct {
		on, fstype string
		flags      []string
	}{
		{"/dev", "", []string{"ro", "nosuid", "noexec"}},
		{"/dev/pts", "devpts", []string{"rw", "nosuid", "noexec", "noatime"}},
		{"/sys", "sysfs", []string{"ro", "nosuid", "noexec", "nodev", "noatime"}},
		{"/proc", "proc", []string{"rw", "nosuid", "noexec", "nodev", "noatime"}},
	}
	for _, tt := range tests {
		m := r.mount(t, tt.on)
		if !m.has(tt.flags...) || tt.fstype != "" && m.fstype != tt.fstype {
			t.Errorf("%s is %s with %s, want %s with %v", tt.on, m.fstype, m.flags, tt.fstype, tt.flags)
		}
	}
	if m := r.mount(t, "/dev/pts"); !strings.Contains(m.superop, "ptmxmode=666") {
		t.Errorf("devpts has %s, want ptmxmode=666", m.superop)
	}
	want := map[string]string{
		"open ptmx": "ok", "open pts": "ok", "pts": "/dev/pts/0", // 0: an instance of its own
		"open /dev/null": "ok", "open /dev/full": "ok", "open /dev/random": "ok",
		"open /proc/self/comm": "ok",
	}
	for what, w := range want {
		if r.Tried[what] != w {
			t.Errorf("%s: %q, want %q", what, r.Tried[what], w)
		}
	}
	for _, what := range []string{"create /dev/x", "create /sys/x"} {
		if r.Tried[what] == "ok" {
			t.Errorf("%s succeeded", what)
		}
	}
}

// The devices work although devfs-dir lies on a file system without devices,
// and what is mounted in it on the host stays there.
//
// Covers: K5
func TestDevfsOnNodevWithSubmounts(t *testing.T) {
	ownMounts(t)
	b := newBox(t)
	mountTmpfs(t, b.dir+"/nodev", unix.MS_NODEV)
	makeDevfs(t, b.dir+"/nodev/dev")
	mountTmpfs(t, b.dir+"/nodev/dev/shm", 0)
	b.write(b.dir+"/nodev/dev/shm/secret", "x")
	b.spec.DevfsDir = b.dir + "/nodev/dev"
	r := b.look("open:/dev/null", "read:/dev/shm/secret", "create:/dev/shm/x")
	if r.Tried["open /dev/null"] != "ok" {
		t.Errorf("/dev/null: %s", r.Tried["open /dev/null"])
	}
	for _, what := range []string{"read /dev/shm/secret", "create /dev/shm/x"} {
		if r.Tried[what] == "ok" {
			t.Errorf("%s succeeded", what)
		}
	}
}

// Covers: K6, X28
func TestRootIsReadOnlyRecursively(t *testing.T) {
	ownMounts(t)
	b := newBox(t)
	mountTmpfs(t, b.image+"/sub", 0)
	must(t, os.Chmod(b.image+"/sub", 0o777))
	must(t, os.Chmod(b.image+"/etc", 0o777))
	b.spec.UserID, b.spec.GroupID, b.spec.HostUser, b.spec.HostGroup = 0, 0, 0, 0
	r := b.look("create:/x", "create:/etc/x", "create:/sub/x", "exec:/bin/probe")
	for _, what := range []string{"create /x", "create /etc/x", "create /sub/x"} {
		if !strings.Contains(r.Tried[what], "read-only file system") {
			t.Errorf("%s: %q, want a read-only file system", what, r.Tried[what])
		}
	}
	if r.Tried["exec /bin/probe"] != "ok" {
		t.Errorf("exec in the image: %s", r.Tried["exec /bin/probe"])
	}
	for _, on := range []string{"/", "/sub"} {
		if m := r.mount(t, on); !m.has("ro", "nosuid", "nodev") {
			t.Errorf("%s has %s, want ro,nosuid,nodev", on, m.flags)
		}
	}
}

// ownMounts gives the test a mount namespace: what it mounts is gone with its
// thread, which nobody else gets.
func ownMounts(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	must(t, unix.Unshare(unix.CLONE_NEWNS))
	must(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
}

func mountTmpfs(t *testing.T, on string, flags uintptr) {
	t.Helper()
	must(t, os.MkdirAll(on, 0o755))
	must(t, unix.Mount("tmpfs", on, "tmpfs", flags, "mode=755"))
	t.Cleanup(func() { must(t, unix.Unmount(on, unix.MNT_DETACH)) })
}
