package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// seen waits for what the program `report` wrote to data/NAME.
func (h *host) seen(name string) seen {
	h.t.Helper()
	var s seen
	eventually(h.t, "the report "+name, 10*time.Second, func() error {
		data, err := os.ReadFile(h.path("data", name))
		if err != nil {
			return err
		}
		return json.Unmarshal(data, &s)
	})
	return s
}

// mounts gives the mount options (of the mount itself) and the type by mount
// point; the last one on a mount point counts.
func (s seen) mounts() map[string]mounted {
	all := make(map[string]mounted)
	for _, line := range strings.Split(strings.TrimSpace(s.MountInfo), "\n") {
		left, right, _ := strings.Cut(line, " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if len(l) < 6 || len(r) < 3 {
			continue
		}
		all[l[4]] = mounted{options: strings.Split(l[5], ","), kind: r[0], super: strings.Split(r[2], ","), optional: l[6:]}
	}
	return all
}

type mounted struct {
	kind                     string
	options, super, optional []string
}

// has wants these options, and the ones after a "!" absent.
func (m mounted) has(options ...string) error {
	for _, o := range options {
		if absent, ok := strings.CutPrefix(o, "!"); ok == slices.Contains(m.options, strings.TrimPrefix(o, "!")) {
			return fmt.Errorf("%v: want %s (%s)", m.options, o, absent)
		}
	}
	return nil
}

