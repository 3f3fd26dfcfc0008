package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lithos/actors/services/api"
	"lithos/sysx/thread"
)

// verified is what lithos_ps --verify --json says.
type verified struct {
	Instances []struct {
		Name        string
		OK          bool
		Skipped     string
		Differences []struct{ What, Asked, Is string }
	}
}

func (h *host) verify(code int) (v verified) {
	h.t.Helper()
	r := h.ps("--verify", "--json")
	r.expect(h.t, "lithos_ps --verify --json", code)
	must(h.t, json.Unmarshal([]byte(r.stdout), &v))
	return v
}

// everything asks for all that can be asked for, in five ways.
func everything(t *testing.T) *host {
	t.Helper()
	h := newHost(t)
	const volumes = `
volumes:
  /out: !Persistent {path: /data}
  /scratch: !Tmpfs {size: 1001k}
  /state: !Statedir {path: /}
  /volume: !Readonly /ro
  /link/inner: !Persistent {path: /data, exec: true}
`
	limits := "memory-limit: 100_000_001\ncpu-shares: 512\npids-limit: 50\ncpu-quota: 0.9\nfileno-limit: 777\n"
	user := simple(limits+volumes, "wait")
	root := strings.NewReplacer("user-id: 1000", "user-id: 0", "group-id: 1000", "group-id: 0").Replace(user)
	h.image("app", map[string]string{"user": user, "root": root, "plain": simple("", "wait")})
	must(t, os.Symlink("/volume", h.path("images/app/link")))
	must(t, mkdir(h.path("ro/inner")))
	paths := fmt.Sprintf("writable-paths: {/data: %s}\nreadonly-paths: {/ro: %s}\n", h.path("data"), h.path("ro"))
	h.sandbox("plain", paths+"cpuset: '0'\n", "user: {image: app, config: /config/user.yaml}\nroot: {image: app, config: /config/root.yaml}\nplain: {image: app, config: /config/plain.yaml}")
	h.sandbox("loosened", paths+"seccomp: default\nallow-new-privileges: true\nadd-capabilities: [NET_RAW, SYS_PTRACE]\nwritable-proc-sys: true\nunmask-kernel-files: true\n",
		"root: {image: app, config: /config/root.yaml}")
	h.sandbox("mapped", paths+mapsOfNet+"seccomp: default\n", "root: {image: app, config: /config/root.yaml}\nuser: {image: app, config: /config/user.yaml}")
	return h
}

var verifiedNames = []string{"loosened/root.0", "mapped/root.0", "mapped/user.0", "plain/plain.0", "plain/root.0", "plain/user.0"}

// Covers: M3, R9
func TestVerifyReadsLimitsBackFromTheKernel(t *testing.T) {
	t.Parallel()
	h := everything(t)
	h.start()
	now := h.running(verifiedNames...)
	for _, v := range h.verify(0).Instances {
		if !v.OK || len(v.Differences) > 0 || !slices.Contains(verifiedNames, v.Name) {
			t.Errorf("%+v", v)
		}
	}
	h.tells(0, []string{"plain"}, `^3 as asked for, 0 different, 0 not looked at\n$`)

	// Each thing is changed from outside.
	program := now["plain/user.0"].program
	h.setLimit("plain/user.0", "max", "pids.max")
	inMounts(t, program, func() error {
		return unix.Mount("", "/volume", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_NOSUID, "")
	})
	inMounts(t, program, func() error { return unix.Unmount("/scratch", 0) })
	inMounts(t, now["mapped/root.0"].program, func() error { return unix.Unmount("/proc/sys", 0) })
	// One runs what it ran before, one does not run.
	h.processes("loosened", "root: {image: app, config: /config/gone.yaml}")
	h.processes("plain", "user: {image: app, config: /config/user.yaml}\nroot: {image: app, config: /config/root.yaml}\ndead: {image: app, config: /config/dead.yaml}")
	h.config("app", "dead", simple("restart-timeout: 300", "says", "so", "3"))
	generation, err := h.control().Reload(t.Context())
	must(t, err)
	h.settled(api.Wait{Reload: generation, Instance: "plain/root.0"})
	eventually(t, "its death", 20e9, func() error { return h.psShows(nil, `dead\.0 +waiting`) })

	got := map[string][]string{}
	for _, v := range h.verify(1).Instances {
		for _, d := range v.Differences {
			got[v.Name] = append(got[v.Name], d.What+": "+d.Asked+", "+d.Is)
		}
		if v.Skipped != "" {
			got[v.Name] = []string{v.Skipped}
		}
	}
	for name, want := range map[string][]string{
		"plain/user.0": {
			"limit of processes: 50 processes, none",
			"the volume /scratch: mounted on /scratch, not mounted", "the volume /volume: nosuid,nodev,noexec,ro, rw,nosuid",
		},
		"mapped/root.0":   {"/proc/sys: mounted on /proc/sys, not mounted"},
		"loosened/root.0": {"its config has errors"},
		"plain/dead.0":    {"it does not run: waiting"},
		"plain/root.0":    nil,
		"mapped/user.0":   nil,
	} {
		is := got[name]
		slices.Sort(is)
		slices.Sort(want)
		if len(is) != len(want) || slices.ContainsFunc(want, func(w string) bool {
			return !slices.ContainsFunc(is, func(s string) bool { return strings.HasPrefix(s, w) })
		}) {
			t.Errorf("%s: %q\nwant %q", name, is, want)
		}
	}
	h.tells(1, []string{"plain/user", "plain/dead"},
		`(?m)^plain/user\.0\n    limit of processes: asked for is 50 processes, it is none\n`,
		`(?m)^plain/dead\.0  not looked at: it does not run: waiting$`, `(?m)^0 as asked for, 1 different, 1 not looked at$`)
}

// tells wants lithos_ps --verify to say that.
func (h *host) tells(code int, names []string, patterns ...string) {
	h.t.Helper()
	r := h.ps(append([]string{"--verify"}, names...)...)
	for _, pattern := range patterns {
		if r.code != code || !regexp.MustCompile(pattern).MatchString(r.stdout) {
			h.t.Errorf("it does not say %q: %s", pattern, r)
		}
	}
}

// setLimit writes a file of a container's cgroup.
func (h *host) setLimit(name, value, file string) {
	h.t.Helper()
	written := false
	for _, dir := range h.groups(name) {
		if _, err := os.Stat(filepath.Join(dir, file)); err == nil {
			must(h.t, os.WriteFile(filepath.Join(dir, file), []byte(value), 0o644))
			written = true
		}
	}
	if !written {
		h.t.Fatalf("no %s of %s", file, name)
	}
}

// inMounts does something in the mount namespace of a process.
func inMounts(t *testing.T, pid int, do func() error) {
	t.Helper()
	// Not the main thread: /proc/self would be the container's from then on.
	thread.Spend(func() {
		err := unix.Unshare(unix.CLONE_FS)
		if err == nil {
			err = enterMounts(pid)
		}
		if err == nil {
			err = do()
		}
		if err != nil {
			t.Error(err)
		}
	})
}

func enterMounts(pid int) error {
	ns, err := os.Open("/proc/" + strconv.Itoa(pid) + "/ns/mnt")
	if err != nil {
		return err
	}
	defer ns.Close()
	return unix.Setns(int(ns.Fd()), unix.CLONE_NEWNS)
}
