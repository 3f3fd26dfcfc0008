//go:build mutations

package attack

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// mutation takes a defence out of the sources.
type mutation struct {
	name  string
	edits []edit
	run   string // the tests whose attacks it lets through
	// wins are attacks that have to succeed without the defence, by the end of
	// their name. Others may.
	wins []string
}

type edit struct{ file, old, new string }

const (
	insideTest = "TestAttacksFromInsideAContainer/plain"
	trapsTest  = "TestHostileImagesCannotReachTheHost/plain"
)

var (
	allCapabilities = edit{"spawn/knot/program.go", "Bounding: bounding | cred.Set(spec.AddCapabilities)", "Bounding: ^cred.Set(0) | bounding&0"}
	lookUpAnywhere  = []edit{
		{"sysx/inroot/open.go", "unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS", "0"},
		{"sysx/inroot/open.go", "unix.Openat2(root, path, &how)", `unix.Openat2(root, "./"+path, &how)`},
	}
)

var mutations = []mutation{
	{name: "bounding-set", edits: []edit{allCapabilities}, run: insideTest, wins: []string{
		"root/bounding-set", "root/remount-root", "root/remount-sys", "root/remount-volume", "root/setattr-root", "root/bind-mount",
		"root/mount-proc", "root/mount-sysfs", "root/fsopen", "root/open-tree", "root/umount-proc-sys", "root/umount-hosts",
		"root/pivot-root", "root/chroot", "root/open-by-handle", "root/make-disk", "root/make-kmem", "root/set-immutable",
		"root/reboot", "root/swapon", "root/accounting", "root/set-clock",
		"root/adjust-clock", "root/kmsg-clear", "root/perf-of-the-host", "root/userfaultfd", "root/fanotify", "root/raw-socket",
		"root/packet-socket", "root/network-interface", "root/raise-capabilities",
		"root/hostname", "root/setns",
	}},
	{name: "undumpable-pid1", edits: []edit{allCapabilities, {"spawn/knot/recipe.go", "unix.PR_SET_DUMPABLE, 0", "unix.PR_SET_DUMPABLE, 1"}}, run: insideTest, wins: []string{
		"root/pid1-mem", "root/pid1-environ", "root/pid1-maps", "root/pid1-auxv", "root/pid1-root", "root/pid1-cwd",
		"root/pid1-exe-read", "root/pid1-fds", "root/pid1-namespaces", "root/ptrace-attach", "root/ptrace-seize",
		"root/process-vm-readv", "root/pidfd-getfd",
	}},
	{name: "protected-proc", edits: []edit{{"spawn/knot/protect.go", `[]string{"bus", "fs", "irq", "sys", "sysrq-trigger"}`, "[]string{}"}}, run: insideTest, wins: []string{
		"root/core-pattern", "root/sysctl-vm", "root/sysctl-fs", "root/sysctl-net", "root/irq-affinity",
	}},
	{name: "masked-files", edits: []edit{{"spawn/knot/protect.go", "range masked[fstype]", `range masked["none of "+fstype]`}}, run: insideTest, wins: []string{
		"root/timer-list", "root/interrupts", "user/interrupts", "root/keys-file", "user/keys-file", "root/firmware", "user/firmware",
	}},
	{name: "read-only-sys", edits: []edit{{"spawn/knot/recipe.go", "mount.ReadOnly | mount.NoSuid | mount.NoExec | mount.NoDev | mount.NoAtime, nil}", "mount.NoSuid | mount.NoExec | mount.NoDev | mount.NoAtime, nil}"}}, run: insideTest, wins: []string{
		"root/sysfs-write",
	}},
	{name: "read-only-image", edits: []edit{{"spawn/knot/recipe.go", "return mount.ReadOnly | mount.NoSuid", "return mount.NoSuid"}}, run: insideTest, wins: []string{
		"root/write-image", "root/write-program",
	}},
	{name: "read-only-volume", edits: []edit{{"spawn/knot/volumes.go", "attr |= mount.ReadOnly", "attr |= 0"}}, run: insideTest, wins: []string{
		"root/write-readonly-volume",
	}},
	{name: "no-dev", edits: []edit{
		{"spawn/knot/recipe.go", "mount.NoSuid | mount.NoDev\n", "mount.NoSuid\n"},
		{"spawn/knot/volumes.go", "mount.NoSuid | mount.NoDev | mount.NoExec", "mount.NoSuid | mount.NoExec"},
	}, run: insideTest, wins: []string{"root/device-in-image", "user/device-in-image", "root/device-in-volume", "user/device-in-volume"}},
	{name: "no-exec", edits: []edit{{"spawn/knot/volumes.go", "mount.NoSuid | mount.NoDev | mount.NoExec", "mount.NoSuid | mount.NoDev"}}, run: insideTest, wins: []string{
		"root/exec-on-volume", "user/exec-on-volume",
	}},
	{name: "no-suid-and-no-new-privileges", edits: []edit{
		{"spawn/knot/recipe.go", "mount.NoSuid | mount.NoDev\n", "mount.NoDev\n"},
		{"spawn/knot/volumes.go", "mount.NoSuid | mount.NoDev | mount.NoExec", "mount.NoDev | mount.NoExec"},
		{"sysx/cred/cred.go", `p.Prctl("PR_SET_NO_NEW_PRIVS", unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)`, ""},
	}, run: insideTest, wins: []string{"user/suid-in-image", "user/suid-in-volume", "user/capabilities-in-image", "root/new-privileges", "root/suid-of-its-own"}},
	{name: "user", edits: []edit{{"sysx/cred/cred.go", "p.Setresuid(id.UID)", ""}}, run: insideTest, wins: []string{"user/become-root", "user/group-of-disks"}},
	{name: "no-groups", edits: []edit{{"sysx/cred/cred.go", "p.ClearGroups()", ""}}, run: insideTest, wins: []string{"root/supplementary-groups", "user/supplementary-groups"}},
	{name: "descriptors", edits: []edit{
		{"sysx/forkexec/start.go", "p.CloseRange(uint32(len(fds)), ^uint32(0), 0)", ""},
		{"spawn/knot/recipe.go", "unix.SYS_CLOSE_RANGE, wire.FDSpec,", "unix.SYS_CLOSE_RANGE, 1<<20,"},
	}, run: insideTest, wins: []string{"root/inherited-descriptors", "user/inherited-descriptors"}},
	{name: "append-only-log", edits: []edit{{"spawn/knot/stdio.go", "unix.O_WRONLY | unix.O_APPEND | ", "unix.O_RDWR | "}}, run: insideTest, wins: []string{
		"root/log-is-append-only",
	}},
	{name: "session-keyring", edits: []edit{{"spawn/spawner.go", `a.Steps.Raw("keyctl", unix.SYS_KEYCTL, unix.KEYCTL_JOIN_SESSION_KEYRING, 0).IgnoreErr()`, ""}}, run: insideTest, wins: []string{
		"root/keys-of-the-daemon", "user/keys-of-the-daemon",
	}},
	{name: "ipc-namespace", edits: []edit{{"spawn/spawner.go", " | syscall.CLONE_NEWIPC", ""}}, run: insideTest, wins: []string{
		"root/shared-memory", "user/shared-memory",
	}},
	{name: "knot-read-only", edits: []edit{
		{"spawn/spawner.go", "	mount.ReadOnlyFile(a.Steps, l.knot)\n", ""},
		{"spawn/spawner.go", "	\"lithos/sysx/mount\"\n", ""},
	}, run: trapsTest, wins: []string{"exe-overwrite"}},
	{name: "magic-links", edits: []edit{{"spawn/knot/stdio.go", "Resolve: unix.RESOLVE_NO_MAGICLINKS", "Resolve: 0"}}, run: trapsTest, wins: []string{
		"stdout-record", "stdout-magic-link-of-pid1",
	}},
	{name: "logs-by-their-user", edits: []edit{{"spawn/knot/stdio.go", "cred.As(k.spec.HostUser, k.spec.HostGroup", "cred.As(0, 0"}}, run: trapsTest, wins: []string{
		"stdout-of-another-user",
	}},
	{name: "no-fifo-as-log", edits: []edit{{"spawn/knot/stdio.go", "kind != unix.S_IFREG && kind != unix.S_IFCHR", "kind == 0"},
		{"spawn/knot/stdio.go", "err == unix.ENXIO || err == unix.ENODEV", "err == unix.ENODEV"}}, run: trapsTest, wins: []string{"stdout-fifo"}},
	{name: "paths-inside", edits: lookUpAnywhere, run: trapsTest, wins: []string{
		"point-link-absolute", "point-link-up", "sub-link-absolute", "sub-link-up", "sub-link-on-the-way", "sub-mkdir-by-a-link",
		"sub-readonly-link", "sub-magic-link",
	}},
	{name: "paths-inside-while-they-change", edits: lookUpAnywhere, run: "TestPathsSwappedDuringTheStart/plain",
		wins: []string{"TestPathsSwappedDuringTheStart/plain"}},
	{name: "configs-inside", edits: []edit{{"configs/files/files.go", "unix.RESOLVE_IN_ROOT|unix.RESOLVE_NO_MAGICLINKS", "0"},
		{"configs/files/files.go", "Openat2(i.fd, file,", `Openat2(i.fd, "./"+file,`}}, run: trapsTest, wins: []string{
		"config-link-absolute", "config-link-up", "config-directory-link", "config-magic-link",
	}},
	{name: "etc-without-links", edits: []edit{{"spawn/knot/etc.go", "r.open(etc, name, unix.O_PATH|unix.O_NOFOLLOW, 0)", "r.open(etc, name, unix.O_PATH, 0)"}}, run: trapsTest, wins: []string{
		"etc-hosts-link", "etc-resolv-link",
	}},
	{name: "pids-limit", edits: []edit{{"spawn/spawner.go", "PIDs: limits.PIDs,", ""}}, run: "TestForkBombIsLimited/plain", wins: []string{"TestForkBombIsLimited/plain"}},
	{name: "fileno-limit", edits: []edit{{"spawn/knot/program.go", "s.attr.Last.Setrlimit(forkexec.RlimitNofile, spec.FilenoLimit, spec.FilenoLimit)",
		"s.attr.Last.Setrlimit(forkexec.RlimitNofile, 1<<19, 1<<19)"}}, run: "TestDescriptorsAndPortsAreLimited/plain", wins: []string{"TestDescriptorsAndPortsAreLimited/plain"}},
}