// status is a field of /proc/self/status.
func (s seen) status(field string) string {
	for _, line := range strings.Split(s.Status, "\n") {
		if key, value, _ := strings.Cut(line, ":"); key == field {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Covers: E2, E5, E9, E10, E12, K1, K2, K10
func TestProgramSurroundings(t *testing.T) {
	t.Parallel()
	h := one(t, dedent(`
		user-id: 1234
		group-id: 4321
		fileno-limit: 77
		workdir: /out
		executable: /bin/e2e
		arguments: [e2e-program, report, /out/report, "a b", ""]
		environ: {GREETING: hello, LITHOS_NAME: mine}
		`)+dataVolume)
	h.start()
	i := h.running("box/app.0")["box/app.0"]
	s := h.seen("report")
	if s.UID != 1234 || s.GID != 4321 {
		t.Errorf("E2 user %d group %d", s.UID, s.GID)
	}
	if len(s.Groups) != 0 {
		t.Errorf("K10 supplementary groups %v", s.Groups)
	}
	if s.NoFile.Cur != 77 || s.NoFile.Max != 77 {
		t.Errorf("E5 fileno-limit %+v", s.NoFile)
	}
	if want := []string{"/bin/e2e", "e2e-program", "report", "/out/report", "a b", ""}; !slices.Equal(s.Args, want) {
		t.Errorf("E9 arguments %q", s.Args)
	}
	if s.Workdir != "/out" {
		t.Errorf("E12 workdir %s", s.Workdir)
	}
	env := slices.Clone(s.Env)
	slices.Sort(env)
	if want := []string{"GREETING=hello", "LITHOS_CONFIG=/config/app.yaml", "LITHOS_NAME=box/app.0"}; !slices.Equal(slices.DeleteFunc(env, func(v string) bool {
		return strings.HasPrefix(v, "TERM=")
	}), want) {
		t.Errorf("E10 environment %q, want %q and TERM", s.Env, want)
	}
	if !slices.ContainsFunc(s.Env, func(v string) bool { return strings.HasPrefix(v, "TERM=") }) {
		t.Errorf("E10 no TERM in %q", s.Env)
	}
	if s.PID != 2 {
		t.Errorf("K2 pid %d", s.PID)
	}
	if s.status("NoNewPrivs") != "1" {
		t.Error("K10 no_new_privs is not set")
	}
	for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapAmb"} {
		if v := s.status(set); v != "0000000000000000" {
			t.Errorf("K10 %s %s", set, v)
		}
	}
	const sysAdmin, rawIO, ptrace = 1 << 21, 1 << 17, 1 << 19
	if v, err := strconv.ParseUint(s.status("CapBnd"), 16, 64); err != nil || v&(sysAdmin|rawIO|ptrace) != 0 {
		t.Errorf("K10 the bounding set is %x (%v)", v, err)
	}
	for fd, what := range s.FDs {
		if fd > 2 {
			t.Errorf("descriptor %d was left open: %s", fd, what)
		}
	}
	for _, ns := range []string{"mnt", "pid", "ipc", "uts"} {
		own, err := os.Readlink("/proc/self/ns/" + ns)
		must(t, err)
		its, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", i.program, ns))
		must(t, err)
		if own == its {
			t.Errorf("K1 its %s namespace is the host's", ns)
		}
	}
}

// Covers: H2, H3, H4, H5, K3, K5, K6
func TestMountFlagsAsSeenInside(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.image("app", map[string]string{"app": simple(`
		volumes:
		  /out: !Persistent {path: /data}
		  /scratch: !Tmpfs {size: 2Mi, mode: 0o755}
		  /state: !Statedir {path: /}
		  /volume: !Readonly /ro
		  /volume/inner: !Persistent {path: /data/made, mkdir: true, mode: 0o750, user: 1000, group: 1000, exec: true}
		`, "report", "/out/report")})
	h.sandbox("box", fmt.Sprintf("writable-paths: {/data: %s}\nreadonly-paths: {/ro: %s}\n", h.path("data"), h.path("ro")), app)
	must(t, os.Chmod(h.path("data"), 0o777))
	must(t, mkdir(h.path("ro/inner")))
	h.start()
	i := h.running("box/app.0")["box/app.0"]
	s := h.seen("report")
	mounts := s.mounts()
	for _, want := range []struct {
		id, point, kind string
		options         []string
	}{
		{"K3 K6", "/", "", []string{"ro"}},
		{"H2", "/volume", "", []string{"ro", "nosuid", "noexec", "nodev"}},
		{"H3", "/out", "", []string{"rw", "nosuid", "noexec", "nodev"}},
		{"H3", "/volume/inner", "", []string{"rw", "nosuid", "!noexec", "nodev"}},
		{"H4", "/state", "", []string{"rw", "nosuid", "nodev"}},
		{"H5", "/scratch", "tmpfs", []string{"rw", "nosuid", "nodev"}},
		{"K5", "/dev", "", []string{"ro"}},
		{"K5", "/dev/pts", "devpts", []string{"nosuid", "noexec", "noatime"}},
		{"K5", "/sys", "sysfs", []string{"ro", "nosuid", "noexec", "nodev", "noatime"}},
		{"K5", "/proc", "proc", []string{"rw", "nosuid", "noexec", "nodev", "noatime"}},
	} {
		m, ok := mounts[want.point]
		if !ok {
			t.Errorf("%s: nothing is mounted on %s", want.id, want.point)
			continue
		}
		if err := m.has(want.options...); err != nil {
			t.Errorf("%s %s: %v", want.id, want.point, err)
		}
		if want.kind != "" && m.kind != want.kind {
			t.Errorf("%s %s is a %s", want.id, want.point, m.kind)
		}
	}
	for point, m := range mounts {
		if slices.ContainsFunc(m.optional, func(o string) bool { return strings.HasPrefix(o, "shared:") }) {
			t.Errorf("K3 %s is shared with the host", point)
		}
	}
	if !slices.Contains(mounts["/scratch"].super, "size=2048k") {
		t.Errorf("H5 %v, want size=2048k", mounts["/scratch"].super)
	}
	root := fmt.Sprintf("/proc/%d/root", i.program)
	info, err := os.Stat(h.path("data/made"))
	must(t, err)
	if info.Mode().Perm() != 0o750 || owner(info) != "1000:1000" {
		t.Errorf("H3 the made directory is %v of %s", info.Mode(), owner(info))
	}
	info, err = os.Stat(root + "/scratch")
	must(t, err)
	if info.Mode().Perm() != 0o755 {
		t.Errorf("H5 the root of the tmpfs is %v", info.Mode())
	}
	// The host sees none of it (K3).
	entries, err := os.ReadDir(h.path("run/mnt"))
	if err != nil || len(entries) != 0 {
		t.Errorf("K3 run/mnt has %v, %v", entries, err)
	}
}

// Covers: I1, I2, I3, I4, I5, I6, I8, I10
func TestStateDirHostsAndResolvConf(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	report := func(name, more string) string {
		return simple("volumes: {/out: !Persistent {path: /data}}\n"+dedent(more), "report", "/out/"+name)
	}
	h.image("app", map[string]string{
		"default": report("default", ""),
		"own":     report("own", "hosts-file: {copy-from-host: false, mount: true, public-hostname: false}"),
		"never":   report("never", "hosts-file: {mount: false}\nresolv-conf: {mount: false}"),
	})
	h.sandbox("box", fmt.Sprintf("writable-paths: {/data: %s}\nadditional-hosts: {friend: 192.0.2.9}\n", h.path("data")), `
		default: {image: app, config: /config/default.yaml}
		own: {image: app, config: /config/own.yaml}
		never: {image: app, config: /config/never.yaml}
		`)
	must(t, os.Chmod(h.path("data"), 0o777))
	h.start()
	now := h.running("box/default.0", "box/own.0", "box/never.0")

	s := h.seen("default")
	if !strings.Contains(s.Hosts, "192.0.2.7 from-the-host") {
		t.Errorf("I5 hosts is not the copy:\n%s", s.Hosts)
	}
	if !strings.Contains(s.Hosts, "192.0.2.9 friend") && !strings.Contains(s.Hosts, "192.0.2.9\tfriend") {
		t.Errorf("I8 additional-hosts is not in hosts:\n%s", s.Hosts)
	}
	if host := text("/etc/hosts"); host == s.Hosts || s.Resolv == text("/etc/resolv.conf") {
		t.Errorf("I10 the container reads the host's own:\n%s", s.Hosts)
	}
	if strings.Contains(s.Hosts, "localhost.localdomain") {
		t.Errorf("I6 localhost was added to a copy:\n%s", s.Hosts)
	}
	if s.Resolv != "nameserver 192.0.2.53\n" {
		t.Errorf("I2 I3 resolv.conf is %q", s.Resolv)
	}
	own := h.seen("own")
	if strings.Contains(own.Hosts, "from-the-host") || !strings.Contains(own.Hosts, "127.0.0.1 localhost.localdomain localhost") {
		t.Errorf("I6 hosts without copy-from-host:\n%s", own.Hosts)
	}
	if never := h.seen("never"); never.Hosts != "the image's own\n" || never.Resolv != "the image's own\n" {
		t.Errorf("I3 I4 mount: false shows %q and %q", never.Hosts, never.Resolv)
	}

	// I1: the state dir is there, and editing a file in it is seen at once
	// in the running container.
	dir := h.path("run/state/box/default.0")
	info, err := os.Stat(dir)
	must(t, err)
	if info.Mode() != os.ModeDir|os.ModeSticky|0o777 {
		t.Errorf("I1 the state dir is %v", info.Mode())
	}
	f, err := os.OpenFile(filepath.Join(dir, "hosts"), os.O_WRONLY|os.O_APPEND, 0)
	must(t, err)
	_, err = f.WriteString("192.0.2.10 edited\n")
	must(t, errors.Join(err, f.Close()))
	if got := text(fmt.Sprintf("/proc/%d/root/etc/hosts", now["box/default.0"].program)); !strings.Contains(got, "edited") {
		t.Errorf("I1 the edit is not seen inside:\n%s", got)
	}
	// It is made again at each start.
	must(t, os.WriteFile(filepath.Join(dir, "litter"), nil, 0o644))
	kill(t, now["box/default.0"].program, killSignal)
	next := h.successor("box/default.0", now["box/default.0"], 5*time.Second)
	if _, err := os.Stat(filepath.Join(dir, "litter")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("I1 the state dir is the old one (%v)", err)
	}
	if got := text(fmt.Sprintf("/proc/%d/root/etc/hosts", next.program)); strings.Contains(got, "edited") {
		t.Errorf("I1 hosts is the old one:\n%s", got)
	}
}

// The older scheme: the image's files are links into a Statedir volume.
//
// Covers: I9
func TestEtcLinksIntoTheStateDir(t *testing.T) {
	t.Parallel()
	h := one(t, simple(`
		volumes:
		  /out: !Persistent {path: /data}
		  /state: !Statedir {path: /}
		`, "report", "/out/report"))
	for _, name := range []string{"hosts", "resolv.conf"} {
		must(t, os.Remove(h.path("images/app/etc", name)))
		must(t, os.Symlink("/state/"+name, h.path("images/app/etc", name)))
	}
	h.start()
	h.running("box/app.0")
	s := h.seen("report")
	if !strings.Contains(s.Hosts, "from-the-host") || s.Resolv != "nameserver 192.0.2.53\n" {
		t.Errorf("hosts %q, resolv.conf %q", s.Hosts, s.Resolv)
	}
	if _, ok := s.mounts()["/etc/hosts"]; ok {
		t.Error("a link was mounted over")
	}
}

// The pattern of the manual's §9.5.1 finds PID 1, and only it.
//
// Covers: O3
func TestPgrepPatternFindsPID1(t *testing.T) {
	t.Parallel()
	h := one(t, simple("", "wait"))
	h.processes("box", strings.Replace(app, "image:", "instances: 11\n  image:", 1))
	h.start()
	now := h.running(names("box/app", 11)...)
	const pattern = "lithos_knot --name box/app.10"
	var found []string
	for _, p := range processes() {
		args := arguments(p.pid)
		if strings.Contains(strings.Join(args, " "), pattern) && slices.Contains(args, h.path("master.yaml")) {
			found = append(found, strconv.Itoa(p.pid))
		}
	}
	if want := []string{strconv.Itoa(now["box/app.10"].knot)}; !slices.Equal(found, want) {
		t.Errorf("pids %v, want %v", found, want)
	}
	i := now["box/app.0"]
	if len(i.argv) != 7 || i.argv[3] != "--master" || i.argv[5] != "--config" || !json.Valid([]byte(i.argv[6])) {
		t.Errorf("R2 the command line is %q", i.argv)
	}
}
