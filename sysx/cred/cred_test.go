package cred

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lithos/sysx/forkexec"
)

// The test binary is also the program that is started with an identity.
func TestMain(m *testing.M) {
	if out := os.Getenv("CRED_TEST_OUT"); out != "" {
		data, err := os.ReadFile("/proc/self/status")
		if err == nil {
			err = os.WriteFile(out, data, 0o644)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "these tests change user ids: run them as root")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// statusOf starts a program with the identity, from a thread that has
// supplementary groups and inheritable capabilities to lose.
func statusOf(t *testing.T, id Identity) map[string]string {
	t.Helper()
	runtime.LockOSThread() // never unlocked: the thread is spoilt
	must(t, setgroups([]int{5, 6, 7}))
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	must(t, unix.Capget(&hdr, &data[0]))
	data[0].Inheritable = data[0].Permitted
	must(t, unix.Capset(&hdr, &data[0]))
	must(t, unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, unix.CAP_CHOWN, 0, 0))

	dir, err := os.MkdirTemp("", "lithos-test-cred-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o777))
	exe, err := os.Open("/proc/self/exe") // its directory may not be for others
	must(t, err)
	defer exe.Close()
	plan := new(forkexec.Plan)
	must(t, id.AddTo(plan))
	pid, _, err := forkexec.Start(&forkexec.Attr{
		Path: "/proc/self/fd/3", Argv: []string{"cred.test"}, Env: []string{"CRED_TEST_OUT=" + dir + "/status"},
		FDs:  []int{0, 1, 2, int(exe.Fd())},
		Last: plan,
	})
	must(t, err)
	var status unix.WaitStatus
	for {
		if _, err = unix.Wait4(pid, &status, 0, nil); err != unix.EINTR {
			break
		}
	}
	must(t, err)
	if status != 0 {
		t.Fatalf("the program ended with status %#x", status)
	}
	text, err := os.ReadFile(dir + "/status")
	must(t, err)
	m := map[string]string{}
	for line := range strings.Lines(string(text)) {
		k, v, _ := strings.Cut(line, ":")
		m[k] = strings.TrimSpace(v)
	}
	return m
}

// Covers: K10
func TestSetIdentity(t *testing.T) {
	keep := Of(unix.CAP_CHOWN, unix.CAP_KILL)
	const kept, none = "0000000000000021", "0000000000000000"
	tests := []struct {
		name string
		id   Identity
		want map[string]string
	}{
		{"K10 user", Identity{UID: 1234, GID: 4321, Bounding: keep}, map[string]string{
			"Uid": "1234\t1234\t1234\t1234", "Gid": "4321\t4321\t4321\t4321", "Groups": "", "NoNewPrivs": "1",
			"CapEff": none, "CapPrm": none, "CapInh": none, "CapAmb": none, "CapBnd": kept}},
		{"K10 root", Identity{Bounding: keep}, map[string]string{
			"Uid": "0\t0\t0\t0", "Groups": "", "NoNewPrivs": "1",
			"CapEff": kept, "CapPrm": kept, "CapInh": none, "CapAmb": none, "CapBnd": kept}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := statusOf(t, tt.id)
			for k, want := range tt.want {
				if got[k] != want {
					t.Errorf("%s is %q, want %q", k, got[k], want)
				}
			}
		})
	}
}

// Covers: E16
func TestAsOpensWithTheRightsOfTheUser(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Chmod(filepath.Dir(dir), 0o755))
	must(t, os.Chmod(dir, 0o755))
	must(t, os.WriteFile(dir+"/root", nil, 0o600))
	must(t, os.WriteFile(dir+"/user", nil, 0o600))
	must(t, os.Chown(dir+"/user", 1234, 4321))
	open := func(path string) error {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err == nil {
			f.Close()
		}
		return err
	}
	runtime.LockOSThread()
	must(t, setgroups([]int{5}))
	defer func() { must(t, setgroups(nil)); runtime.UnlockOSThread() }()

	if err := As(1234, 4321, func() error { return open(dir + "/root") }); !errors.Is(err, unix.EACCES) {
		t.Errorf("root's file: %v", err)
	}
	if err := As(1234, 4321, func() error { return open("/proc/sys/kernel/core_pattern") }); !errors.Is(err, unix.EACCES) {
		t.Errorf("a file of proc that looks at the effective id: %v", err)
	}
	must(t, As(1234, 4321, func() error {
		if groups, err := unix.Getgroups(); err != nil || len(groups) != 0 {
			t.Errorf("groups %v (%v)", groups, err)
		}
		return open(dir + "/user")
	}))
	must(t, open(dir+"/root")) // we are back
	if groups, err := unix.Getgroups(); err != nil || len(groups) != 1 || groups[0] != 5 || unix.Geteuid() != 0 || unix.Getegid() != 0 {
		t.Errorf("groups %v (%v), ids %d:%d", groups, err, unix.Geteuid(), unix.Getegid())
	}
}