// Each attack is seen to succeed where its defence is gone: a test that can't
// fail tells nothing.
func TestMutations(t *testing.T) {
	root, err := filepath.Abs("../../..")
	must(t, err)
	var won []string
	for _, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			bin := buildWithout(t, root, m.edits)
			cmd := exec.Command(os.Args[0], "-test.v", "-test.run", "^"+strings.ReplaceAll(m.run, "/", "$/^")+"$", "-test.timeout", "5m")
			cmd.Env = append(os.Environ(), "LITHOS_BIN="+bin)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Errorf("without the defence all tests pass:\n%s", out)
			}
			failed := failures(string(out))
			t.Logf("%d lines of: the attack succeeded", strings.Count(string(out), "the attack succeeded"))
			for _, name := range m.wins {
				if !slices.ContainsFunc(failed, func(f string) bool { return strings.HasSuffix(f, "/"+name) || f == name }) {
					t.Errorf("%s is held by something else; failed: %v", name, failed)
				}
			}
			for _, f := range failed {
				won = append(won, m.name+" "+f)
			}
		})
	}
	t.Logf("attacks that succeeded, by the defence that was gone:\n%s", strings.Join(won, "\n"))
}

var failLine = regexp.MustCompile(`(?m)^ *--- FAIL: (\S+)`)

func failures(output string) (names []string) {
	for _, m := range failLine.FindAllStringSubmatch(output, -1) {
		names = append(names, m[1])
	}
	return names
}

// buildWithout builds the programs from a copy of the sources.
func buildWithout(t *testing.T, root string, edits []edit) (bin string) {
	t.Helper()
	dir := t.TempDir()
	for _, sub := range []string{"actors", "api", "cmd", "configs", "spawn", "sysx", "go.mod", "go.sum"} {
		if _, err := os.Stat(filepath.Join(root, sub)); err != nil {
			continue
		}
		if out, err := exec.Command("cp", "-r", filepath.Join(root, sub), dir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	for _, e := range edits {
		path := filepath.Join(dir, e.file)
		text, err := os.ReadFile(path)
		must(t, err)
		if !strings.Contains(string(text), e.old) {
			t.Fatalf("%s has no %q any more", e.file, e.old)
		}
		must(t, os.WriteFile(path, []byte(strings.Replace(string(text), e.old, e.new, 1)), 0o644))
	}
	bin = filepath.Join(dir, "bin")
	must(t, os.Mkdir(bin, 0o755))
	build := exec.Command("go", "build", "-buildvcs=false", "-o", bin+"/", "./cmd/lithos_tree", "./cmd/lithos_knot", "./cmd/lithos_mkdev")
	build.Dir, build.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return bin
}
